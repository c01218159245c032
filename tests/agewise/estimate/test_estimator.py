"""Crops to predictions by the card, on a network whose answers can be worked out by hand (see conftest)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from agewise.card import CARD_KEY, ModelCard
from agewise.engine import EngineConfig, FakeEngine, OnnxEngine
from agewise.errors import ArrayError, CardError, GoldenCheckError, ModelError, UnknownModelError
from agewise.estimate import Estimator, check_golden
from agewise.imaging import crop_face
from agewise.types import Detection, Gender, UInt8Array

AnyArray = npt.NDArray[np.generic]
Answer = Callable[[Mapping[str, AnyArray]], dict[str, AnyArray]]
MakeCard = Callable[..., ModelCard]
MakeEngine = Callable[..., FakeEngine]
MakeEstimator = Callable[..., Estimator]

SIZE = 16


def flat_crops(*colours: tuple[int, int, int]) -> UInt8Array:
    return np.broadcast_to(np.array(colours, dtype=np.uint8)[:, None, None], (len(colours), SIZE, SIZE, 3)).copy()


def random_crops(n: int) -> UInt8Array:
    return np.random.default_rng(n).integers(0, 256, (n, SIZE, SIZE, 3), dtype=np.uint8)


def changed(engine: FakeEngine, change: Answer) -> Answer:
    """The engine's own answers, changed."""
    return lambda inputs: change(engine.run(inputs))


# ---------------------------------------------------------------- predictions


def test_predictions_by_hand(make_estimator: MakeEstimator) -> None:
    """(51, 51, 0): 13⅓ years, two thirds on 13 and one on 14, P(female) .2; (255, 204, 153): 80 years, P(female) 1."""
    low, high = make_estimator().predict_crops(flat_crops((51, 51, 0), (255, 204, 153)))
    assert low.age_years == pytest.approx(40 / 3, abs=1e-4)
    assert low.age_std_years == pytest.approx((2 / 9) ** 0.5, abs=1e-4)
    assert low.age_interval_years == pytest.approx((40 / 3 - 3, 40 / 3 + 3), abs=1e-4)
    assert (low.interval_level, low.gender) == (0.9, Gender.MALE)
    assert low.gender_probability == pytest.approx(0.8, abs=1e-6)
    assert high.age_years == pytest.approx(80, abs=1e-4)
    assert high.age_interval_years == pytest.approx((72, 88), abs=1e-4)
    assert high.gender is Gender.FEMALE
    assert high.gender_probability == pytest.approx(1.0, abs=1e-6)
    assert high.probs_over_ages is not None
    assert high.class_ages is not None
    assert high.class_ages[np.argmax(high.probs_over_ages)] == 80


def test_numbers_are_plain_so_that_json_takes_them(make_estimator: MakeEstimator) -> None:
    (prediction,) = make_estimator().predict_crops(random_crops(1))
    assert prediction.age_interval_years is not None
    numbers = [
        prediction.age_years,
        prediction.age_std_years,
        *prediction.age_interval_years,
        prediction.interval_level,
        prediction.gender_probability,
    ]
    assert [type(number) for number in numbers] == [float] * 6


