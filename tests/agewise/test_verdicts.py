"""Verdicts by the challenge rule, and what the card may claim of them."""

from __future__ import annotations

import pytest

from agewise.types import Detection, Face, Prediction
from agewise.verdicts import Outcome, Rate, VerifyTable, challenge_age, judge

TABLE = VerifyTable(
    threshold=18.0,
    under=200,
    over=1000,
    failed_under=150,
    failed_over=10,
    buffers=(0.0, 7.0),
    passed_under=(50, 4),
    passed_over=(990, 700),
    data="a data set",
)


def prediction(years: float, reasons: tuple[str, ...] = ()) -> Prediction:
    return Prediction(years, 2.0, None, None, None, None, answered=not reasons, reasons=reasons, verify_tables=(TABLE,))


@pytest.mark.parametrize(
    ("years", "outcome", "reason"),
    [
        (25.0, Outcome.PASS, "looks 25.0, at least 25"),
        (90.0, Outcome.PASS, "looks 90.0, at least 25"),
        (24.99, Outcome.UNSURE, "looks 25.0, between 18 and 25"),
        (18.0, Outcome.UNSURE, "looks 18.0, between 18 and 25"),
        (17.9, Outcome.FAIL, "looks 17.9, below 18"),
        (0.0, Outcome.FAIL, "looks 0.0, below 18"),
    ],
)
def test_the_challenge_rule(years: float, outcome: Outcome, reason: str) -> None:
    verdict = prediction(years).verify()
    assert (verdict.outcome, verdict.reason, verdict.threshold, verdict.challenge) == (outcome, reason, 18.0, 25.0)


def test_what_is_declined_is_unsure_whatever_its_age() -> None:
    verdict = prediction(90.0, ("blurred (…)", "turned away (…)")).verify(18, 25)
    assert (verdict.outcome, verdict.reason) == (Outcome.UNSURE, "blurred (…); turned away (…)")


def test_no_face_is_unsure() -> None:
    verdict = judge(None, (), (TABLE,), 18, None)
    assert (verdict.outcome, verdict.reason) == (Outcome.UNSURE, "no face found")


def test_the_cards_counts_become_rates() -> None:
    verdict = prediction(30.0).verify(18, 25)
    assert verdict.false_positive == Rate(4, 200)
    assert verdict.false_negative == Rate(10, 1000)
    assert verdict.unsure_over == Rate(290, 1000)
    assert verdict.data == "a data set"
    assert prediction(30.0).verify(18, 18).false_positive == Rate(50, 200)


@pytest.mark.parametrize(("threshold", "challenge"), [(18, 26), (21, 28), (16, None)])
def test_no_claim_where_the_card_has_none(threshold: float, challenge: float | None) -> None:
    verdict = prediction(40.0).verify(threshold, challenge)
    assert verdict.outcome is Outcome.PASS
    assert (verdict.false_positive, verdict.false_negative, verdict.unsure_over, verdict.data) == (None,) * 4


def test_a_side_without_faces_makes_no_claim() -> None:
    empty = VerifyTable(
        threshold=18, under=0, over=9, failed_under=0, failed_over=1, buffers=(7,), passed_under=(0,), passed_over=(5,),
        data="x",
    )  # fmt: skip
    assert judge(30.0, (), (empty,), 18, 25).false_negative is None


def test_the_challenge_is_seven_years_above_by_default() -> None:
    assert [challenge_age(18, None), challenge_age(21, None), challenge_age(18, 18)] == [25, 28, 18]


@pytest.mark.parametrize(
    ("threshold", "challenge"), [(18, 17), (0, 5), (-1, 5), (float("nan"), 25), (18, float("inf"))]
)
def test_ages_that_make_no_sense(threshold: float, challenge: float) -> None:
    with pytest.raises(ValueError, match="0 < threshold <= challenge"):
        prediction(20.0).verify(threshold, challenge)


def test_a_face_has_its_predictions_verdict() -> None:
    face = Face(Detection((0.0, 0.0, 9.0, 9.0), 1.0), prediction(20.0, ("blurred (…)",)))
    assert face.verify() == face.prediction.verify()
    assert (face.answered, face.reasons, face.quality) == (False, ("blurred (…)",), None)


@pytest.mark.parametrize(
    ("wrong", "count", "low", "high"), [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1.0)]
)
def test_wilsons_interval(wrong: int, count: int, low: float, high: float) -> None:
    """Reference values: Wilson's score interval without correction, as tables have it."""
    assert Rate(wrong, count).interval == pytest.approx((low, high), abs=5e-5)
    assert Rate(1, 8).share == 0.125
    assert str(Rate(1, 8)) == "12.5 % (1 of 8)"


@pytest.mark.parametrize(("wrong", "count"), [(0, 0), (-1, 5), (6, 5)])
def test_rates_that_cannot_be(wrong: int, count: int) -> None:
    with pytest.raises(ValueError, match="0 <= wrong <= count"):
        Rate(wrong, count)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"buffers": (0.0,)}, "1 buffers need as many counts"),
        ({"buffers": (7.0, 0.0)}, "buffers must rise"),
        ({"buffers": (-1.0, 7.0)}, "buffers must rise from 0"),
        ({"passed_under": (60, 4)}, "of 200 faces, 150 cannot have failed and 60 passed"),
        ({"failed_over": -1}, "cannot have failed"),
    ],
)
def test_tables_that_cannot_be(changes: dict[str, object], message: str) -> None:
    fields = {name: getattr(TABLE, name) for name in TABLE.__dataclass_fields__} | changes
    with pytest.raises(ValueError, match=message):
        VerifyTable(**fields)


def test_a_declined_prediction_needs_a_reason_and_an_answered_one_has_none() -> None:
    for answered, reasons in ((False, ()), (True, ("blurred",))):
        with pytest.raises(ValueError, match="declined for at least one reason"):
            Prediction(30.0, 0.0, None, None, None, None, answered=answered, reasons=reasons)
