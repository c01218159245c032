"""Which photos a calibration takes, and that what it changes while it looks is as it was afterwards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from agewise.analyzer import Analyzer
from agewise.card import ModelCard
from agewise.errors import CalibrationError
from agewise.estimate import Estimator
from agewise.labels import LabelledPhoto
from agewise.quality import ANSWER_ALL, QualityThresholds
from agewise.recalibrate import recalibrate
from agewise.types import Detection, Gender, UInt8Array


class ByWidth:
    """Finds as many faces as the picture is wider than 20 pixels, each the whole picture."""

    name = "by-width"

    def detect(self, image_rgb: UInt8Array) -> list[Detection]:
        height, width = image_rgb.shape[:2]
        return [Detection((0.0, 0.0, float(width), float(height)), 1.0)] * (width - 20)


@pytest.fixture
def make_photos(tmp_path: Path) -> Callable[..., list[LabelledPhoto]]:
    def make(count: int, *, faces: int = 1, height: int = 21, gender: Gender | None = None) -> list[LabelledPhoto]:
        photos = []
        for i in range(count):
            path = tmp_path / f"{faces}-{height}-{i}.png"
            Image.fromarray(np.full((height, 20 + faces, 3), 60 + i % 120, np.uint8)).save(path)
            photos.append(LabelledPhoto(str(path), 30.0 + i % 40, gender))
        return photos

    return make


def test_what_is_left_out_is_counted(
    make_onnx: Callable[..., bytes], onnx_path: Path, make_photos: Callable[..., list[LabelledPhoto]]
) -> None:
    estimator = Estimator(onnx_path, quality=QualityThresholds(**{**vars_of(ANSWER_ALL), "min_face_pixels": 15.0}))
    analyzer = Analyzer(estimator, ByWidth())
    photos = [*make_photos(100), *make_photos(3, faces=0), *make_photos(2, faces=2), *make_photos(4, height=5)]
    seen = []
    done = recalibrate(
        onnx_path.read_bytes(), analyzer, photos, name="mine", date="2026-01-01", advance=lambda: seen.append(1)
    )
    assert done.faces == 100
    assert done.skipped == {"without a face": 3, "with several faces": 2, "declined": 4}
    assert len(seen) == 109
    assert (done.genders, done.new_gender) == (0, False)
    assert done.held_before is not None
    assert done.width_before is not None
    assert done.card.calibration is not None
    assert done.card.calibration.data == "mine: 100 of 109 photos, detector by-width"


def test_a_wide_old_interval_is_no_reason_to_leave_a_photo_out(
    onnx_path: Path, make_photos: Callable[..., list[LabelledPhoto]]
) -> None:
    thresholds = QualityThresholds(**{**vars_of(ANSWER_ALL), "max_interval_years": 0.5})
    estimator = Estimator(onnx_path, quality=thresholds)
    done = recalibrate(onnx_path.read_bytes(), Analyzer(estimator, ByWidth()), make_photos(100), name="m", date="x")
    assert (done.faces, done.skipped) == (100, {})
    assert estimator.quality == thresholds, "as it was"


def test_one_label_alone_fits_no_temperature(onnx_path: Path, make_photos: Callable[..., list[LabelledPhoto]]) -> None:
    analyzer = Analyzer(Estimator(onnx_path), ByWidth())
    done = recalibrate(
        onnx_path.read_bytes(), analyzer, make_photos(100, gender=Gender.FEMALE), name="m", date="2026-01-01"
    )
    assert (done.genders, done.new_gender) == (100, False)
    assert done.card.gender == analyzer.estimator.card.gender


def test_figures_that_are_no_longer_true_go(
    tmp_path: Path, make_onnx: Callable[..., bytes], make_photos: Callable[..., list[LabelledPhoto]]
) -> None:
    names = ("mae", "coverage", "set_coverage", "width", "gender_ece", "coverage of the worst group, x")
    figures = [{"measure": name, "value": 1.0, "data": "old", "protocol": "old"} for name in names]
    path = tmp_path / "old.onnx"
    path.write_bytes(make_onnx(figures=figures))
    done = recalibrate(path.read_bytes(), Analyzer(Estimator(path), ByWidth()), make_photos(100), name="m", date="x")
    kept = [figure.measure for figure in done.card.figures if figure.data == "old"]
    assert kept == ["mae"]
    again = tmp_path / "again.onnx"
    again.write_bytes(done.model)
    card: ModelCard = Estimator(again).card
    assert card.figures == done.card.figures
    assert card.version == "1.0+own"


def test_ninety_nine_are_too_few(onnx_path: Path, make_photos: Callable[..., list[LabelledPhoto]]) -> None:
    analyzer = Analyzer(Estimator(onnx_path), ByWidth())
    with pytest.raises(CalibrationError, match="needs at least 100 faces, got 99 of 99 photos$"):
        recalibrate(onnx_path.read_bytes(), analyzer, make_photos(99), name="m", date="x")


def vars_of(thresholds: QualityThresholds) -> dict[str, float | None]:
    return {name: getattr(thresholds, name) for name in thresholds.__dataclass_fields__}
