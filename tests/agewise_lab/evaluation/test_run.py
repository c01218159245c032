"""Evaluation goes the way that `agewise predict` goes, and its summaries leave out what was not measured."""

from __future__ import annotations

import dataclasses
import math
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from agewise.card import CARD_KEY, ModelCard
from agewise.detect import make_detector
from agewise.engine import FakeEngine, OnnxEngine
from agewise.estimate import Estimator
from agewise.imaging import read_image
from agewise.store import find_model
from agewise.types import Detection, Gender, UInt8Array
from agewise_lab.datasets.record import Record
from agewise_lab.datasets.utkface import GROUPS, read_records
from agewise_lab.evaluation.run import Results, by_group, most_central, part_of_store, run, summary
from agewise_lab.store.crops import padded


@pytest.fixture(scope="module")
def estimator() -> Estimator:
    return Estimator()


class Planned:
    """A detector that finds what it was told."""

    name = "planned"

    def __init__(self, finds: Sequence[Sequence[Detection]]) -> None:
        self._finds = list(finds)
        self.seen: list[UInt8Array] = []

    def detect(self, image_rgb: UInt8Array) -> list[Detection]:
        self.seen.append(image_rgb)
        return list(self._finds[len(self.seen) - 1])


# ---------------------------------------------------------------- running


def test_bare_pictures_are_the_crops(pictures: SimpleNamespace, estimator: Estimator) -> None:
    records = read_records(pictures.root).records[:5]
    results = run(records, pictures.root, estimator)
    assert results.name.tolist() == [record.path for record in records]
    assert results.truth.tolist() == [record.age_years for record in records]
    assert results.found.all()
    for i, record in enumerate(records):
        image = read_image(pictures.root / record.path)
        (crop,) = make_detector("none").detect(image)
        (prediction,) = estimator(image, [crop])
        assert results.years[i] == prediction.age_years
        assert results.std_years[i] == prediction.age_std_years
        assert (results.low[i], results.high[i]) == prediction.age_interval_years
        assert prediction.gender_probability is not None
        female = results.female_probability[i]
        share = female if prediction.gender is Gender.FEMALE else 1 - female
        assert share == pytest.approx(prediction.gender_probability)
        assert results.is_female[i] == (record.gender is Gender.FEMALE)
        assert GROUPS[results.group[i]] == record.group


def test_a_detector_sees_the_padded_picture(pictures: SimpleNamespace, estimator: Estimator) -> None:
    records = read_records(pictures.root).records[:3]
    near = Detection((30, 30, 70, 70), 0.9)
    far = Detection((0, 0, 30, 30), 0.99)
    detector = Planned([[far, near], [], [near]])
    results = run(records, pictures.root, estimator, detector)
    image = read_image(pictures.root / records[0].path)
    assert np.array_equal(detector.seen[0], padded(image))
    assert results.found.tolist() == [True, False, True]
    (prediction,) = estimator(padded(image), [near])
    assert results.years[0] == prediction.age_years
    for field in ("years", "std_years", "low", "high", "female_probability"):
        assert math.isnan(getattr(results, field)[1])


@pytest.mark.parametrize(
    ("boxes", "chosen"),
    [
        ([(0, 0, 10, 10), (45, 45, 55, 55), (90, 90, 100, 100)], 1),
        ([(0, 0, 100, 100), (40, 40, 50, 50)], 0),  # its centre counts, not its size
        ([(60, 40, 80, 60), (40, 60, 60, 79)], 1),
    ],
)
def test_the_most_central_face(boxes: list[tuple[float, float, float, float]], chosen: int) -> None:
    image = np.zeros((100, 100, 3), dtype=np.uint8)
    faces = [Detection(box, 0.5) for box in boxes]
    assert most_central(image, faces) is faces[chosen]
    assert most_central(image, []) is None


def test_real_pictures_as_crops(utkface: Path, real_records: tuple[Record, ...], estimator: Estimator) -> None:
    records = real_records[::2]
    results = run(records, utkface, estimator)
    for i, record in enumerate(records):
        image = read_image(utkface / record.path)
        (prediction,) = estimator(image, make_detector("none").detect(image))
        assert results.years[i] == prediction.age_years
    assert np.corrcoef(results.years, results.truth)[0, 1] > 0.7
    assert summary(results)["mae"] < 10


