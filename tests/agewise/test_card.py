"""Cards: what goes in comes out, what makes no sense is refused by name, and the synthetic crop never changes."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from agewise.card import CARD_KEY, CARD_VERSION, ModelCard, read_card, synthetic_crop
from agewise.engine import OnnxEngine
from agewise.errors import CardError
from agewise.imaging import UTKFACE_TEMPLATE, CropSpec
from agewise.types import Gender

Fields = Callable[..., dict[str, Any]]

SURE = {"right": 0.9, "edges": [13], "probabilities": [0.8, None], "counts": [8, 9], "data": "x"}
AGES: list[dict[str, Any]] = [
    {"kind": "expectation", "output": "p", "class_ages": [0, 1.5, 100], "activation": "softmax"},
    {"kind": "bins", "output": "p", "bins": [[0, 3], [4, 7], [60, 101]], "activation": "none"},
    {"kind": "regression", "output": "a", "log_variance_output": "v", "scale": 100.0, "offset": -2.0},
    {"kind": "regression", "output": "a"},
    {
        "kind": "soft-stagewise",
        "probs": ["p1", "p2"],
        "deltas": ["d1", "d2"],
        "etas": ["e1", "e2"],
        "age_range": 101.0,
        "lambda_d": 0.5,
        "lambda_local": 0.25,
    },
]


def read(text: str) -> ModelCard:
    return read_card({CARD_KEY: text, "producer": "someone"}, "model.onnx")


def within(fields: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy of a card's fields with one inner field replaced, or removed where the value is `...`."""
    copy: dict[str, Any] = json.loads(json.dumps(fields))
    *folders, last = path.split(".")
    part: Any = copy
    for name in folders:
        part = part[int(name)] if isinstance(part, list) else part[name]
    if value is ...:
        del part[last]
    else:
        part[int(last) if isinstance(part, list) else last] = value
    return copy


# ---------------------------------------------------------------- round trip


@pytest.mark.parametrize("age", AGES, ids=[f"{age['kind']}-{i}" for i, age in enumerate(AGES)])
def test_there_and_back(card_fields: Fields, age: dict[str, Any]) -> None:
    card = ModelCard.model_validate(card_fields(age=age))
    assert read(card.to_json()) == card
    got = card.age.model_dump()
    assert {name: got[name] for name in age} == tuples(age)
    assert "\n" not in card.to_json()


def tuples(part: dict[str, Any]) -> dict[str, Any]:
    def tupled(value: Any) -> Any:
        return tuple(map(tupled, value)) if isinstance(value, list) else value

    return {name: tupled(value) for name, value in part.items()}


def test_awkward_floats_come_back_exactly(card_fields: Fields) -> None:
    fields = card_fields(input={"size": 64, "scale": 1 / 255, "mean": [0.1, 0.2, 0.1 + 0.2], "std": [1 / 3, 1e-3, 7.0]})
    card = read(ModelCard.model_validate(fields).to_json())
    assert card.input.scale == 1 / 255
    assert card.input.mean == (0.1, 0.2, 0.1 + 0.2)
    assert card.input.std == (1 / 3, 1e-3, 7.0)


def test_what_a_card_need_not_say(card_fields: Fields) -> None:
    fields = card_fields(
        input={"size": 64},
        crop={},
        gender=None,
        calibration=None,
        golden={"seed": 0, "age_years": 30.0, "age_std_years": 0.0, "probability_female": None},
    )
    del fields["figures"]
    card = read(json.dumps(fields))
    assert (card.input.name, card.input.color_order, card.input.scale) == ("image", "RGB", 1 / 255)
    assert (card.input.mean, card.input.std) == ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    assert card.crop == CropSpec(kind="landmarks", template=UTKFACE_TEMPLATE, margin=0.0, square=True)
    assert (card.gender, card.calibration, card.figures) == (None, None, ())
    assert card.golden.tolerance == 0.02


def test_the_crop_and_the_labels_come_back_as_their_own_types(card_fields: Fields) -> None:
    card = read(json.dumps(card_fields(crop={"kind": "box", "margin": 0.4, "square": False})))
    assert card.crop == CropSpec(kind="box", margin=0.4, square=False)
    assert card.gender is not None
    assert card.gender.order == (Gender.FEMALE, Gender.MALE)


def test_a_card_cannot_be_changed(card_fields: Fields) -> None:
    card = ModelCard.model_validate(card_fields())
    with pytest.raises(ValueError, match="frozen"):
        card.input.size = 32
    with pytest.raises(ValueError, match="frozen"):
        card.name = "other"


def test_a_card_from_a_real_model_file(make_onnx: Callable[..., bytes]) -> None:
    card = read_card(OnnxEngine(make_onnx(name="of-a-file")).metadata, "model.onnx")
    assert card.name == "of-a-file"
    assert card.age.kind == "regression"


