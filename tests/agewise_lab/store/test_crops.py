"""Stores: what is in them, that they are whole or not there, and that another version is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from agewise.detect.mtcnn import MtcnnConfig, MtcnnDetector
from agewise.errors import ImageReadError
from agewise.imaging import read_image
from agewise.imaging.crop import CropSpec, crop_face
from agewise.types import Detection, Gender, UInt8Array
from agewise_lab.datasets.record import Record
from agewise_lab.datasets.utkface import GROUPS, read_records
from agewise_lab.store import crops
from agewise_lab.store.crops import build, find_in_chip, open_store, padded


@pytest.fixture(scope="module")
def detector() -> MtcnnDetector:
    return MtcnnDetector(MtcnnConfig(min_face=80))


@pytest.mark.parametrize("in_memory", [False, True])
def test_a_store_gives_back_what_was_stored(pictures: SimpleNamespace, store_folder: Path, in_memory: bool) -> None:
    store = open_store(store_folder, in_memory=in_memory)
    records = read_records(pictures.root).records
    assert len(store) == len(records) == 52
    assert store.name.tolist() == [record.path for record in records]
    assert store.age_years.tolist() == [record.age_years for record in records]
    assert store.is_female.tolist() == [float(record.gender is Gender.FEMALE) for record in records]
    assert [GROUPS[group] for group in store.group] == [record.group for record in records]
    assert store.whole.shape == store.aligned.shape == (52, 40, 40, 3)
    assert store.whole.dtype == np.uint8
    assert isinstance(store.whole, np.memmap) != in_memory
    for i in (0, 30):
        image = read_image(pictures.root / records[i].path)
        entire = Detection((0, 0, image.shape[1], image.shape[0]), 1.0, is_crop=True)
        assert np.array_equal(store.whole[i], crop_face(image, entire, CropSpec(), 40))


def test_only_the_face_is_aligned(pictures: SimpleNamespace, store_folder: Path) -> None:
    store = open_store(store_folder)
    assert store.name[store.found].tolist() == [pictures.face]
    assert (store.score[store.found] > 0.7).all()
    assert (store.score[~store.found] == -1).all()
    same = (store.whole == store.aligned).all(axis=(1, 2, 3))
    assert np.array_equal(same, ~store.found)


def test_a_mapped_store_cannot_be_written_to(store_folder: Path) -> None:
    with pytest.raises(ValueError, match="read-only"):
        open_store(store_folder).whole[0] = 0


def test_near_duplicates_share_a_group(pictures: SimpleNamespace, store_folder: Path) -> None:
    store = open_store(store_folder)
    groups = dict(zip(store.name.tolist(), store.duplicate_group.tolist(), strict=True))
    assert groups[pictures.twins[0]] == groups[pictures.twins[1]]
    assert len(set(groups.values())) == 51


def test_processes_change_nothing(tmp_path: Path, pictures: SimpleNamespace, store_folder: Path) -> None:
    records = read_records(pictures.root).records
    part = [record for record in records if record.path == pictures.face or record.path in pictures.twins]
    build(part, pictures.root, tmp_path / "two", side=40, processes=2)
    two, one = open_store(tmp_path / "two"), open_store(store_folder)
    rows = [one.name.tolist().index(record.path) for record in part]
    assert np.array_equal(two.whole, one.whole[rows])
    assert np.array_equal(two.aligned, one.aligned[rows])
    assert two.found.sum() == 1


def test_an_existing_folder_is_left_alone(tmp_path: Path, pictures: SimpleNamespace) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="remove it, or name another folder"):
        build(read_records(pictures.root).records, pictures.root, tmp_path, processes=1)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_nothing_is_left_of_a_store_that_failed(tmp_path: Path, pictures: SimpleNamespace) -> None:
    root = tmp_path / "pictures"
    shutil.copytree(pictures.root, root)
    records = read_records(root).records
    (root / records[3].path).write_bytes(b"no picture")
    with pytest.raises(ImageReadError, match=records[3].path):
        build(records[:5], root, tmp_path / "store", side=16, processes=1)
    assert [path.name for path in tmp_path.iterdir()] == ["pictures"]


def test_nothing_is_left_of_a_store_that_was_interrupted(
    tmp_path: Path, pictures: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        assert (tmp_path / "store.part" / "whole.npy").exists()
        raise KeyboardInterrupt

    monkeypatch.setattr(crops, "duplicate_groups", interrupt)
    with pytest.raises(KeyboardInterrupt):
        build(read_records(pictures.root).records[:2], pictures.root, tmp_path / "store", side=16, processes=1)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_not_taken_for_a_store_and_is_replaced(
    tmp_path: Path, pictures: SimpleNamespace
) -> None:
    draft = tmp_path / "store.part"
    draft.mkdir()
    (draft / "whole.npy").write_bytes(b"half")
    with pytest.raises(FileNotFoundError, match="no crop store"):
        open_store(draft)
    build(read_records(pictures.root).records[:2], pictures.root, tmp_path / "store", side=16, processes=1)
    assert [path.name for path in tmp_path.iterdir()] == ["store"]
    assert len(open_store(tmp_path / "store")) == 2


@pytest.mark.parametrize(
    ("records", "message"),
    [([], "at least one record"), ([Record("a.jpg", 3.0, None, None)], "a.jpg has no gender label")],
)
def test_records_that_cannot_be_stored(tmp_path: Path, records: list[Record], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(records, tmp_path, tmp_path / "store", processes=1)
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_store_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no crop store: make one with `agewise-lab data build`"):
        open_store(tmp_path)


def test_another_version_is_refused(tmp_path: Path, store_folder: Path) -> None:
    shutil.copytree(store_folder, tmp_path / "old")
    summary = tmp_path / "old" / "store.json"
    fields = json.loads(summary.read_text())
    assert fields == {"version": 1, "count": 52, "side": 40, "found": 1}
    summary.write_text(json.dumps(fields | {"version": 2}))
    with pytest.raises(ValueError, match="version 2, expected 1: build it again"):
        open_store(tmp_path / "old")


def test_the_face_of_a_tight_crop_is_found_in_its_own_pixels(detector: MtcnnDetector, chip: UInt8Array) -> None:
    face = find_in_chip(detector, chip)
    assert face is not None
    assert face.landmarks_xy is not None
    in_the_padded = [found.landmarks_xy for found in detector.detect(padded(chip))]
    assert any(np.array_equal(points - 60, face.landmarks_xy) for points in in_the_padded if points is not None)
    # The chip was aligned by these very landmarks.
    expected = np.asarray(CropSpec().template) * 200
    assert np.abs(face.landmarks_xy - expected).max() < 12
    aligned = crop_face(chip, face, CropSpec(), 200)
    assert np.abs(aligned[20:180, 20:180].astype(int) - chip[20:180, 20:180]).mean() < 12


def test_a_face_elsewhere_does_not_count(
    detector: MtcnnDetector, chip: UInt8Array, clouds: Callable[..., UInt8Array]
) -> None:
    corner = clouds(5, 400)
    corner[:200, :200] = chip
    assert detector.detect(padded(corner)), "the face must be found for this to show anything"
    assert find_in_chip(detector, corner) is None


def test_padding_replicates_the_border(chip: UInt8Array) -> None:
    framed = padded(chip)
    assert framed.shape == (320, 320, 3)
    assert np.array_equal(framed[60:260, 60:260], chip)
    assert np.array_equal(framed[:60, 60:260], np.repeat(chip[:1], 60, axis=0))
    assert (framed[:60, :60] == chip[0, 0]).all()


def test_real_faces(tmp_path: Path, utkface: Path, real_records: tuple[Record, ...]) -> None:
    chosen = real_records[::4]
    build(chosen, utkface, tmp_path / "store", side=64, processes=1)
    store = open_store(tmp_path / "store")
    assert store.found.sum() >= len(chosen) - 1
    assert sorted(store.duplicate_group.tolist()) == list(range(len(chosen)))
    difference = np.abs(store.whole.astype(int) - store.aligned).mean(axis=(1, 2, 3))
    # UTKFace is aligned already, so little changes; but our landmarks are not theirs.
    assert (difference[store.found] > 0.5).all()
    assert float(np.median(difference[store.found])) < 30
