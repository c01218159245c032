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
    order = np.argsort(-(probs_over_ages if widths is None else probs_over_ages / widths), axis=1, kind="stable")
    sums = np.cumsum(np.take_along_axis(probs_over_ages, order, axis=1), axis=1)
    masses = np.empty_like(sums)
    np.put_along_axis(masses, order, np.minimum(sums, 1.0), axis=1)
    return masses


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


def highest_density_ranges(
    probs_over_ages: FloatArray, spans: FloatArray, table: DensityTable
) -> list[tuple[tuple[float, float], ...]]:
    """For each face the ranges of ages whose classes are dense enough, rising, both ends included.

    A conformal set: it holds the true age of a share `table.level` of faces like those it was calibrated on. It may
    have gaps, where the network hesitates between two ages; its hull goes from the first low to the last high. It
    always holds the densest class.

    Args:
        probs_over_ages: (n, classes), rows sum to 1.
        spans: of the classes, from `class_spans`.
        table: of the card.
    """
    limits = np.asarray(table.masses)[np.searchsorted(table.edges, spans.mean(axis=1), side="right")]
    masses = density_masses(probs_over_ages, _class_widths(spans))
    inside = (masses <= limits + 1e-9) | (masses <= masses.min(axis=1, keepdims=True))
    return [_runs(row, spans) for row in inside]


def _runs(inside: npt.NDArray[np.bool_], spans: FloatArray) -> tuple[tuple[float, float], ...]:
    chosen = np.flatnonzero(inside)
    breaks = np.flatnonzero(np.diff(chosen) > 1)
    firsts = chosen[np.concatenate([[0], breaks + 1])]
    lasts = chosen[np.concatenate([breaks, [len(chosen) - 1]])]
    return tuple(zip(spans[firsts, 0].tolist(), spans[lasts, 1].tolist(), strict=True))


def true_masses(probs_over_ages: FloatArray, truths: FloatArray, spans: FloatArray) -> FloatArray:
    """The score that highest-density sets are calibrated by: `density_masses` of each true age's class, (n,)."""
    masses = density_masses(probs_over_ages, _class_widths(spans))
    chosen: FloatArray = masses[np.arange(len(truths)), true_classes(truths, spans)]
    return chosen
