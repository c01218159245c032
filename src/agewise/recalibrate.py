"""A model calibrated on one's own labelled photos: along the whole chain, into a new model file with its own tables."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from agewise.analyzer import Analyzer
from agewise.calibrate import Labelled, calibrate, fit_temperature, mean_width
from agewise.card import Figure, ModelCard
from agewise.decode import table_of
from agewise.errors import CalibrationError, ImageError
from agewise.estimate.golden import write_card
from agewise.labels import LabelledPhoto
from agewise.types import Gender, Prediction

LEAST_FACES = 100
LEVEL = 0.9
_CALIBRATED_BEFORE = ("coverage", "width", "ece")
"""Parts of the names of figures that a new calibration makes untrue."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recalibrated:
    """What came of it.

    Args:
        model: the new file's bytes.
        card: in them, but for its golden answers, which are taken anew.
        faces: that were calibrated on.
        genders: of these, with a gender label.
        new_gender: whether the gender's temperature is fitted on these.
        skipped: why photos were left out → how many.
        held_before: share of these faces' true ages inside the old intervals; None where it had none.
        width_before, width_after: mean widths of the intervals on these faces, years.
    """

    model: bytes
    card: ModelCard
    faces: int
    genders: int
    new_gender: bool
    skipped: dict[str, int]
    held_before: float | None
    width_before: float | None
    width_after: float


def recalibrate(
    model: bytes,
    analyzer: Analyzer,
    photos: Sequence[LabelledPhoto],
    *,
    name: str,
    date: str,
    advance: Callable[[], None] = lambda: None,
) -> Recalibrated:
    """Calibrate a model on labelled photos.

    A photo counts where it shows exactly one face, and the model would judge it; how wide the old interval is does
    not matter. Intervals and highest-density sets are always made, the temperature of the gender where at least 100
    faces of both labels are there.

    Args:
        model: the file that `analyzer` uses.
        analyzer: the whole chain: what it leaves out here, it will decline later.
        photos: at least 100, that the model did not learn from.
        name: what the photos are called in the card.
        date: ISO 8601, for the card.
        advance: called after each photo.

    Raises:
        CalibrationError: fewer than 100 photos can be used.
    """
    chosen, predictions, skipped = _predict(analyzer, photos, advance)
    if len(chosen) < LEAST_FACES:
        why = ", ".join(f"{count} {reason}" for reason, count in skipped.items())
        raise CalibrationError(
            f"calibration needs at least {LEAST_FACES} faces, got {len(chosen)} of {len(photos)} photos"
            + (f" ({why})" if why else "")
        )
    old = analyzer.estimator.card
    faces = _labelled(chosen, predictions)
    data = f"{name}: {len(chosen)} of {len(photos)} photos, detector {analyzer.detector.name}"
    calibration = calibrate(faces, old.age, data, date=date)
    temperature, genders = _temperature(old, chosen, predictions)
    gender = old.gender
    if gender is not None and temperature is not None:
        gender = gender.model_copy(update={"temperature": round(gender.temperature * temperature, 4)})
    card = old.model_copy(
        update={
            "version": old.version if old.version.endswith("+own") else f"{old.version}+own",
            "calibration": calibration,
            "gender": gender,
            "figures": _figures(old, faces, data),
        }
    )
    intervals = np.array([prediction.age_interval_years or (np.nan, np.nan) for prediction in predictions])
    held = (intervals[:, 0] <= faces.truths) & (faces.truths <= intervals[:, 1])
    known = bool(np.isfinite(intervals).all())
    return Recalibrated(
        model=write_card(card, model, renew_golden=True),
        card=card,
        faces=len(chosen),
        genders=genders,
        new_gender=temperature is not None,
        skipped=skipped,
        held_before=float(held.mean()) if known else None,
        width_before=float(np.diff(intervals, axis=1).mean()) if known else None,
        width_after=mean_width(faces, table_of(calibration, predictions[0].interval_level or LEVEL)),
    )


def _predict(
    analyzer: Analyzer, photos: Sequence[LabelledPhoto], advance: Callable[[], None]
) -> tuple[list[LabelledPhoto], list[Prediction], dict[str, int]]:
    """The photos that can be used, their faces' predictions, and why how many others cannot."""
    estimator = analyzer.estimator
    before = estimator.quality
    estimator.quality = dataclasses.replace(before, max_interval_years=None)
    chosen, predictions = [], []
    skipped: Counter[str] = Counter()
    try:
        for photo in photos:
            advance()
            try:
                found = analyzer(photo.path)
            except ImageError:
                skipped["cannot be read"] += 1
                continue
            if len(found) != 1:
                skipped["without a face" if not found else "with several faces"] += 1
            elif not found[0].answered:
                skipped["declined"] += 1
            else:
                chosen.append(photo)
                predictions.append(found[0].prediction)
    finally:
        estimator.quality = before
    return chosen, predictions, dict(skipped)


def _labelled(photos: Sequence[LabelledPhoto], predictions: Sequence[Prediction]) -> Labelled:
    probs = [prediction.probs_over_ages for prediction in predictions if prediction.probs_over_ages is not None]
    return Labelled(
        years=np.array([prediction.age_years for prediction in predictions]),
        std_years=np.array([prediction.age_std_years for prediction in predictions]),
        truths=np.array([photo.age_years for photo in photos]),
        probs_over_ages=np.stack(probs) if len(probs) == len(predictions) else None,
    )


def _temperature(
    card: ModelCard, photos: Sequence[LabelledPhoto], predictions: Sequence[Prediction]
) -> tuple[float | None, int]:
    """The factor on the card's temperature, None where too few labels are there, and how many there are."""
    pairs = [
        (
            prediction.gender_probability if prediction.gender is Gender.FEMALE else 1 - prediction.gender_probability,
            photo.gender is Gender.FEMALE,
        )
        for photo, prediction in zip(photos, predictions, strict=True)
        if photo.gender is not None and prediction.gender_probability is not None
    ]
    labels = np.array([is_female for _, is_female in pairs], dtype=bool)
    if card.gender is None or len(pairs) < LEAST_FACES or labels.all() or not labels.any():
        return None, len(pairs)
    return fit_temperature(np.array([share for share, _ in pairs]), labels), len(pairs)


def _figures(card: ModelCard, faces: Labelled, data: str) -> tuple[Figure, ...]:
    """The old figures that are still true, and errors on these faces."""
    kept = [figure for figure in card.figures if not any(part in figure.measure for part in _CALIBRATED_BEFORE)]
    errors = faces.years - faces.truths
    own = {"count": float(len(errors)), "mae": float(np.abs(errors).mean()), "bias": float(errors.mean())}
    units = {"count": "faces", "mae": "years", "bias": "years"}
    kept += [
        Figure(measure=key, value=round(value, 4), unit=units[key], data=data, protocol="whole chain, one face a photo")
        for key, value in own.items()
    ]
    return tuple(kept)
