"""Two models on the same faces: how much less one errs, and whether that could be chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from agewise.types import FloatArray
from agewise_lab.evaluation.measures.bootstrap import bootstrap_interval, units_of

_MOST_SIGNS = 16_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedTest:
    """A comparison of models A and B.

    Args:
        mae_a, mae_b: of each, years.
        difference: mae_a − mae_b, years: below zero, A is better.
        low, high: its bootstrap interval, by subject where subjects are known.
        p_value: probability of a difference at least as large, either way, if the models were exchangeable.
        count: faces.
        subjects: people, or `count` where they are unknown.
    """

    mae_a: float
    mae_b: float
    difference: float
    low: float
    high: float
    p_value: float
    count: int
    subjects: int


def paired_test(
    estimates_a: FloatArray,
    estimates_b: FloatArray,
    truths: FloatArray,
    subjects: npt.NDArray[np.generic] | None = None,
    *,
    level: float = 0.95,
    rounds: int = 2000,
    seed: int = 0,
) -> PairedTest:
    """Compare two models' mean absolute errors on the same faces, all in years (n,).

    The p-value is that of a sign-flip test: under the null hypothesis it is chance which model gave which of the two
    estimates of a face, or of all faces of a subject; the signs of the differences are flipped at random `rounds`
    times. It is never below 1 / (rounds + 1).

    Raises:
        ValueError: no faces, or columns that differ in length or hold NaN: compare what both models found.

    Source: Edgington, Onghena, «Randomization Tests», 2007, chapter 5; p-value by Phipson, Smyth, Statistical
    Applications in Genetics and Molecular Biology 9(1), 2010.

    >>> truths = np.full(8, 30.0)
    >>> test = paired_test(truths + 1, truths + 2, truths)  # A is one year better on each of 8 faces
    >>> test.difference, test.low, test.high, abs(test.p_value - 2 / 2**8) < 0.005
    (-1.0, -1.0, -1.0, True)
    """
    columns = (estimates_a, estimates_b, truths)
    if not len(truths) or any(len(column) != len(truths) or not np.isfinite(column).all() for column in columns):
        raise ValueError(
            f"expected estimates of both models for the same faces, got {', '.join(str(len(c)) for c in columns)} "
            "values or some that are not finite: compare the faces that both found"
        )
    errors_a, errors_b = np.abs(estimates_a - truths), np.abs(estimates_b - truths)
    differences = errors_a - errors_b
    units, unit_count = units_of(subjects, len(truths))
    low, high = bootstrap_interval(differences, subjects=subjects, level=level, rounds=rounds, seed=seed)
    return PairedTest(
        mae_a=float(errors_a.mean()),
        mae_b=float(errors_b.mean()),
        difference=float(differences.mean()),
        low=low,
        high=high,
        p_value=_sign_flip(np.bincount(units, weights=differences, minlength=unit_count), rounds, seed),
        count=len(truths),
        subjects=unit_count,
    )


def _sign_flip(sums: FloatArray, rounds: int, seed: int) -> float:
    """The two-sided p-value of a sum of differences (units,), by random signs."""
    rng = np.random.default_rng(seed)
    observed = abs(float(sums.sum())) - 1e-12 * float(np.abs(sums).sum())  # sums in another order round otherwise
    step = max(1, _MOST_SIGNS // max(len(sums), 1))
    beyond = 0
    for start in range(0, rounds, step):
        some = min(step, rounds - start)
        bits = np.unpackbits(rng.integers(0, 256, (some, -(-len(sums) // 8)), dtype=np.uint8), axis=1)
        flipped = bits[:, : len(sums)].astype(np.float64) @ (2 * sums) - sums.sum()
        beyond += int(np.count_nonzero(np.abs(flipped) >= observed))
    return (beyond + 1) / (rounds + 1)
