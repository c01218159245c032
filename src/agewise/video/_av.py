"""PyAV, loaded when it is first needed: agewise works without it."""

from __future__ import annotations

from types import ModuleType

from agewise.errors import MissingExtraError


def load_av() -> ModuleType:
    """The module `av`, quiet: what it has to say comes as exceptions.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise MissingExtraError("reading and writing video", "video") from error
    av.logging.set_level(None)
    return av
