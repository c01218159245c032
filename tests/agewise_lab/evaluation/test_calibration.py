"""Intervals that hold what they promise on faces that they were not made on, and temperatures that come back."""

from __future__ import annotations

import numpy as np
import pytest

from agewise import decode
from agewise.card import Calibration
from agewise_lab.evaluation.calibration import EDGES, calibrate_intervals, fit_temperature, merged_edges, pooled


def _faces(count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(estimates, stated spreads, truths): errors grow with age, and the stated spread knows only half of it."""
    rng = np.random.default_rng(seed)
    truths = rng.integers(0, 95, count).astype(np.float64)
    noise = 1 + 0.1 * truths
    estimates = np.clip(truths + noise * rng.standard_normal(count), 0, 100)
    spreads = 2 + 0.03 * truths + 0.3 * rng.random(count)
    return estimates, spreads, truths


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    return calibrate_intervals(*_faces(30_000, 0), "synthetic")


def _held(calibration: Calibration, level: float, faces: tuple[np.ndarray, np.ndarray, np.ndarray]) -> np.ndarray:
    pairs = [decode.interval(years, spread, calibration, level) for years, spread, _ in zip(*faces, strict=True)]
    low, high = np.array(pairs).T
    held: np.ndarray = (low <= faces[2]) & (faces[2] <= high)
    return held


@pytest.mark.parametrize("level", [0.8, 0.9, 0.95])
def test_fresh_faces_are_covered_on_the_whole_and_in_each_band(calibration: Calibration, level: float) -> None:
    faces = _faces(20_000, 1)
    held = _held(calibration, level, faces)
    assert held.mean() == pytest.approx(level, abs=0.015)
    table = next(table for table in calibration.intervals if table.level == level)
    band = np.searchsorted(table.edges, faces[0], side="right")
    if level == 0.9:
        assert len(table.radii) >= 9
        for b in range(len(table.radii)):
            assert held[band == b].mean() >= 0.88, f"band {b} of {table.edges}"


def test_without_bands_the_old_would_not_be_covered() -> None:
    """What the bands are for: one radius for all fails where the model does not know its own spread."""
    estimates, spreads, truths = _faces(4000, 0)
    one_band = calibrate_intervals(estimates, spreads, truths, "synthetic")
    table = one_band.intervals[1]
    flat = table.model_copy(update={"edges": (), "radii": (float(np.median(table.radii)),), "counts": (4000,)})
    faces = _faces(20_000, 1)
    held = _held(one_band.model_copy(update={"intervals": (flat,)}), 0.9, faces)
    assert held[faces[0] > 70].mean() < 0.8


def test_the_tables(calibration: Calibration) -> None:
    assert calibration.data == "synthetic"
    assert [table.level for table in calibration.intervals] == [0.8, 0.9, 0.95]
    for table in calibration.intervals:
        assert table.edges == EDGES
        assert sum(table.counts) == 30_000
        assert table.normalised
        assert table.spread_floor == 1.0
    radii = np.array([table.radii for table in calibration.intervals])
    assert (np.diff(radii, axis=0) > 0).all(), "a higher level has wider intervals"


def test_spreads_below_the_floor_are_not_believed() -> None:
    """A model that is sure and wrong gets intervals as wide as its errors."""
    rng = np.random.default_rng(0)
    truths = rng.random(500) * 50 + 20
    estimates = truths + rng.normal(0, 3, 500)
    tables = calibrate_intervals(estimates, np.full(500, 1e-6), truths, "sure")
    low, high = decode.interval(40.0, 1e-6, tables, 0.9)
    assert 3 < (high - low) / 2 < 8


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


def test_an_estimate_on_an_edge_is_counted_where_it_is_decoded() -> None:
    estimates = np.array([19.0] * 60 + [20.0] * 60)
    spreads, truths = np.ones(120), np.concatenate([np.full(60, 18.0), np.full(60, 15.0)])
    tables = calibrate_intervals(estimates, spreads, truths, "edge")
    assert tables.intervals[1].edges == (20.0,)
    assert decode.interval(20.0, 1.0, tables, 0.9) == (15.0, 25.0)
    assert decode.interval(19.0, 1.0, tables, 0.9) == (18.0, 20.0)


def test_too_few_faces() -> None:
    with pytest.raises(ValueError, match=r"18 scores are too few for level 0\.95: at least 19"):
        calibrate_intervals(*_faces(18, 0), "few")
    assert calibrate_intervals(*_faces(19, 0), "enough").intervals[2].edges == ()


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


def test_certainty_does_not_overflow() -> None:
    assert np.isfinite(fit_temperature(np.array([1.0, 0.0, 1.0]), np.array([True, False, False])))


def test_pooled() -> None:
    assert pooled(np.array([1.0, 2.0]), np.array([3.0])).tolist() == [1, 2, 3]
