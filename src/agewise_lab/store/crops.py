"""A folder of labelled pictures → crops and labels in memory-mapped arrays, ready to train on.

Each picture is stored twice, cut by `agewise.imaging.crop_face` both times: `whole` as it is, and
`aligned` by agewise's own detector and landmarks, where a face is found (else as it is). A network that
sees both is at home on data sets' own crops and on what `agewise predict` gives it.

Layout of a store: `whole.npy` and `aligned.npy`, uint8 RGB (n, side, side, 3); `labels.npz` with
`age_years`, `is_female`, `group`, `found`, `score`, `duplicate_group`, `name`; `store.json`. The folder is
made under a temporary name and moved when it is whole.
"""

from __future__ import annotations

import json
import multiprocessing
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from agewise.detect.mtcnn import MtcnnConfig, MtcnnDetector
from agewise.detect.none import WholePicture
from agewise.imaging.crop import UTKFACE_TEMPLATE, CropSpec, crop_face
from agewise.imaging.read import read_image
from agewise.types import Detection, FloatArray, Gender, UInt8Array
from agewise_lab.datasets.record import Record
from agewise_lab.datasets.utkface import group_codes
from agewise_lab.store.duplicates import duplicate_groups, signature

VERSION = 1
_PAD = 0.3  # border added around a tight crop, so that the detector sees a whole head
_LEAST_OVERLAP = 0.6  # how near the aligned crop must lie to the whole picture to be of the labelled face


@dataclass(frozen=True)
class CropStore:
    """An open store; the crops are memory-mapped and read-only, or in memory."""

    whole: UInt8Array
    aligned: UInt8Array
    age_years: npt.NDArray[np.float32]
    is_female: npt.NDArray[np.float32]
    group: npt.NDArray[np.int64]
    found: npt.NDArray[np.bool_]
    score: npt.NDArray[np.float32]
    duplicate_group: npt.NDArray[np.int64]
    name: npt.NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.age_years)


def padded(image_rgb: UInt8Array) -> UInt8Array:
    """A tight crop with 30 % of replicated border on each side: a stand-in for the photo around it."""
    pad = round(_PAD * max(image_rgb.shape[:2]))
    return np.asarray(cv2.copyMakeBorder(image_rgb, pad, pad, pad, pad, cv2.BORDER_REPLICATE), dtype=np.uint8)


def find_in_chip(detector: MtcnnDetector, image_rgb: UInt8Array) -> Detection | None:
    """The labelled face of a tight square crop, in the crop's own pixels, or None.

    The picture is padded by replicated borders, as its own alignment would be at a photo's edge. A face
    counts only where the crop that its landmarks give lies about where the picture does.
    """
    height, width = image_rgb.shape[:2]
    framed = padded(image_rgb)
    pad = (framed.shape[0] - height) // 2
    template = np.asarray(UTKFACE_TEMPLATE) * [width, height]
    best: Detection | None = None
    best_error = (1 - _LEAST_OVERLAP) * max(height, width)
    for face in detector.detect(framed):
        assert face.landmarks_xy is not None
        points = face.landmarks_xy - pad
        error = float(np.linalg.norm(points - template, axis=1).max())
        if error < best_error:
            x0, y0, x1, y1 = face.box_xyxy
            best_error = error
            best = Detection((x0 - pad, y0 - pad, x1 - pad, y1 - pad), face.score, points)
    return best


_Parts = tuple[UInt8Array, UInt8Array, float, FloatArray]


def _cut_one(path: str, *, root: Path, side: int) -> _Parts:
    """(whole crop, aligned crop, detector score or -1, signature) of one picture."""
    image = read_image(root / path)
    spec = CropSpec()
    (entire,) = WholePicture().detect(image)
    whole = crop_face(image, entire, spec, side)
    face = find_in_chip(_detector(min(image.shape[:2])), image)
    aligned = whole if face is None else crop_face(image, face, spec, side)
    return whole, aligned, -1.0 if face is None else face.score, signature(image)


_DETECTORS: dict[int, MtcnnDetector] = {}


