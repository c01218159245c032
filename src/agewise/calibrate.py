"""Tables for a card from labelled predictions that the model was not trained on. Pure numpy; the home of each formula.

All of it is split-conformal prediction: take how far off the model was on labelled faces, and keep a quantile of that.
Where those faces and the next one come from one source (are exchangeable), the next one's error is below the
⌈(n + 1) · level⌉-th smallest of n with probability `level` or more, whatever the model is like.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from agewise.card import AgeSpec, Calibration, DensityTable, IntervalTable, SureTable
from agewise.decode import interval_of
from agewise.density import class_spans, true_masses
from agewise.types import FloatArray
from agewise.verdicts import VerifyTable

BoolArray = npt.NDArray[np.bool_]

LEVELS = (0.8, 0.9, 0.95)
EDGES = (4.0, 13.0, 20.0, 25.0, 30.0, 35.0, 42.0, 50.0, 60.0, 70.0)
"""Of the bands of the predicted age, for "mondrian" tables."""
TRUE_EDGES = (4.0, 9.0, 13.0, 18.0, 31.0, 46.0, 61.0, 76.0)
"""Of the bands of the true age, for "label-conditional" tables and highest-density sets."""
BAND_SLACK = 0.01
"""How far below the level a band of the true age may fall, where the whole holds the level."""
SURE_EDGES = (13.0,)
"""Of the bands of the estimated age, for "sure" genders."""
THRESHOLDS = (13.0, 16.0, 18.0, 21.0, 25.0)
BUFFERS = (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 12.0, 15.0)

_LEAST = 60  # scores that a band of the predicted age needs; smaller bands join a neighbour
_LEAST_TRUE = 24  # that one of the true age needs: its quantile holds with any number, it only varies more
_SURE_STEPS = 20  # shares of a band's labels that may be sure
_FLOOR = 1.0  # years of spread below which the model's own spread is not believed


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """Predictions of n faces beside their labels.

    Args:
        years: estimates, float (n,).
        std_years: the model's own spreads, (n,).
        truths: true ages in years, (n,).
        probs_over_ages: (n, classes), or None where the model has no classes.

    Raises:
        ValueError: sizes that differ, or values that are not finite.
    """

    years: FloatArray
    std_years: FloatArray
    truths: FloatArray
    probs_over_ages: FloatArray | None = None

    def __post_init__(self) -> None:
        n = len(self.truths)
        others = [self.years, self.std_years, *([] if self.probs_over_ages is None else [self.probs_over_ages])]
        if any(len(values) != n for values in others):
            raise ValueError(f"{n} true ages need as many predictions, got {[len(values) for values in others]}")
        if not all(np.isfinite(values).all() for values in (*others, self.truths)):
            raise ValueError("calibration needs finite ages and predictions: leave out faces that were not found")

    @property
    def sha256(self) -> str:
        """Of the labels and estimates, rounded to 4 decimals: names what a table was measured on."""
        rows = np.stack([self.truths, self.years, self.std_years], axis=1)
        return hashlib.sha256(np.round(rows, 4).astype("<f8").tobytes()).hexdigest()


def conformal_quantile(scores: FloatArray, level: float) -> float:
    """The ⌈(n + 1) · level⌉-th smallest score: a new score lies below it with probability ≥ level.

    Raises:
        ValueError: too few scores for that level.

    Source: Lei, G'Sell, Rinaldo, Tibshirani, Wasserman, JASA 2018, section 2.2.

    >>> conformal_quantile(np.arange(1.0, 10.0), 0.9), conformal_quantile(np.arange(1.0, 10.0), 0.8)
    (9.0, 8.0)
    """
    rank = math.ceil((len(scores) + 1) * level - 1e-9)
    if rank > len(scores):
        least = math.ceil(level / (1 - level) - 1e-9)
        raise ValueError(f"{len(scores)} scores are too few for level {level:g}: at least {least}")
    return float(np.sort(scores)[rank - 1])


def merged_edges(ages: FloatArray, edges: tuple[float, ...] = EDGES, least: int = _LEAST) -> tuple[float, ...]:
    """The edges that leave at least `least` ages in each band: the fallback for bands with few faces.

    The smallest band joins its smaller neighbour until all have enough. The bands depend on the ages alone, never on
    the errors, so the errors within a merged band are still exchangeable and its quantile still holds.

    >>> merged_edges(np.array([1.0] * 70 + [15.0] * 10 + [40.0] * 70), (4.0, 20.0), 60)
    (20.0,)
    """
    kept = list(edges)
    while kept:
        counts = np.bincount(np.searchsorted(kept, ages, side="right"), minlength=len(kept) + 1)
        worst = int(counts.argmin())
        if counts[worst] >= least:
            break
        # Drop the edge towards the smaller neighbour.
        below = counts[worst - 1] if worst > 0 else np.inf
        above = counts[worst + 1] if worst < len(kept) else np.inf
        kept.pop(worst - 1 if below <= above else worst)
    return tuple(kept)


@dataclass(frozen=True, slots=True)
class _Bands:
    """Scores in bands: one quantile a band, and how many scores each has."""

    edges: tuple[float, ...]
    quantiles: tuple[float, ...]
    counts: tuple[int, ...]


def _in_bands(scores: FloatArray, ages: FloatArray, edges: tuple[float, ...], level: float) -> _Bands:
    band = np.searchsorted(edges, ages, side="right")
    count = range(len(edges) + 1)
    return _Bands(
        edges,
        tuple(conformal_quantile(scores[band == b], level) for b in count),
        tuple(int((band == b).sum()) for b in count),
    )


def label_conditional(scores: FloatArray, truths: FloatArray, edges: tuple[float, ...], level: float) -> _Bands:
    """A threshold on the scores for each band of the true age: `level` on the whole, hardly less in any band.

    Each band's threshold is its own quantile at `level` − `BAND_SLACK`, or one common threshold where that is
    higher; the common one is chosen so that all faces together have the level. So within each band the guarantee is
    exact, at `level` − `BAND_SLACK`; that of the whole is so too, and comes out at the level itself up to the
    error of choosing both on the same faces (see docs/trust.md).
    """
    own = _in_bands(scores, truths, edges, level - BAND_SLACK)
    limits = np.asarray(own.quantiles)[np.searchsorted(edges, truths, side="right")]
    # What its band holds already needs no common threshold: it counts as the smallest of scores.
    common = conformal_quantile(np.where(scores <= limits, 0.0, scores), level)
    return _Bands(edges, tuple(max(quantile, common) for quantile in own.quantiles), own.counts)


def _interval_tables(faces: Labelled, level: float) -> list[IntervalTable]:
    """One of each kind, the served one in both units: of the spread first, and last in years."""
    errors = np.abs(faces.years - faces.truths)
    scores = errors / np.maximum(faces.std_years, _FLOOR)
    by_truth = merged_edges(faces.truths, TRUE_EDGES, _LEAST_TRUE)
    makers: list[tuple[str, bool, Callable[[], _Bands]]] = [
        ("label-conditional", True, lambda: label_conditional(scores, faces.truths, by_truth, level)),
        ("mondrian", True, lambda: _in_bands(scores, faces.years, merged_edges(faces.years), level)),
        ("normalised", True, lambda: _in_bands(scores, faces.years, (), level)),
        ("plain", False, lambda: _in_bands(errors, faces.years, (), level)),
        ("label-conditional", False, lambda: label_conditional(errors, faces.truths, by_truth, level)),
    ]
    tables = []
    for kind, normalised, make in makers:
        bands = make()
        fields = {
            "kind": kind,
            "level": level,
            "edges": bands.edges,
            # Rounded up, so that the face at the quantile itself stays inside.
            "radii": tuple(math.ceil(radius * 1e4) / 1e4 for radius in bands.quantiles),
            "counts": bands.counts,
            "normalised": normalised,
            "spread_floor": _FLOOR if normalised else 0.0,
        }
        tables.append(IntervalTable.model_validate(fields))
    return tables


def mean_width(faces: Labelled, table: IntervalTable) -> float:
    """Mean width in years of the intervals that a table gives these faces."""
    pairs = zip(faces.years.tolist(), faces.std_years.tolist(), strict=True)
    return float(np.mean([high - low for low, high in (interval_of(*pair, table) for pair in pairs)]))


def _in_the_narrower_unit(faces: Labelled, tables: Sequence[Sequence[IntervalTable]]) -> tuple[IntervalTable, ...]:
    """Of each level's `_interval_tables` one of each kind: at all levels the served one in the unit of the narrower.

    A spread that says nothing of a face's error, as that of SSR-Net's stages, only makes intervals wider: the unit is
    then the year. It is chosen on the faces that the tables are of, one of two, once for all levels, so that a higher
    level's interval holds a lower one's.
    """
    by_spread, in_years = (sum(mean_width(faces, level[i]) for level in tables) for i in (0, -1))
    if by_spread <= in_years:
        return tuple(table for level in tables for table in level[:-1])
    return tuple(table for level in tables for table in (level[-1], *level[1:-1]))


def _density_table(faces: Labelled, spec: AgeSpec, level: float) -> DensityTable | None:
    spans = class_spans(spec)
    if spans is None or faces.probs_over_ages is None:
        return None
    scores = true_masses(faces.probs_over_ages, faces.truths, spans)
    # Each band's own quantile, and no more: a set, unlike an interval, gains nothing by filling its gaps.
    bands = _in_bands(scores, faces.truths, merged_edges(faces.truths, TRUE_EDGES, _LEAST_TRUE), level)
    masses = tuple(min(math.ceil(mass * 1e6) / 1e6, 1.0) for mass in bands.quantiles)
    return DensityTable(level=level, edges=bands.edges, masses=masses, counts=bands.counts)


def calibrate(
    faces: Labelled,
    spec: AgeSpec,
    data: str,
    *,
    levels: Sequence[float] = LEVELS,
    count: int | None = None,
    date: str | None = None,
) -> Calibration:
    """All tables of a card. Intervals are served from the bands of the true age ("label-conditional"), in units of the
    spread, or of years where those are narrower.

    Args:
        faces: that the model did not learn from.
        spec: the card's age, for the classes of its distribution.
        data: what these faces are, for the card.
        levels: of the intervals and sets.
        count: of faces, where some were predicted more than once; by default as many as there are rows.
        date: ISO 8601, for the card.

    Raises:
        ValueError: too few faces for a level; the message says how many it needs.
    """
    sets = [_density_table(faces, spec, level) for level in levels]
    return Calibration(
        data=data,
        intervals=_in_the_narrower_unit(faces, [_interval_tables(faces, level) for level in levels]),
        served="label-conditional",
        sets=tuple(table for table in sets if table is not None),
        faces=len(faces.truths) if count is None else count,
        date=date,
        sha256=faces.sha256,
    )


def fit_temperature(female_probability: FloatArray, is_female: BoolArray) -> float:
    """The temperature that makes the stated labels likeliest, by golden-section search over 0.2 to 5.

    Source: Guo, Pleiss, Sun, Weinberger: «On Calibration of Modern Neural Networks», ICML 2017, section 4.2.

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


