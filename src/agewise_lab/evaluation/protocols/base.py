"""What a protocol is: which faces of a data set are tested on, in which folds, and what is reported of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from agewise_lab.datasets.record import Record
from agewise_lab.evaluation.protocols.classes import AgeClasses


@dataclass(frozen=True, kw_only=True)
class Fold:
    """One way to divide a data set.

    Args:
        name: of the fold, in the data set's words.
        test: what is predicted.
        train: what a model of this fold may learn from, and `validation` what it may be chosen on; empty where
            the protocol tests models that were trained elsewhere.
        validation: as `train`.
    """

    name: str
    test: tuple[Record, ...]
    train: tuple[Record, ...] = ()
    validation: tuple[Record, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All folds of one run, and what a reader of its figures has to know."""

    folds: tuple[Fold, ...]
    notes: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """Twelve hex digits that name which faces are tested in which fold, whatever their order."""
        lines = sorted(f"{fold.name}\t{record.path}" for fold in self.folds for record in fold.test)
        return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()[:12]

    @property
    def records(self) -> list[Record]:
        """What is predicted, fold after fold."""
        return [record for fold in self.folds for record in fold.test]

    @property
    def fold_of(self) -> npt.NDArray[np.str_]:
        """The fold of each of `records`."""
        return np.array([fold.name for fold in self.folds for _ in fold.test], dtype=np.str_)


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a plan is made of.

    Args:
        records: all records of use of the data set.
        part: one of the protocol's parts.
        store: a crop store of the same pictures, for parts that need to know near-duplicates.
    """

    records: Sequence[Record]
    part: str
    store: Path | None = None


Planner: TypeAlias = Callable[[Request], Plan]


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """A published way to evaluate.

    Args:
        name: as the command line has it.
        title: one line for people.
        reader: the data set's module in `agewise_lab.datasets`.
        source: who published it, or that it is ours.
        parts: the parts that can be tested, the default first.
        plan: makes the folds. It raises a ValueError that says what is missing where a part has no faces.
        headline: the measures that papers report, by their names in `agewise_lab.evaluation.measures`.
        classes: the age classes that it scores, or None where ages are years.
        tight: the pictures are tight crops: they are padded before a detector searches them.
    """

    name: str
    title: str
    reader: str
    source: str
    plan: Planner
    parts: tuple[str, ...] = ("test",)
    headline: tuple[str, ...] = ("mae", "cs5")
    classes: AgeClasses | None = None
    tight: bool = False


def share_of(text: str, salt: str = "agewise") -> float:
    """A number from 0 up to 1 that a text always gets: for splits that are random and yet the same everywhere.

    >>> round(share_of("a.jpg"), 4), round(share_of("b.jpg"), 4)
    (0.8069, 0.909)
    """
    digest = hashlib.sha1(f"{salt}:{text}".encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def hashed_folds(records: Sequence[Record], count: int, *, by_subject: bool, salt: str) -> tuple[Fold, ...]:
    """Folds of test, validation and train: fold k tests on the k-th share of `count` and chooses on the next.

    With `by_subject` no person is in two parts; a record without a subject counts as someone of its own.
    """

    def place(record: Record) -> int:
        key = record.subject if by_subject and record.subject is not None else record.path
        return int(share_of(key, salt) * count)

    shares: list[list[Record]] = [[] for _ in range(count)]
    for record in records:
        shares[place(record)].append(record)
    folds = []
    for k in range(count):
        chosen = (k + 1) % count
        train = [record for i, share in enumerate(shares) if i not in (k, chosen) for record in share]
        folds.append(
            Fold(name=f"fold {k}", test=tuple(shares[k]), validation=tuple(shares[chosen]), train=tuple(train))
        )
    return tuple(fold for fold in folds if fold.test)


def hashed_test(records: Sequence[Record], percent: float, *, by_subject: bool, salt: str) -> Fold:
    """One fold that tests on a share of `percent` % of the pictures, or with `by_subject` of the people."""

    def tested(record: Record) -> bool:
        key = record.subject if by_subject and record.subject is not None else record.path
        return share_of(key, salt) * 100 < percent

    return Fold(
        name="test",
        test=tuple(record for record in records if tested(record)),
        train=tuple(record for record in records if not tested(record)),
    )


def of_split(records: Sequence[Record], *words: str) -> tuple[Record, ...]:
    """The records whose official split begins with one of `words`, in any case."""
    return tuple(record for record in records if (record.split or "").casefold().startswith(words))


def required(test: Sequence[Record], what: str, records: Sequence[Record]) -> tuple[Record, ...]:
    """`test`, which must not be empty.

    Raises:
        ValueError: it is: says what was looked for and which splits there are.
    """
    if not test:
        splits = sorted({record.split or "none" for record in records})
        raise ValueError(f"{what}: none of the {len(records)} faces is in it; their splits are {', '.join(splits)}")
    return tuple(test)


def needs_age(records: Sequence[Record]) -> tuple[Record, ...]:
    """The records whose label is an age."""
    return tuple(record for record in records if record.age_years is not None)