@pytest.mark.parametrize("batch", [1, 2, 3, 7, 8, 100])
def test_however_it_is_split_the_predictions_are_the_same(make_engine: MakeEngine, batch: int) -> None:
    crops = random_crops(7)
    engine = make_engine()
    estimator = Estimator(engine=engine, batch=batch)
    engine.calls.clear()
    got = estimator.predict_crops(crops)
    sizes = [call["image"][0] for call in engine.calls]
    assert sizes == [batch] * (7 // batch) + [7 % batch] * (7 % batch > 0)
    ages, female = estimator.run(crops)
    assert female is not None
    assert [p.age_years for p in got] == pytest.approx(ages.years.tolist(), abs=1e-12)
    for i, prediction in enumerate(got):
        assert prediction.age_years == pytest.approx(float(crops[i].mean()) / 2.55, abs=1e-4)
        assert prediction.probs_over_ages is not None
        assert np.array_equal(prediction.probs_over_ages, ages.probs_over_ages[i])  # type: ignore[index]


@pytest.mark.parametrize("batch", [1, 2, 3, 32])
def test_faces_of_several_pictures_share_calls_and_keep_their_values(
    make_engine: MakeEngine, photo: Any, batch: int
) -> None:
    faces = photo.detector.detections
    wide = np.ascontiguousarray(photo.image_rgb[:130, ::-1])
    pictures = [(photo.image_rgb, faces[:2]), (wide, []), (wide, faces[::-1]), (photo.image_rgb, faces[2:])]
    engine = make_engine()
    estimator = Estimator(engine=engine, batch=batch)
    one_by_one = [estimator(*picture) for picture in pictures]
    engine.calls.clear()
    together = estimator.predict_pictures(pictures)
    assert len(engine.calls) == -(-6 // batch)
    assert [len(predictions) for predictions in together] == [2, 0, 3, 1]
    for got, expected in zip(together, one_by_one, strict=True):
        for a, b in zip(got, expected, strict=True):
            assert (a.age_years, a.gender, a.quality) == (b.age_years, b.gender, b.quality)
            assert (a.age_interval_years, a.reasons) == (b.age_interval_years, b.reasons)
    assert estimator.predict_pictures([]) == []


def test_no_crops_give_no_predictions(make_engine: MakeEngine) -> None:
    engine = make_engine()
    estimator = Estimator(engine=engine)
    engine.calls.clear()
    assert estimator.predict_crops(random_crops(0)) == []
    assert estimator(np.zeros((50, 50, 3), dtype=np.uint8), []) == []
    assert engine.calls == []


def test_a_card_without_gender_or_calibration(make_card: MakeCard, make_estimator: MakeEstimator) -> None:
    golden = make_card().golden.model_dump() | {"probability_female": None}
    card = make_card(gender=None, calibration=None, golden=golden)
    (prediction,) = make_estimator(card).predict_crops(flat_crops((51, 102, 153)))
    assert prediction.age_years == pytest.approx(40, abs=1e-4)
    assert prediction.age_interval_years is None
    assert prediction.interval_level is None
    assert prediction.gender is None
    assert prediction.gender_probability is None


def test_the_level_chooses_the_interval(make_estimator: MakeEstimator) -> None:
    (prediction,) = make_estimator(level=0.5).predict_crops(flat_crops((102, 102, 102)))
    assert prediction.interval_level == 0.5
    assert prediction.age_interval_years == pytest.approx((38, 42), abs=1e-4)


# ---------------------------------------------------------------- all by the card


def test_the_networks_input_is_made_as_the_card_says(make_card: MakeCard) -> None:
    """BGR, scaled, with a mean and a spread of its own in the network's order; and under the input's own name."""
    seen: list[AnyArray] = []

    def answer(inputs: Mapping[str, AnyArray]) -> dict[str, AnyArray]:
        (name,) = inputs
        assert name == "data"
        seen.append(inputs[name].copy())
        return {"age": np.full((len(inputs[name]), 1), 30.0)}

    card = make_card(
        input={
            "name": "data",
            "size": SIZE,
            "color_order": "BGR",
            "scale": 0.5,
            "mean": [1, 2, 3],
            "std": [2, 4, 8],
        },
        age={"kind": "regression", "output": "age"},
        gender=None,
        golden={"seed": 0, "age_years": 30, "age_std_years": 0, "probability_female": None},
    )
    Estimator(engine=FakeEngine(answer, {CARD_KEY: card.to_json()})).predict_crops(flat_crops((10, 20, 30)))
    got = np.asarray(seen[-1], dtype=np.float64)
    assert got.shape == (1, 3, SIZE, SIZE)
    # blue 30: (30 · .5 − 1) / 2 = 7; green 20: (10 − 2) / 4 = 2; red 10: (5 − 3) / 8 = .25
    assert got[0, :, 0, 0].tolist() == [7.0, 2.0, 0.25]
    assert seen[-1].dtype == np.float32


def test_the_decoding_is_the_cards(make_card: MakeCard, make_estimator: MakeEstimator) -> None:
    """The same network, read through other cards."""
    golden = make_card().golden
    half = golden.model_dump() | {"age_years": golden.age_years / 2 + 5, "age_std_years": 0.0}
    card = make_card(age={"kind": "regression", "output": "age", "scale": 50.0, "offset": 5.0}, golden=half)
    (prediction,) = make_estimator(card).predict_crops(flat_crops((51, 102, 153)))
    assert prediction.age_years == pytest.approx(25, abs=1e-4)
    assert prediction.age_std_years == 0.0
    assert prediction.probs_over_ages is None
    other = golden.model_dump() | {"probability_female": 1 - golden.probability_female}  # type: ignore[operator]
    card = make_card(gender={"output": "genders", "order": ["male", "female"]}, golden=other)
    (prediction,) = make_estimator(card).predict_crops(flat_crops((51, 102, 153)))
    assert prediction.gender is Gender.FEMALE
    assert prediction.gender_probability == pytest.approx(0.8, abs=1e-6)


def test_the_crop_is_the_cards(make_card: MakeCard, make_estimator: MakeEstimator) -> None:
    image = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    points = np.array([[40, 30], [60, 32], [51, 45], [43, 55], [58, 56]], dtype=np.float32)
    face = Detection((30.0, 15.0, 70.0, 65.0), 0.9, points)
    for crop in ({"kind": "box", "margin": 0.3, "square": False}, {"kind": "box"}, {"kind": "landmarks"}):
        estimator = make_estimator(make_card(crop=crop))
        expected = crop_face(image, face, estimator.card.crop, SIZE)
        assert np.array_equal(estimator.crop(image, face), expected)
        (prediction,) = estimator(image, [face])
        assert prediction.age_years == pytest.approx(float(expected.mean()) / 2.55, abs=1e-4)


def test_faces_keep_their_order_over_batches(make_estimator: MakeEstimator) -> None:
    image = np.zeros((20, 20 * 9, 3), dtype=np.uint8)
    for i in range(9):
        image[:, 20 * i : 20 * (i + 1)] = 25 * (i + 1)
    faces = [Detection((20.0 * i + 2, 2.0, 20.0 * i + 18, 18.0), 0.9) for i in (4, 0, 8, 2, 6, 1, 7, 3, 5)]
    got = make_estimator(batch=4)(image, faces)
    assert [round(p.age_years * 2.55) for p in got] == [25 * (i + 1) for i in (4, 0, 8, 2, 6, 1, 7, 3, 5)]


# ---------------------------------------------------------------- refused


@pytest.mark.parametrize(
    "shape", [(2, 17, 16, 3), (2, 16, 17, 3), (2, 32, 32, 3), (16, 16, 3), (2, 16, 16, 4), (2, 3, 16, 16)]
)
def test_crops_of_another_shape(make_estimator: MakeEstimator, shape: tuple[int, ...]) -> None:
    message = f"tiny takes uint8 RGB crops (n, 16, 16, 3), got {shape}"
    with pytest.raises(ArrayError, match=re.escape(message)):
        make_estimator().run(np.zeros(shape, dtype=np.uint8))


def test_crops_of_another_type(make_estimator: MakeEstimator) -> None:
    with pytest.raises(ArrayError, match=r"must be uint8 RGB .* got float32 \(2, 16, 16, 3\)"):
        make_estimator().predict_crops(np.zeros((2, 16, 16, 3), dtype=np.float32))


@pytest.mark.parametrize("batch", [0, -1])
def test_a_batch_holds_at_least_one(make_estimator: MakeEstimator, batch: int) -> None:
    with pytest.raises(ValueError, match=f"batch must be at least 1, got {batch}"):
        make_estimator(batch=batch)


def test_an_unknown_level_is_refused_at_once(make_card: MakeCard, make_estimator: MakeEstimator) -> None:
    with pytest.raises(ModelError, match=r"the card has no interval of level 0\.95; it has 0\.9, 0\.5"):
        make_estimator(level=0.95)
    assert make_estimator(make_card(calibration=None), level=0.95).card.calibration is None


def test_a_network_without_a_card() -> None:
    with pytest.raises(CardError, match="engine has no agewise card"):
        Estimator(engine=FakeEngine(lambda _: {}))


def test_an_unknown_model() -> None:
    with pytest.raises(UnknownModelError, match="no model file at "):
        Estimator("no/such/model.onnx")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda out: out | {"probs": out["probs"] * np.nan}, "'probs' holds values that are not finite"),
        (lambda out: out | {"genders": out["genders"] * np.nan}, "'genders' holds values that are not finite"),
        (lambda out: out | {"probs": out["probs"] * 0}, "negative numbers or nothing but zeros"),
        (
            lambda out: out | {"probs": out["probs"][:, :100]},
            "promises 101 classes in 'probs'; the network gave (2, 100)",
        ),
        (lambda out: out | {"probs": out["probs"][:1]}, "tiny gave 1 ages for 2 crops"),
        (lambda out: out | {"genders": out["genders"][:1]}, "tiny gave 1 genders for 2 crops"),
        (lambda out: out | {"genders": out["genders"].reshape(-1)}, "tiny gave 4 genders for 2 crops"),
        (lambda out: {"probs": out["probs"]}, "the card names the output 'genders'; the network has probs"),
    ],
)
def test_a_network_that_breaks_its_promise_later(
    make_card: MakeCard, make_engine: MakeEngine, change: Any, message: str
) -> None:
    """The golden check is passed; then the outputs go wrong."""
    healthy = make_engine()
    spoilt: list[bool] = []

    def answer(inputs: Mapping[str, AnyArray]) -> dict[str, AnyArray]:
        outputs = healthy.run(inputs)
        return change(outputs) if spoilt else outputs

    estimator = Estimator(engine=make_engine(answer=answer))
    estimator.predict_crops(random_crops(2))
    spoilt.append(True)
    with pytest.raises(ModelError, match=re.escape(message)):
        estimator.predict_crops(random_crops(2))


