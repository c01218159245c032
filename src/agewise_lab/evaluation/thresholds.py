"""Which faces a model should decline, by two rules and no taste.

- Where degraded copies move a measure (size, sharpness, light, cuts): the threshold is where the mean absolute error,
  over the copies about that value, first reaches `RATIO` times that of the same faces undegraded. Copies that the
  detector does not find count for nothing: nobody is answered there.
- Where no copy does so (turns of the head, the interval's width, a measure whose copies never get so bad): the
  threshold leaves in `INSIDE` of the faces that were tried. Beyond it nothing was validated.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from agewise.quality import QualityThresholds
from agewise.types import FloatArray
from agewise_lab.evaluation.degrade import Degraded, measured

RATIO = 1.5
INSIDE = 0.995
_WINDOW = 200  # copies about a value

_BY_ERROR = (
    # threshold, measure, kinds of copies, whether less is worse, decimals
    ("min_face_pixels", "face_pixels", ("shrink",), True, 0),
    ("min_sharpness", "sharpness", ("blur",), True, 2),
    ("min_brightness", "brightness", ("darken",), True, 2),
    ("max_clipped", "clipped", ("brighten",), False, 2),
    ("max_cut", "cut", ("cut",), False, 2),
)


def error_threshold(
    values: FloatArray, errors: FloatArray, clean_errors: FloatArray, *, less_is_worse: bool, window: int = _WINDOW
) -> float | None:
    """The value at which errors reach `RATIO` times the clean ones, seen from the good side; None where they do not.

    Args:
        values: of a measure, for each copy (n,).
        errors: in years (n,).
        clean_errors: of the same faces undegraded (n,).
        less_is_worse: whether low values are the bad ones.
        window: copies, in order of the values, over which errors are averaged.

    >>> values = np.arange(100.0, 0.0, -1.0)
    >>> error_threshold(values, np.where(values < 40, 10.0, 4.0), np.full(100, 4.0), less_is_worse=True, window=10)
    40.5
    """
    order = np.argsort(-values if less_is_worse else values, kind="stable")
    if len(order) < window:
        return None
    kernel = np.ones(window)
    ratio = np.convolve(errors[order], kernel, "valid") / np.convolve(clean_errors[order], kernel, "valid")
    bad = np.flatnonzero(ratio >= RATIO)
    if not len(bad):
        return None
    middle = values[order][bad[0] : bad[0] + window]
    return float(np.median(middle))


def choose_thresholds(
    copies: Sequence[Degraded], clean: Sequence[Degraded], least: QualityThresholds
) -> QualityThresholds:
    """The thresholds for a card.

    Args:
        copies: of some faces, as `run_degraded` gives them: all copies of a face together, its clean one first.
        clean: of many faces, undegraded.
        least: thresholds that the result is not laxer than; its size only is regarded.
    """
    found: dict[str, float | None] = {}
    starts = np.flatnonzero([copy.degradation == "clean" for copy in copies])
    of_face = np.searchsorted(starts, np.arange(len(copies)), side="right") - 1
    clean_errors = np.array([copies[starts[face]].error for face in of_face])
    for threshold, measure, kinds, less_is_worse, decimals in _BY_ERROR:
        chosen = np.array([c.found and c.degradation.split()[0] in ("clean", *kinds) for c in copies], dtype=bool)
        values, errors = measured(copies, measure), np.array([copy.error for copy in copies])
        chosen &= np.isfinite(values) & np.isfinite(clean_errors)
        value = error_threshold(values[chosen], errors[chosen], clean_errors[chosen], less_is_worse=less_is_worse)
        if value is None and not less_is_worse:
            value = _inside(values[chosen], 10.0**-decimals)
        found[threshold] = None if value is None else round(value, decimals)
    for threshold, measure, step in (("max_yaw_degrees", "yaw_degrees", 1), ("max_pitch_degrees", "pitch_degrees", 1)):
        found[threshold] = _inside(np.abs(measured(clean, measure)), step)
    found["max_interval_years"] = _inside(np.array([copy.width for copy in clean]), 1)
    pixels = [value for value in (least.min_face_pixels, found["min_face_pixels"]) if value is not None]
    # What too few faces cannot tell is left to the library's own thresholds.
    known = {name: value for name, value in found.items() if value is not None}
    return QualityThresholds(**(known | {"min_face_pixels": max(pixels, default=None)}))


def _inside(values: FloatArray, step: float) -> float | None:
    """The value that `INSIDE` of the finite values stay within, rounded up to a whole step; None of too few."""
    values = values[np.isfinite(values)]
    if len(values) < 1 / (1 - INSIDE):
        return None
    return float(step * math.ceil(float(np.quantile(values, INSIDE)) / step))
