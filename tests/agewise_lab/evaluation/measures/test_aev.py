"""NIST's measures on tables that can be counted by hand, and that both errors are always there."""

from __future__ import annotations

import numpy as np
import pytest

from agewise_lab.evaluation.measures import (
    challenge_grid,
    mae_by_age_and_sex,
    noise_over_frames,
    noise_over_jitter,
    online_safety,
    rate,
    trade_off,
)


def _array(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float64)


def test_cells_weigh_the_same_however_many_faces_they_have() -> None:
    truths = _array(18, 18, 18, 18.9, 19, 19)
    estimates = truths + _array(1, 1, 1, -2, 10, 4)
    table = mae_by_age_and_sex(estimates, truths, np.array([True, True, True, False, True, False]), 18, 19)
    assert table.ages.tolist() == [18, 19]
    assert table.count.tolist() == [[3, 1], [1, 1]]
    assert table.mae == pytest.approx(np.array([[1, 2], [10, 4]]))
    assert table.bias == pytest.approx(np.array([[1, -2], [10, 4]]))
    assert (table.mean, table.mean_bias) == (pytest.approx(17 / 4), pytest.approx(13 / 4))


def test_26_cells_and_empty_ones_are_said() -> None:
    truths = np.repeat(np.arange(10.0, 40.0), 2)
    table = mae_by_age_and_sex(truths + 3, truths, np.tile([True, False], 30))
    assert (table.mae.shape, table.empty, table.mean) == ((13, 2), 0, pytest.approx(3))
    lacking = mae_by_age_and_sex(truths[:-20] + 3, truths[:-20], np.tile([True, False], 20))
    assert (lacking.empty, lacking.mean) == (2, pytest.approx(3))
    none = mae_by_age_and_sex(_array(30), _array(60), np.array([True]))
    assert (none.empty, np.isnan(none.mean), np.isnan(none.mean_low)) == (26, True, True)


