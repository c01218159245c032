"""What intervals hold on faces that they were not calibrated on: repeated random halves of one labelled set.

A face is in one half only, however often it was predicted (bare, and through the whole chain). Each half is
calibrated on once in two repeats, so a figure uses all faces and none twice at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from agewise import decode
from agewise.calibrate import Labelled, calibrate
from agewise.card import AgeSpec, Calibration, IntervalKind
from agewise.density import DensitySets
from agewise.types import FloatArray
from agewise_lab.evaluation import measures

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Held:
    """What the intervals or sets of one kind held, as means over the repeats.

    Args:
        kind: of the tables, or "set" for highest-density sets.
        level: that they promise.
        coverage: share of true ages inside, by the names of the groups.
        counts: distinct faces of each group.
        width: mean width in years by group; of a set, of its hull.
        deviation: standard deviation of the coverage of all over the repeats.
    """

    kind: str
    level: float
    coverage: dict[str, float]
    counts: dict[str, int]
    width: dict[str, float]
    deviation: float


def intervals_of(
    faces: Labelled, calibration: Calibration, level: float, kind: IntervalKind | None = None
) -> tuple[FloatArray, FloatArray]:
    """Low and high ends (n,) of intervals, by the code that serves."""
    pairs = [
        decode.interval(years, spread, calibration, level, kind)
        for years, spread in zip(faces.years.tolist(), faces.std_years.tolist(), strict=True)
    ]
    table = np.array(pairs).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def sets_of(
    faces: Labelled, calibration: Calibration, spec: AgeSpec, level: float
) -> tuple[BoolArray, FloatArray] | None:
    """Whether each face's set holds its true age, and the width of its hull; None where there are no sets."""
    table = next((table for table in calibration.sets if abs(table.level - level) < 1e-9), None)
    if table is None or faces.probs_over_ages is None:
        return None
    ranges = DensitySets(spec, table).ranges(faces.probs_over_ages)
    held = [
        any(low <= truth <= high for low, high in parts)
        for truth, parts in zip(faces.truths.tolist(), ranges, strict=True)
    ]
    return np.array(held), np.array([parts[-1][1] - parts[0][0] for parts in ranges])


def inside_of(
    faces: Labelled, calibration: Calibration, spec: AgeSpec, level: float, kinds: Sequence[IntervalKind]
) -> dict[str, tuple[BoolArray, FloatArray]]:
    """By kind whether each face's interval holds its true age, and its width; as "set" what `sets_of` gives."""
    inside: dict[str, tuple[BoolArray, FloatArray]] = {}
    for kind in kinds:
        low, high = intervals_of(faces, calibration, level, kind)
        inside[kind] = (low <= faces.truths) & (faces.truths <= high), high - low
    if (sets := sets_of(faces, calibration, spec, level)) is not None:
        inside["set"] = sets
    return inside


def age_groups(truths: FloatArray) -> dict[str, BoolArray]:
    """Rows of all faces and of each band of the true age."""
    rows = {"all": np.ones(len(truths), dtype=bool)}
    for name, first, last in measures.AGE_BANDS:
        rows[f"age {name}"] = (truths >= first) & (truths < last + 1)
    return rows


def _rows(faces: Labelled, chosen: BoolArray) -> Labelled:
    probs = faces.probs_over_ages
    return Labelled(
        years=faces.years[chosen],
        std_years=faces.std_years[chosen],
        truths=faces.truths[chosen],
        probs_over_ages=None if probs is None else probs[chosen],
    )


def repeated_halves(
    faces: Labelled,
    identity: npt.NDArray[np.int64],
    groups: dict[str, BoolArray],
    spec: AgeSpec,
    *,
    kinds: Sequence[IntervalKind] = ("label-conditional",),
    level: float = 0.9,
    repeats: int = 50,
    seed: int = 0,
) -> list[Held]:
    """Calibrate on one random half of the faces, measure on the other, `repeats` times.

    Args:
        faces: predictions beside labels, one row a prediction.
        identity: which face a row is of, from 0, (n,).
        groups: rows (n,) by name; "all" must be one.
        spec: the card's age.
        kinds: of intervals; sets are measured besides, where the model has a distribution.
        level: to measure at.
        repeats: how often; each second one takes the halves of the one before the other way round.
        seed: of the halves.
    """
    rng = np.random.default_rng(seed)
    persons = int(identity.max()) + 1
    held: dict[str, list[tuple[dict[str, float], dict[str, float]]]] = {}
    for turn in range(repeats):
        if turn % 2 == 0:
            first = rng.permutation(persons) < persons // 2
        chosen = (first if turn % 2 == 0 else ~first)[identity]
        fitted, rest = _rows(faces, chosen), _rows(faces, ~chosen)
        calibration = calibrate(fitted, spec, "a half", levels=(level,))
        for kind, (holds, width) in inside_of(rest, calibration, spec, level, kinds).items():
            parts = {name: rows[~chosen] for name, rows in groups.items() if rows[~chosen].any()}
            coverage = {name: float(holds[rows].mean()) for name, rows in parts.items()}
            held.setdefault(kind, []).append((coverage, {name: float(width[r].mean()) for name, r in parts.items()}))
    counts = {name: len(np.unique(identity[rows])) for name, rows in groups.items()}
    return [_summed(kind, level, turns, counts) for kind, turns in held.items()]


def _summed(
    kind: str, level: float, turns: list[tuple[dict[str, float], dict[str, float]]], counts: dict[str, int]
) -> Held:
    def means(which: int) -> dict[str, float]:
        found = {name: [turn[which][name] for turn in turns if name in turn[which]] for name in counts}
        return {name: float(np.mean(values)) for name, values in found.items() if values}

    return Held(kind, level, means(0), counts, means(1), float(np.std([turn[0]["all"] for turn in turns])))
