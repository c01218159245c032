"""The columns of a database, and from a cut face to its row and back.

One row is one face. Pictures lie in it as JPEG of quality 95 without chroma subsampling: a quarter of PNG's
size, three times as fast to read, and one grey level of 256 off (root mean square; benchmarks/README.md). Unknown
values are null. Boxes are (x0, y0, x1, y1), landmarks five points (x, y) one after the other, in the order of
`agewise.types`, in pixels of the source picture unless the name says `crop`.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pyarrow as pa

from agewise._files import shown
from agewise.types import FloatArray, Gender, UInt8Array
from agewise_lab.datasets.record import Record
from agewise_lab.store.faces import Cut

JPEG_QUALITY = 95
PICTURES = ("whole", "aligned")

SCHEMA = pa.schema(
    [
        pa.field("name", pa.string(), nullable=False),  # the picture, relative to the data set's root
        pa.field("dataset", pa.string(), nullable=False),
        # what the data set says
        pa.field("age_years", pa.float32()),
        pa.field("age_low_years", pa.float32()),  # of a class of ages, both ends included
        pa.field("age_high_years", pa.float32()),
        pa.field("apparent_age_years", pa.float32()),
        pa.field("apparent_std_years", pa.float32()),
        pa.field("apparent_votes_years", pa.list_(pa.float32())),
        pa.field("gender", pa.string()),  # "female", "male"
        pa.field("group", pa.string()),
        pa.field("subject", pa.string()),
        pa.field("official_split", pa.string()),
        pa.field("label_box_xyxy", pa.list_(pa.float32())),
        pa.field("label_landmarks_xy", pa.list_(pa.float32())),
        pa.field("label_face_score", pa.float32()),  # by the data set's own detector, on its own scale
        pa.field("label_second_face_score", pa.float32()),
        # what was seen
        pa.field("source_width", pa.int32(), nullable=False),
        pa.field("source_height", pa.int32(), nullable=False),
        pa.field("source_sha256", pa.string(), nullable=False),
        pa.field("found", pa.bool_(), nullable=False),  # by agewise's own detector
        pa.field("score", pa.float32()),  # the detector's
        pa.field("face_box_xyxy", pa.list_(pa.float32())),
        pa.field("face_landmarks_xy", pa.list_(pa.float32())),
        pa.field("face_side_px", pa.float32(), nullable=False),
        pa.field("sharpness", pa.float32(), nullable=False),
        # the crops
        pa.field("crop_side", pa.int32(), nullable=False),
        pa.field("crop_landmarks_xy", pa.list_(pa.float32())),  # in pixels of `aligned`
        pa.field("thumbnail", pa.binary(), nullable=False),  # grey 32×32, row by row
        pa.field("whole", pa.binary()),
        pa.field("aligned", pa.binary()),  # null where no face was found: then `whole` stands for it
    ]
)

LABELS = tuple(name for name in SCHEMA.names if name not in (*PICTURES, "thumbnail"))
"""All columns but the pictures."""


def encode(image_rgb: UInt8Array) -> bytes:
    """A crop as the bytes of a JPEG file."""
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    options += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    done, data = cv2.imencode(".jpg", image_rgb[:, :, ::-1], options)
    assert done, "OpenCV encodes every uint8 array"
    return bytes(data)


def decode(data: bytes) -> UInt8Array:
    """A crop from its JPEG: uint8 RGB (side, side, 3).

    Raises:
        ValueError: the bytes are no picture.
    """
    image = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError(f"a stored crop of {len(data)} bytes cannot be decoded: the shard is damaged, build it again")
    return np.asarray(image[:, :, ::-1], dtype=np.uint8)


def _numbers(values: FloatArray | tuple[float, ...] | None) -> list[float] | None:
    return None if values is None else [float(value) for value in np.ravel(np.asarray(values))]


def row_of(record: Record, cut: Cut, dataset: str, source_sha256: str, side: int) -> dict[str, Any]:
    """One row, by column."""
    low, high = record.age_range_years or (None, None)
    face = cut.face
    return {
        "name": shown(record.path),
        "dataset": dataset,
        "age_years": record.age_years,
        "age_low_years": low,
        "age_high_years": high,
        "apparent_age_years": record.apparent_age_years,
        "apparent_std_years": record.apparent_std_years,
        "apparent_votes_years": _numbers(record.apparent_votes_years or None),
        "gender": None if record.gender is None else Gender(record.gender).value,
        "group": record.group,
        "subject": record.subject,
        "official_split": record.split,
        "label_box_xyxy": _numbers(record.box_xyxy),
        "label_landmarks_xy": _numbers(record.landmarks_xy),
        "label_face_score": record.face_score,
        "label_second_face_score": record.second_face_score,
        "source_width": cut.size_wh[0],
        "source_height": cut.size_wh[1],
        "source_sha256": source_sha256,
        "found": face is not None,
        "score": None if face is None else face.score,
        "face_box_xyxy": None if face is None else _numbers(face.box_xyxy),
        "face_landmarks_xy": None if face is None else _numbers(face.landmarks_xy),
        "face_side_px": cut.quality.face_side_px,
        "sharpness": cut.quality.sharpness,
        "crop_side": side,
        "crop_landmarks_xy": _numbers(cut.crop_landmarks_xy),
        "thumbnail": cut.thumbnail.tobytes(),
        "whole": None if cut.whole is None else encode(cut.whole),
        "aligned": None if cut.aligned is None else encode(cut.aligned),
    }