def test_the_mean_of_cells_has_an_interval() -> None:
    rng = np.random.default_rng(0)
    truths, female = rng.integers(18, 31, 2000).astype(float), rng.random(2000) < 0.5
    estimates = truths + rng.normal(2, 5, 2000)
    table = mae_by_age_and_sex(estimates, truths, female)
    reach = 1.96 * np.abs(estimates - truths).std() / np.sqrt(2000)
    assert (table.mean_low, table.mean_high) == pytest.approx((table.mean - reach, table.mean + reach), abs=0.08)
    reach = 1.96 * 5 / np.sqrt(2000)
    expected = (table.mean_bias - reach, table.mean_bias + reach)
    assert (table.mean_bias_low, table.mean_bias_high) == pytest.approx(expected, abs=0.08)
    people = mae_by_age_and_sex(estimates, truths, female, subjects=np.arange(2000) // 200)
    assert people.mean == table.mean
    assert people.mean_high != table.mean_high


def test_challenge_25_at_17() -> None:
    truths = _array(17, 17.5, 17, 17, 16, 18, 24, 25, 30)
    estimates = _array(25, 24.9, 30, 10, 40, 24, 26, 24, 30)
    grid = challenge_grid(estimates, truths, (25,), (17, 17), (18, 30))
    ((at_17,),) = grid.false_positive
    assert (at_17.hits, at_17.count) == (2, 4)  # 25 itself passes
    (adults,) = grid.false_negative
    assert [(rate.hits, rate.count) for rate in adults if rate.count] == [(1, 1), (0, 1), (1, 1), (0, 1)]
    assert at_17.low < 0.5 < at_17.high


def test_a_higher_challenge_trades_one_error_for_the_other() -> None:
    rng = np.random.default_rng(0)
    truths = rng.uniform(14, 31, 30_000)
    estimates = truths + rng.normal(0, 4, 30_000)
    grid = challenge_grid(estimates, truths)
    assert grid.challenges.tolist() == list(range(18, 31))
    assert (grid.minor_ages.tolist(), grid.adult_ages[[0, -1]].tolist()) == ([14, 15, 16, 17], [18, 30])
    passed = np.array([[rate.value for rate in row] for row in grid.false_positive])
    refused = np.array([[rate.value for rate in row] for row in grid.false_negative])
    assert (np.diff(passed, axis=0) <= 0).all()
    assert (np.diff(refused, axis=0) >= 0).all()
    assert (np.diff(passed[0]) > 0).all()  # older minors pass more often


def test_trade_off_agrees_with_counting() -> None:
    rng = np.random.default_rng(1)
    truths = rng.uniform(5, 60, 2000)
    estimates = truths + rng.normal(0, 5, 2000)
    curve = trade_off(estimates, truths, challenges=(15, 18, 25))
    minor, adult = (truths >= 14) & (truths < 18), (truths >= 18) & (truths < 31)
    assert (curve.minors, curve.adults) == (minor.sum(), adult.sum())
    for i, challenge in enumerate(curve.challenges):
        assert curve.false_positive[i] == pytest.approx((estimates[minor] >= challenge).mean())
        assert curve.false_negative[i] == pytest.approx((estimates[adult] < challenge).mean())
        passed = rate(estimates[minor] >= challenge)
        assert curve.false_positive_ends[:, i].tolist() == [passed.low, passed.high]
        refused = rate(estimates[adult] < challenge)
        assert curve.false_negative_ends[:, i].tolist() == [refused.low, refused.high]


def test_trade_off_at_a_rate() -> None:
    truths = np.repeat([17.0, 20.0], 10)
    estimates = np.concatenate([np.arange(15.0, 25.0), np.arange(18.0, 28.0)])
    curve = trade_off(estimates, truths, challenges=range(15, 30))
    assert curve.false_negative_at(0.2) == (23.0, 0.5)
    assert np.isnan(trade_off(estimates, truths, challenges=[15]).false_negative_at(0.2)).all()


def test_nobody_to_judge_is_nan() -> None:
    curve = trade_off(_array(30), _array(40))
    assert np.isnan(curve.false_positive).all()
    assert np.isnan(curve.false_negative).all()


def test_online_safety_counts_each_direction() -> None:
    #                 13 to 16                          8 to 12         17 to 22        neither
    truths = _array(13, 14, 16, 16.9, 15, 13, 14, 16, 8, 10, 12.9, 9, 17, 22.9, 20, 7, 23)
    estimates = _array(13, 16.9, 12.9, 17, 5, 14, 15, 30, 13, 12, 16, 17, 16.9, 13, 17, 14, 15)
    r = online_safety(estimates, truths)
    assert (r.true_positive.hits, r.true_positive.count) == (4, 8)
    assert (r.false_negative_down.hits, r.false_negative_up.hits) == (2, 2)
    assert (r.false_positive_younger.hits, r.false_positive_younger.count) == (2, 4)
    assert (r.false_positive_older.hits, r.false_positive_older.count) == (2, 3)
    assert r.true_positive.value + r.false_negative_down.value + r.false_negative_up.value == pytest.approx(1)


def test_faces_not_found_are_in_no_rate() -> None:
    r = online_safety(_array(14, np.nan), _array(14, 14))
    assert (r.true_positive.hits, r.true_positive.count) == (1, 1)


def test_noise_over_frames() -> None:
    subjects = np.array(["a", "b", "a", "b", "a", "c", "b"])
    estimates = _array(30, 50, 33, 54, 36, 9, np.nan)
    noise = noise_over_frames(estimates, subjects)
    assert (noise.sets, noise.estimates) == (2, 5)
    assert noise.std == pytest.approx((3 + np.sqrt(8)) / 2)
    assert noise.pooled_std == pytest.approx(np.sqrt((2 * 9 + 1 * 8) / 3))
    assert noise.largest_range == 6
    assert noise.std_low <= noise.std <= noise.std_high


def test_noise_is_the_spread_that_was_put_in() -> None:
    rng = np.random.default_rng(0)
    ages = rng.uniform(10, 60, 500)[:, None] + rng.normal(0, 2, (500, 8))
    assert noise_over_jitter(ages).pooled_std == pytest.approx(2, rel=0.05)


def test_no_noise_where_nobody_is_seen_twice() -> None:
    noise = noise_over_frames(_array(1, 2), np.array(["a", "b"]))
    assert noise.sets == 0
    assert np.isnan(noise.std)
