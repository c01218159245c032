"""Tables that hold what they promise on faces that they were not made on, and temperatures that come back."""

from __future__ import annotations

import math

import numpy as np
import pytest

from agewise import decode
from agewise.calibrate import (
    BAND_SLACK,
    BUFFERS,
    LEVELS,
    THRESHOLDS,
    BoolArray,
    Labelled,
    _binomial_tail,
    calibrate,
    conformal_quantile,
    count_verdicts,
    fit_sure,
    fit_temperature,
    label_conditional,
    mean_width,
    merged_edges,
)
from agewise.card import Calibration, ExpectationAge, GenderSpec, IntervalKind, RegressionAge
from agewise.density import DensitySets
from agewise.types import FloatArray

AGES = ExpectationAge(output="p", class_ages=tuple(float(age) for age in range(101)))
KINDS: tuple[IntervalKind, ...] = ("label-conditional", "mondrian", "normalised", "plain")


def make_faces(count: int, seed: int) -> Labelled:
    """Faces with a known law: errors grow with age and pull to the middle, the stated spread knows half of it."""
    rng = np.random.default_rng(seed)
    truths = rng.integers(0, 95, count).astype(np.float64)
    noise = 1 + 0.1 * truths
    means = np.clip(truths + 0.1 * (40 - truths) + noise * rng.standard_normal(count), 0, 100)
    spreads = 2 + 0.03 * truths + 0.3 * rng.random(count)
    probs = np.exp(-0.5 * ((np.arange(101) - means[:, None]) / spreads[:, None]) ** 2)
    probs /= probs.sum(axis=1, keepdims=True)
    return Labelled(years=means, std_years=spreads, truths=truths, probs_over_ages=probs)


@pytest.fixture(scope="module")
def fresh() -> Labelled:
    return make_faces(10_000, 1)


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    return calibrate(make_faces(20_000, 0), AGES, "synthetic", date="2026-11-25")


def held(faces: Labelled, calibration: Calibration, level: float, kind: IntervalKind | None = None) -> np.ndarray:
    pairs = [
        decode.interval(years, spread, calibration, level, kind)
        for years, spread in zip(faces.years.tolist(), faces.std_years.tolist(), strict=True)
    ]
    low, high = np.array(pairs).T
    inside: np.ndarray = (low <= faces.truths) & (faces.truths <= high)
    return inside


# ---------------------------------------------------------------- coverage


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("kind", KINDS)
def test_fresh_faces_are_covered(calibration: Calibration, fresh: Labelled, level: float, kind: IntervalKind) -> None:
    assert held(fresh, calibration, level, kind).mean() == pytest.approx(level, abs=0.015)


def test_each_band_holds_what_its_kind_promises(calibration: Calibration, fresh: Labelled) -> None:
    """Bands of the estimate for one kind, of the true age for the other; the plain kind fails at the ends."""
    for kind, ages, least in (("mondrian", fresh.years, 0.88), ("label-conditional", fresh.truths, 0.85)):
        inside = held(fresh, calibration, 0.9, kind)  # type: ignore[arg-type]
        table = next(t for t in calibration.intervals if t.kind == kind and t.level == 0.9)
        bands = np.searchsorted(table.edges, ages, side="right")
        large = [band for band in range(len(table.radii)) if (bands == band).sum() >= 200]
        assert len(large) >= 7
        assert min(inside[bands == band].mean() for band in large) >= least, kind
    plain = held(fresh, calibration, 0.9, "plain")
    assert plain[fresh.truths > 75].mean() < 0.75


@pytest.mark.parametrize("level", LEVELS)
def test_sets_hold_the_true_age_in_every_band_too(calibration: Calibration, fresh: Labelled, level: float) -> None:
    table = next(table for table in calibration.sets if table.level == level)
    assert fresh.probs_over_ages is not None
    ranges = DensitySets(AGES, table).ranges(fresh.probs_over_ages)
    inside = np.array(
        [any(a <= t <= b for a, b in parts) for t, parts in zip(fresh.truths.tolist(), ranges, strict=True)]
    )
    assert inside.mean() == pytest.approx(level, abs=0.015)
    for low, high in ((0, 18), (18, 46), (46, 95)):
        rows = (fresh.truths >= low) & (fresh.truths < high)
        assert inside[rows].mean() == pytest.approx(level, abs=0.03)


