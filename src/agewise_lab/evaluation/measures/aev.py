"""What NIST's Face Analysis Technology Evaluation reports of age estimators, both directions of error side by side.

Source of all: Hanaoka, Ngan, Yang, Quinn, Hom, Grother, «Face Analysis Technology Evaluation: Age Estimation and
Verification», NIST IR 8525, 2024, and its page https://pages.nist.gov/frvt/html/frvt_age_estimation.html.

Two errors are possible wherever an age decides: a *false positive* is let in and should not be, a *false negative* is
turned away and should not be. Either alone can be made 0, so no function here gives one alone. True ages are taken
to whole years, «aged 17» from 17 to below 18; estimates are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from agewise.types import FloatArray
from agewise_lab.evaluation.measures.bootstrap import (
    ROUNDS,
    bootstrap_interval,
    percentile_interval,
    resampled_sums,
    units_of,
)
from agewise_lab.evaluation.measures.faces import whole_years
from agewise_lab.evaluation.measures.rates import Rate, binomial_interval, rate

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]


def _aged(truths: FloatArray, first: float, last: float) -> BoolArray:
    years = whole_years(truths)
    inside: BoolArray = (years >= first) & (years <= last)
    return inside


@dataclass(frozen=True, slots=True, kw_only=True)
class AgeSexErrors:
    """Errors of each whole year and sex.

    Args:
        ages: whole years (a,).
        count: faces (a, 2), female first; so are the next two.
        mae: years, NaN where there is no face.
        bias: mean signed error, years.
        empty: how many cells have no face. NIST's figure it is only where none is empty.
        mean: mean MAE of the cells that have faces, each of equal weight however many they are.
        mean_low: `mean_high` is the other end of its bootstrap interval.
        mean_high: as `mean_low`.
        mean_bias: the same of the signed errors; `mean_bias_low` and `mean_bias_high` its interval.
        mean_bias_low: as said.
        mean_bias_high: as said.
    """

    ages: IntArray
    count: IntArray
    mae: FloatArray
    bias: FloatArray
    empty: int
    mean: float
    mean_low: float
    mean_high: float
    mean_bias: float
    mean_bias_low: float
    mean_bias_high: float


def mae_by_age_and_sex(
    estimates: FloatArray,
    truths: FloatArray,
    is_female: BoolArray,
    first: int = 18,
    last: int = 30,
    *,
    subjects: npt.NDArray[np.generic] | None = None,
    level: float = 0.95,
    rounds: int = ROUNDS,
    seed: int = 0,
) -> AgeSexErrors:
    """NIST's headline MAE: the mean of the 26 MAEs of ages 18 to 30 and two sexes.

    All values are NaN where there is no face of these ages.

    >>> estimates, truths = np.array([20.0, 20.0, 22.0, 25.0]), np.array([18.0, 18.0, 19.0, 19.0])
    >>> table = mae_by_age_and_sex(estimates, truths, np.array([True, False, True, False]), 18, 19)
    >>> table.mae.tolist(), table.mean, table.mean_bias
    ([[2.0, 2.0], [3.0, 6.0]], 3.25, 3.25)
    """
    ages = np.arange(first, last + 1)
    size = 2 * len(ages)
    inside = _aged(truths, first, last)
    cells = ((whole_years(truths[inside]) - first) * 2 + np.where(is_female[inside], 0, 1)).astype(np.int64)
    errors = estimates[inside] - truths[inside]
    terms = np.stack([np.abs(errors), errors, np.ones(len(errors))], axis=1)
    units, unit_count = units_of(None if subjects is None else subjects[inside], len(errors))
    sums = np.stack([np.bincount(cells, weights=column, minlength=size) for column in terms.T], axis=1)
    blocks = list(resampled_sums(terms, cells, size, units, unit_count, rounds, seed)) if len(errors) else []
    # The sample itself is one more replicate, so that there is one where there are no faces.
    low, high = percentile_interval(np.concatenate([_cell_means(block) for block in [*blocks, sums[None]]]), level)
    mean, mean_bias = _cell_means(sums[None])[0]
    with np.errstate(invalid="ignore"):
        by_cell = (sums[:, :2] / sums[:, 2:]).reshape(-1, 2, 2)
    return AgeSexErrors(
        ages=ages,
        count=sums[:, 2].reshape(-1, 2).astype(np.int64),
        mae=by_cell[:, :, 0],
        bias=by_cell[:, :, 1],
        empty=int((sums[:, 2] == 0).sum()),
        mean=float(mean),
        mean_low=float(low[0]),
        mean_high=float(high[0]),
        mean_bias=float(mean_bias),
        mean_bias_low=float(low[1]),
        mean_bias_high=float(high[1]),
    )


def _cell_means(sums: FloatArray) -> FloatArray:
    """Sums (rounds, cells, 3) of two terms and a count → their means in each cell, averaged over cells: (rounds, 2)."""
    drawn = sums[:, :, 2:] > 0
    with np.errstate(invalid="ignore", divide="ignore"):
        by_cell = np.where(drawn, sums[:, :, :2] / sums[:, :, 2:], 0.0)
        means: FloatArray = by_cell.sum(axis=1) / drawn.sum(axis=1)
    return means


@dataclass(frozen=True, slots=True, kw_only=True)
class ChallengeGrid:
    """Both errors of «challenge whoever looks younger than C», by true age.

    Args:
        challenges: the C, years (c,).
        minor_ages: whole years below the legal age (m,).
        adult_ages: from it on (a,).
        false_positive: of each challenge and minor age, the share not challenged: `Rate`s [c][m].
        false_negative: of each challenge and adult age, the share challenged: `Rate`s [c][a].
    """

    challenges: FloatArray
    minor_ages: IntArray
    adult_ages: IntArray
    false_positive: tuple[tuple[Rate, ...], ...]
    false_negative: tuple[tuple[Rate, ...], ...]


def challenge_grid(
    estimates: FloatArray,
    truths: FloatArray,
    challenges: Sequence[float] = tuple(range(18, 31)),
    minors: tuple[int, int] = (14, 17),
    adults: tuple[int, int] = (18, 30),
) -> ChallengeGrid:
    """Challenge-T: who is estimated at T or older passes, others are asked for a proof of age.

    `challenge_grid(…, challenges=(25,), minors=(17, 17))` is NIST's Challenge-25 false positive rate at 17.

    >>> estimates, truths = np.array([24.0, 26.0, 23.0, 30.0]), np.array([17.0, 17.0, 20.0, 20.0])
    >>> grid = challenge_grid(estimates, truths, (18, 25), (17, 17), (20, 20))
    >>> [(row[0].value, other[0].value) for row, other in zip(grid.false_positive, grid.false_negative)]
    [(1.0, 0.0), (0.5, 0.5)]
    """
    minor_ages, adult_ages = np.arange(minors[0], minors[1] + 1), np.arange(adults[0], adults[1] + 1)
    by_age = {int(age): estimates[_aged(truths, age, age)] for age in (*minor_ages, *adult_ages)}
    return ChallengeGrid(
        challenges=np.asarray(challenges, dtype=np.float64),
        minor_ages=minor_ages,
        adult_ages=adult_ages,
        false_positive=tuple(tuple(rate(by_age[int(a)] >= c) for a in minor_ages) for c in challenges),
        false_negative=tuple(tuple(rate(by_age[int(a)] < c) for a in adult_ages) for c in challenges),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeOff:
    """Both errors of an age gate over the challenge age; arrays (c,).

    Args:
        challenges: who is estimated at so much or more passes, years.
        false_positive: share of minors who pass.
        false_negative: share of adults who do not.
        false_positive_ends: low and high of its binomial 95 % interval, (2, c).
        false_negative_ends: the same of the other.
        minors: how many faces the first is made of.
        adults: and the second.
    """

    challenges: FloatArray
    false_positive: FloatArray
    false_negative: FloatArray
    false_positive_ends: FloatArray
    false_negative_ends: FloatArray
    minors: int
    adults: int

    def false_negative_at(self, false_positive: float) -> tuple[float, float]:
        """The least challenge age whose false positive rate is at most so much, and the false negative rate there.

        NaN, NaN where no challenge age on the curve is enough.
        """
        enough = np.flatnonzero(self.false_positive <= false_positive)
        if not len(enough):
            return float("nan"), float("nan")
        return float(self.challenges[enough[0]]), float(self.false_negative[enough[0]])


def trade_off(
    estimates: FloatArray,
    truths: FloatArray,
    legal_age: int = 18,
    challenges: Sequence[float] = tuple(np.arange(10, 40.5, 0.5)),
    youngest: int = 14,
    oldest: int = 30,
) -> TradeOff:
    """The over-18 trade-off curve: minors who pass against adults who are refused, over the challenge age.

    Minors are those of `youngest` to below `legal_age`, adults those up to `oldest`: small children and old people
    are told apart by any model, and would make both errors look small.

    >>> estimates, truths = np.array([15.0, 19.0, 17.0, 26.0]), np.array([16.0, 17.0, 18.0, 25.0])
    >>> curve = trade_off(estimates, truths, challenges=(14, 18, 20, 27))
    >>> curve.false_positive.tolist(), curve.false_negative.tolist(), curve.false_negative_at(0.1)
    ([1.0, 0.5, 0.0, 0.0], [0.0, 0.5, 0.5, 1.0], (20.0, 0.5))
    """
    ages = np.sort(np.asarray(challenges, dtype=np.float64))
    minors = np.sort(estimates[_aged(truths, youngest, legal_age - 1)])
    adults = np.sort(estimates[_aged(truths, legal_age, oldest)])
    passed = len(minors) - np.searchsorted(minors, ages, side="left")
    refused = np.searchsorted(adults, ages, side="left")
    with np.errstate(invalid="ignore"):
        return TradeOff(
            challenges=ages,
            false_positive=passed / np.float64(len(minors)),
            false_negative=refused / np.float64(len(adults)),
            false_positive_ends=np.array([binomial_interval(int(hits), len(minors)) for hits in passed]).T,
            false_negative_ends=np.array([binomial_interval(int(hits), len(adults)) for hits in refused]).T,
            minors=len(minors),
            adults=len(adults),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class OnlineSafety:
    """Rates of «estimated to be 13 to 16», for those who are, those who are younger and those who are older."""

    true_positive: Rate
    false_negative_down: Rate
    false_negative_up: Rate
    false_positive_younger: Rate
    false_positive_older: Rate


def online_safety(
    estimates: FloatArray,
    truths: FloatArray,
    inside: tuple[int, int] = (13, 16),
    younger: tuple[int, int] = (8, 12),
    older: tuple[int, int] = (17, 22),
) -> OnlineSafety:
    """Child online safety: a chat room for those aged 13 to 16.

    *True positive*: aged 13 to 16 and estimated so, 13 <= estimate < 17. *False negative down*: estimated below 13,
    *up*: at 17 or above. *False positive younger*: aged 8 to 12 and estimated to be 13 to 16; *older*: aged 17 to 22.

    >>> estimates, truths = np.array([14.0, 12.0, 18.0, 13.0, 16.9]), np.array([14.0, 13.0, 16.0, 12.0, 20.0])
    >>> r = online_safety(estimates, truths)
    >>> [round(x.value, 3) for x in (r.true_positive, r.false_negative_down, r.false_negative_up)]
    [0.333, 0.333, 0.333]
    >>> r.false_positive_younger.value, r.false_positive_older.value
    (1.0, 1.0)
    """
    first, end = inside[0], inside[1] + 1
    within = (estimates >= first) & (estimates < end)
    wanted, found = _aged(truths, *inside), np.isfinite(estimates)
    return OnlineSafety(
        true_positive=rate(within[wanted & found]),
        false_negative_down=rate((estimates < first)[wanted & found]),
        false_negative_up=rate((estimates >= end)[wanted & found]),
        false_positive_younger=rate(within[_aged(truths, *younger) & found]),
        false_positive_older=rate(within[_aged(truths, *older) & found]),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """How much estimates of one face scatter, in years, over `sets` faces with two estimates or more each.

    Args:
        sets: faces, or people.
        estimates: how many in all.
        std: mean over the sets of the standard deviation of their estimates (n − 1 in the denominator).
        std_low: `std_high` is the other end of its bootstrap interval, by sets.
        std_high: as `std_low`.
        pooled_std: root of the mean variance, weighted by the degrees of freedom.
        largest_range: the largest difference within one set.
    """

    sets: int
    estimates: int
    std: float
    std_low: float
    std_high: float
    pooled_std: float
    largest_range: float


def noise_over_frames(estimates: FloatArray, subjects: npt.NDArray[np.generic]) -> Noise:
    """Noise over the frames, or near pictures, of one person: all that scatters there is error, as nobody ages.

    Those with one estimate say nothing and are left out, and so are faces that were not found (NaN). All values of
    `Noise` are NaN where nobody has two.

    >>> noise = noise_over_frames(np.array([30.0, 32.0, 40.0, 40.0, 50.0]), np.array(["a", "a", "b", "b", "c"]))
    >>> noise.sets, round(noise.std, 4), noise.pooled_std, noise.largest_range
    (2, 0.7071, 1.0, 2.0)
    """
    found = np.isfinite(estimates)
    values = estimates[found]
    units, size = units_of(subjects[found], len(values))
    count = np.bincount(units, minlength=size)
    kept = count >= 2
    if not kept.any():
        nan = float("nan")
        return Noise(sets=0, estimates=0, std=nan, std_low=nan, std_high=nan, pooled_std=nan, largest_range=nan)
    mean = np.bincount(units, weights=values, minlength=size) / np.maximum(count, 1)
    squares = np.bincount(units, weights=np.square(values - mean[units]), minlength=size)[kept]
    freedom = count[kept] - 1
    most, least = np.full(size, -np.inf), np.full(size, np.inf)
    np.maximum.at(most, units, values)
    np.minimum.at(least, units, values)
    spreads = np.sqrt(squares / freedom)
    low, high = bootstrap_interval(spreads)
    return Noise(
        sets=int(kept.sum()),
        estimates=int(count[kept].sum()),
        std=float(spreads.mean()),
        std_low=low,
        std_high=high,
        pooled_std=float(np.sqrt(squares.sum() / freedom.sum())),
        largest_range=float((most - least)[kept].max()),
    )


def noise_over_jitter(estimates: FloatArray) -> Noise:
    """Noise over jitter of the crop: estimates (faces, jitters) of the same picture, cut a little otherwise each time.

    >>> noise_over_jitter(np.array([[30.0, 31.0, 32.0], [50.0, 50.0, 50.0]])).std
    0.5
    """
    faces, jitters = estimates.shape
    return noise_over_frames(estimates.reshape(-1), np.repeat(np.arange(faces), jitters))
