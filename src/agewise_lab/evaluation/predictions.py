"""Predictions beside their labels: the one table that every measure, plot and report starts from.

One row a face, in the order of the records. What is not known is NaN in a column of numbers and '' in one
of words, so that a table of somebody's four columns and one of a whole run are the same thing.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from agewise.types import FloatArray, Gender
from agewise_lab.datasets.record import Record

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]
StrArray = npt.NDArray[np.str_]

WORDS = ("name", "group", "subject", "split", "reasons")
FLAGS = ("found", "answered")
WHOLE = ("class_id",)
NUMBERS = (
    *("truth", "truth_low", "truth_high", "apparent", "apparent_std", "is_female"),
    *("years", "std_years", "low", "high", "female_probability", "gender_sure"),
)
COLUMNS = (*WORDS, *FLAGS, *WHOLE, *NUMBERS)
"""The columns of one value a row; all of them but `name` may be left out when a table is made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where predictions come from: all that it takes to repeat them. '' where it is not known.

    Args:
        data: the data set and its part, "utkface validation".
        protocol: the published way to evaluate, by its name.
        split: a digest of which faces these are.
        model: the model's name and version.
        model_sha256: of its file.
        crop: how faces were found and cut.
        code: the version of the code that made them.
        level: of the intervals `low` to `high`.
        notes: what a reader of the figures has to know, a sentence each.
    """

    data: str = ""
    protocol: str = ""
    split: str = ""
    model: str = ""
    model_sha256: str = ""
    crop: str = ""
    code: str = ""
    level: float = 0.9
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Predictions:
    """A table of n faces.

    Args:
        name: of the face, see `face_names`: str (n,).
        truth: the label, years; NaN where there is only a range.
        truth_low: first and, in `truth_high`, last whole year of a label that is a class of ages.
        truth_high: as `truth_low`.
        apparent: the mean of people's guesses, years.
        apparent_std: their standard deviation.
        is_female: 1 the label female, 0 male, NaN unknown.
        group: the group label in the data set's words, '' unknown.
        subject: who it is, by the data set's identifier, '' unknown.
        split: official split or fold of the protocol, '' where there is none.
        found: the chain found the face. Where it did not, nothing is predicted.
        answered: the model gave its answer rather than declining.
        reasons: why it declined, joined by "; ".
        years: the estimate, also where the model declined; NaN where the face was not found.
        std_years: the model's own spread, 0 where it has none.
        low: of the interval at `provenance.level`; `high` is its other end.
        high: as `low`.
        female_probability: 0 to 1, NaN where the model does not estimate it.
        gender_sure: 1 where the model stands by its gender label, 0 where not, NaN where it does not tell.
        class_id: the predicted class of a model that gives no years, from 0; -1 where there is none.
        probs_over_ages: float32 (n, classes), rows sum to 1, or None.
        class_years: what each class stands for, years (classes, 2): first and last, the same for a single age.
        quality: further columns of numbers about the picture, (n,) each: detector_score, face_pixels and so on.
        provenance: where all this comes from.

    Raises:
        ValueError: columns of differing lengths, something predicted for a face that was not found, an age
            that is not finite for one that was, a probability outside 0 to 1, or an interval that is no interval.
    """

    name: StrArray
    truth: FloatArray
    truth_low: FloatArray
    truth_high: FloatArray
    apparent: FloatArray
    apparent_std: FloatArray
    is_female: FloatArray
    group: StrArray
    subject: StrArray
    split: StrArray
    found: BoolArray
    answered: BoolArray
    reasons: StrArray
    years: FloatArray
    std_years: FloatArray
    low: FloatArray
    high: FloatArray
    female_probability: FloatArray
    gender_sure: FloatArray
    class_id: IntArray
    probs_over_ages: npt.NDArray[np.float32] | None = None
    class_years: FloatArray | None = None
    quality: Mapping[str, FloatArray] = field(default_factory=dict)
    provenance: Provenance = field(default_factory=Provenance)

    def __post_init__(self) -> None:
        count = len(self.name)
        columns = {name: getattr(self, name) for name in COLUMNS} | dict(self.quality)
        for name, values in columns.items():
            if values.shape != (count,):
                raise ValueError(f"{name} must have one value a face, ({count},), got {values.shape}")
        self._check_values()
        probs, classes = self.probs_over_ages, self.class_years
        if (probs is None) != (classes is None):
            raise ValueError("probs_over_ages and class_years come together or not at all")
        if (
            probs is not None
            and classes is not None
            and (probs.shape, classes.shape)
            != (
                (count, len(classes)),
                (len(classes), 2),
            )
        ):
            raise ValueError(
                "probs_over_ages is (n, classes) and class_years (classes, 2), "
                f"got {probs.shape} and {classes.shape} for {count} faces"
            )

    def _check_values(self) -> None:
        known = np.isfinite(self.years) | (self.class_id >= 0)
        self._refuse(~self.found & known, "has a prediction, but found is false")
        self._refuse(self.found & ~known, "was found, but has neither years nor a class")
        self._refuse(self.answered & ~self.found, "is answered, but found is false")
        for name in ("female_probability", "is_female"):
            values = getattr(self, name)
            self._refuse((values < 0) | (values > 1), f"{name} must be 0 to 1")
        for low, high in (("low", "high"), ("truth_low", "truth_high")):
            first, last = getattr(self, low), getattr(self, high)
            self._refuse(np.isnan(first) != np.isnan(last), f"{low} and {high} come together or not at all")
            self._refuse(first > last, f"{low} is above {high}")

    def _refuse(self, bad: BoolArray, what: str) -> None:
        if bad.any():
            row = int(bad.argmax())
            raise ValueError(f"{int(bad.sum())} faces are wrong, the first is row {row}, {self.name[row]}: {what}")

    def __len__(self) -> int:
        return len(self.name)

    @classmethod
    def of(
        cls,
        columns: Mapping[str, npt.ArrayLike],
        *,
        probs_over_ages: npt.ArrayLike | None = None,
        class_years: npt.ArrayLike | None = None,
        quality: Mapping[str, npt.ArrayLike] | None = None,
        provenance: Provenance | None = None,
    ) -> Predictions:
        """A table of the columns that there are; the others are unknown.

        `found` is, where it is not given, where there are years or a class; `answered` is `found` then.

        Raises:
            ValueError: no `name`, a column that the table does not have, or as the class says.
        """
        unknown = set(columns) - set(COLUMNS)
        if unknown or "name" not in columns:
            raise ValueError(f"a table needs the column name and has {', '.join(COLUMNS)}; got {', '.join(columns)}")
        count = np.size(columns["name"])
        whole: dict[str, Any] = {}
        for name in COLUMNS:
            given = columns.get(name)
            if name in WORDS:
                whole[name] = np.full(count, "") if given is None else np.asarray(given, dtype=np.str_)
            elif name in WHOLE:
                whole[name] = np.full(count, -1) if given is None else np.asarray(given, dtype=np.int64)
            elif name in NUMBERS:
                whole[name] = np.full(count, np.nan) if given is None else np.asarray(given, dtype=np.float64)
        known = np.isfinite(whole["years"]) | (whole["class_id"] >= 0)
        whole["found"] = np.asarray(columns.get("found", known), dtype=bool)
        whole["answered"] = np.asarray(columns.get("answered", whole["found"]), dtype=bool)
        return cls(
            **whole,
            probs_over_ages=None if probs_over_ages is None else np.asarray(probs_over_ages, dtype=np.float32),
            class_years=None if class_years is None else np.asarray(class_years, dtype=np.float64),
            quality={key: np.asarray(values, dtype=np.float64) for key, values in (quality or {}).items()},
            provenance=provenance or Provenance(),
        )

    def select(self, rows: BoolArray | IntArray) -> Predictions:
        """Some rows, by a mask or by their places, in that order."""
        return dataclasses.replace(
            self,
            **{name: getattr(self, name)[rows] for name in COLUMNS},
            probs_over_ages=None if self.probs_over_ages is None else self.probs_over_ages[rows],
            quality={name: values[rows] for name, values in self.quality.items()},
        )

    def stating(self, **changes: Any) -> Predictions:
        """The same rows with some fields of the provenance changed."""
        return dataclasses.replace(self, provenance=dataclasses.replace(self.provenance, **changes))

    def with_columns(self, **columns: npt.NDArray[Any]) -> Predictions:
        """The same faces with some columns replaced."""
        return dataclasses.replace(self, **columns)


def face_names(records: Sequence[Record]) -> list[str]:
    """A name a face: its picture's path, and where a picture has several labelled faces "path#1", "path#2".

    >>> face_names([Record("a", 1.0, None), Record("b", 2.0, None), Record("a", 3.0, None)])
    ['a#1', 'b', 'a#2']
    """
    whole = Counter(record.path for record in records)
    seen: Counter[str] = Counter()
    names = []
    for record in records:
        seen[record.path] += 1
        names.append(record.path if whole[record.path] == 1 else f"{record.path}#{seen[record.path]}")
    return names


def labels_of(records: Sequence[Record]) -> dict[str, npt.NDArray[Any]]:
    """The columns of a table that records state: labels, identities, splits."""

    def number(value: float | None) -> float:
        return np.nan if value is None else float(value)

    ranges = [record.age_range_years or (np.nan, np.nan) for record in records]
    return {
        "name": np.array(face_names(records), dtype=np.str_),
        "truth": np.array([number(record.age_years) for record in records]),
        "truth_low": np.array([low for low, _ in ranges], dtype=np.float64),
        "truth_high": np.array([high for _, high in ranges], dtype=np.float64),
        "apparent": np.array([number(record.apparent_age_years) for record in records]),
        "apparent_std": np.array([number(record.apparent_std_years) for record in records]),
        "is_female": np.array(
            [np.nan if record.gender is None else float(record.gender is Gender.FEMALE) for record in records]
        ),
        "group": np.array([record.group or "" for record in records], dtype=np.str_),
        "subject": np.array([record.subject or "" for record in records], dtype=np.str_),
        "split": np.array([record.split or "" for record in records], dtype=np.str_),
    }


def concatenated(tables: Sequence[Predictions]) -> Predictions:
    """Several tables under each other, with the provenance and the quality columns that all of them share.

    Raises:
        ValueError: none, or tables whose classes are not the same.
    """
    if not tables:
        raise ValueError("there is no table to concatenate")
    first = tables[0]
    for table in tables[1:]:
        if not _same(first.class_years, table.class_years):
            raise ValueError("the tables have distributions over different classes")
    shared = [name for name in first.quality if all(name in table.quality for table in tables)]
    stated = {
        item.name: getattr(first.provenance, item.name)
        for item in dataclasses.fields(Provenance)
        if all(getattr(table.provenance, item.name) == getattr(first.provenance, item.name) for table in tables)
    }
    probs = [table.probs_over_ages for table in tables if table.probs_over_ages is not None]
    return dataclasses.replace(
        first,
        **{name: np.concatenate([getattr(table, name) for table in tables]) for name in COLUMNS},
        probs_over_ages=np.concatenate(probs) if probs else None,
        quality={name: np.concatenate([table.quality[name] for table in tables]) for name in shared},
        provenance=Provenance(**stated),
    )


def _same(one: FloatArray | None, other: FloatArray | None) -> bool:
    if one is None or other is None:
        return one is other
    return np.array_equal(one, other)


def subject_codes(table: Predictions) -> IntArray | None:
    """Who is who as numbers; those who are unknown are someone of their own. None where nobody is known."""
    if not (table.subject != "").any():
        return None
    _, codes = np.unique(table.subject, return_inverse=True)
    unknown = table.subject == ""
    codes = codes.astype(np.int64)
    codes[unknown] = codes.max() + 1 + np.arange(int(unknown.sum()))
    return codes


def duplicate_names(table: Predictions) -> list[str]:
    """Names that occur more than once, sorted."""
    names, counts = np.unique(table.name, return_counts=True)
    return [str(name) for name in names[counts > 1]]


def on_common_faces(tables: Sequence[Predictions]) -> list[Predictions]:
    """The tables cut to the faces that all of them have and found, in the first one's order.

    Raises:
        ValueError: a table that names a face twice.
    """
    for table in tables:
        twice = duplicate_names(table)
        if twice:
            raise ValueError(f"faces are compared by name; {len(twice)} are named twice, the first is {twice[0]}")
    if not tables:
        return []
    order = tables[0].name[tables[0].found]
    for table in tables[1:]:
        order = order[np.isin(order, table.name[table.found])]
    return [table.select(_places(table.name, order)) for table in tables]


def _places(names: StrArray, wanted: StrArray) -> IntArray:
    """The place in `names` of each of `wanted`, all of which are there."""
    by_name = np.argsort(names, kind="stable")
    return np.asarray(by_name[np.searchsorted(names[by_name], wanted)], dtype=np.int64)