def fit_sure(
    female_probability: FloatArray,
    is_female: BoolArray,
    years: FloatArray,
    data: str,
    *,
    right: float = 0.9,
    risk: float = 0.1,
    looks: int = 1,
    edges: tuple[float, ...] = SURE_EDGES,
) -> SureTable:
    """From which probability on gender labels are sure, by bands of the estimated age.

    A probability passes if, were a share 1 − right of the labels that reach it wrong in truth, no more than those that
    were would have been seen with a probability of its band's risk at most: P(Bin(sure, 1 − right) ≤ wrong) ≤ risk. In
    each band those that a twentieth, two twentieths, … of the labels reach are tried in this order, from the first that
    can pass, up to the first that fails; the last that passed is taken. So trying many costs nothing, and with a
    probability of 1 − `risk` all bands of the table keep their promise: each has its even part of the risk. By bands,
    as children's faces show their gender less: the others would carry them.

    Source: Geifman, El-Yaniv, «Selective Classification for Deep Neural Networks», NIPS 2017, for the bound;
    Angelopoulos, Bates, Candès, Jordan, Lei, «Learn then Test», 2021, for the fixed order.

    Args:
        female_probability: (n,), after the temperature.
        is_female: the labels (n,).
        years: estimated ages (n,).
        data: what these faces are, for the card.
        right: the share of sure labels that is to be right.
        risk: the probability, 0 to 1, that in any band the share is not reached though it seems so.
        looks: how many rows there are of each face: rows of one face count as one, since they err together.
        edges: of the bands, years.

    >>> p = np.array([0.9] * 22 + [0.6])
    >>> fit_sure(p, np.arange(23) < 22, np.full(23, 30.0), "x", edges=()).probabilities  # .9 ** 22 = .098
    (0.9,)
    >>> fit_sure(p[1:], np.arange(22) < 21, np.full(22, 30.0), "x", edges=()).probabilities
    (None,)
    """
    place = np.searchsorted(edges, years, side="right")
    confidence = np.maximum(female_probability, 1 - female_probability)
    wrong = (female_probability >= 0.5) != is_female
    bands = [place == band for band in range(len(edges) + 1)]
    return SureTable(
        right=right,
        edges=edges,
        probabilities=tuple(
            _least_sure(confidence[band], wrong[band], right, risk / len(bands), looks) for band in bands
        ),
        counts=tuple(int(band.sum()) for band in bands),
        data=data,
    )


