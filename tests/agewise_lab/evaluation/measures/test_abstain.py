"""Risk and coverage: by hand, its bounds, ties, and intervals."""

from __future__ import annotations

import numpy as np
import pytest

from agewise_lab.evaluation.measures import aurc_interval, oracle_aurc, risk_coverage


def test_by_hand() -> None:
    curve = risk_coverage(np.array([4.0, 1.0, 3.0, 0.0]), np.array([9.0, 1.0, 4.0, 2.0]))
    assert curve.coverage.tolist() == [0.25, 0.5, 0.75, 1.0]
    assert curve.risk.tolist() == pytest.approx([1, 0.5, 4 / 3, 2])
    assert curve.scores.tolist() == [1, 2, 4, 9]
    assert curve.aurc == pytest.approx((1 + 0.5 + 4 / 3 + 2) / 4)
    assert curve.oracle == pytest.approx((0 + 0.5 + 4 / 3 + 2) / 4)
    assert curve.excess == pytest.approx(0.25)
    assert curve.random == 2


@pytest.mark.parametrize(("coverage", "risk"), [(0.0, 1), (0.25, 1), (0.3, 0.5), (0.5, 0.5), (1.0, 2)])
def test_risk_at(coverage: float, risk: float) -> None:
    curve = risk_coverage(np.array([4.0, 1.0, 3.0, 0.0]), np.array([9.0, 1.0, 4.0, 2.0]))
    assert curve.risk_at(coverage) == pytest.approx(risk)


def test_bounds() -> None:
    errors = np.random.default_rng(0).exponential(5, 500)
    best, worst = risk_coverage(errors, errors), risk_coverage(errors, -errors)
    none = risk_coverage(errors, np.zeros(500))
    assert best.excess == pytest.approx(0)
    assert none.aurc == pytest.approx(errors.mean())
    assert best.aurc < none.aurc < worst.aurc
    assert none.risk == pytest.approx(np.full(500, errors.mean()))


def test_ties_do_not_depend_on_the_order() -> None:
    rng = np.random.default_rng(0)
    errors, scores = rng.random(200), rng.integers(0, 5, 200).astype(float)
    order = rng.permutation(200)
    assert risk_coverage(errors, scores).aurc == pytest.approx(risk_coverage(errors[order], scores[order]).aurc)


def test_interval_holds_the_area() -> None:
    rng = np.random.default_rng(0)
    spread = rng.uniform(1, 10, 400)
    errors = np.abs(rng.normal(0, spread))
    low, high = aurc_interval(errors, spread, rounds=300)
    assert low < risk_coverage(errors, spread).aurc < high
    assert high - low < 1
    people = np.repeat(np.arange(20), 20)
    by_person = aurc_interval(np.repeat(errors[::20], 20), np.repeat(spread[::20], 20), people, rounds=300)
    assert by_person[1] - by_person[0] > high - low


def test_oracle() -> None:
    assert oracle_aurc(np.array([3.0, 0.0, 0.0])) == pytest.approx(1 / 3)


@pytest.mark.parametrize(("errors", "scores"), [([], []), ([1.0], [1.0, 2.0]), ([np.nan], [1.0]), ([1.0], [np.inf])])
def test_what_has_no_curve(errors: list[float], scores: list[float]) -> None:
    with pytest.raises(ValueError, match="one finite error and score a face"):
        risk_coverage(np.array(errors), np.array(scores))
