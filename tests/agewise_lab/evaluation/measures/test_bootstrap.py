"""The bootstrap: weights, people, cells, and that its intervals hold what they say."""

from __future__ import annotations

import numpy as np
import pytest

from agewise_lab.evaluation.measures.bootstrap import (
    bootstrap_interval,
    percentile_interval,
    poisson_weights,
    resampled_sums,
    units_of,
)


def test_weights_are_poisson_of_mean_1() -> None:
    weights = np.concatenate(list(poisson_weights(200_000, 2, 0)))
    shares = np.bincount(weights.astype(int).ravel(), minlength=5)[:5] / weights.size
    assert shares == pytest.approx([0.3679, 0.3679, 0.1839, 0.0613, 0.0153], abs=2e-3)
    assert weights.mean() == pytest.approx(1, abs=4e-3)


def test_sums_by_cell_are_those_of_the_weights() -> None:
    rng = np.random.default_rng(0)
    terms, cells, units = rng.random((50, 2)), rng.integers(0, 4, 50), rng.integers(0, 7, 50)
    (sums,) = resampled_sums(terms, cells, 5, units, 7, 30, seed=3)
    weights = np.concatenate(list(poisson_weights(7, 30, 3)))
    for cell in range(5):
        rows = cells == cell
        assert sums[:, cell] == pytest.approx(weights[:, units[rows]] @ terms[rows])


def test_one_face_a_person() -> None:
    cells = np.array([1, 0, 1])
    (sums,) = resampled_sums(np.array([[1.0], [10.0], [100.0]]), cells, 2, np.arange(3), 3, 500, seed=0)
    assert set(sums[:, 0, 0] % 10) == {0}
    assert sums[:, 1, 0].mean() == pytest.approx(101, rel=0.2)


@pytest.mark.parametrize(("people", "each"), [(300, 1), (60, 5)])
def test_the_interval_of_a_mean_holds_it_as_often_as_it_says(people: int, each: int) -> None:
    held = []
    for seed in range(120):
        rng = np.random.default_rng(seed)
        values = np.repeat(rng.normal(0, 1, people), each) + rng.normal(0, 0.1, people * each)
        subjects = np.repeat(np.arange(people), each)
        low, high = bootstrap_interval(values, subjects=subjects, rounds=300, seed=seed)
        held.append(low <= 0 <= high)
    assert 0.88 <= np.mean(held) <= 0.99


def test_ignoring_people_would_make_it_too_narrow() -> None:
    values, subjects = np.repeat(np.random.default_rng(0).normal(0, 1, 50), 16), np.repeat(np.arange(50), 16)
    wide = np.diff(bootstrap_interval(values, subjects=subjects))[0]
    narrow = np.diff(bootstrap_interval(values))[0]
    assert wide == pytest.approx(4 * narrow, rel=0.25)


def test_seeds() -> None:
    values = np.random.default_rng(0).random(100)
    assert bootstrap_interval(values) == bootstrap_interval(values)
    assert bootstrap_interval(values) != bootstrap_interval(values, seed=1)


@pytest.mark.parametrize(
    ("subjects", "units", "count"),
    [
        (None, [0, 1, 2], 3),
        (np.array([7, 7, 3]), [1, 1, 0], 2),
        (np.array(["b", "a", "b"]), [1, 0, 1], 2),
        (np.array(["", "a", ""]), [1, 0, 2], 3),
    ],
)
def test_units(subjects: np.ndarray | None, units: list[int], count: int) -> None:
    made, size = units_of(subjects, 3)
    assert (made.tolist(), size) == (units, count)


def test_percentiles_are_those_of_numpy() -> None:
    replicates = np.random.default_rng(0).random((101, 4))
    low, high = percentile_interval(replicates, 0.95)
    assert low == pytest.approx(np.quantile(replicates, 0.025, axis=0))
    assert high == pytest.approx(np.quantile(replicates, 0.975, axis=0))
    replicates[::3, 1] = np.nan
    assert percentile_interval(replicates, 0.95)[0] == pytest.approx(np.nanquantile(replicates, 0.025, axis=0))