def test_a_model_without_gender_and_calibration(pictures: SimpleNamespace) -> None:
    model = Estimator(engine=OnnxEngine(find_model("agewise-s").data))
    fields = model.card.model_dump() | {"gender": None, "calibration": None}
    fields["golden"] |= {"probability_female": None}
    card = ModelCard.model_validate(fields)
    engine = FakeEngine(lambda inputs: model._engine.run(inputs), {CARD_KEY: card.to_json()})
    results = run(read_records(pictures.root).records[:3], pictures.root, Estimator(engine=engine))
    assert np.isnan(results.female_probability).all()
    assert set(summary(results)) == {"count", "found", "answered", "mae", "bias", "cs5"}


# ---------------------------------------------------------------- summaries


@pytest.fixture
def results() -> Results:
    """Six faces; the last one was not found."""
    nan = math.nan
    return Results(
        name=np.array(list("abcdef")),
        truth=np.array([2.0, 10.0, 30.0, 30.0, 80.0, 25.0]),
        is_female=np.array([True, False, True, False, True, False]),
        group=np.array([0, 0, 1, 2, -1, 4]),
        found=np.array([True, True, True, True, True, False]),
        years=np.array([4.0, 10.0, 36.0, 24.0, 70.0, nan]),
        std_years=np.array([1.0, 1.0, 1.0, 1.0, 1.0, nan]),
        low=np.array([0.0, 5.0, 26.0, 14.0, 60.0, nan]),
        high=np.array([14.0, 15.0, 46.0, 34.0, 79.0, nan]),
        female_probability=np.array([0.9, 0.2, 0.4, 0.3, 0.6, nan]),
        answered=np.array([True, True, True, False, True, False]),
        gender_sure=np.array([1.0, 0.0, 1.0, 0.0, 0.0, nan]),
    )


def test_a_summary_by_hand(results: Results) -> None:
    figures = summary(results)
    assert (figures["gender_sure"], figures["gender_right_of_sure"]) == (2 / 5, 1 / 2)
    assert (figures["gender_sure_under_13"], figures["gender_right_of_sure_under_13"]) == (1 / 2, 1)
    assert figures["count"] == 5
    assert figures["found"] == pytest.approx(5 / 6)
    assert figures["answered"] == pytest.approx(4 / 5)
    assert figures["mae"] == pytest.approx((2 + 0 + 6 + 6 + 10) / 5)
    assert figures["bias"] == pytest.approx((2 + 0 + 6 - 6 - 10) / 5)
    assert figures["cs5"] == pytest.approx(2 / 5)
    assert figures["gender"] == pytest.approx(4 / 5)
    assert figures["coverage"] == pytest.approx(4 / 5)
    assert figures["width"] == pytest.approx((14 + 10 + 20 + 20 + 19) / 5)
    assert all(math.isfinite(value) for value in figures.values())


def test_groups(results: Results) -> None:
    rows = by_group(results)
    assert [name for name, row in rows.items() if row["count"]] == [
        "all", "age 0-3", "age 9-12", "age 18-30", "age 76+", "female", "male", "White", "Black", "Asian",
    ]  # fmt: skip
    assert rows["age 18-30"]["found"] == pytest.approx(2 / 3)
    assert rows["other"] == {"count": 0}
    assert rows["White"]["count"] == 2
    assert rows["female"]["mae"] == pytest.approx(6)
    assert sum(row["count"] for name, row in rows.items() if name.startswith("age")) == 5


def test_rows_are_selected_together(results: Results) -> None:
    part = results.select(results.truth == 30)
    assert part.name.tolist() == ["c", "d"]
    for field in dataclasses.fields(Results):
        values = getattr(part, field.name)
        assert values is None if field.name == "probs_over_ages" else len(values) == 2


# ---------------------------------------------------------------- parts of a store


@pytest.mark.parametrize("part", ["validation", "holdout"])
def test_a_part_of_a_store(pictures: SimpleNamespace, store_folder: Path, part: str) -> None:
    records = part_of_store(store_folder, pictures.root, part)
    assert sorted(record.path for record in records) == sorted(getattr(pictures, part))


def test_what_was_trained_on_is_not_measured(pictures: SimpleNamespace, store_folder: Path) -> None:
    with pytest.raises(ValueError, match="'validation' or 'holdout', got 'train': what was trained on proves nothing"):
        part_of_store(store_folder, pictures.root, "train")


def test_a_store_of_other_pictures(
    pictures: SimpleNamespace, store_folder: Path, tmp_path: Path, write_jpeg: Callable[..., None]
) -> None:
    shutil.copy(pictures.root / pictures.holdout[0], tmp_path)
    with pytest.raises(ValueError, match=f"4 pictures of the store are not in {tmp_path}, the first is .*jpg"):
        part_of_store(store_folder, tmp_path, "holdout")
