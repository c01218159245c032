"""Detectors by name. Each is imported only when it is asked for."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from agewise.detect.base import Detector
from agewise.engine import EngineConfig
from agewise.errors import DetectorError, UnknownDetectorError, unknown_name


@dataclass(frozen=True, slots=True)
class DetectorInfo:
    """One detector, for people.

    Args:
        name: by which it is chosen.
        summary: what it is.
        landmarks: whether it gives five landmarks, so that faces are aligned.
        extra: the extra that it needs, or None.
        available: whether it can be used here.
        reason: why not, and what to do; empty where it can.
    """

    name: str
    summary: str
    landmarks: bool
    extra: str | None
    available: bool
    reason: str


@dataclass(frozen=True, slots=True)
class _Entry:
    make: Callable[[int | None, EngineConfig | None, Path | None], Detector]
    summary: str
    landmarks: bool
    extra: str | None = None
    distributions: tuple[str, ...] = ()
    needs_model: bool = False


def _mtcnn(min_face: int | None, engine_config: EngineConfig | None, model: Path | None) -> Detector:
    from agewise.detect.mtcnn import MtcnnConfig, MtcnnDetector

    return MtcnnDetector(MtcnnConfig(min_face=min_face), engine_config)


def _dlib(
    kind: Literal["hog", "cnn"],
    points: Literal[5, 68],
    min_face: int | None,
    engine_config: EngineConfig | None,
    model: Path | None,
) -> Detector:
    from agewise.detect.dlib_detectors import DlibConfig, DlibDetector

    return DlibDetector(DlibConfig(kind=kind, points=points, min_face=min_face))


def _lbp(min_face: int | None, engine_config: EngineConfig | None, model: Path | None) -> Detector:
    from agewise.detect.lbp import LbpDetector

    return LbpDetector(min_face)


def _yunet(min_face: int | None, engine_config: EngineConfig | None, model: Path | None) -> Detector:
    from agewise.detect.yunet import YunetDetector

    return YunetDetector(model, min_face)


def _none(min_face: int | None, engine_config: EngineConfig | None, model: Path | None) -> Detector:
    from agewise.detect.none import WholePicture

    return WholePicture()


_DLIB = ("dlib-bin", "face_recognition_models")
_ENTRIES = {
    "mtcnn": _Entry(_mtcnn, "three small networks in a cascade, embedded; the default", True),
    "dlib-hog": _Entry(partial(_dlib, "hog", 5), "dlib's HOG detector, 5 landmarks", True, "dlib", _DLIB),
    "dlib-hog-68": _Entry(partial(_dlib, "hog", 68), "dlib's HOG detector, 68 landmarks", True, "dlib", _DLIB),
    "dlib-cnn": _Entry(partial(_dlib, "cnn", 5), "dlib's CNN detector (slow), 5 landmarks", True, "dlib", _DLIB),
    "dlib-cnn-68": _Entry(partial(_dlib, "cnn", 68), "dlib's CNN detector (slow), 68 landmarks", True, "dlib", _DLIB),
    "lbp": _Entry(_lbp, "the LBP cascade that scikit-image ships; frontal faces", False, "lbp", ("scikit-image",)),
    "yunet": _Entry(_yunet, "OpenCV's YuNet, on a model file of yours: yunet:PATH", True, needs_model=True),
    "none": _Entry(_none, "no search: each picture is a face's crop already", False),
}


def detector_names() -> tuple[str, ...]:
    """All names, the default first."""
    return tuple(_ENTRIES)


def detector_infos() -> tuple[DetectorInfo, ...]:
    """All detectors, with what each lacks here. Imports none of them."""
    return tuple(_info(name, entry) for name, entry in _ENTRIES.items())


def _info(name: str, entry: _Entry) -> DetectorInfo:
    missing = [distribution for distribution in entry.distributions if not _installed(distribution)]
    reason = ""
    if missing:
        reason = f"needs {' and '.join(missing)}: pip install 'agewise[{entry.extra}]'"
    elif entry.needs_model:
        reason = f"needs a model file: --detector {name}:PATH"
    return DetectorInfo(name, entry.summary, entry.landmarks, entry.extra, not reason, reason)


def _installed(distribution: str) -> bool:
    try:
        importlib.metadata.distribution(distribution)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def make_detector(
    name: str,
    *,
    min_face: int | None = None,
    engine_config: EngineConfig | None = None,
    model: Path | None = None,
) -> Detector:
    """A detector by its name.

    Args:
        name: one of `detector_names()`; `yunet:PATH` names the model file as well.
        min_face: side in pixels of the smallest face looked for; None leaves it to the detector.
        engine_config: threads and providers, for detectors that run on ONNX Runtime.
        model: a model file, for detectors that need one.

    Raises:
        UnknownDetectorError: no such name; the message lists them.
        DetectorError: a model file is missing, useless, or not wanted.
        MissingExtraError: a package that the detector needs is not installed.
        ValueError: a `min_face` that the detector cannot find.
    """
    base, colon, path = name.partition(":")
    if base not in _ENTRIES:
        raise UnknownDetectorError(unknown_name("detector", base, _ENTRIES))
    entry = _ENTRIES[base]
    if colon and not entry.needs_model:
        raise DetectorError(f"the detector {base!r} takes no model file, got {path!r}: use {base!r} alone")
    return entry.make(min_face, engine_config, Path(path) if path else model)
