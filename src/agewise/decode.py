"""From network outputs to years, spread, interval and gender: the one home of each formula. Pure numpy.

An age is the mean of what the network says, or its median, never the likeliest class: that throws away what the
network knows of all other ages. The mean is not bound to whole years; the median is off by the least years on average,
and on classes of whole years it is one, as labels are. Both are pulled towards the middle at the ends of the range.
Training's losses have twins of these formulas in torch, held to these by tests.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never

import numpy as np
import numpy.typing as npt

from agewise.card import (
    AgeSpec,
    BinsAge,
    Calibration,
    ExpectationAge,
    GenderSpec,
    IntervalKind,
    IntervalTable,
    OrdinalAge,
    RegressionAge,
    SoftStagewiseAge,
)
from agewise.errors import ModelError
from agewise.types import FloatArray, Gender

Outputs = Mapping[str, npt.NDArray[np.generic]]

_ROUNDING = 1e-6  # how far below zero a float32 probability may fall by rounding


@dataclass(frozen=True, slots=True)
class AgeEstimates:
    """Ages of n faces.

    Args:
        years: float64 (n,).
        std_years: float64 (n,), 0 where the model says nothing of its spread.
        probs_over_ages: float64 (n, ages) or None.
        class_ages: float64 (ages,) or None.
    """

    years: FloatArray
    std_years: FloatArray
    probs_over_ages: FloatArray | None = None
    class_ages: FloatArray | None = None

    @property
    def mean_years(self) -> FloatArray:
        """The mean of each distribution (n,), whatever the card takes as estimate; without one `years`.

        To hold one runtime against another: unlike a median it moves little when the network's outputs do.
        """
        if self.probs_over_ages is None or self.class_ages is None:
            return self.years
        means: FloatArray = self.probs_over_ages @ self.class_ages
        return means


def softmax(logits: FloatArray) -> FloatArray:
    """Softmax over the last axis."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    result: FloatArray = shifted / shifted.sum(axis=-1, keepdims=True)
    return result