# ---------------------------------------------------------------- refused


def test_no_card() -> None:
    message = "model.onnx has no agewise card (metadata key 'agewise_card')"
    with pytest.raises(CardError, match=re.escape(message)):
        read_card({"name": "mtcnn"}, "model.onnx")


@pytest.mark.parametrize(
    ("version", "message"),
    [
        (CARD_VERSION + 1, "has a card of version 2; this agewise reads version 1: update agewise"),
        (99, "has a card of version 99; this agewise reads version 1: update agewise"),
        (0, "has a card of version 0; this agewise reads version 1: export the model again"),
        ("new", "makes no sense: card_version:"),
        (None, "makes no sense: card_version:"),
        (..., "makes no sense: card_version: Field required"),
    ],
)
def test_an_unknown_version(card_fields: Fields, version: Any, message: str) -> None:
    fields = within(card_fields(), "card_version", version)
    with pytest.raises(CardError, match=re.escape(message)) as caught:
        read(json.dumps(fields))
    assert str(caught.value).startswith("model.onnx has a card ")


def test_a_newer_card_is_named_as_such_whatever_else_it_holds() -> None:
    with pytest.raises(CardError, match="card of version 2.*update agewise"):
        read('{"card_version": 2, "all": "different"}')


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"card"', "card", '{"card_version": 1}', "{}"])
def test_text_that_is_no_card(text: str) -> None:
    with pytest.raises(CardError, match=r"^model\.onnx has a card that makes no sense: [^\n]+$"):
        read(text)


@pytest.mark.parametrize(
    "path", ["surprise", "input.surprise", "crop.surprise", "age.surprise", "gender.surprise", "golden.surprise"]
)
def test_an_unknown_field_is_refused_and_named(card_fields: Fields, path: str) -> None:
    named = path.replace("age.", "age.expectation.")
    with pytest.raises(CardError, match=rf"makes no sense: {re.escape(named)}: "):
        read(json.dumps(within(card_fields(), path, 1)))


