"""What a prediction says of itself: answered or not, its set, and the card's rates; and golden answers taken anew."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from agewise.card import ModelCard
from agewise.engine import OnnxEngine
from agewise.errors import GoldenCheckError, ModelError
from agewise.estimate import Estimator
from agewise.estimate.estimator import thresholds_of
from agewise.estimate.golden import with_golden, write_card
from agewise.quality import ANSWER_ALL, QualityThresholds
from agewise.types import Detection, UInt8Array
from agewise.verdicts import Outcome, Rate

MakeCard = Callable[..., ModelCard]
MakeEstimator = Callable[..., Estimator]

TABLE = {
    "threshold": 18,
    "under": 40,
    "over": 60,
    "failed_under": 30,
    "failed_over": 2,
    "buffers": [7],
    "passed_under": [1],
    "passed_over": [50],
    "data": "a data set",
}


def flat(*levels: int) -> UInt8Array:
    return np.stack([np.full((16, 16, 3), level, dtype=np.uint8) for level in levels])


def test_a_declined_face_keeps_its_estimate(make_estimator: MakeEstimator) -> None:
    estimator = make_estimator(quality=QualityThresholds(min_face_pixels=24))
    image = np.full((50, 50, 3), 102, dtype=np.uint8)
    (declined,) = estimator(image, [Detection((10.0, 10.0, 30.0, 30.0), 0.9)])
    assert not declined.answered
    assert declined.reasons == ("face too small (20 px < 24)", "blurred (sharpness 0.00 < 0.10)")
    assert declined.age_years == pytest.approx(40, abs=1e-4)
    assert declined.age_interval_years == pytest.approx((35, 45), abs=1e-4)
    assert declined.quality is not None
    assert declined.quality.face_pixels == 20
    estimator.answer_all = True
    (answered,) = estimator(image, [Detection((10.0, 10.0, 30.0, 30.0), 0.9)])
    assert (answered.answered, answered.reasons, answered.quality) == (True, (), declined.quality)


@pytest.mark.parametrize("box", [(5.0, 5.0, 6.0, 6.0), (-1.0, -1.0, 0.5, 0.5), (49.5, 49.5, 51.0, 51.0)])
def test_a_face_of_a_pixel_is_estimated_and_declined(
    make_estimator: MakeEstimator, box: tuple[float, float, float, float]
) -> None:
    image = np.full((50, 50, 3), 102, dtype=np.uint8)
    (prediction,) = make_estimator(quality=QualityThresholds())(image, [Detection(box, 0.9)])
    assert prediction.age_years == pytest.approx(40, abs=1e-4)
    assert not prediction.answered
    assert prediction.reasons[0].startswith("face too small (")


def test_crops_alone_are_judged_by_what_they_show(make_estimator: MakeEstimator) -> None:
    thresholds = dataclasses.replace(ANSWER_ALL, min_brightness=0.3, min_face_pixels=99)
    dark, light = make_estimator(quality=thresholds).predict_crops(flat(51, 102))
    assert dark.reasons == ("too dark (brightness 0.20 < 0.30)",)
    assert light.answered


def test_the_interval_and_the_validity_decline(make_card: MakeCard, make_estimator: MakeEstimator) -> None:
    card = make_card(
        validity={"age_years": [0, 70]}, quality=dataclasses.asdict(ANSWER_ALL) | {"max_interval_years": 12}
    )
    young, middle, old = make_estimator(card).predict_crops(flat(26, 128, 204))
    assert young.answered
    assert middle.answered, "10 years wide"
    assert old.reasons == (
        "interval wider than 12 years (16.0)",
        "outside the ages that this model was validated for (80.0, not 0 to 70)",
    )


def test_thresholds_come_from_the_card_else_from_the_library(make_card: MakeCard) -> None:
    validity = {"age_years": [0, 100], "min_face_pixels": 40}
    assert thresholds_of(make_card(quality=None, validity=validity)) == QualityThresholds(min_face_pixels=40)
    assert thresholds_of(make_card(quality={"max_cut": 0.2})) == QualityThresholds(max_cut=0.2)
    assert thresholds_of(make_card()) == ANSWER_ALL


def test_old_cards_have_none_of_it(make_card: MakeCard, make_estimator: MakeEstimator) -> None:
    (prediction,) = make_estimator(make_card()).predict_crops(flat(102))
    assert prediction.age_ranges_years is None
    verdict = prediction.verify()
    assert (verdict.outcome, verdict.false_positive) == (Outcome.PASS, None)


def test_the_cards_rates_travel_with_the_prediction(make_card: MakeCard, make_estimator: MakeEstimator) -> None:
    (prediction,) = make_estimator(make_card(verification=[TABLE])).predict_crops(flat(102))
    verdict = prediction.verify(18, 25)
    assert (verdict.false_positive, verdict.false_negative, verdict.data) == (Rate(1, 40), Rate(2, 60), "a data set")


def test_the_set_of_the_intervals_level(make_card: MakeCard, make_estimator: MakeEstimator) -> None:
    """128 / 2.55 = 50.2 years: .8 on 50, .2 on 51."""
    calibration = make_card().model_dump()["calibration"] | {
        "sets": [
            {"level": 0.9, "edges": [], "masses": [1.0], "counts": [9]},
            {"level": 0.5, "edges": [], "masses": [0.9], "counts": [9]},
        ]
    }
    card = make_card(calibration=calibration)
    assert make_estimator(card).predict_crops(flat(128))[0].age_ranges_years is not None
    (prediction,) = make_estimator(card, level=0.5).predict_crops(flat(128))
    assert prediction.age_ranges_years == ((50.0, 50.0),)


@pytest.mark.parametrize(
    ("edge", "probabilities", "sure"),
    [
        (41, (0.5, 0.99), True),
        (41, (0.99, 0.5), False),
        (41, (None, 0.5), False),
        (41, (0.64, 0.5), False),
        (39, (0.99, 0.5), True),
        (39, (0.5, None), False),
    ],
)
def test_a_gender_is_sure_by_the_probability_at_that_age(
    make_card: MakeCard,
    make_estimator: MakeEstimator,
    edge: float,
    probabilities: tuple[float | None, float | None],
    sure: bool,
) -> None:
    """The tiny network says 40 years, and female with the level's share of .6."""
    table = {"right": 0.9, "edges": [edge], "probabilities": probabilities, "counts": [9, 9], "data": "x"}
    fields: dict[str, Any] = make_card().model_dump()["gender"]
    (prediction,) = make_estimator(make_card(gender=fields | {"sure": table})).predict_crops(flat(102))
    assert (prediction.age_years, prediction.gender_probability) == pytest.approx((40, 0.6), abs=1e-4)
    assert prediction.gender_sure is sure
    (silent,) = make_estimator(make_card()).predict_crops(flat(102))
    assert silent.gender_sure is None