# ---------------------------------------------------------------- the golden check


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (lambda out: out | {"probs": np.roll(out["probs"], 1, axis=1)}, "age_years"),
        (
            lambda out: out | {"probs": np.roll(out["probs"], 2, axis=1) + np.roll(out["probs"], -2, axis=1)},
            "age_std_years",
        ),
        (lambda out: out | {"genders": out["genders"] * 0.5 + [0.3, 0.2]}, "probability_female"),
    ],
)
def test_a_network_that_answers_otherwise_is_refused(make_engine: MakeEngine, change: Any, key: str) -> None:
    message = (
        rf"^tiny 1\.0 does not answer as its card promises: {key} is \d+\.\d{{4}}, expected \d+\.\d{{4}} ± 0\.02\."
    )
    with pytest.raises(GoldenCheckError, match=message):
        Estimator(engine=make_engine(answer=changed(make_engine(), change)))


@pytest.mark.parametrize("field", ["age_years", "age_std_years", "probability_female"])
@pytest.mark.parametrize(("off", "passes"), [(0.015, True), (-0.015, True), (0.025, False), (-0.025, False)])
def test_the_tolerance_holds_on_both_sides(
    make_card: MakeCard, make_estimator: MakeEstimator, field: str, off: float, passes: bool
) -> None:
    golden = make_card().golden.model_dump()
    card = make_card(golden=golden | {field: golden[field] + off})
    if passes:
        make_estimator(card)
    else:
        with pytest.raises(GoldenCheckError, match=f"{field} is"):
            make_estimator(card)


