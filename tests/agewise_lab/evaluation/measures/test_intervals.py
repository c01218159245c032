"""Widths and Winkler's score."""

from __future__ import annotations

import numpy as np
import pytest

from agewise_lab.evaluation.measures import interval_score, mean_width


@pytest.mark.parametrize(
    ("truth", "score"),
    [(25, 10), (20, 10), (30, 10), (31, 10 + 20 * 1), (17, 10 + 20 * 3)],
)
def test_interval_score(truth: float, score: float) -> None:
    assert interval_score(np.array([20.0]), np.array([30.0]), np.array([truth]), 0.9) == pytest.approx(score)


def test_the_score_is_least_for_the_right_interval() -> None:
    truths = np.random.default_rng(0).normal(0, 1, 20_000)
    half = np.array([1.0, 1.645, 2.5])  # 1.645 standard deviations hold 90 %
    scores = [interval_score(np.full(20_000, -h), np.full(20_000, h), truths, 0.9) for h in half]
    assert scores[1] == min(scores)


def test_mean_width() -> None:
    assert mean_width(np.array([0.0, 10.0]), np.array([4.0, 20.0])) == 7