def _least_sure(confidence: FloatArray, wrong: BoolArray, right: float, risk: float, looks: int) -> float | None:
    if not len(confidence):
        return None
    order = np.argsort(-confidence, kind="stable")
    descending, missed = confidence[order], np.cumsum(wrong[order])
    reached = None
    for step in range(1, _SURE_STEPS + 1):
        least = float(descending[math.ceil(len(order) * step / _SURE_STEPS) - 1])
        count = int((confidence >= least).sum())  # equals are taken together
        sure = math.floor(count / looks)
        if right**sure > risk:
            continue  # not even without a wrong one
        if _binomial_tail(math.ceil(missed[count - 1] / looks), sure, 1 - right) > risk:
            break
        reached = 0.5 if count == len(order) else max(0.5, math.floor(1e6 * least) / 1e6)
    return reached


def _binomial_tail(most: int, count: int, share: float) -> float:
    """P(Bin(count, share) ≤ most), summed in logarithms.

    >>> round(_binomial_tail(1, 3, 0.5), 12)
    0.5
    """
    logs = [
        math.lgamma(count + 1) - math.lgamma(k + 1) - math.lgamma(count - k + 1)
        + k * math.log(share) + (count - k) * math.log1p(-share)
        for k in range(min(most, count) + 1)
    ]  # fmt: skip
    return min(1.0, math.fsum(map(math.exp, logs)))