def test_small_samples_are_covered_on_average() -> None:
    """The guarantee is for any number of faces: here 40 to calibrate on, many times over."""
    rng = np.random.default_rng(0)
    shares = []
    for seed in range(150):
        table = calibrate(make_faces(40, seed + 10), AGES, "few")
        faces = make_faces(20, int(rng.integers(1_000, 1_000_000)))
        shares.append([held(faces, table, 0.9, kind).mean() for kind in KINDS])
    means = np.mean(shares, axis=0)
    assert (means >= 0.875).all(), dict(zip(KINDS, means, strict=True))
    assert (means <= 0.935).all(), dict(zip(KINDS, means, strict=True))


def test_label_conditional_by_hand() -> None:
    """Nine scores a band, 1 to 9 and 101 to 109: each band's own .79-quantile is its 8th; the common one lifts one."""
    scores = np.concatenate([np.arange(1.0, 10.0), np.arange(101.0, 110.0)])
    truths = np.repeat([10.0, 50.0], 9)
    bands = label_conditional(scores, truths, (30.0,), 0.8)
    # 16 of 18 are within their own; the 16th of 18 is wanted: nothing more is needed than 108
    assert (bands.quantiles, bands.counts) == ((8.0, 108.0), (9, 9))
    assert label_conditional(scores, truths, (), 0.8).quantiles == (107.0,)
    assert BAND_SLACK == 0.01


def test_the_interval_goes_around_all_ages_that_are_in(calibration: Calibration) -> None:
    """Thresholds 2 below 20 and 10 above: from 25 the ages 20 to 35 are in, those under 20 are not."""
    fields = {"kind": "label-conditional", "level": 0.9, "edges": (20.0,), "counts": (9, 9), "normalised": False}
    table = calibration.intervals[0].model_validate(fields | {"radii": (2.0, 10.0)})
    by_hand = calibration.model_copy(update={"intervals": (table,), "served": "label-conditional"})
    assert decode.interval(25.0, 1.0, by_hand, 0.9) == (20.0, 35.0)
    assert decode.interval(19.0, 1.0, by_hand, 0.9) == (17.0, 29.0)
    assert decode.interval(15.0, 1.0, by_hand, 0.9) == (13.0, 25.0), "a gap from 17 to 20 is filled"
    assert decode.interval(1.0, 1.0, by_hand, 0.9) == (0.0, 3.0)
    assert decode.interval(-3.0, 1.0, by_hand, 0.9) == (-3.0, 0.0), "holds the estimate"
    narrow = table.model_copy(update={"radii": (0.0, 0.0)})
    assert decode.interval(40.0, 1.0, by_hand.model_copy(update={"intervals": (narrow,)}), 0.9) == (40.0, 40.0)


@pytest.mark.parametrize("level", LEVELS)
def test_a_spread_that_says_nothing_is_left_out(level: float) -> None:
    """Errors of 4 years on average whatever the spread says: intervals in years hold as much, and are narrower."""
    rng = np.random.default_rng(3)
    truths = rng.integers(20, 90, 12_000).astype(np.float64)
    years = truths + rng.laplace(0.0, 4.0, 12_000)
    faces = Labelled(years=years, std_years=rng.uniform(2, 20, 12_000), truths=truths)
    half, rest = (
        Labelled(years=faces.years[rows], std_years=faces.std_years[rows], truths=faces.truths[rows])
        for rows in (np.arange(12_000) < 6_000, np.arange(12_000) >= 6_000)
    )
    calibration = calibrate(half, AGES, "x")
    served = decode.table_of(calibration, level)
    assert not any(t.normalised for t in calibration.intervals if t.kind == "label-conditional"), "at all levels alike"
    assert served.radii[-1] == pytest.approx(-4 * np.log(1 - level), rel=0.1)  # of Laplace's errors
    assert held(rest, calibration, level).mean() == pytest.approx(level, abs=0.015)
    assert mean_width(rest, served) < 0.85 * mean_width(rest, decode.table_of(calibration, level, "normalised"))


def test_mean_width_is_that_of_the_intervals(calibration: Calibration, fresh: Labelled) -> None:
    for kind in KINDS:
        pairs = zip(fresh.years.tolist(), fresh.std_years.tolist(), strict=True)
        widths = [high - low for low, high in (decode.interval(*pair, calibration, 0.8, kind) for pair in pairs)]
        assert mean_width(fresh, decode.table_of(calibration, 0.8, kind)) == pytest.approx(np.mean(widths))


