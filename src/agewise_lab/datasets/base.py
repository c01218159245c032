"""What all readers of data sets have in common.

A reader is a module with four things, all of them required by `Reader`: `NAME`, `FACTS`, `EXPECTED_LAYOUT`
and `read_records(root)`. `read_records` may have keyword options, each with a default; they must be plain
(float, bool, text, a path) so that the command line can set them. `registry.py` lists the readers.

What is wrong with a picture or a row is told in the record's `dropped`, never by an exception and never by
leaving it out; what is wrong with the folder as a whole raises `LayoutError`.
"""

from __future__ import annotations

import enum
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from agewise_lab.datasets.record import Record

OLDEST_YEARS = 120.0
"""No label above it is believed: the oldest documented person reached 122."""


class Access(enum.Enum):
    """How one comes by a data set."""

    OPEN = "anyone may fetch it: `agewise-lab data download`"
    PAGE = "by hand, from the owner's page"
    FORM = "a form must be signed"
    YOURS = "it is yours"


@dataclass(frozen=True, kw_only=True, slots=True)
class Download:
    """One file that anyone may fetch.

    Args:
        file: the name to store it under.
        url: where it is.
        sha256: 64 hex digits, or None where none is known.
        sha256_from: who says so.
        bytes: its size, or None where unknown.
    """

    file: str
    url: str
    sha256: str | None = None
    sha256_from: str = ""
    bytes: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What one should know of a data set before using it. All texts are for people.

    Args:
        title: its name as its owners write it.
        images: how many pictures or faces.
        subjects: how many people.
        ages: from which age to which.
        labels: what is labelled, and how the labels came about.
        gender_coding: how the files code gender; this differs between data sets.
        terms: the licence, or what the owners ask.
        access: how one comes by it.
        url: the owner's page.
        how_to_get: what to do there, where `access` is not `OPEN`.
        paper: what to cite.
        protocol: how others evaluate on it.
        used_for: what agewise uses it for.
        downloads: the files that `data download` fetches; empty unless `access` is `OPEN`.
    """

    title: str
    images: str
    subjects: str
    ages: str
    labels: str
    gender_coding: str
    terms: str
    access: Access
    url: str
    how_to_get: str = ""
    paper: str
    protocol: str
    used_for: str
    downloads: tuple[Download, ...] = ()


@dataclass(frozen=True, slots=True)
class Listing:
    """All that a folder held.

    Args:
        records: every picture or row in a fixed order, those of no use too (their `dropped` says why).
        notes: what else one should know of this folder, in sentences.
    """

    records: tuple[Record, ...]
    notes: tuple[str, ...] = ()

    @property
    def usable(self) -> tuple[Record, ...]:
        """The records of use."""
        return tuple(record for record in self.records if record.dropped is None)

    @property
    def dropped(self) -> tuple[Record, ...]:
        """The records of no use."""
        return tuple(record for record in self.records if record.dropped is not None)

    def drops_by_reason(self) -> dict[str, int]:
        """How many records each reason took, the most frequent first."""
        return dict(Counter(r.dropped for r in self.records if r.dropped is not None).most_common())


class Reader(Protocol):
    """What a reader's module has."""

    NAME: str
    FACTS: Facts
    EXPECTED_LAYOUT: str

    def read_records(self, root: Path, **options: Any) -> Listing:
        """All records below `root`."""
        ...


class LayoutError(FileNotFoundError):
    """The folder is not the one that the reader expects; the message shows both side by side."""

    def __str__(self) -> str:
        return str(self.args[0])
