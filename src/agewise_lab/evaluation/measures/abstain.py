"""What not answering buys: error and share answered, over how unsure one may be.

A *score* says how unsure a model is of a face, higher is less sure: the width of its interval, its spread, or one
minus a quality. Answering the faces of the lowest scores first gives the risk–coverage curve. (This coverage is the
share of faces answered, not the share of truths inside their intervals.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from agewise.types import FloatArray
from agewise_lab.evaluation.measures.bootstrap import percentile_interval, poisson_weights, units_of


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskCoverage:
    """A risk–coverage curve of n faces, the surest first.

    Args:
        coverage: share answered (n,), 1/n to 1.
        risk: mean error of the answered (n,), in the errors' unit.
        scores: of the last face answered (n,): the threshold.
        aurc: area under the curve, the mean of `risk`: less is better.
        oracle: that of a score that knows the errors, the least possible.
        random: that of no score at all: the mean error.
    """

    coverage: FloatArray
    risk: FloatArray
    scores: FloatArray
    aurc: float
    oracle: float
    random: float

    @property
    def excess(self) -> float:
        """E-AURC: aurc − oracle, what the score leaves; 0 where it sorts by error."""
        return self.aurc - self.oracle

    def risk_at(self, coverage: float) -> float:
        """Mean error of the surest share `coverage` of faces, at least one."""
        place = int(np.searchsorted(self.coverage, coverage - 1e-12))
        return float(self.risk[min(place, len(self.risk) - 1)])


def risk_coverage(errors: FloatArray, scores: FloatArray) -> RiskCoverage:
    """The curve of errors (n,), such as |estimate − truth|, sorted by scores (n,). Equal scores share their errors.

    Raises:
        ValueError: no faces, or not one finite error and score each.

    Source: El-Yaniv, Wiener, «On the Foundations of Noise-free Selective Classification», JMLR 2010; AURC: Geifman,
    El-Yaniv, «Selective Classification for Deep Neural Networks», NeurIPS 2017; E-AURC: Geifman, Uziel, El-Yaniv,
    «Bias-Reduced Uncertainty Estimation for Deep Neural Classifiers», ICLR 2019.

    >>> curve = risk_coverage(np.array([1.0, 2.0, 6.0]), np.array([0.1, 0.3, 0.2]))
    >>> curve.risk.tolist()  # the surest is 1 off, the two surest (1 + 6) / 2, all three 3
    [1.0, 3.5, 3.0]
    >>> curve.aurc, round(curve.oracle, 4), round(curve.excess, 4), curve.random
    (2.5, 1.8333, 0.6667, 3.0)
    """
    _check(errors, scores)
    order = np.argsort(scores, kind="stable")
    ordered, level = errors[order], scores[order]
    _, block, size = np.unique(level, return_inverse=True, return_counts=True)
    shared = (np.bincount(block, weights=ordered) / size)[block]
    risk = np.cumsum(shared) / np.arange(1, len(errors) + 1)
    return RiskCoverage(
        coverage=np.arange(1, len(errors) + 1) / len(errors),
        risk=risk,
        scores=level,
        aurc=float(risk.mean()),
        oracle=oracle_aurc(errors),
        random=float(errors.mean()),
    )


def _check(errors: FloatArray, scores: FloatArray) -> None:
    if not len(errors) or len(errors) != len(scores) or not np.isfinite(errors).all() or not np.isfinite(scores).all():
        raise ValueError(
            f"expected one finite error and score a face, got {len(errors)} errors and {len(scores)} scores; "
            "leave out faces that were not found"
        )


def oracle_aurc(errors: FloatArray) -> float:
    """The least area that any score could reach on these errors: answering the smallest first.

    >>> oracle_aurc(np.array([2.0, 0.0]))
    0.5
    """
    return float((np.cumsum(np.sort(errors)) / np.arange(1, len(errors) + 1)).mean())


def aurc_interval(
    errors: FloatArray,
    scores: FloatArray,
    subjects: npt.NDArray[np.generic] | None = None,
    *,
    level: float = 0.95,
    rounds: int = 500,
    seed: int = 0,
) -> tuple[float, float]:
    """Bootstrap interval of the AURC, by subject where subjects are given.

    >>> aurc_interval(np.array([2.0, 2.0, 2.0]), np.array([1.0, 2.0, 3.0]))
    (2.0, 2.0)
    """
    _check(errors, scores)
    order = np.argsort(scores, kind="stable")
    units, unit_count = units_of(subjects, len(errors))
    units = units[order]
    _, block, size = np.unique(scores[order], return_inverse=True, return_counts=True)
    shared = (np.bincount(block, weights=errors[order]) / size)[block]
    areas = []
    for weights in poisson_weights(unit_count, rounds, seed, len(errors)):
        drawn = weights[:, units]
        answered, total = np.cumsum(drawn, axis=1), np.cumsum(drawn * shared, axis=1)
        with np.errstate(invalid="ignore"):
            risk = np.where(drawn > 0, total / answered, 0.0)
            areas.append((risk * drawn).sum(axis=1) / answered[:, -1])
    low, high = percentile_interval(np.concatenate(areas), level)
    return float(low), float(high)