def count_verdicts(
    years: FloatArray, truths: FloatArray, data: str, *, thresholds: Sequence[float] = THRESHOLDS
) -> tuple[VerifyTable, ...]:
    """For each threshold, how the verdicts on these faces came out, for several challenge ages at once.

    Nothing is declined in these counts. A threshold that has no faces on one side gets no table.

    Args:
        years: estimates (n,).
        truths: true ages (n,).
        data: what these faces are, for the card.
        thresholds: years.

    >>> (table,) = count_verdicts(np.array([26.0, 17.0, 17.5]), np.array([17.0, 16.0, 20.0]), "x", thresholds=[18])
    >>> table.under, table.over, table.failed_over, dict(zip(table.buffers, table.passed_under))[7.0]
    (2, 1, 1, 1)
    """
    tables = []
    for threshold in thresholds:
        over, failed = truths >= threshold, years < threshold
        passed = [years >= threshold + buffer for buffer in BUFFERS]
        if over.all() or not over.any():
            continue
        tables.append(
            VerifyTable(
                threshold=float(threshold),
                under=int((~over).sum()),
                over=int(over.sum()),
                failed_under=int((failed & ~over).sum()),
                failed_over=int((failed & over).sum()),
                buffers=BUFFERS,
                passed_under=tuple(int((p & ~over).sum()) for p in passed),
                passed_over=tuple(int((p & over).sum()) for p in passed),
                data=data,
            )
        )
    return tuple(tables)
