"""Gender: balanced accuracy, AUC and its interval, reliability."""

from __future__ import annotations

import numpy as np
import pytest

from agewise_lab.evaluation.measures import area_under_curve, balanced_accuracy, reliability
from agewise_lab.evaluation.measures.gender import auc_interval


def _labels(text: str) -> np.ndarray:
    return np.array([letter == "f" for letter in text])


@pytest.mark.parametrize(
    ("shares", "labels", "expected"),
    [
        ((0.9, 0.8, 0.7, 0.6), "fffm", 0.5),  # always female
        ((0.9, 0.1, 0.1, 0.1), "ffmm", 0.75),
        ((0.9, 0.1), "fm", 1.0),
        ((0.9, 0.1), "ff", np.nan),
    ],
)
def test_balanced_accuracy(shares: tuple[float, ...], labels: str, expected: float) -> None:
    assert balanced_accuracy(np.array(shares), _labels(labels)) == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(
    ("shares", "labels", "area"),
    [
        ((0.9, 0.8, 0.2, 0.1), "ffmm", 1.0),
        ((0.1, 0.2, 0.8, 0.9), "ffmm", 0.0),
        ((0.5, 0.5, 0.5), "fmm", 0.5),
        ((0.6, 0.4, 0.5, 0.3), "fmfm", 1.0),
        ((0.6, 0.5, 0.5), "fmf", 0.75),
        ((0.6,), "f", np.nan),
    ],
)
def test_area(shares: tuple[float, ...], labels: str, area: float) -> None:
    assert area_under_curve(np.array(shares), _labels(labels)) == pytest.approx(area, nan_ok=True)


def test_area_counts_pairs() -> None:
    rng = np.random.default_rng(0)
    shares, female = rng.random(60).round(1), rng.random(60) < 0.4
    pairs = [(a > b) + 0.5 * (a == b) for a in shares[female] for b in shares[~female]]
    assert area_under_curve(shares, female) == pytest.approx(np.mean(pairs))


def _many(seed: int, people: int, each: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    female = np.repeat(rng.random(people) < 0.5, each)
    person = np.repeat(rng.normal(0, 1, people), each)
    return 1 / (1 + np.exp(-(person + 1.5 * female))), female, np.repeat(np.arange(people), each)


def test_interval_of_the_area_holds_the_truth_as_often_as_it_says() -> None:
    truth = area_under_curve(*_many(99, 20_000, 1)[:2])
    ends = [auc_interval(*_many(seed, 60, 1)[:2]) for seed in range(200)]
    assert 0.9 <= np.mean([low <= truth <= high for low, high in ends]) <= 0.99


def test_people_seen_often_count_once() -> None:
    shares, female, subjects = _many(1, 60, 9)
    one = auc_interval(shares[::9], female[::9])
    assert auc_interval(shares, female, subjects) == pytest.approx(one, abs=0.01)
    naive = auc_interval(shares, female)
    assert naive[1] - naive[0] < 0.5 * (one[1] - one[0])


@pytest.mark.parametrize("labels", ["ffmm", "fmmm"])
def test_no_interval_where_there_is_nothing_to_vary(labels: str) -> None:
    assert np.isnan(auc_interval(np.array([0.9, 0.8, 0.2, 0.1]), _labels(labels))).all()


def test_reliability() -> None:
    bins = reliability(np.array([1.0, 0.0, 0.5, 0.55, 0.45]), _labels("ffmfm"), bins=5)
    assert bins.edges.tolist() == pytest.approx([0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
    assert bins.count.tolist() == [3, 0, 0, 0, 2]
    assert bins.confidence[[0, 4]].tolist() == pytest.approx([(0.5 + 0.55 + 0.55) / 3, 1.0])
    assert bins.right[[0, 4]].tolist() == pytest.approx([2 / 3, 1 / 2])
    assert np.isnan(bins.right[1:4]).all()


def test_interval_of_the_area_by_pairs() -> None:
    rng = np.random.default_rng(3)
    female = np.arange(37) < 9
    shares = (rng.random(37) + 0.3 * female).round(1)  # with ties
    pairs = np.array([[(a > b) + 0.5 * (a == b) for b in shares[~female]] for a in shares[female]])
    area = pairs.mean()
    variance = pairs.mean(axis=1).var(ddof=1) / 9 + pairs.mean(axis=0).var(ddof=1) / 28
    middle, reach = np.log(area / (1 - area)), 1.959964 * np.sqrt(variance) / (area * (1 - area))
    expected = 1 / (1 + np.exp(-np.array([middle - reach, middle + reach])))
    assert auc_interval(shares, female) == pytest.approx(expected)
