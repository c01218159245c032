"""How records come together: each is looked at, and kept or dropped for a stated reason."""

from __future__ import annotations

import math
from collections.abc import Hashable
from pathlib import Path
from typing import Any

from agewise.types import Gender
from agewise_lab.datasets._folders import FileIndex
from agewise_lab.datasets.base import OLDEST_YEARS, Listing
from agewise_lab.datasets.record import Record

NO_PICTURE = "no such picture"
OUTSIDE = "its path leads out of the folder"
NO_AGE = "no age"
IMPOSSIBLE_AGE = f"an age below 0 or above {OLDEST_YEARS:.0f}"
LISTED_TWICE = "listed before"
CONTRADICTS = "listed before with other labels"
UNREADABLE_NAME = "its name says nothing"


class Collector:
    """Takes records one after the other and says which are of use.

    Args:
        root: the data set's folder.
    """

    def __init__(self, root: Path) -> None:
        self._files = FileIndex(root)
        self._records: list[Record] = []
        self._seen: dict[Hashable, tuple[object, ...]] = {}
        self.notes: list[str] = []

    def add(
        self,
        path: str,
        age_years: float | None,
        gender: Gender | None,
        *,
        dropped: str | None = None,
        needs_age: bool = True,
        key: Hashable = None,
        **fields: Any,
    ) -> None:
        """Add one record.

        Args:
            path: the picture, relative to the root; "\\" between its parts is taken for "/" where that leads nowhere.
            age_years: the label.
            gender: the label.
            dropped: why it is of no use, where the reader knows already.
            needs_age: whether a record with neither an age nor a range of ages is of no use.
            key: what may be listed once only; the path by default (a picture may hold several faces).
            **fields: other fields of `Record`.
        """
        path = self._plain(path)
        if dropped is None:
            dropped = self._why_dropped(path, age_years, needs_age and fields.get("age_range_years") is None)
        if dropped is None:
            path = self._files.find(path) or path
            labels = (age_years, gender, fields.get("age_range_years"), fields.get("split"))
            before = self._seen.setdefault(path if key is None else (path, key), labels)
            if before is not labels:
                dropped = LISTED_TWICE if before == labels else CONTRADICTS
        self._records.append(Record(path, age_years, gender, dropped=dropped, **fields))

    def _why_dropped(self, path: str, age_years: float | None, needs_age: bool) -> str | None:
        if not path or path.startswith("/") or ".." in path.split("/") or "\0" in path or path[1:2] == ":":
            return OUTSIDE
        if self._files.find(path) is None:
            return NO_PICTURE
        if age_years is None or math.isnan(age_years):
            return NO_AGE if needs_age else None
        return None if 0 <= age_years <= OLDEST_YEARS else IMPOSSIBLE_AGE

    def listing(self) -> Listing:
        """All that was added, in this order."""
        return Listing(tuple(self._records), tuple(self.notes))

    def _plain(self, path: str) -> str:
        if "\\" in path and self._files.find(path) is None:
            path = path.replace("\\", "/")
        while path.startswith("./"):
            path = path[2:]
        return path