def test_the_kind_of_interval_can_be_chosen(make_card: MakeCard, make_estimator: MakeEstimator) -> None:
    plain = {"kind": "plain", "level": 0.9, "edges": [], "radii": [30], "counts": [9], "normalised": False}
    fields: dict[str, Any] = make_card().model_dump()["calibration"]
    card = make_card(calibration=fields | {"intervals": [*fields["intervals"], plain]})
    (prediction,) = make_estimator(card, interval_kind="plain").predict_crops(flat(51))
    assert prediction.age_interval_years == pytest.approx((0, 50), abs=1e-4), "never below 0"
    with pytest.raises(ModelError, match=r"the card has no normalised interval of level 0\.9; it has none"):
        make_estimator(card, interval_kind="normalised")


# ---------------------------------------------------------------- golden answers


def test_a_new_temperature_gets_new_golden_answers(make_onnx: Callable[..., bytes]) -> None:
    data = make_onnx()
    card = Estimator(engine=OnnxEngine(data)).card
    assert card.gender is not None
    warmer = card.model_copy(update={"gender": card.gender.model_copy(update={"temperature": 0.05})})
    with pytest.raises(GoldenCheckError, match="probability_female"):
        write_card(warmer, data)
    written = Estimator(engine=OnnxEngine(write_card(warmer, data, renew_golden=True))).card
    assert written.gender == warmer.gender
    assert written.golden.probability_female != card.golden.probability_female
    assert written.golden.age_years == pytest.approx(card.golden.age_years, abs=1e-4)


def test_golden_answers_are_those_of_the_file(make_onnx: Callable[..., bytes]) -> None:
    data = make_onnx()
    card = Estimator(engine=OnnxEngine(data)).card
    again = with_golden(card, data, seed=7)
    assert again.golden.age_years == pytest.approx(card.golden.age_years, abs=1e-3)
    assert again.golden.tolerance == 0.02
    assert with_golden(card, data, seed=8).golden.age_years != again.golden.age_years
