"""Run a model over labelled pictures along the very path that `agewise predict` takes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from agewise.detect import Detector, make_detector
from agewise.estimate import Estimator
from agewise.imaging import read_image
from agewise.types import Detection, FloatArray, Gender, Prediction, UInt8Array
from agewise_lab.datasets.record import Record
from agewise_lab.datasets.utkface import GROUPS, group_codes, read_records
from agewise_lab.evaluation import measures
from agewise_lab.store.crops import open_store, padded
from agewise_lab.store.split import hash_split

PREDICTED = ("years", "std_years", "low", "high", "female_probability", "gender_sure")
"""The numbers of a prediction that tables of predictions hold, in the order of `numbers_of`."""
SURE_FIGURES = ("gender_sure", "gender_right_of_sure", "gender_sure_under_13", "gender_right_of_sure_under_13")
"""Of `summary`: the share of gender labels that the model stands by, and of these the share that is right; the same of
faces estimated under 13, where most are unsure.
"""


@dataclass(frozen=True)
class Results:
    """Predictions beside their labels; one row a face, in the order of the records.

    NaN where no face was found, and in what the model does not give: an interval, a gender, whether it is sure of it
    (1 or 0 where it says so). `answered` is False where
    no face was found, too. `probs_over_ages` is (n, classes), or None where the model has no classes.
    """

    name: npt.NDArray[np.str_]
    truth: FloatArray
    is_female: npt.NDArray[np.bool_]
    group: npt.NDArray[np.int64]
    found: npt.NDArray[np.bool_]
    years: FloatArray
    std_years: FloatArray
    low: FloatArray
    high: FloatArray
    female_probability: FloatArray
    answered: npt.NDArray[np.bool_]
    gender_sure: FloatArray
    probs_over_ages: FloatArray | None = None

    def select(self, rows: npt.NDArray[np.bool_]) -> Results:
        """Some rows."""
        fields = {field: getattr(self, field) for field in self.__dataclass_fields__}
        return Results(**{field: None if values is None else values[rows] for field, values in fields.items()})


def part_of_store(store: Path, root: Path, part: str) -> list[Record]:
    """The records of one part of a store's split: "validation" or "holdout".

    Raises:
        ValueError: another part, or a folder that is not the one that the store was built from.
    """
    if part not in ("validation", "holdout"):
        raise ValueError(f"part must be 'validation' or 'holdout', got {part!r}: what was trained on proves nothing")
    opened = open_store(store)
    by_name = {record.path: record for record in read_records(root).records}
    names = opened.name[getattr(hash_split(opened), part)]
    missing = [name for name in names if name not in by_name]
    if missing:
        raise ValueError(f"{len(missing)} pictures of the store are not in {root}, the first is {missing[0]}")
    return [by_name[name] for name in names]


def most_central(image_rgb: UInt8Array, faces: Sequence[Detection]) -> Detection | None:
    """The face whose box centre lies nearest the picture's."""
    height, width = image_rgb.shape[:2]

    def distance(face: Detection) -> float:
        x0, y0, x1, y1 = face.box_xyxy
        return math.hypot(x0 + x1 - width, y0 + y1 - height)

    return min(faces, key=distance, default=None)


def run(records: Sequence[Record], root: Path, estimator: Estimator, detector: Detector | None = None) -> Results:
    """Predict every record: the picture as the crop, or with `detector` padded, searched and aligned."""
    whole = make_detector("none")
    predictions: list[Prediction | None] = []
    for record in records:
        image = read_image(root / record.path)
        if detector is not None:
            image = padded(image)
        face = most_central(image, (detector or whole).detect(image))
        predictions.append(None if face is None else estimator(image, [face])[0])
    table = np.array([numbers_of(prediction) for prediction in predictions]).reshape(-1, len(PREDICTED))
    return Results(
        name=np.array([record.path for record in records]),
        truth=np.array([record.age_years for record in records]),
        is_female=np.array([record.gender is Gender.FEMALE for record in records]),
        group=group_codes(records),
        found=np.array([prediction is not None for prediction in predictions], dtype=bool),
        answered=np.array([prediction is not None and prediction.answered for prediction in predictions], dtype=bool),
        probs_over_ages=_stacked([None if p is None else p.probs_over_ages for p in predictions]),
        **dict(zip(PREDICTED, table.T, strict=True)),
    )


def numbers_of(prediction: Prediction | None) -> tuple[float, ...]:
    """The values of `PREDICTED`, NaN for what the model does not give and where no face was found."""
    if prediction is None:
        return (math.nan,) * len(PREDICTED)
    low, high = prediction.age_interval_years or (math.nan, math.nan)
    share = math.nan if prediction.gender_probability is None else prediction.gender_probability
    female = share if prediction.gender is Gender.FEMALE else 1 - share
    sure = math.nan if prediction.gender_sure is None else float(prediction.gender_sure)
    return prediction.age_years, prediction.age_std_years, low, high, female, sure


def _stacked(probs: Sequence[FloatArray | None]) -> FloatArray | None:
    """Distributions as one array, NaN where no face was found; None where there is none at all."""
    known = next((row for row in probs if row is not None), None)
    if known is None:
        return None
    return np.stack([np.full_like(known, math.nan) if row is None else row for row in probs])


def summary(results: Results) -> dict[str, float]:
    """The figures of a set of faces that were found; without those that the model gives no numbers for."""
    r = results.select(results.found)
    if not len(r.truth):
        return {"count": 0}
    figures = {
        "count": len(r.truth),
        "found": float(results.found.mean()),
        "answered": float(r.answered.mean()),
        "mae": measures.mean_absolute_error(r.years, r.truth),
        "bias": measures.bias(r.years, r.truth),
        "cs5": measures.cumulative_score(r.years, r.truth, 5),
    }
    if not np.isnan(r.female_probability).any():
        figures["gender"] = measures.accuracy(r.female_probability, r.is_female)
        figures["gender_ece"] = measures.expected_calibration_error(r.female_probability, r.is_female)
    if not np.isnan(r.gender_sure).any():
        shares = dict(zip(SURE_FIGURES, (*_of_sure(r), *_of_sure(r.select(r.years < 13))), strict=True))
        figures |= {name: share for name, share in shares.items() if not math.isnan(share)}
    if not np.isnan(r.low).any():
        figures["coverage"] = measures.coverage(r.low, r.high, r.truth)
        figures["width"] = float((r.high - r.low).mean())
    return figures


def _of_sure(r: Results) -> tuple[float, float]:
    """The share of sure gender labels, and of these of right ones; NaN where there is no face or no sure one."""
    if not len(r.truth):
        return math.nan, math.nan
    sure = r.select(r.gender_sure > 0)
    right = measures.accuracy(sure.female_probability, sure.is_female) if len(sure.truth) else math.nan
    return len(sure.truth) / len(r.truth), right


def by_group(results: Results) -> dict[str, dict[str, float]]:
    """Summaries of all, of each age band, each gender label, each group of the data set."""
    rows = {"all": np.ones(len(results.truth), dtype=bool)}
    for name, first, last in measures.AGE_BANDS:
        rows[f"age {name}"] = (results.truth >= first) & (results.truth < last + 1)
    rows["female"], rows["male"] = results.is_female, ~results.is_female
    for i, group in enumerate(GROUPS):
        rows[group] = results.group == i
    return {name: summary(results.select(chosen)) for name, chosen in rows.items()}