@pytest.mark.parametrize("path", ["name", "input", "input.size", "crop", "age", "gender", "licences.data", "golden"])
def test_a_missing_field_is_named(card_fields: Fields, path: str) -> None:
    with pytest.raises(CardError, match=rf"makes no sense: {re.escape(path)}: Field required"):
        read(json.dumps(within(card_fields(), path, ...)))


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("name", "Agewise S", "name: "),
        ("name", "../s", "name: "),
        ("input.size", 4, "input.size: "),
        ("input.size", 64.5, "input.size: "),
        ("input.color_order", "GBR", "input.color_order: Input should be 'RGB' or 'BGR'"),
        ("input.scale", 0, "input.scale: "),
        ("input.mean", [0, 0], "input.mean"),
        ("input.std", [1, 0, 1], "input.std.1: Input should be greater than 0"),
        ("input.std", [1, 1, -1], "input.std.2: "),
        ("input.mean", [0, float("nan"), 0], "input.mean.1: Input should be a finite number"),
        ("crop.kind", "ellipse", "crop.kind: "),
        ("crop.margin", 9, "crop: margin is a share of the box, -0.4 to 2, got 9"),
        ("crop.template", [[0.1, 0.2]], "crop: a landmark template has five points"),
        ("crop.template", [[38, 51], [73, 51], [56, 71], [41, 92], [70, 92]], "crop: a landmark template is in shares"),
        ("crop.template", [[-0.1, 0], [1, 0], [0.5, 0.5], [0, 1], [1, 1]], "a landmark template is in shares"),
        ("age.kind", "argmax", "age: "),
        ("age.kind", ..., "age: "),
        ("age.class_ages", [30], "age.expectation.class_ages: "),
        ("age.class_ages", [0, 2, 1], "age.expectation: class_ages must rise, got (0.0, 2.0, 1.0)"),
        ("age.class_ages", [0, 1, 1], "age.expectation: class_ages must rise"),
        ("age.class_ages", [0, float("inf")], "age.expectation.class_ages.1: "),
        ("age.activation", "sigmoid", "age.expectation.activation: "),
        ("age", {"kind": "bins", "output": "p", "bins": [[0, 5], [5, 5]]}, "age.bins: bins must be [low, high)"),
        ("age", {"kind": "bins", "output": "p", "bins": [[0, 6], [5, 9]]}, "without overlap"),
        ("age", {"kind": "bins", "output": "p", "bins": [[9, 12], [0, 9]]}, "rising"),
        ("age", AGES[4] | {"deltas": ["d1"]}, "one output a stage each, got 2, 1 and 2"),
        ("age", AGES[4] | {"etas": ["e1", "e2", "e3"]}, "one output a stage each, got 2, 2 and 3"),
        ("age", AGES[4] | {"age_range": 0}, "age.soft-stagewise.age_range: "),
        ("gender.order", ["female", "female"], "gender: order must name both labels once, got female, female"),
        ("gender.order", ["female", "other"], "gender.order.1: Input should be 'female' or 'male'"),
        ("gender.order", [0, 1], "gender.order.0: "),
        ("gender.temperature", 0, "gender.temperature: "),
        ("gender.sure", SURE | {"probabilities": [0.8]}, "gender.sure: 1 edges need 2 probabilities and counts"),
        ("gender.sure", SURE | {"counts": [8, 9, 9]}, "gender.sure: 1 edges need 2 probabilities and counts"),
        ("gender.sure", SURE | {"probabilities": [0.4, 0.5]}, "gender.sure.probabilities.0: "),
        ("gender.sure", SURE | {"right": 1}, "gender.sure.right: "),
        ("gender.sure", SURE | {"edges": [5, 5], "probabilities": [None] * 3, "counts": [1] * 3}, "edges must rise"),
        ("calibration.intervals", [], "calibration.intervals: "),
        ("calibration.intervals.0.level", 1, "calibration.intervals.0.level: "),
        ("calibration.intervals.0.level", 0.5, "calibration: one table a kind and level, got"),
        ("calibration.intervals.0.edges", [60, 20], "calibration.intervals.0: edges must rise, got (60.0, 20.0)"),
        ("calibration.intervals.0.edges", [20, 20], "edges must rise"),
        ("calibration.intervals.0.edges", [20], "calibration.intervals.0: 1 edges need 2 radii and counts"),
        ("calibration.intervals.0.counts", [9], "2 edges need 3 radii and counts"),
        ("calibration.intervals.0.radii", [3, -1, 8], "calibration.intervals.0.radii.1: "),
        ("calibration.intervals.0.counts", [3, -1, 8], "calibration.intervals.0.counts.1: "),
        ("calibration.intervals.0.spread_floor", -1, "calibration.intervals.0.spread_floor: "),
        ("validity.age_years", [90, 10], "validity: age_years must be (low, high)"),
        ("validity.min_face_pixels", 0, "validity.min_face_pixels: "),
        ("golden.seed", -1, "golden.seed: "),
        ("golden.seed", 2**31, "golden.seed: "),
        ("golden.age_std_years", -0.1, "golden.age_std_years: "),
        ("golden.probability_female", 1.1, "golden.probability_female: "),
        ("golden.tolerance", 0, "golden.tolerance: "),
        ("golden.probability_female", None, "card: golden.probability_female is there exactly where"),
        ("gender", None, "card: golden.probability_female is there exactly where the card has a gender"),
    ],
)
def test_cards_that_make_no_sense(card_fields: Fields, path: str, value: Any, message: str) -> None:
    with pytest.raises(CardError) as caught:
        read(json.dumps(within(card_fields(), path, value)))
    assert str(caught.value).startswith("model.onnx has a card that makes no sense: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "Value error" not in str(caught.value)


# ---------------------------------------------------------------- the synthetic crop

PINNED = [
    # seed, size, sha256 of the bytes: golden checks of published files stand on these
    (0, 16, "c28511f662cb11372cb0dd3c028cc3a712b22351f6b75074a8e6d1ee383ee538"),
    (7, 64, "2f9717cdb4ca2188ffa1976cf701b28b1ed573767aef0da8087df4b87c246842"),
    (2**31 - 1, 64, "3f5d50d607f178fe382d4536077c6b4a1dd0533d824eee8ef3656c5ae197a447"),
    (1, 227, "ab83ceac0c8a6a0574ce26cf6b7be8ca4be5e18268cd6287bf145d4323647269"),
]


@pytest.mark.parametrize(("seed", "size", "sha256"), PINNED)
def test_the_synthetic_crop_is_pinned(seed: int, size: int, sha256: str) -> None:
    crop = synthetic_crop(seed, size)
    assert crop.shape == (size, size, 3)
    assert crop.dtype == np.uint8
    assert hashlib.sha256(crop.tobytes()).hexdigest() == sha256


def test_the_synthetic_crop_by_plain_integers() -> None:
    """The formula, pixel by pixel, in integers that have no width."""
    seed, size = 123_456_789, 24
    crop = synthetic_crop(seed, size)
    for y in range(size):
        for x in range(size):
            for channel in range(3):
                hashed = (x * 73856093) ^ (y * 19349663) ^ ((channel + 1) * 83492791) ^ (seed * 2654435761)
                wave = ((x * (channel + 3) * 5 + y * 7 + seed * 11) * 256 // size) % 384
                assert crop[y, x, channel] == min((hashed >> 7) % 64 + abs(wave - 192), 255)


def test_the_synthetic_crop_tells_mistakes_apart() -> None:
    """A golden check on it sees swapped channels, a mirrored or turned crop, and another seed."""
    crop = synthetic_crop(3, 64).astype(float)
    others = [crop[..., ::-1], crop[:, ::-1], crop[::-1], crop.transpose(1, 0, 2), synthetic_crop(4, 64).astype(float)]
    for other in others:
        assert np.abs(crop - other).mean() > 20


# ---------------------------------------------------------------- what came later


def test_fields_that_old_cards_lack(card_fields: Fields) -> None:
    fields = card_fields()
    del fields["quality"]
    card = read(json.dumps(fields))
    assert (card.quality, card.verification) == (None, ())
    assert card.calibration is not None
    assert (card.calibration.served, card.calibration.sets, card.calibration.faces) == ("mondrian", (), None)
    assert {table.kind for table in card.calibration.intervals} == {"mondrian"}


NEW_CALIBRATION: dict[str, Any] = {
    "data": "own photos",
    "served": "label-conditional",
    "intervals": [
        {"kind": kind, "level": 0.9, "edges": edges, "radii": radii, "counts": radii, "normalised": kind != "plain"}
        for kind, edges, radii in (
            ("label-conditional", [20], [3, 5]),
            ("mondrian", [30], [4, 6]),
            ("normalised", [], [7]),
            ("plain", [], [8]),
        )
    ],
    "sets": [{"level": 0.9, "edges": [18], "masses": [0.8, 0.95], "counts": [9, 99]}],
    "faces": 108,
    "date": "2026-11-25",
    "sha256": "0" * 64,
}
VERIFY = {
    "threshold": 18, "under": 9, "over": 9, "failed_under": 5, "failed_over": 1, "buffers": [0, 7],
    "passed_under": [4, 1], "passed_over": [8, 6], "data": "own photos",
}  # fmt: skip


def test_new_fields_there_and_back(card_fields: Fields) -> None:
    fields = card_fields(
        calibration=NEW_CALIBRATION, quality={"min_face_pixels": 40, "max_interval_years": 30.5}, verification=[VERIFY]
    )
    card = ModelCard.model_validate(fields)
    assert read(card.to_json()) == card
    assert card.quality is not None
    assert (card.quality.min_face_pixels, card.quality.max_interval_years) == (40, 30.5)
    assert card.verification[0].passed_under == (4, 1)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("calibration.served", "hpd", "calibration.served"),
        ("calibration.intervals.0.kind", "mondrian", "one table a kind and level"),
        ("calibration.intervals.3.normalised", True, "a plain table has one band and normalised=False"),
        ("calibration.intervals.2.edges", [50], "1 edges need 2 radii"),
        ("calibration.sets.0.masses", [0.8], "1 edges need 2 masses and counts"),
        ("calibration.sets.0.masses", [0.8, 1.2], "masses"),
        ("calibration.sha256", "short", "calibration.sha256"),
        ("calibration.faces", 0, "calibration.faces"),
        ("quality.max_cut", -1, "max_cut must be 0 or more"),
        ("quality.max_cuts", 1, "quality"),
        ("verification.0.passed_over", [9, 9], "cannot have failed"),
        ("verification.0.passed_under", [9], "2 buffers need as many counts"),
    ],
)
def test_new_fields_that_make_no_sense(card_fields: Fields, path: str, value: Any, message: str) -> None:
    fields = card_fields(calibration=NEW_CALIBRATION, quality={"max_cut": 0.5}, verification=[VERIFY])
    with pytest.raises(CardError, match=re.escape(message)):
        read(json.dumps(within(fields, path, value)))


def test_two_tables_of_one_threshold(card_fields: Fields) -> None:
    with pytest.raises(CardError, match=re.escape("one table of verification a threshold, got [18.0, 18.0]")):
        read(json.dumps(card_fields(verification=[VERIFY, VERIFY])))


def test_sets_need_a_distribution(card_fields: Fields) -> None:
    with pytest.raises(CardError, match="highest-density sets need a distribution over classes; age is a regression"):
        read(json.dumps(card_fields(calibration=NEW_CALIBRATION, age={"kind": "regression", "output": "a"})))


def test_the_kind_that_is_served_must_be_there(card_fields: Fields) -> None:
    calibration = NEW_CALIBRATION | {"intervals": NEW_CALIBRATION["intervals"][1:]}
    with pytest.raises(CardError, match="the kind that is served, label-conditional, has no table"):
        read(json.dumps(card_fields(calibration=calibration)))
