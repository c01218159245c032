"""What is trained on is what is served: the same crops, the same decoding, one home for each formula.

The costliest bug of this field is a training crop or a decoding that differs a little from the served one: nothing
fails, all answers are slightly wrong. Here both sides are run and compared by value.
"""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from agewise import Analyzer, Detection, Estimator, Gender, make_detector, read_image
from agewise.imaging.crop import UTKFACE_TEMPLATE, CropSpec, crop_face
from agewise.types import UInt8Array
from agewise_lab.datasets.utkface import Record, read_records
from agewise_lab.evaluation.run import most_central, run
from agewise_lab.store.crops import CropStore, build, find_in_chip, open_store, padded
from agewise_lab.training.data import PlainBatches

MOST_GREY_LEVELS = 2.0  # mean absolute difference: a stored crop is resampled twice, a served one once


@pytest.fixture(scope="module")
def photo() -> UInt8Array:
    """A real photo with one face, uint8 RGB (512, 512, 3)."""
    data = pytest.importorskip("skimage.data", reason="the photo comes with scikit-image")
    return np.asarray(data.astronaut())


@pytest.fixture(scope="module")
def estimator() -> Estimator:
    return Estimator()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, photo: UInt8Array) -> Path:
    """The photo's face, cut tightly and askew, in pictures of several sizes, one of them mirrored; UTKFace's names."""
    folder = tmp_path_factory.mktemp("parity")
    (face, *_) = make_detector("mtcnn").detect(photo)
    for i, (side, angle) in enumerate([(200, 0), (200, 8), (130, -6), (330, 3), (64, 0)]):
        chip = crop_face(photo, face, CropSpec(), side)
        turn = cv2.getRotationMatrix2D((side / 2, side / 2), angle, 1.05)
        chip = np.asarray(cv2.warpAffine(chip, turn, (side, side), borderMode=cv2.BORDER_REFLECT), dtype=np.uint8)
        chip = chip[:, ::-1] if i % 2 else chip
        assert cv2.imwrite(str(folder / f"41_1_0_2017000000000000{i}.jpg"), chip[:, :, ::-1])
    return folder


@pytest.fixture(scope="module")
def records(root: Path) -> tuple[Record, ...]:
    return read_records(root).records


def _store(records: tuple[Record, ...], root: Path, folder: Path) -> CropStore:
    build(records, root, folder / "store", processes=1)
    return open_store(folder / "store")


def _trained_on(store: CropStore, size: int) -> tuple[UInt8Array, UInt8Array]:
    """(whole, aligned): what a network sees of each picture without augmentation, uint8 (n, size, size, 3)."""
    whole, aligned = (batch["image"].numpy().transpose(0, 2, 3, 1) for batch in PlainBatches(store, np.arange(len(store)), size, 999))
    return whole, aligned


def _grey_levels(a: UInt8Array, b: UInt8Array) -> float:
    return float(np.abs(a.astype(int) - b.astype(int)).mean())


def _check_crops(records: tuple[Record, ...], root: Path, folder: Path, estimator: Estimator) -> None:
    store = _store(records, root, folder)
    size = estimator.card.input.size
    whole, aligned = _trained_on(store, size)
    for i, record in enumerate(records):
        image = read_image(root / record.path)
        (entire,) = make_detector("none").detect(image)
        assert _grey_levels(whole[i], estimator.crop(image, entire)) <= MOST_GREY_LEVELS, record.path
        if not store.found[i]:
            continue
        # The face that the store found, cut from the padded picture by the served function.
        face = _as_in_the_store(image)
        assert _grey_levels(aligned[i], estimator.crop(padded(image), face)) <= MOST_GREY_LEVELS, record.path
        assert _grey_levels(aligned[i], whole[i]) > 2 * MOST_GREY_LEVELS or _is_upright(face), record.path


def _as_in_the_store(image_rgb: UInt8Array) -> Detection:
    """The store's own find, in the pixels of the padded picture."""
    from agewise_lab.store import crops

    face = find_in_chip(crops._detector(min(image_rgb.shape[:2])), image_rgb)
    assert face is not None
    assert face.landmarks_xy is not None
    pad = (padded(image_rgb).shape[0] - image_rgb.shape[0]) // 2
    x0, y0, x1, y1 = face.box_xyxy
    return Detection((x0 + pad, y0 + pad, x1 + pad, y1 + pad), face.score, face.landmarks_xy + pad)


# ---------------------------------------------------------------- crops


def test_training_and_serving_cut_the_same_crops(
    tmp_path: Path, root: Path, records: tuple[Record, ...], estimator: Estimator
) -> None:
    _check_crops(records, root, tmp_path, estimator)


def test_the_comparison_sees_a_shift_of_one_pixel(root: Path, records: tuple[Record, ...], estimator: Estimator) -> None:
    """What the tolerance of two grey levels is worth."""
    image = read_image(root / records[0].path)
    (entire,) = make_detector("none").detect(image)
    side = image.shape[0]
    step = 1.0 * side / estimator.card.input.size
    shifted = Detection((step, 0, side + step, side), 1.0, is_crop=True)
    assert _grey_levels(estimator.crop(image, entire), estimator.crop(image, shifted)) > MOST_GREY_LEVELS
