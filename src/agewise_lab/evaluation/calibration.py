"""Tables for a card from labelled predictions that the model was not trained on."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from agewise.card import Calibration, IntervalTable
from agewise.types import FloatArray
from agewise_lab.evaluation.metrics import BoolArray, conformal_quantile

LEVELS = (0.8, 0.9, 0.95)
EDGES = (4.0, 13.0, 20.0, 25.0, 30.0, 35.0, 42.0, 50.0, 60.0, 70.0)
_LEAST = 60  # faces a band needs; smaller bands join a neighbour
_FLOOR = 1.0  # years of spread below which the model's own spread is not believed


def merged_edges(estimates: FloatArray, edges: tuple[float, ...] = EDGES, least: int = _LEAST) -> tuple[float, ...]:
    """The edges that leave at least `least` estimates in each band.

    >>> merged_edges(np.array([1.0] * 70 + [15.0] * 10 + [40.0] * 70), (4.0, 20.0), 60)
    (20.0,)
    """
    kept = list(edges)
    while kept:
        counts = np.bincount(np.searchsorted(kept, estimates, side="right"), minlength=len(kept) + 1)
        worst = int(counts.argmin())
        if counts[worst] >= least:
            break
        # Drop the edge towards the smaller neighbour.
        below = counts[worst - 1] if worst > 0 else np.inf
        above = counts[worst + 1] if worst < len(kept) else np.inf
        kept.pop(worst - 1 if below <= above else worst)
    return tuple(kept)


def calibrate_intervals(
    estimates: FloatArray, spreads: FloatArray, truths: FloatArray, data: str, levels: tuple[float, ...] = LEVELS
) -> Calibration:
    """Split-conformal tables, normalised by the predicted spread, in bands of the predicted age.

    Args:
        estimates: years (n,).
        spreads: the model's own standard deviations, years (n,).
        truths: years (n,).
        data: what these faces are, for the card.
        levels: of the intervals.
    """
    edges = merged_edges(estimates)
    band = np.searchsorted(edges, estimates, side="right")
    scores = np.abs(estimates - truths) / np.maximum(spreads, _FLOOR)
    tables = [
        IntervalTable(
            level=level,
            edges=edges,
            radii=tuple(round(conformal_quantile(scores[band == b], level), 4) for b in range(len(edges) + 1)),
            counts=tuple(int((band == b).sum()) for b in range(len(edges) + 1)),
            normalised=True,
            spread_floor=_FLOOR,
        )
        for level in levels
    ]
    return Calibration(data=data, intervals=tuple(tables))


def fit_temperature(female_probability: FloatArray, is_female: BoolArray) -> float:
    """The temperature that makes the stated labels likeliest, by golden-section search over 0.2 to 5.

    >>> p = np.array([0.99] * 10)
    >>> fit_temperature(p, np.array([True] * 9 + [False])) > 1.5
    True
    """
    share = np.clip(female_probability, 1e-6, 1 - 1e-6)
    log_odds = np.log(share / (1 - share)) * np.where(is_female, 1.0, -1.0)

    def loss(log_temperature: float) -> float:
        return float(np.logaddexp(0.0, -log_odds / np.exp(log_temperature)).mean())

    low, high, golden = np.log(0.2), np.log(5.0), (5**0.5 - 1) / 2
    for _ in range(60):
        left, right = high - golden * (high - low), low + golden * (high - low)
        low, high = (low, right) if loss(left) < loss(right) else (left, high)
    return float(np.exp((low + high) / 2))


def pooled(*parts: npt.NDArray[np.floating]) -> FloatArray:
    """Several runs over the same faces (bare crops, the whole chain) as one."""
    return np.concatenate(parts)
