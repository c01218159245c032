"""Several runs over the same records become one labelled set."""

from __future__ import annotations

import math

import numpy as np
import pytest

from agewise_lab.evaluation.calibration import identities, labelled, pooled
from agewise_lab.evaluation.run import Results


def results(found: list[bool], years: list[float], *, classes: int | None = 3) -> Results:
    n = len(found)
    values = np.where(found, years, math.nan)
    return Results(
        name=np.array([f"{i}.jpg" for i in range(n)]),
        truth=np.arange(n) + 10.0,
        is_female=np.arange(n) % 2 == 0,
        group=np.zeros(n, dtype=np.int64),
        found=np.array(found),
        years=values,
        std_years=values / 10,
        low=values - 1,
        high=values + 1,
        female_probability=values / 100,
        answered=np.array(found),
        gender_sure=values * math.nan,
        probs_over_ages=None
        if classes is None
        else np.where(np.array(found)[:, None], np.ones((n, classes)), math.nan),
    )


def test_pooled() -> None:
    assert pooled(np.array([1.0, 2.0]), np.array([3.0])).tolist() == [1, 2, 3]


def test_rows_that_were_not_found_are_left_out_and_each_knows_its_record() -> None:
    runs = [results([True, True, True], [20.0, 30.0, 40.0]), results([False, True, True], [0.0, 31.0, 41.0])]
    faces = labelled(runs)
    assert faces.years.tolist() == [20, 30, 40, 31, 41]
    assert faces.truths.tolist() == [10, 11, 12, 11, 12]
    assert identities(runs).tolist() == [0, 1, 2, 1, 2]
    assert faces.std_years == pytest.approx(faces.years / 10)
    assert faces.probs_over_ages is not None
    assert faces.probs_over_ages.shape == (5, 3)


def test_without_distributions_there_are_none() -> None:
    assert labelled([results([True], [20.0], classes=None)]).probs_over_ages is None
