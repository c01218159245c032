"""All readers by name, and the options that each has."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, cast

from agewise.errors import unknown_name
from agewise_lab.datasets import (
    adience,
    afad,
    agedb,
    all_age_faces,
    appa_real,
    cacd2000,
    fairface,
    fgnet,
    imdb,
    imdb_clean,
    lagenda,
    megaage_asian,
    morph2,
    own,
    utkface,
    wiki,
)
from agewise_lab.datasets.base import Listing, Reader

_MODULES = (
    *(imdb, wiki, imdb_clean, morph2, megaage_asian, utkface, adience, appa_real),
    *(fgnet, agedb, cacd2000, afad, fairface, lagenda, all_age_faces, own),
)
READERS: dict[str, Reader] = {module.NAME: cast(Reader, module) for module in _MODULES}
"""In the order in which they are listed."""


def find_reader(name: str) -> Reader:
    """The reader of a data set.

    Raises:
        ValueError: no such data set; the message lists them, the nearest first.
    """
    if name not in READERS:
        raise ValueError(unknown_name("data set", name, READERS))
    return READERS[name]


def options_of(reader: Reader) -> dict[str, inspect.Parameter]:
    """The keyword options of a reader, by name."""
    parameters = inspect.signature(reader.read_records).parameters
    return {name: parameter for name, parameter in parameters.items() if parameter.kind is parameter.KEYWORD_ONLY}


def _truth(text: str) -> bool:
    word = text.strip().lower()
    if word in ("yes", "true", "on", "1"):
        return True
    if word in ("no", "false", "off", "0"):
        return False
    raise ValueError(f"expected yes or no, got {text!r}")


_CONVERT: dict[str, Callable[[str], Any]] = {"float": float, "bool": _truth, "Path": Path, "str": str}


def parse_options(reader: Reader, texts: Iterable[str]) -> dict[str, Any]:
    """Options from `key=value` texts, each of its own type.

    >>> parse_options(find_reader("imdb"), ["min_score=2.5"])
    {'min_score': 2.5}

    Raises:
        ValueError: not of this form, an unknown option, or a value of another type.
    """
    known = options_of(reader)
    options: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        key = key.strip().replace("-", "_")
        if not equals:
            raise ValueError(f"an option must read KEY=VALUE, got {text!r}")
        if key not in known:
            raise ValueError(unknown_name(f"option of {reader.NAME}", key, known))
        kinds = str(known[key].annotation).split(" | ")
        convert = next((_CONVERT[kind] for kind in kinds if kind in _CONVERT), str)
        try:
            options[key] = convert(value)
        except ValueError as error:
            raise ValueError(f"option {key} of {reader.NAME}: {error}") from error
    return options


def read(name: str, root: Path, options: Mapping[str, Any] | None = None) -> Listing:
    """All records of a data set: `find_reader(name).read_records(root, **options)`.

    Raises:
        ValueError: no such data set, or what its reader raises.
        LayoutError: the folder is not the one that the reader expects.
    """
    return find_reader(name).read_records(root, **(options or {}))
