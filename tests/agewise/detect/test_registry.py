"""Detectors by name: the list, wrong names, missing extras, and the one that looks for nothing."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import numpy as np
import pytest

from agewise.detect import detector_infos, detector_names, make_detector
from agewise.errors import DetectorError, MissingExtraError, UnknownDetectorError


def test_the_default_comes_first_and_every_name_has_a_summary() -> None:
    assert detector_names()[0] == "mtcnn"
    assert [info.name for info in detector_infos()] == list(detector_names())
    assert all(info.summary for info in detector_infos())


@pytest.mark.parametrize(
    ("name", "hint"),
    [("mtcn", "did you mean 'mtcnn'"), ("dlib_hog", "did you mean 'dlib-hog'"), ("zzz", "Known: mtcnn, dlib-hog")],
)
def test_an_unknown_name_gets_the_list_and_the_nearest_match(name: str, hint: str) -> None:
    with pytest.raises(UnknownDetectorError, match=hint):
        make_detector(name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("yunet", "yunet:PATH"),
        ("yunet:/no/such/file.onnx", "no model file at /no/such/file.onnx"),
        ("mtcnn:/some/file.onnx", "takes no model file"),
    ],
)
def test_model_files_are_asked_for_where_needed_and_refused_elsewhere(name: str, message: str) -> None:
    with pytest.raises(DetectorError, match=message):
        make_detector(name)


def test_a_file_that_is_no_yunet_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "yunet.onnx"
    path.write_bytes(b"not a network")
    with pytest.raises(DetectorError, match="YuNet"):
        make_detector(f"yunet:{path}")


@pytest.mark.parametrize(("name", "extra"), [("dlib-hog", "dlib"), ("dlib-cnn", "dlib"), ("lbp", "lbp")])
def test_a_missing_package_is_said_with_the_command_that_installs_it(
    name: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(distribution: str) -> importlib.metadata.Distribution:
        raise importlib.metadata.PackageNotFoundError(distribution)

    monkeypatch.setattr(importlib.metadata, "distribution", nothing)
    monkeypatch.setitem(__import__("sys").modules, "dlib", None)
    monkeypatch.setitem(__import__("sys").modules, "skimage", None)
    monkeypatch.setitem(__import__("sys").modules, "skimage.data", None)
    info = next(info for info in detector_infos() if info.name == name)
    assert not info.available
    assert f"pip install 'agewise[{extra}]'" in info.reason
    with pytest.raises(MissingExtraError, match=rf"agewise\[{extra}\]"):
        make_detector(name)


@pytest.mark.parametrize("shape", [(1, 1, 3), (200, 200, 3), (30, 70, 3)])
def test_none_takes_the_whole_picture(shape: tuple[int, int, int]) -> None:
    (face,) = make_detector("none").detect(np.zeros(shape, dtype=np.uint8))
    assert face.box_xyxy == (0, 0, shape[1], shape[0])
    assert face.is_crop
    assert face.landmarks_xy is None


@pytest.mark.parametrize(("name", "least"), [("mtcnn", 11), ("dlib-hog", 9), ("lbp", 23)])
def test_a_smallest_face_that_cannot_be_found_is_refused(name: str, least: int) -> None:
    pytest.importorskip("dlib" if name.startswith("dlib") else "numpy", reason="needs the extra dlib")
    pytest.importorskip("skimage" if name == "lbp" else "numpy", reason="needs scikit-image")
    with pytest.raises(ValueError, match="min_face"):
        make_detector(name, min_face=least)
