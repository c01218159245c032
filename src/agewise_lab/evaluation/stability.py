"""How steady an estimator is: how far an age moves when the picture, or the place of the face, changes a little."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from agewise.estimate import Estimator
from agewise.types import Detection, FloatArray, UInt8Array
from agewise_lab.evaluation.measures import bootstrap_interval
from agewise_lab.evaluation.perturbations import FAMILIES, Family

KEY_LEVELS = (("jitter", 0.05), ("jpeg", 60.0), ("scale", 0.5))
"""What the project promises to be steady under: mean |change| below 1 year."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StabilityPoint:
    """One level of one family, over all faces; years.

    Args:
        family: its name.
        level: how much was changed.
        count: faces.
        change: mean |age after − age before|; `change_low` and `change_high` its 95 % bootstrap interval.
        signed: mean of age after − age before: above 0, the change makes older.
        largest: the largest |change|.
        mae: mean absolute error after; `mae_change` how much larger than before, `mae_change_low` and `_high` its
            95 % bootstrap interval.
    """

    family: str
    level: float
    count: int
    change: float
    change_low: float
    change_high: float
    signed: float
    largest: float
    mae: float
    mae_change: float
    mae_change_low: float
    mae_change_high: float


def perturbed_ages(
    estimator: Estimator,
    pictures: Iterable[tuple[UInt8Array, Detection]],
    families: Sequence[Family] = FAMILIES,
    *,
    seed: int = 0,
) -> tuple[FloatArray, list[FloatArray]]:
    """Ages before and after: float64 (n,), and for each family float64 (n, levels), in years.

    The random parts of a level are the same for the same seed and place of the picture, whatever else is asked for.

    Args:
        estimator: any model with a card.
        pictures: uint8 RGB pictures with their faces, one at a time in memory.
        families: what to change.
        seed: of what is random.
    """
    before: list[float] = []
    after: list[FloatArray] = []
    for place, (image, face) in enumerate(pictures):
        crops = [estimator.crop(image, face)]
        for family in families:
            for number, level in enumerate(family.levels):
                rng = np.random.default_rng([seed, place, *family.name.encode(), number])
                crops.append(estimator.crop(*family.change(image, face, level, rng)))
        ages = np.array([prediction.age_years for prediction in estimator.predict_crops(np.stack(crops))])
        before.append(float(ages[0]))
        after.append(ages[1:])
    table = np.stack(after) if after else np.empty((0, sum(len(family.levels) for family in families)))
    ends = np.cumsum([len(family.levels) for family in families])[:-1]
    return np.array(before), np.split(table, ends, axis=1)


def stability(
    estimator: Estimator,
    pictures: Iterable[tuple[UInt8Array, Detection]],
    truths: FloatArray,
    families: Sequence[Family] = FAMILIES,
    *,
    subjects: npt.NDArray[np.generic] | None = None,
    seed: int = 0,
) -> list[StabilityPoint]:
    """The curves of all families, level by level.

    Args:
        estimator: any model with a card.
        pictures: uint8 RGB pictures with their faces.
        truths: years (n,).
        families: what to change.
        subjects: who it is (n,), for the intervals.
        seed: the same seed gives the same curves.

    Raises:
        ValueError: no pictures, or not one true age each.
    """
    before, after = perturbed_ages(estimator, pictures, families, seed=seed)
    if not len(before) or len(before) != len(truths):
        raise ValueError(f"expected one true age a picture, got {len(truths)} for {len(before)} pictures")
    return [
        _point(family.name, level, before, ages[:, number], truths, subjects, seed)
        for family, ages in zip(families, after, strict=True)
        for number, level in enumerate(family.levels)
    ]


def _point(
    family: str,
    level: float,
    before: FloatArray,
    after: FloatArray,
    truths: FloatArray,
    subjects: npt.NDArray[np.generic] | None,
    seed: int,
) -> StabilityPoint:
    """One level of one family."""
    change = np.abs(after - before)
    worse = np.abs(after - truths) - np.abs(before - truths)
    change_low, change_high = bootstrap_interval(change, subjects=subjects, seed=seed)
    mae_low, mae_high = bootstrap_interval(worse, subjects=subjects, seed=seed)
    return StabilityPoint(
        family=family,
        level=float(level),
        count=len(before),
        change=float(change.mean()),
        change_low=change_low,
        change_high=change_high,
        signed=float((after - before).mean()),
        largest=float(change.max()),
        mae=float(np.abs(after - truths).mean()),
        mae_change=float(worse.mean()),
        mae_change_low=mae_low,
        mae_change_high=mae_high,
    )


def key_points(points: Sequence[StabilityPoint]) -> list[StabilityPoint]:
    """The points of `KEY_LEVELS`, in their order, as far as they are there."""
    by_place = {(point.family, point.level): point for point in points}
    return [by_place[place] for place in KEY_LEVELS if place in by_place]


def jittered_ages(
    estimator: Estimator,
    pictures: Iterable[tuple[UInt8Array, Detection]],
    share: float = 0.05,
    repeats: int = 10,
    *,
    seed: int = 0,
) -> FloatArray:
    """Ages of each picture cut `repeats` times, jittered by up to `share`: (n, repeats), for `noise_over_jitter`."""
    jitter = next(family for family in FAMILIES if family.name == "jitter")
    family = Family(name=jitter.name, title=jitter.title, levels=(share,) * repeats, change=jitter.change)
    (ages,) = perturbed_ages(estimator, pictures, [family], seed=seed)[1]
    return ages