def expectation(probs_over_ages: FloatArray, class_ages: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean and variance of distributions over ages.

    Args:
        probs_over_ages: (n, ages), rows sum to 1.
        class_ages: (ages,) in years.

    Returns:
        Years (n,) and squared years (n,).

    Source: Rothe, Timofte, Van Gool: «Deep expectation of real and apparent age from a single image
    without facial landmarks» (DEX), IJCV 2018, eq. 1.

    >>> mean, variance = expectation(np.array([[0.25, 0.5, 0.25]]), np.array([20.0, 30.0, 40.0]))
    >>> mean.tolist(), variance.tolist()
    ([30.0], [50.0])
    """
    mean = probs_over_ages @ class_ages
    variance = probs_over_ages @ (class_ages * class_ages) - mean * mean
    return mean, np.maximum(variance, 0.0)


def median(probs_over_ages: FloatArray, class_ages: FloatArray) -> FloatArray:
    """Medians of distributions over ages, (n,): the least class age that at least half of the mass does not exceed.

    Of all single answers the one whose expected absolute error is least, if the distribution is right. It is one of
    the class ages: where these are completed years, as labels are, a whole number.

    Args:
        probs_over_ages: (n, ages), rows sum to 1.
        class_ages: (ages,) in years, rising.

    >>> median(np.array([[0.25, 0.5, 0.25], [0.5, 0.25, 0.25]]), np.array([20.0, 30.0, 60.0])).tolist()
    [30.0, 20.0]
    """
    reached = probs_over_ages.cumsum(axis=1) >= 0.5 - 1e-9
    ages: FloatArray = class_ages[reached.argmax(axis=1)]
    return ages


def class_bins(probs_over_bins: FloatArray, bins: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean and variance of distributions over age bins, each age within a bin equally likely.

    Args:
        probs_over_bins: (n, bins), rows sum to 1.
        bins: (bins, 2), [low, high) in years; gaps are allowed, as Adience has them.

    >>> mean, variance = class_bins(np.array([[0.5, 0.5]]), np.array([[0.0, 12.0], [12.0, 24.0]]))
    >>> mean.tolist(), variance.tolist()
    ([12.0], [48.0])
    """
    middle, width = bins.mean(axis=1), bins[:, 1] - bins[:, 0]
    mean = probs_over_bins @ middle
    square = probs_over_bins @ (middle * middle + width * width / 12)
    return mean, np.maximum(square - mean * mean, 0.0)


def regression(
    values: FloatArray, scale: float, offset: float, log_variances: FloatArray | None = None
) -> tuple[FloatArray, FloatArray]:
    """Years value · scale + offset (n,), and their variance exp(log_variance) · scale² (0 where not given).

    >>> years, variance = regression(np.array([0.3]), 100.0, 0.0, np.log(np.array([0.0025])))
    >>> years.round(6).tolist(), variance.round(6).tolist()
    ([30.0], [25.0])
    """
    years = values * scale + offset
    variance = np.zeros_like(years) if log_variances is None else np.exp(log_variances) * scale**2
    return years, variance


def soft_stagewise(
    probs: Sequence[FloatArray],
    deltas: Sequence[FloatArray],
    etas: Sequence[FloatArray],
    *,
    age_range: float = 101.0,
    lambda_d: float = 1.0,
    lambda_local: float = 1.0,
) -> tuple[FloatArray, FloatArray]:
    """SSR-Net's soft stagewise regression.

    age = V · Σ_k [ Σ_i (i + λ_local · η_k,i) · p_k,i ] / (s_1 · … · s_k), with s_k = n_k · (1 + λ_d · δ_k) for the
    n_k classes of stage k, i from 0.

    Args:
        probs: a stage each, (n, n_k); not normalised: SSR-Net puts a ReLU where others have a softmax.
        deltas: a stage each, (n,) or (n, 1).
        etas: a stage each, (n, n_k).
        age_range: V, 101 for age.
        lambda_d, lambda_local: the strengths of the shifts.

    Returns:
        Years (n,), and a variance (n,) that is ours, not the paper's: each stage's classes are taken as
        independent draws in proportion to p_k.

    Source: Yang, Huang, Lin, Hsiu, Chuang: «SSR-Net: A Compact Soft Stagewise Regression Network for Age
    Estimation», IJCAI 2018, eqs. 2-5.

    >>> p = [np.array([[0.0, 1.0, 0.0]]), np.array([[0.5, 0.0, 0.5]])]
    >>> d, e = [np.zeros((1, 1)), np.zeros((1, 1))], [np.zeros((1, 3)), np.zeros((1, 3))]
    >>> years, variance = soft_stagewise(p, d, e, age_range=90.0)
    >>> years.round(6).tolist(), variance.round(6).tolist()
    ([40.0], [100.0])
    """
    years = np.zeros(len(probs[0]))
    variance = np.zeros(len(probs[0]))
    product = np.ones(len(probs[0]))
    for p, delta, eta in zip(probs, deltas, etas, strict=True):
        product = product * p.shape[1] * (1 + lambda_d * delta.reshape(-1))
        place = np.arange(p.shape[1]) + lambda_local * eta
        mass = p.sum(axis=1)
        first, second = (place * p).sum(axis=1), (place * place * p).sum(axis=1)
        years += first / product
        # mass² · (E[place²] − E[place]²) under p / mass
        variance += np.maximum(mass * second - first * first, 0.0) / (product * product)
    return years * age_range, variance * age_range**2


def ordinal(probs_older: FloatArray, conditional: bool = False) -> FloatArray:
    """Distributions over A classes (n, A) from A − 1 answers to «older than class k?» (n, A − 1).

    P(class k) = P(older than k − 1) − P(older than k). Where the answers are conditional, each on a yes to the
    one before, P(older than k) is their product up to k. Answers that contradict each other, an older threshold
    passed more likely than a younger one, count as the least one so far.

    Source: Niu, Zhou, Wang, Gao, Hua: «Ordinal Regression with Multiple Output CNN for Age Estimation», CVPR
    2016; Shi, Cao, Raschka: CORN, 2023, eq. 5, for the product. Both take the number of answers above one half
    as the rank; agewise takes the expectation, as everywhere.

    >>> ordinal(np.array([[0.75, 0.5]])).tolist(), ordinal(np.array([[0.75, 0.5]]), conditional=True).tolist()
    ([[0.25, 0.25, 0.5]], [[0.25, 0.375, 0.375]])
    """
    older = np.cumprod(probs_older, axis=1) if conditional else np.minimum.accumulate(probs_older, axis=1)
    edge = np.ones((len(older), 1))
    distribution: FloatArray = np.concatenate([edge, older], axis=1) - np.concatenate([older, 0 * edge], axis=1)
    return distribution


def _array(outputs: Outputs, name: str) -> FloatArray:
    if name not in outputs:
        raise ModelError(f"the card names the output {name!r}; the network has {', '.join(outputs)}")
    array = np.asarray(outputs[name], dtype=np.float64)
    if not np.isfinite(array).all():
        raise ModelError(f"the network's output {name!r} holds values that are not finite")
    return array


def _column(outputs: Outputs, name: str) -> FloatArray:
    """One number a face: (n,) from (n,) or (n, 1)."""
    values = _array(outputs, name)
    if not (values.ndim == 1 or (values.ndim == 2 and values.shape[1] == 1)):
        raise ModelError(f"the card promises one number a face in {name!r}; the network gave {values.shape}")
    return values.reshape(-1)


def _distribution(outputs: Outputs, name: str, activation: str, classes: int) -> FloatArray:
    values = _array(outputs, name)
    if values.ndim != 2 or values.shape[1] != classes:
        raise ModelError(f"the card promises {classes} classes in {name!r}; the network gave {values.shape}")
    if activation == "softmax":
        return softmax(values)
    total = values.sum(axis=1, keepdims=True)
    if (values < -_ROUNDING).any() or not (total > _ROUNDING).all():
        raise ModelError(
            f"the card promises probabilities in {name!r}; the network gave negative numbers or nothing but "
            "zeros. If they are logits, the card's activation should be 'softmax'"
        )
    probs: FloatArray = np.clip(values, 0.0, None) / total
    return probs


def _answers(outputs: Outputs, spec: OrdinalAge) -> FloatArray:
    """Probabilities (n, thresholds) of each threshold's yes."""
    values = _array(outputs, spec.output)
    wanted = len(spec.class_ages) - 1
    if values.ndim != 2 or values.shape[1] != wanted:
        raise ModelError(f"the card promises {wanted} thresholds in {spec.output!r}; the network gave {values.shape}")
    if spec.activation == "sigmoid":
        return np.asarray(1 / (1 + np.exp(-np.clip(values, -50, 50))))
    if (values < -_ROUNDING).any() or (values > 1 + _ROUNDING).any():
        raise ModelError(
            f"the card promises probabilities in {spec.output!r}; the network gave numbers outside 0 to 1. If they "
            "are logits, the card's activation should be 'sigmoid'"
        )
    return np.clip(values, 0.0, 1.0)


def _stages(outputs: Outputs, spec: SoftStagewiseAge) -> tuple[list[FloatArray], list[FloatArray], list[FloatArray]]:
    """Probabilities (n, n_k), deltas (n,) and etas (n, n_k) of each stage, their shapes checked."""
    probs = [_array(outputs, name) for name in spec.probs]
    deltas = [_column(outputs, name) for name in spec.deltas]
    etas = [_array(outputs, name) for name in spec.etas]
    for p, delta, eta in zip(probs, deltas, etas, strict=True):
        if p.ndim != 2 or eta.shape != p.shape or len(delta) != len(p) or len(p) != len(probs[0]):
            raise ModelError(
                "a stage has probabilities (n, classes), one delta a face and etas like the probabilities; "
                f"the network gave {p.shape}, {delta.shape} and {eta.shape}"
            )
    return probs, deltas, etas


def decode_ages(outputs: Outputs, spec: AgeSpec) -> AgeEstimates:
    """Ages of a batch, as the card's `age` says.

    Raises:
        ModelError: an output that the card names is missing, of the wrong shape, or not finite, or gives
            ages that are not.
    """
    # Finite outputs may still overflow, and a saturated delta of -1 divides by zero: judged below, once for all.
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        ages = _decode_ages(outputs, spec)
    if not (np.isfinite(ages.years).all() and np.isfinite(ages.std_years).all()):
        raise ModelError("the network's outputs, decoded as the card says, give ages that are not finite")
    return ages


def _decode_ages(outputs: Outputs, spec: AgeSpec) -> AgeEstimates:
    match spec:
        case ExpectationAge():
            return ages_of(_distribution(outputs, spec.output, spec.activation, len(spec.class_ages)), spec)
        case BinsAge():
            return ages_of(_distribution(outputs, spec.output, spec.activation, len(spec.bins)), spec)
        case OrdinalAge():
            return ages_of(ordinal(_answers(outputs, spec), spec.conditional), spec)
        case RegressionAge():
            name = spec.log_variance_output
            logs = None if name is None else _column(outputs, name)
            values = _column(outputs, spec.output)
            if logs is not None and logs.shape != values.shape:
                raise ModelError(f"the network gave {len(values)} ages, but {len(logs)} log-variances in {name!r}")
            years, variance = regression(values, spec.scale, spec.offset, logs)
            return AgeEstimates(years, np.sqrt(variance))
        case SoftStagewiseAge():
            years, variance = soft_stagewise(
                *_stages(outputs, spec),
                age_range=spec.age_range,
                lambda_d=spec.lambda_d,
                lambda_local=spec.lambda_local,
            )
            return AgeEstimates(years, np.sqrt(variance))
        case _ as never:
            assert_never(never)


def ages_of(probs_over_ages: FloatArray, spec: ExpectationAge | BinsAge | OrdinalAge) -> AgeEstimates:
    """Ages from distributions over the card's classes, float64 (n, classes), whose rows sum to 1."""
    if isinstance(spec, BinsAge):
        bins = np.asarray(spec.bins)
        years, variance = class_bins(probs_over_ages, bins)
        return AgeEstimates(years, np.sqrt(variance), probs_over_ages, bins.mean(axis=1))
    ages = np.asarray(spec.class_ages)
    years, variance = expectation(probs_over_ages, ages)
    if isinstance(spec, ExpectationAge) and spec.estimate == "median":
        years = median(probs_over_ages, ages)
    return AgeEstimates(years, np.sqrt(variance), probs_over_ages, ages)


def decode_female_probability(outputs: Outputs, spec: GenderSpec) -> FloatArray:
    """The probability of «female» for each face of a batch, (n,), after the card's temperature.

    Raises:
        ModelError: the output is missing, of the wrong shape for the card's activation, or not finite.

    >>> spec = GenderSpec(output="g", order=(Gender.MALE, Gender.FEMALE), activation="softmax", temperature=2.0)
    >>> decode_female_probability({"g": np.array([[0.0, 2.0]])}, spec).round(4).tolist()
    [0.7311]
    """
    log_odds: FloatArray  # of order[1]
    values = _array(outputs, spec.output)
    if values.ndim == 2 and values.shape[1] == 2 and spec.activation != "sigmoid":
        if spec.activation == "softmax":
            log_odds = values[:, 1] - values[:, 0]
        else:
            logs = np.log(np.clip(_distribution(outputs, spec.output, "none", 2), 1e-9, None))
            log_odds = logs[:, 1] - logs[:, 0]
    elif (values.ndim == 1 or values.shape[1:] == (1,)) and spec.activation != "softmax":
        values = values.reshape(-1)
        if spec.activation == "sigmoid":
            log_odds = values
        else:
            share = np.clip(values, 1e-6, 1 - 1e-6)
            log_odds = np.log(share / (1 - share))
    else:
        wanted = {"softmax": "two numbers", "sigmoid": "one number", "none": "two numbers or one"}[spec.activation]
        raise ModelError(
            f"the card promises {wanted} a face in {spec.output!r} (activation {spec.activation!r}); "
            f"the network gave {values.shape}"
        )
    if spec.order[1] is Gender.MALE:
        log_odds = -log_odds
    result: FloatArray = 1 / (1 + np.exp(-np.clip(log_odds / spec.temperature, -50, 50)))
    return result


def likelier_gender(female_probability: float) -> tuple[Gender, float]:
    """The likelier label and its probability, 0.5 to 1.

    >>> likelier_gender(0.25)
    (<Gender.MALE: 'male'>, 0.75)
    """
    if female_probability >= 0.5:
        return Gender.FEMALE, min(female_probability, 1.0)
    return Gender.MALE, min(1.0 - female_probability, 1.0)


def is_gender_sure(probability: float, years: float, spec: GenderSpec) -> bool | None:
    """Whether a model stands by a gender label; None where its card does not tell (see `agewise.card.SureTable`).

    Args:
        probability: of the likelier label.
        years: the estimated age.
        spec: of the card.

    >>> from agewise.card import SureTable
    >>> table = SureTable(right=0.9, edges=(13.0,), probabilities=(0.75, 0.5), counts=(99, 900), data="x")
    >>> spec = GenderSpec(output="g", sure=table)
    >>> is_gender_sure(0.7, 4.0, spec), is_gender_sure(0.7, 13.0, spec)
    (False, True)
    """
    if spec.sure is None:
        return None
    least = spec.sure.probabilities[bisect.bisect_right(spec.sure.edges, years)]
    return least is not None and probability >= least


def interval(
    years: float, std_years: float, calibration: Calibration, level: float, kind: IntervalKind | None = None
) -> tuple[float, float]:
    """The interval that holds the true age of a share `level` of faces like those it was calibrated on.

    Split-conformal: an age is in it where |age − estimate| is at most a radius, times max(spread, floor) where the
    table is normalised. "mondrian" has a radius for each band of the estimate, "label-conditional" for each band of
    the age itself, and gives the smallest interval around all ages that are in. A band holds its lower edge and not
    its upper one. Cut at 0, as no age is less; it always holds the estimate, be that below 0 itself, as a
    regression's may be.

    Args:
        years: the estimate.
        std_years: its spread.
        calibration: of the card.
        level: of the interval.
        kind: of the table; by default the one that the card serves.

    Raises:
        ModelError: the card has no table of that kind and level.

    Source: Papadopoulos et al., «Inductive Confidence Machines for Regression», ECML 2002; in bands («Mondrian»,
    «label-conditional»): Vovk, Gammerman, Shafer, «Algorithmic Learning in a Random World», 2005, section 4.5.
    """
    return interval_of(years, std_years, table_of(calibration, level, kind))


def table_of(calibration: Calibration, level: float, kind: IntervalKind | None = None) -> IntervalTable:
    """The table of that level and kind, by default of the kind that is served.

    Raises:
        ModelError: the card has none.
    """
    chosen = kind or calibration.served
    table = next((t for t in calibration.intervals if t.kind == chosen and abs(t.level - level) < 1e-9), None)
    if table is None:
        known = ", ".join(f"{table.level:g}" for table in calibration.intervals if table.kind == chosen) or "none"
        what = "interval" if kind is None else f"{kind} interval"
        raise ModelError(f"the card has no {what} of level {level:g}; it has {known}")
    return table


def interval_of(years: float, std_years: float, table: IntervalTable) -> tuple[float, float]:
    """`interval` by one table."""
    unit = max(std_years, table.spread_floor) if table.normalised else 1.0
    if table.kind == "label-conditional":
        low, high = _around_bands(years, unit, table)
    else:
        radius = table.radii[bisect.bisect_right(table.edges, years)] * unit
        low, high = years - radius, years + radius
    return min(years, max(0.0, low)), max(years, high, 0.0)


def _around_bands(years: float, unit: float, table: IntervalTable) -> tuple[float, float]:
    """The least and the greatest age that lies within its own band's radius of the estimate."""
    low, high = math.inf, -math.inf
    start = -math.inf
    for radius, end in zip(table.radii, (*table.edges, math.inf), strict=True):
        first, last = max(years - radius * unit, start), min(years + radius * unit, end)
        if first <= last:
            low, high = min(low, first), max(high, last)
        start = end
    return low, high
