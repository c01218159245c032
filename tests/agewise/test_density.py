"""Highest-density sets by hand: gaps, ties, bins of several widths, and what must always be in."""

from __future__ import annotations

import numpy as np
import pytest

from agewise.card import BinsAge, DensityTable, ExpectationAge, RegressionAge
from agewise.density import DensitySets, class_spans, density_masses, true_classes, true_masses

AGES = ExpectationAge(output="p", class_ages=(0, 10, 20, 30, 40))
BINS = BinsAge(output="p", bins=((0, 10), (10, 12), (15, 25)))


def table(*masses: float, edges: tuple[float, ...] = ()) -> DensityTable:
    return DensityTable(level=0.9, edges=edges, masses=masses, counts=(9,) * len(masses))


def test_masses_by_hand() -> None:
    probs = np.array([[0.125, 0.5, 0.25, 0.125, 0.0]])
    assert density_masses(probs).tolist() == [[0.875, 0.5, 0.75, 1.0, 1.0]], "of two alike the earlier one first"


def test_bins_are_ordered_by_density_not_by_mass() -> None:
    widths = np.array([10.0, 2.0, 10.0])
    assert density_masses(np.array([[0.5, 0.25, 0.25]]), widths).tolist() == [[0.75, 0.25, 1.0]]


def test_two_peaks_give_two_ranges_and_one_hull() -> None:
    probs = np.array([[0.05, 0.40, 0.05, 0.45, 0.05]])
    assert DensitySets(AGES, table(0.86)).ranges(probs) == [((10.0, 10.0), (30.0, 30.0))]
    assert DensitySets(AGES, table(0.46)).ranges(probs) == [((30.0, 30.0),)]
    assert DensitySets(AGES, table(1.0)).ranges(probs) == [((0.0, 40.0),)]


def test_the_densest_class_is_in_however_low_the_threshold() -> None:
    assert DensitySets(AGES, table(0.0)).ranges(np.array([[0.1, 0.6, 0.1, 0.1, 0.1]])) == [((10.0, 10.0),)]


def test_each_band_of_the_true_age_has_its_threshold() -> None:
    probs = np.array([[0.2, 0.2, 0.2, 0.2, 0.2]])
    assert DensitySets(AGES, table(0.5, 1.0, edges=(30.0,))).ranges(probs) == [((0.0, 10.0), (30.0, 40.0))]


def test_bins_are_given_by_their_ends() -> None:
    got = DensitySets(BINS, table(0.91)).ranges(np.array([[0.45, 0.45, 0.1], [0.3, 0.1, 0.6]]))
    assert got == [((0.0, 12.0),), ((10.0, 25.0),)], "what lies between two bins belongs to the nearest"


@pytest.mark.parametrize(
    ("truth", "of_ages", "of_bins"),
    [(0.0, 0, 0), (9.0, 1, 0), (10.0, 1, 1), (12.9, 1, 1), (25.0, 3, 2), (26.0, 3, 2), (99.0, 4, 2)],
)
def test_true_classes(truth: float, of_ages: int, of_bins: int) -> None:
    ages, bins = class_spans(AGES), class_spans(BINS)
    assert ages is not None
    assert bins is not None
    assert true_classes(np.array([truth]), ages).tolist() == [of_ages]
    assert true_classes(np.array([truth]), bins).tolist() == [of_bins]


def test_a_true_age_is_in_the_set_exactly_where_its_mass_is_within_the_threshold() -> None:
    rng = np.random.default_rng(0)
    probs = rng.dirichlet(np.full(5, 0.7), 200)
    truths = rng.integers(0, 5, 200) * 10.0
    spans = class_spans(AGES)
    assert spans is not None
    inside = [
        any(low <= truth <= high for low, high in ranges)
        for truth, ranges in zip(truths, DensitySets(AGES, table(0.8)).ranges(probs), strict=True)
    ]
    masses = true_masses(probs, truths, spans)
    assert inside == ((masses <= 0.8) | (masses <= density_masses(probs).min(axis=1))).tolist()


def test_a_model_without_classes_has_none() -> None:
    assert class_spans(RegressionAge(output="a")) is None
    with pytest.raises(ValueError, match="need a distribution over classes; age is a regression"):
        DensitySets(RegressionAge(output="a"), table(0.9))