def test_the_card_sets_the_tolerance(make_card: MakeCard, make_estimator: MakeEstimator) -> None:
    golden = make_card().golden.model_dump()
    card = make_card(golden=golden | {"age_years": golden["age_years"] + 0.5, "tolerance": 0.6})
    check_golden(make_estimator(card))


def test_a_model_in_wrong_colours_is_refused(make_card: MakeCard, make_engine: MakeEngine) -> None:
    """What only a file that is served other than it was trained would do: here the card's mean was lost."""
    trained = make_card()
    served = make_card(input={"size": SIZE, "mean": [0.1, 0.1, 0.1]}, golden=trained.golden.model_dump())
    with pytest.raises(GoldenCheckError, match="The file is damaged, or this runtime computes wrongly"):
        Estimator(engine=make_engine(served))


# ---------------------------------------------------------------- on ONNX Runtime


def test_a_real_file_gives_the_same_as_its_parts(onnx_path: Path) -> None:
    estimator = Estimator(onnx_path, engine_config=EngineConfig(threads=2), batch=3)
    crops = random_crops(7)
    got = estimator.predict_crops(crops)
    assert [p.age_years for p in got] == pytest.approx((crops.mean(axis=(1, 2, 3)) / 2.55).tolist(), abs=1e-4)
    females = [p.gender_probability if p.gender is Gender.FEMALE else 1 - p.gender_probability for p in got]  # type: ignore[operator]
    assert females == pytest.approx((crops[..., 0].mean(axis=(1, 2)) / 255).tolist(), abs=1e-5)


def test_a_file_with_anothers_card_is_refused(
    tmp_path: Path, make_card: MakeCard, make_onnx: Callable[..., bytes]
) -> None:
    golden = make_card().golden.model_dump() | {"age_std_years": 0.0}
    path = tmp_path / "changed.onnx"
    path.write_bytes(make_onnx(golden=golden | {"age_years": golden["age_years"] + 1}))
    with pytest.raises(GoldenCheckError, match=r"tiny 1\.0 does not answer as its card promises"):
        Estimator(path)
    path.write_bytes(make_onnx(input={"size": SIZE, "name": "picture"}))
    with pytest.raises(ModelError, match="the network refused"):
        Estimator(path)
    path.write_bytes(make_onnx(input={"size": 32}))
    with pytest.raises(ModelError, match="Got: 32 Expected: 16"):
        Estimator(path)


def test_one_estimator_may_be_used_by_several_threads_at_once(make_onnx: Callable[..., bytes]) -> None:
    estimator = Estimator(engine=OnnxEngine(make_onnx()), batch=2)
    crops = random_crops(5)
    alone = estimator.predict_crops(crops)
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(estimator.predict_crops, [crops] * 40))
    assert all(predictions == alone for predictions in together)