# ---------------------------------------------------------------- tables


def test_the_tables(calibration: Calibration) -> None:
    assert (calibration.data, calibration.served, calibration.faces) == ("synthetic", "label-conditional", 20_000)
    assert calibration.date == "2026-11-25"
    assert [(t.level, t.kind) for t in calibration.intervals] == [(level, kind) for level in LEVELS for kind in KINDS]
    assert [table.level for table in calibration.sets] == list(LEVELS)
    for table in calibration.intervals:
        assert sum(table.counts) == 20_000
        assert (table.edges == ()) == (table.kind in ("plain", "normalised"))
        assert table.normalised == (table.kind != "plain")
    for kind in KINDS:
        radii = np.array([table.radii for table in calibration.intervals if table.kind == kind])
        assert (np.diff(radii, axis=0) > 0).all(), "a higher level has wider intervals"


def test_the_hash_names_the_faces() -> None:
    digests = {make_faces(50, seed).sha256 for seed in (1, 1, 2)}
    assert len(digests) == 2
    assert calibrate(make_faces(50, 1), AGES, "x", count=25).sha256 in digests


def test_a_model_without_classes_has_no_sets() -> None:
    faces = make_faces(100, 0)
    bare = Labelled(years=faces.years, std_years=np.zeros(100), truths=faces.truths)
    calibration = calibrate(bare, RegressionAge(output="a"), "none")
    assert calibration.sets == ()
    normalised = next(table for table in calibration.intervals if table.kind == "normalised")
    assert normalised.spread_floor == 1.0, "a model without a spread gets intervals as wide as its errors"
    assert held(bare, calibration, 0.9).mean() >= 0.9


def test_age_0_and_the_oldest_are_no_exception() -> None:
    faces = Labelled(years=np.zeros(30), std_years=np.zeros(30), truths=np.concatenate([np.zeros(27), [116.0] * 3]))
    calibration = calibrate(faces, RegressionAge(output="a"), "ends", levels=(0.9,))
    low, high = decode.interval(0.0, 0.0, calibration, 0.9, "plain")
    assert (low, high) == (0.0, 116.0), "the 28th of 30 errors"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"years": np.zeros(3)}, "2 true ages need as many predictions"),
        ({"probs_over_ages": np.zeros((1, 5))}, "2 true ages need as many predictions"),
        ({"years": np.array([1.0, np.nan])}, "finite ages and predictions"),
    ],
)
def test_faces_that_do_not_fit(changes: dict[str, np.ndarray], message: str) -> None:
    fields = {"years": np.zeros(2), "std_years": np.zeros(2), "truths": np.zeros(2)}
    with pytest.raises(ValueError, match=message):
        Labelled(**(fields | changes))


def test_too_few_faces() -> None:
    with pytest.raises(ValueError, match=r"18 scores are too few for level 0\.95: at least 19"):
        calibrate(make_faces(18, 0), AGES, "few")
    assert calibrate(make_faces(19, 0), AGES, "enough").faces == 19


@pytest.mark.parametrize(
    ("count", "level", "rank"),
    [(9, 0.9, 9), (10, 0.9, 10), (19, 0.9, 18), (99, 0.9, 90), (4, 0.8, 4), (19, 0.95, 19), (100, 0.5, 51)],
)
def test_conformal_quantile_is_an_order_statistic(count: int, level: float, rank: int) -> None:
    scores = np.random.default_rng(0).permutation(np.arange(1.0, count + 1))
    assert conformal_quantile(scores, level) == rank


@pytest.mark.parametrize(
    ("count", "level", "least"), [(8, 0.9, 9), (3, 0.8, 4), (18, 0.95, 19), (0, 0.9, 9), (0, 0.5, 1)]
)
def test_too_few_scores(count: int, level: float, least: int) -> None:
    with pytest.raises(ValueError, match=f"{count} scores are too few for level {level:g}: at least {least}$"):
        conformal_quantile(np.ones(count), level)
    conformal_quantile(np.ones(least), level)


