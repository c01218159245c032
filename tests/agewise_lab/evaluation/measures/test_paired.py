"""The paired test: its p-value by hand, by people, and under no difference."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from agewise_lab.evaluation.measures import paired_test


def test_p_value_is_that_of_all_sign_flips() -> None:
    rng = np.random.default_rng(0)
    truths, a, b = np.full(9, 30.0), 30 + rng.normal(0, 5, 9), 30 + rng.normal(0, 7, 9)
    test = paired_test(a, b, truths, rounds=20_000)
    differences = np.abs(a - 30) - np.abs(b - 30)
    flips = np.array(list(itertools.product([-1, 1], repeat=9))) @ differences
    exact = (np.abs(flips) >= abs(differences.sum()) - 1e-9).mean()
    assert test.p_value == pytest.approx(exact, abs=0.015)
    assert test.difference == pytest.approx(differences.mean())
    assert test.difference == pytest.approx(test.mae_a - test.mae_b)


def test_equal_models_are_seldom_told_apart() -> None:
    p_values = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        truths = np.full(80, 40.0)
        made = paired_test(truths + rng.normal(0, 5, 80), truths + rng.normal(0, 5, 80), truths, rounds=200)
        p_values.append(made.p_value)
    assert 0.01 <= np.mean(np.array(p_values) <= 0.05) <= 0.1
    assert 0.4 <= np.mean(p_values) <= 0.6


def test_a_clear_difference() -> None:
    rng = np.random.default_rng(0)
    truths = np.full(400, 40.0)
    test = paired_test(truths + rng.normal(0, 4, 400), truths + rng.normal(0, 6, 400), truths)
    assert test.difference < 0
    assert test.high < 0
    assert test.p_value == pytest.approx(1 / 2001)


def test_people_are_flipped_as_one() -> None:
    # One better on each face of 4 people, 50 faces each: of 4 people's signs one in 8 is so extreme.
    truths, people = np.full(200, 30.0), np.repeat(np.arange(4), 50)
    test = paired_test(truths + 1, truths + 2, truths, people, rounds=4000)
    assert test.p_value == pytest.approx(2 / 16, abs=0.02)
    assert (test.count, test.subjects) == (200, 4)
    assert paired_test(truths + 1, truths + 2, truths, rounds=4000).p_value < 0.001


def test_the_same_predictions() -> None:
    truths = np.arange(10.0)
    test = paired_test(truths + 1, truths + 1, truths)
    assert (test.difference, test.low, test.high, test.p_value) == (0, 0, 0, 1)


@pytest.mark.parametrize("bad", [np.array([1.0, np.nan]), np.array([1.0])])
def test_faces_that_only_one_found_are_refused(bad: np.ndarray) -> None:
    with pytest.raises(ValueError, match="compare the faces that both found"):
        paired_test(bad, np.zeros(2), np.zeros(2))
