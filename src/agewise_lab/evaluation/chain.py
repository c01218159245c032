"""Models over labelled pictures, all on identical faces: each picture is read and searched once.

Faces go through `Estimator`, that is through the very path that `agewise predict` takes.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

import agewise
from agewise.card import BinsAge, ExpectationAge
from agewise.detect import Detector, make_detector
from agewise.errors import ImageError
from agewise.estimate import Estimator
from agewise.imaging import read_image
from agewise.store import find_model
from agewise.types import Box, Detection, FloatArray, Prediction, UInt8Array
from agewise_lab.datasets.record import Record
from agewise_lab.evaluation.predictions import Predictions, Provenance, labels_of
from agewise_lab.evaluation.run import PREDICTED, most_central, numbers_of
from agewise_lab.store.crops import padded

LABELS = "labels"
NONE = "none"
_LEAST_OVERLAP = 0.3  # of a detected box with the data set's own, to be the labelled face


@dataclass(frozen=True)
class FaceFinder:
    """Which face of a picture is the labelled one, and where.

    Args:
        how: "none" takes the picture as the crop, "labels" the data set's own box and landmarks, anything else is
            a detector's name: its face that overlaps the data set's box most, or without such a box the most
            central one.
        tight: pictures are tight crops and are padded for a detector.
    """

    how: str
    tight: bool = False
    detector: Detector | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        if self.how != LABELS:
            object.__setattr__(self, "detector", make_detector(self.how))

    @property
    def said(self) -> str:
        """In words, for a table's provenance."""
        if self.how == NONE:
            return "the picture is the crop"
        if self.how == LABELS:
            return "the data set's own boxes and landmarks"
        return f"detector {self.how}" + (", on the picture padded by 30 %" if self.tight else "")

    def __call__(self, image_rgb: UInt8Array, record: Record) -> tuple[UInt8Array, Detection | None]:
        """The picture to cut from, and the face in its pixels, None where it was not found.

        Raises:
            ValueError: "labels", and the record has no box.
        """
        if self.detector is None:
            if record.box_xyxy is None:
                raise ValueError(f"{record.path} has no box of its own: name a detector instead of labels")
            return image_rgb, Detection(record.box_xyxy, 1.0, record.landmarks_xy)
        searched = self.tight and self.how != NONE
        framed = padded(image_rgb) if searched else image_rgb
        faces = self.detector.detect(framed)
        if record.box_xyxy is None or self.how == NONE:
            return framed, most_central(framed, faces)
        pad = (framed.shape[0] - image_rgb.shape[0]) // 2
        x0, y0, x1, y1 = record.box_xyxy
        wanted = (x0 + pad, y0 + pad, x1 + pad, y1 + pad)
        best = max(faces, key=lambda face: overlap(face.box_xyxy, wanted), default=None)
        return framed, best if best is not None and overlap(best.box_xyxy, wanted) >= _LEAST_OVERLAP else None


def overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes.

    >>> overlap((0, 0, 2, 2), (1, 0, 3, 2))
    0.3333333333333333
    """
    width = max(0.0, min(one[2], other[2]) - max(one[0], other[0]))
    height = max(0.0, min(one[3], other[3]) - max(one[1], other[1]))
    both = width * height
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return both / (areas - both)


def predict_all(
    records: Sequence[Record],
    root: Path,
    estimators: Sequence[Estimator],
    finder: FaceFinder,
    *,
    splits: Sequence[str] | None = None,
    level: float = 0.9,
    progress: Callable[[int], None] = lambda done: None,
) -> list[Predictions]:
    """A table a model, all of the same faces.

    A picture that cannot be read counts as a face that was not found; the provenance's notes say how many.

    Args:
        records: what to predict.
        root: the folder that their paths start from.
        estimators: the models.
        finder: of the face in the picture.
        splits: of each record, instead of its own.
        level: of the estimators' intervals.
        progress: called with how many pictures are done.
    """
    rows: list[list[Prediction | None]] = [[] for _ in estimators]
    seen: list[tuple[float, float]] = []
    unreadable: list[str] = []
    for count, (image, face) in enumerate(_faces(records, root, finder, unreadable), start=1):
        seen.append(_seen(face))
        for model_rows, estimator in zip(rows, estimators, strict=True):
            if image is None or face is None:
                model_rows.append(None)
            else:
                model_rows += estimator(image, [face])
        progress(count)
    labels = labels_of(records)
    if splits is not None:
        labels["split"] = np.asarray(splits, dtype=np.str_)
    notes = (f"{len(unreadable)} pictures cannot be read, the first is {unreadable[0]}",) if unreadable else ()
    stated = Provenance(crop=finder.said, code=f"agewise {agewise.__version__}", level=level, notes=notes)
    return [
        dataclasses.replace(
            _table(labels, model_rows, estimator, dataclasses.replace(stated, **model_of(estimator))),
            quality=_quality(seen, model_rows),
        )
        for estimator, model_rows in zip(estimators, rows, strict=True)
    ]


def found_faces(
    records: Sequence[Record], root: Path, finder: FaceFinder, most: int
) -> Iterator[tuple[Record, UInt8Array, Detection]]:
    """At most `most` of the faces that are found, of records spread evenly over all."""
    count = min(most, len(records))
    chosen = [records[i * len(records) // count] for i in range(count)]
    for record, (image, face) in zip(chosen, _faces(chosen, root, finder, []), strict=True):
        if image is not None and face is not None:
            yield record, image, face


def _faces(
    records: Sequence[Record], root: Path, finder: FaceFinder, unreadable: list[str]
) -> Iterator[tuple[UInt8Array | None, Detection | None]]:
    for record in records:
        try:
            image = read_image(root / record.path)
        except ImageError:
            unreadable.append(record.path)
            yield None, None
            continue
        yield finder(image, record)


def _seen(face: Detection | None) -> tuple[float, float]:
    """The detector's score, and the face's side in pixels: √(width · height) of its box."""
    if face is None:
        return math.nan, math.nan
    x0, y0, x1, y1 = face.box_xyxy
    return face.score, math.sqrt((x1 - x0) * (y1 - y0))


def _quality(seen: Sequence[tuple[float, float]], rows: Sequence[object]) -> dict[str, FloatArray]:
    """What is known of the faces' pictures: the detector's word, and what predictions carry where they carry any."""
    score, pixels = np.array(seen, dtype=np.float64).reshape(-1, 2).T
    columns = {"detector_score": score, "face_pixels": pixels}
    # Not all versions of a prediction hold the quality of its picture.
    measured = [getattr(row, "quality", None) for row in rows]
    first = next((one for one in measured if one is not None), None)
    if first is not None:
        for item in dataclasses.fields(first):
            if item.name in columns:
                continue
            values = [None if one is None else getattr(one, item.name) for one in measured]
            columns[item.name] = np.array([math.nan if value is None else float(value) for value in values])
    return columns


def model_of(estimator: Estimator) -> dict[str, str]:
    """What a provenance says of a model: its name and version, and the sha256 of its file."""
    card = estimator.card
    found = {"model": f"{card.name} {card.version}"}
    if estimator.name != "engine":
        found["model_sha256"] = hashlib.sha256(find_model(estimator.name).data).hexdigest()
    return found


def _class_years(estimator: Estimator) -> FloatArray | None:
    """First and last year of each class of the model's distribution: (classes, 2), or None."""
    spec = estimator.card.age
    if isinstance(spec, ExpectationAge):
        return np.array([(age, age) for age in spec.class_ages])
    if isinstance(spec, BinsAge):
        return np.array([(low, max(low, high - 1)) for low, high in spec.bins])
    return None


def _table(
    labels: dict[str, np.ndarray], rows: Sequence[Prediction | None], estimator: Estimator, stated: Provenance
) -> Predictions:
    classes = _class_years(estimator)
    probs = None
    if classes is not None:
        probs = np.zeros((len(rows), len(classes)), dtype=np.float32)
        for i, row in enumerate(rows):
            if row is not None and row.probs_over_ages is not None:
                probs[i] = row.probs_over_ages
    numbers = np.array([numbers_of(row) for row in rows]).reshape(-1, len(PREDICTED))
    # Not all versions of a prediction say whether it is an answer.
    answered = [row is not None and bool(getattr(row, "answered", True)) for row in rows]
    reasons = ["; ".join(map(str, getattr(row, "reasons", ()))) for row in rows]
    return Predictions.of(
        labels | dict(zip(PREDICTED, numbers.T, strict=True)) | {"answered": answered, "reasons": reasons},
        probs_over_ages=probs,
        class_years=classes,
        provenance=stated,
    )