def test_conformal_quantile_covers_new_scores() -> None:
    rng = np.random.default_rng(2)
    held_share = [(rng.random(200) < conformal_quantile(rng.random(19), 0.9)).mean() for _ in range(2000)]
    assert np.mean(held_share) == pytest.approx(0.9, abs=0.01)


@pytest.mark.parametrize(
    ("counts", "edges", "kept"),
    [
        ((100, 100, 100), (10.0, 20.0), (10.0, 20.0)),
        ((10, 100, 100), (10.0, 20.0), (20.0,)),  # the first joins the second
        ((100, 100, 10), (10.0, 20.0), (10.0,)),
        ((80, 10, 100), (10.0, 20.0), (20.0,)),  # towards the smaller neighbour
        ((100, 10, 80), (10.0, 20.0), (10.0,)),
        ((80, 10, 80), (10.0, 20.0), (20.0,)),
        ((100, 5, 5, 5, 100), (10.0, 20.0, 30.0, 40.0), (40.0,)),
        ((30, 30, 30), (10.0, 20.0), ()),  # two of three are too few for the third alone
        ((10, 10, 10), (10.0, 20.0), ()),
        ((0, 0, 0), (10.0, 20.0), ()),
        ((7,), (), ()),
    ],
)
def test_small_bands_join_a_neighbour(
    counts: tuple[int, ...], edges: tuple[float, ...], kept: tuple[float, ...]
) -> None:
    estimates = np.repeat(np.arange(len(counts)) * 10 + 5.0, counts)
    merged = merged_edges(estimates, edges, 60)
    assert merged == kept
    sizes = np.bincount(np.searchsorted(merged, estimates, side="right"), minlength=len(merged) + 1)
    assert len(merged) == 0 or sizes.min() >= 60


@pytest.mark.parametrize("temperature", [0.5, 1.0, 1.7, 3.0])
def test_a_known_temperature_comes_back(temperature: float) -> None:
    rng = np.random.default_rng(0)
    log_odds = rng.normal(0, 2, 40_000)
    labels = rng.random(40_000) < 1 / (1 + np.exp(-log_odds))
    stated = 1 / (1 + np.exp(-log_odds * temperature))
    assert fit_temperature(stated, labels) == pytest.approx(temperature, rel=0.05)


@pytest.mark.parametrize(("labels", "bound"), [([True] * 9, 0.2), ([False] * 9, 5.0)])
def test_temperatures_stay_in_their_bounds(labels: list[bool], bound: float) -> None:
    assert fit_temperature(np.full(9, 0.99), np.array(labels)) == pytest.approx(bound, rel=1e-3)


def _law(rng: np.random.Generator, count: int) -> tuple[FloatArray, BoolArray, FloatArray]:
    """Probabilities that mean what they say, labels, and ages; the young are told apart badly."""
    years = rng.integers(0, 26, count).astype(np.float64)
    stated = 1 / (1 + np.exp(-rng.normal(0, np.where(years < 13, 1.5, 4.0))))
    return stated, rng.random(count) < stated, years


@pytest.mark.parametrize("right", [0.8, 0.9])
def test_sure_genders_are_right_as_often_as_they_promise_on_other_faces(right: float) -> None:
    """Fitted on 300 faces three hundred times: the share of true ones is missed as seldom as the risk says, .1."""
    rng = np.random.default_rng(2)
    stated, female, years = _law(rng, 20_000)
    confidence, is_right = np.maximum(stated, 1 - stated), (stated >= 0.5) == female
    shares = []
    for _ in range(300):
        table = fit_sure(*_law(rng, 300), "a law", right=right)
        assert (table.right, table.edges, sum(table.counts), table.data) == (right, (13.0,), 300, "a law")
        spec = GenderSpec(output="g", sure=table)
        shares.append(
            [
                is_right[band & (confidence >= (1.1 if least is None else least))].mean() if least is not None else 1.0
                for band, least in zip((years < 13, years >= 13), table.probabilities, strict=True)
            ]
        )
        assert decode.is_gender_sure(0.5, 5.0, spec) is False
    missed = (np.array(shares) < right).any(axis=1).mean()
    assert missed < 0.1 + 2 * math.sqrt(0.1 * 0.9 / 300)
    assert (np.array(shares)[:, 1] < 1).mean() > 0.8, "and not by calling hardly any label sure"