def _detector(shorter_side: int) -> MtcnnDetector:
    """A detector for faces that fill a picture, one a process."""
    least = max(12, int(shorter_side * 0.4))
    if least not in _DETECTORS:
        _DETECTORS[least] = MtcnnDetector(MtcnnConfig(min_face=least, thresholds=(0.6, 0.7, 0.7)))
    return _DETECTORS[least]


def build(records: Sequence[Record], root: Path, folder: Path, *, side: int = 160, processes: int = 2) -> None:
    """Cut all records and write the store. If it fails half way, nothing is left.

    Args:
        records: what to store, in this order; each needs a gender label.
        root: the folder that the records' paths start from.
        folder: the store; it must not exist yet.
        side: of the stored crops, in pixels.
        processes: 1 works in this process, more in so many new ones.

    Raises:
        FileExistsError: `folder` is there already.
        ValueError: no records, or one without a gender label.
        ImageError: a picture cannot be read.
    """
    if folder.exists():
        raise FileExistsError(f"{folder} exists: remove it, or name another folder")
    if not records:
        raise ValueError("a store needs at least one record, got none")
    unlabelled = next((record.path for record in records if record.gender is None), None)
    if unlabelled is not None:
        raise ValueError(f"{unlabelled} has no gender label: leave such records out")
    draft = folder.with_name(folder.name + ".part")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        _write(records, root, draft, side, processes)
        draft.rename(folder)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def _cut_all(cut: Callable[[str], _Parts], paths: list[str], processes: int) -> Iterator[_Parts]:
    if processes <= 1:
        yield from map(cut, paths)
        return
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        yield from pool.imap(cut, paths, chunksize=32)


def _write(records: Sequence[Record], root: Path, draft: Path, side: int, processes: int) -> None:
    shape = (len(records), side, side, 3)
    whole = np.lib.format.open_memmap(draft / "whole.npy", mode="w+", dtype=np.uint8, shape=shape)
    aligned = np.lib.format.open_memmap(draft / "aligned.npy", mode="w+", dtype=np.uint8, shape=shape)
    scores = np.empty(len(records), dtype=np.float32)
    signatures = np.empty((len(records), 1024), dtype=np.float32)
    cut = partial(_cut_one, root=root, side=side)
    for i, parts in enumerate(_cut_all(cut, [record.path for record in records], processes)):
        whole[i], aligned[i], scores[i], signatures[i] = parts
    whole.flush()
    aligned.flush()
    np.savez(
        draft / "labels.npz",
        age_years=np.array([record.age_years for record in records], dtype=np.float32),
        is_female=np.array([record.gender is Gender.FEMALE for record in records], dtype=np.float32),
        group=group_codes(records),
        found=scores >= 0,
        score=scores,
        duplicate_group=duplicate_groups(signatures),
        name=np.array([record.path for record in records]),
    )
    summary = {"version": VERSION, "count": len(records), "side": side, "found": int((scores >= 0).sum())}
    (draft / "store.json").write_text(json.dumps(summary, indent=2))


def open_store(folder: Path, *, in_memory: bool = False) -> CropStore:
    """Open a store that `build` has made.

    Args:
        folder: the store.
        in_memory: read all crops now (2.9 GB for UTKFace) instead of mapping the files: training reads
            them in random order, which is slow where the system drops mapped pages early.

    Raises:
        FileNotFoundError: no whole store is there.
        ValueError: a store of another version.
    """
    summary = folder / "store.json"
    if not summary.is_file():
        raise FileNotFoundError(f"{folder} is no crop store: make one with `agewise-lab data build`")
    version = json.loads(summary.read_text())["version"]
    if version != VERSION:
        raise ValueError(f"{folder} is a store of version {version}, expected {VERSION}: build it again")
    with np.load(folder / "labels.npz", allow_pickle=False) as labels:
        fields = {name: labels[name] for name in labels.files}
    mode: Literal["r"] | None = None if in_memory else "r"
    whole = np.load(folder / "whole.npy", mmap_mode=mode)
    aligned = np.load(folder / "aligned.npy", mmap_mode=mode)
    return CropStore(whole=whole, aligned=aligned, **fields)
