"""Models on identical faces: the same numbers as `agewise predict` gives, and which face is taken."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from agewise.decode import median
from agewise.errors import UnknownDetectorError
from agewise.estimate import Estimator
from agewise.store import find_model
from agewise.types import Detection, UInt8Array
from agewise_lab.datasets.record import Record
from agewise_lab.datasets.utkface import read_records
from agewise_lab.evaluation.chain import FaceFinder, _quality, predict_all
from agewise_lab.evaluation.foreign import with_labels
from agewise_lab.evaluation.run import run


@pytest.fixture(scope="module")
def estimator() -> Estimator:
    return Estimator("agewise-s")


class Planned:
    """A detector that finds the same everywhere."""

    name = "planned"

    def __init__(self, finds: Sequence[Detection]) -> None:
        self._finds = list(finds)
        self.shapes: list[tuple[int, ...]] = []

    def detect(self, image_rgb: UInt8Array) -> list[Detection]:
        self.shapes.append(image_rgb.shape)
        return self._finds


def _finder(finds: Sequence[Detection], **fields: object) -> FaceFinder:
    finder = FaceFinder("none", **fields)  # type: ignore[arg-type]
    object.__setattr__(finder, "how", "planned")
    object.__setattr__(finder, "detector", Planned(finds))
    return finder


def test_the_numbers_are_those_of_the_plain_run(pictures: SimpleNamespace, estimator: Estimator) -> None:
    records = read_records(pictures.root).records[:6]
    plain = run(records, pictures.root, estimator)
    done: list[int] = []
    one, other = predict_all(
        records, pictures.root, [estimator, estimator], FaceFinder("none", tight=True), progress=done.append
    )
    for name in ("truth", "years", "std_years", "low", "high", "female_probability", "found"):
        np.testing.assert_array_equal(getattr(one, name), getattr(plain, name), err_msg=name)
        np.testing.assert_array_equal(getattr(other, name), getattr(plain, name), err_msg=name)
    assert done == [1, 2, 3, 4, 5, 6]
    # Clouds are no faces: a version that judges pictures declines them, and says why.
    assert (one.answered == (one.reasons == "")).all()
    assert one.probs_over_ages is not None
    assert one.class_years is not None
    np.testing.assert_array_equal(median(one.probs_over_ages, one.class_years.mean(axis=1)), one.years)
    assert one.provenance.model == f"{estimator.card.name} {estimator.card.version}"
    assert one.provenance.model_sha256 == hashlib.sha256(find_model("agewise-s").data).hexdigest()
    assert one.provenance.crop == "the picture is the crop"
    assert one.quality["face_pixels"].tolist() == [64] * 6


def test_a_face_that_is_not_found_is_counted(pictures: SimpleNamespace, estimator: Estimator) -> None:
    records = read_records(pictures.root).records[:2]
    (table,) = predict_all(records, pictures.root, [estimator], _finder([], tight=True))
    assert len(table) == 2
    assert not table.found.any()
    assert np.isnan(table.years).all()
    assert np.isnan(table.quality["detector_score"]).all()


def test_pictures_that_cannot_be_read_are_counted_and_told(
    tmp_path: Path, pictures: SimpleNamespace, estimator: Estimator
) -> None:
    good = read_records(pictures.root).records[0]
    (tmp_path / good.path).write_bytes((pictures.root / good.path).read_bytes())
    (tmp_path / "bad.jpg").write_bytes(b"no picture")
    records = [dataclasses.replace(good, path="bad.jpg"), good, dataclasses.replace(good, path="gone.jpg")]
    (table,) = predict_all(records, tmp_path, [estimator], FaceFinder("none"))
    assert table.found.tolist() == [False, True, False]
    assert table.provenance.notes == ("2 pictures cannot be read, the first is bad.jpg",)


def test_tight_pictures_are_padded_for_a_detector_and_others_are_not() -> None:
    image = np.zeros((100, 100, 3), dtype=np.uint8)
    record = Record("a", 1.0, None)
    for tight, side in ((True, 160), (False, 100)):
        finder = _finder([Detection((10, 10, 50, 50), 0.9)], tight=tight)
        framed, face = finder(image, record)
        assert framed.shape == (side, side, 3)
        assert isinstance(finder.detector, Planned)
        assert finder.detector.shapes == [(side, side, 3)]
        assert face is not None


def test_the_labelled_face_is_the_one_that_overlaps_its_box_most() -> None:
    image = np.zeros((100, 100, 3), dtype=np.uint8)
    central, labelled = Detection((40, 40, 60, 60), 0.9), Detection((0, 0, 22, 20), 0.5)
    finder = _finder([central, labelled])
    assert finder(image, Record("a", 1.0, None))[1] is central
    assert finder(image, Record("a", 1.0, None, box_xyxy=(0, 0, 20, 20)))[1] is labelled
    assert finder(image, Record("a", 1.0, None, box_xyxy=(80, 80, 99, 99)))[1] is None
    padded = _finder([Detection((30, 30, 50, 50), 0.5)], tight=True)
    assert padded(image, Record("a", 1.0, None, box_xyxy=(0, 0, 20, 20)))[1] is not None


def test_several_labelled_faces_of_one_picture(pictures: SimpleNamespace, estimator: Estimator) -> None:
    record = read_records(pictures.root).records[0]
    records = [dataclasses.replace(record, box_xyxy=box) for box in ((0, 0, 32, 32), (20, 20, 64, 64))]
    (table,) = predict_all(records, pictures.root, [estimator], FaceFinder("labels"))
    assert table.name.tolist() == [f"{record.path}#1", f"{record.path}#2"]
    assert table.years[0] != table.years[1]
    assert table.quality["face_pixels"].tolist() == [32, 44]
    joined = with_labels(table.select(np.array([1, 0])), records, ["", ""])
    np.testing.assert_array_equal(joined.years, table.years)


def test_the_data_sets_own_boxes() -> None:
    image = np.zeros((100, 100, 3), dtype=np.uint8)
    finder = FaceFinder("labels")
    points = np.array([[3.0, 3], [7, 3], [5, 5], [3, 8], [7, 8]])
    framed, face = finder(image, Record("a", 1.0, None, box_xyxy=(0, 0, 10, 10), landmarks_xy=points))
    assert framed is image
    assert face == Detection((0, 0, 10, 10), 1.0)
    assert face is not None
    assert face.landmarks_xy is points
    with pytest.raises(ValueError, match="a.jpg has no box of its own: name a detector"):
        finder(image, Record("a.jpg", 1.0, None))
    with pytest.raises(UnknownDetectorError, match="did you mean 'mtcnn'"):
        FaceFinder("mtcn")


def test_the_quality_that_predictions_carry_is_kept() -> None:
    @dataclasses.dataclass
    class Quality:
        sharpness: float | None
        cut: bool

    rows = [SimpleNamespace(quality=Quality(0.5, True)), None, SimpleNamespace(quality=Quality(None, False))]
    columns = _quality([(0.9, 40.0), (np.nan, np.nan), (0.8, 30.0)], rows)
    expected = {
        "detector_score": [0.9, np.nan, 0.8],
        "face_pixels": [40, np.nan, 30],
        "sharpness": [0.5, np.nan, np.nan],
        "cut": [1, np.nan, 0],
    }
    assert columns.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(columns[name], values)
    assert [column.shape for column in _quality([], []).values()] == [(0,), (0,)]
