"""Highest-density sets: the ages that a distribution finds likely enough, with gaps where it has two peaks.

Pure numpy. What is likely enough is calibrated (`agewise.calibrate`), so that the sets hold the true age as often as
they promise.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from agewise.card import AgeSpec, BinsAge, DensityTable, ExpectationAge
from agewise.types import FloatArray


def density_masses(probs_over_ages: FloatArray, widths: FloatArray | None = None) -> FloatArray:
    """For each class the mass of all classes at least as dense as it, itself included: float64 (n, classes).

    Among equally dense classes the earlier one counts as denser.

    Args:
        probs_over_ages: (n, classes), rows sum to 1.
        widths: of the classes in years (classes,); None where all have one width.

    Source: the score of Romano, Sesia, Candès, «Classification with Valid and Adaptive Coverage» (APS), NeurIPS
    2020, without its random part; by density where classes differ in width, as highest-density regions are
    (Hyndman, The American Statistician, 1996).

    >>> density_masses(np.array([[0.5, 0.125, 0.375]])).tolist()
    [[0.5, 1.0, 0.875]]
    """
    masses = np.empty(probs_over_ages.shape)
    density = -probs_over_ages if widths is None else probs_over_ages / -widths
    for row, probs, falling in zip(masses, probs_over_ages, density, strict=True):  # faster than all rows at once
        order = falling.argsort(kind="stable")
        row[order] = probs[order].cumsum()
    return np.minimum(masses, 1.0, out=masses)


def class_spans(spec: AgeSpec) -> FloatArray | None:
    """(low, high) in years of each class, float64 (classes, 2); None for a model without classes.

    A class of an "expectation" stands for its age alone, so both are that age; a bin's are its ends.
    """
    if isinstance(spec, ExpectationAge):
        return np.repeat(np.asarray(spec.class_ages)[:, None], 2, axis=1)
    return np.asarray(spec.bins) if isinstance(spec, BinsAge) else None


def _class_widths(spans: FloatArray) -> FloatArray | None:
    widths = spans[:, 1] - spans[:, 0]
    return widths if (widths > 0).all() else None


def true_classes(truths: FloatArray, spans: FloatArray) -> npt.NDArray[np.intp]:
    """The class that each true age (n,) belongs to: the nearest, and of bins the one that holds it."""
    distance = np.maximum(spans[:, 0] - truths[:, None], truths[:, None] - spans[:, 1])
    classes: npt.NDArray[np.intp] = np.argmin(np.maximum(distance, 0.0)[:, ::-1], axis=1)
    return len(spans) - 1 - classes  # of two bins that meet at an age, the upper one has it


class DensitySets:
    """Conformal highest-density sets of one level.

    Args:
        spec: the card's age; it must have classes.
        table: of the card.

    Raises:
        ValueError: a model without classes.
    """

    def __init__(self, spec: AgeSpec, table: DensityTable) -> None:
        spans = class_spans(spec)
        if spans is None:
            raise ValueError(f"highest-density sets need a distribution over classes; age is a {spec.kind}")
        self._widths = _class_widths(spans)
        self._limits = np.asarray(table.masses)[np.searchsorted(table.edges, spans.mean(axis=1), side="right")] + 1e-9
        self._lows, self._highs = spans[:, 0].tolist(), spans[:, 1].tolist()

    def ranges(self, probs_over_ages: FloatArray) -> list[tuple[tuple[float, float], ...]]:
        """For each face the ranges of ages whose classes are dense enough, rising, both ends included.

        A set holds the true age of a share `table.level` of faces like those it was calibrated on. It may have gaps,
        where the network hesitates between two ages; its hull goes from the first low to the last high. It always
        holds the densest class.

        Args:
            probs_over_ages: (n, classes), rows sum to 1.
        """
        masses = density_masses(probs_over_ages, self._widths)
        inside = (masses <= self._limits) | (masses <= masses.min(axis=1, keepdims=True))
        return [_runs(row, self._lows, self._highs) for row in inside.tolist()]


def _runs(inside: list[bool], lows: list[float], highs: list[float]) -> tuple[tuple[float, float], ...]:
    """(low, high) of each run of neighbouring classes that are in."""
    runs: list[tuple[float, float]] = []
    start = -1
    for i, is_in in enumerate(inside):
        if is_in and start < 0:
            start = i
        elif not is_in and start >= 0:
            runs.append((lows[start], highs[i - 1]))
            start = -1
    if start >= 0:
        runs.append((lows[start], highs[-1]))
    return tuple(runs)


def true_masses(probs_over_ages: FloatArray, truths: FloatArray, spans: FloatArray) -> FloatArray:
    """The score that highest-density sets are calibrated by: `density_masses` of each true age's class, (n,)."""
    masses = density_masses(probs_over_ages, _class_widths(spans))
    chosen: FloatArray = masses[np.arange(len(truths)), true_classes(truths, spans)]
    return chosen