def test_which_genders_are_sure_by_hand() -> None:
    """Of 40 labels one may be wrong where 90 % are to be right at a risk of .1 in a band (.080), but not two (.222)."""
    shares, years = np.repeat([0.9, 0.8, 0.6], [20, 20, 10]), np.full(50, 30.0)
    labels = np.ones(50, dtype=bool)
    labels[[25, 45]] = False
    assert fit_sure(shares, labels, years, "x", risk=0.2).probabilities == (None, 0.8)
    assert fit_sure(shares, labels, years, "x", risk=0.2).counts == (0, 50)
    assert fit_sure(shares, labels, years, "x").probabilities == (None, None), "two bands share the risk of .1"
    labels[26] = False
    assert fit_sure(shares, labels, years, "x", risk=0.2).probabilities == (None, None)
    assert fit_sure(shares, labels, years, "x", risk=0.46).probabilities == (None, 0.8)


def test_a_probability_beyond_one_that_failed_is_not_taken() -> None:
    """The surest twenty-five are seldom right; that all two hundred would pass is chance, or luck of the order."""
    shares, years = np.linspace(0.99, 0.6, 200), np.full(200, 30.0)
    labels = np.ones(200, dtype=bool)
    assert fit_sure(shares, labels, years, "x", edges=()).probabilities == (0.5,)
    labels[:25:3] = False
    assert fit_sure(shares, labels, years, "x", edges=()).probabilities == (None,)
    assert fit_sure(shares, labels[::-1], years, "x", edges=()).probabilities == (0.5,), "9 of 200 is few enough"


def test_two_looks_at_a_face_are_one_face() -> None:
    shares, labels, years = np.full(30, 0.9), np.ones(30, dtype=bool), np.full(30, 30.0)
    assert fit_sure(shares, labels, years, "x", edges=()).probabilities == (0.5,)
    assert fit_sure(shares, labels, years, "x", edges=(), looks=2).probabilities == (None,), ".9 ** 15 is .21"


def test_sure_from_a_tie_on_only_if_all_of_it_is_good_enough() -> None:
    """Thirty right and nine wrong have one probability: no order among them may help."""
    labels = np.arange(39) < 30
    assert fit_sure(np.full(39, 0.8), labels, np.full(39, 30.0), "x", edges=()).probabilities == (None,)
    assert fit_sure(np.full(39, 0.8), labels[::-1], np.full(39, 30.0), "x", edges=()).probabilities == (None,)


@pytest.mark.parametrize(
    ("most", "count", "share"), [(0, 1, 0.1), (3, 60, 0.1), (40, 1108, 0.05), (9, 9, 0.3), (7, 5, 0.2)]
)
def test_the_tail_is_scipys(most: int, count: int, share: float) -> None:
    stats = pytest.importorskip("scipy.stats")
    assert _binomial_tail(most, count, share) == pytest.approx(stats.binom.cdf(most, count, share), rel=1e-9)


def test_certainty_does_not_overflow() -> None:
    assert np.isfinite(fit_temperature(np.array([1.0, 0.0, 1.0]), np.array([True, False, False])))


# ---------------------------------------------------------------- verdicts


def test_verdicts_are_counted_on_both_sides() -> None:
    years = np.array([10.0, 17.9, 18.0, 25.0, 31.0, 12.0, 18.5, 25.0, 60.0])
    truths = np.array([10.0, 17.0, 17.0, 17.9, 16.0, 18.0, 18.0, 30.0, 50.0])
    (table,) = count_verdicts(years, truths, "nine", thresholds=(18.0,))
    passed = dict(zip(table.buffers, zip(table.passed_under, table.passed_over, strict=True), strict=True))
    assert (table.under, table.over, table.failed_under, table.failed_over, table.data) == (5, 4, 2, 1, "nine")
    assert (passed[0.0], passed[7.0], passed[15.0]) == ((3, 3), (2, 2), (0, 1))


def test_a_threshold_with_nobody_on_one_side_gets_no_table() -> None:
    tables = count_verdicts(np.array([14.0, 19.0]), np.array([14.0, 20.0]), "two")
    assert [table.threshold for table in tables] == [16.0, 18.0]
    assert tables[0].buffers == BUFFERS
    assert [t.threshold for t in count_verdicts(np.arange(50.0), np.arange(50.0), "all")] == list(THRESHOLDS)
