"""Every exception that agewise raises on purpose.

AgewiseError
├── ImageError              the picture cannot be used
│   ├── ImageReadError      missing, empty, truncated, not a picture, not permitted
│   ├── ImageTooLargeError  more pixels than the limit; found out before decoding
│   └── ArrayError          an array of the wrong shape, type or range, or of no stated colour order
├── ModelError              a model file cannot be used
│   ├── UnknownModelError   no such name among the models on hand, and no such file
│   ├── CardError           no card in the file, a card of an unknown version, or a card that makes no sense
│   └── GoldenCheckError    the model does not give the numbers that its card promises
├── CalibrationError        labelled photos are too few, or their labels cannot be read
├── DetectorError           a detector cannot be made or run
│   └── UnknownDetectorError
├── MissingExtraError       an optional dependency is not installed; the message holds the command that installs it
├── SourceError             a source (file, folder, pattern) cannot be listed
├── VideoError              a video, a stream or a sequence of pictures cannot be read
├── WorkerError             worker processes cannot do their work
└── OutputError             a result cannot be written; nothing half-written is left

A message says what was expected, what came, and what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class AgewiseError(Exception):
    """The root: catch this one to catch all that agewise raises on purpose."""


class ImageError(AgewiseError, ValueError):
    """The picture cannot be used."""


class ImageReadError(ImageError):
    """The file or the bytes cannot be read as a picture."""


class ImageTooLargeError(ImageError):
    """The picture has more pixels than the limit."""


class ArrayError(ImageError):
    """An array is not a picture in the sense of `agewise.imaging`."""


class ModelError(AgewiseError, ValueError):
    """A model file cannot be used."""


class UnknownModelError(ModelError):
    """No model of that name is on hand."""


class CardError(ModelError):
    """The model's card is missing, of an unknown version, or makes no sense."""


class GoldenCheckError(ModelError):
    """The model's outputs differ from those that its card promises."""


class CalibrationError(AgewiseError, ValueError):
    """A model cannot be calibrated on these photos."""


class DetectorError(AgewiseError, ValueError):
    """A detector cannot be made or run."""


class UnknownDetectorError(DetectorError):
    """No detector of that name exists."""


class MissingExtraError(AgewiseError, ImportError):
    """An optional dependency is not installed."""

    def __init__(self, what: str, extra: str) -> None:
        """Say which feature (`what`) needs which extra (`extra`), and how to install it."""
        super().__init__(f"{what} needs the extra {extra!r}: pip install 'agewise[{extra}]'")
        self.what = what
        self.extra = extra

    def __reduce__(self) -> tuple[type[MissingExtraError], tuple[str, str]]:
        """Its own arguments, not the message: so that it comes back whole from another process."""
        return type(self), (self.what, self.extra)


class SourceError(AgewiseError, ValueError):
    """A source of pictures cannot be listed."""


class VideoError(AgewiseError, ValueError):
    """A video cannot be read."""


class WorkerError(AgewiseError):
    """Worker processes, or a cluster, cannot do their work."""


class OutputError(AgewiseError, OSError):
    """A result cannot be written."""


def unknown_name(kind: str, name: str, known: Iterable[str]) -> str:
    """The message for an unknown name: the legal names, and the nearest match, in any case, if there is one.

    >>> unknown_name("detector", "mtcn", ["mtcnn", "none"])
    "unknown detector 'mtcn': did you mean 'mtcnn'? Known: mtcnn, none"
    """
    names = list(known)
    by_folded = {known_name.casefold(): known_name for known_name in names}
    near = difflib.get_close_matches(str(name).casefold(), by_folded, n=1)
    hint = f"did you mean {by_folded[near[0]]!r}? " if near else ""
    return f"unknown {kind} {name!r}: {hint}Known: {', '.join(names)}"
