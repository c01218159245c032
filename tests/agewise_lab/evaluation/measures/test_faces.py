"""Columns, bands, and who belongs to no subset."""

from __future__ import annotations

import numpy as np
import pytest

from agewise_lab.evaluation.measures import AGE_BANDS, Faces, band_of


@pytest.mark.parametrize(
    ("age", "band"),
    [
        *((0, "0-3"), (3, "0-3"), (3.99, "0-3"), (4, "4-8"), (12.9, "9-12"), (13, "13-16"), (16.9, "13-16")),
        *((17, "17"), (17.99, "17"), (18, "18-30"), (75.5, "61-75"), (76, "76+"), (116, "76+")),
    ],
)
def test_bands(age: float, band: str) -> None:
    assert AGE_BANDS[band_of(np.array([age]))[0]][0] == band


def test_bands_leave_no_year_out() -> None:
    assert [first for _, first, _ in AGE_BANDS][1:] == [last + 1 for _, _, last in AGE_BANDS][:-1]


def test_unknown_ages_have_no_band() -> None:
    assert band_of(np.array([np.nan, -1.0])).tolist() == [-1, -1]


def test_codes_of_labels() -> None:
    faces = Faces(
        estimates=np.zeros(4),
        is_female=np.array([1.0, 0.0, np.nan, 1.0]),
        group=np.array(["White", "", "Asian", "White"]),
    )
    assert faces.sex_codes.tolist() == [0, 1, -1, 0]
    names, codes = faces.group_codes()
    assert (names, codes.tolist()) == (("Asian", "White"), [1, -1, 0, 1])
    assert faces.band_codes.tolist() == [-1] * 4


def test_rows_are_selected_together() -> None:
    faces = Faces(estimates=np.arange(3.0), truths=np.arange(3.0) + 10, answered=np.array([True, False, True]))
    part = faces.select(faces.estimates > 0)
    assert (part.estimates.tolist(), part.truths.tolist(), part.answered.tolist()) == ([1, 2], [11, 12], [False, True])
    assert part.group is None


def test_columns_of_other_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match=r"truths must be one value a face, \(3,\), got \(2,\)"):
        Faces(estimates=np.zeros(3), truths=np.zeros(2))
