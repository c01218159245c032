"""Which measures the table has: what each adds up over faces, and how its value is made of the sums."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from agewise.types import FloatArray
from agewise_lab.evaluation.measures.ages import epsilon_errors
from agewise_lab.evaluation.measures.faces import Faces, whole_years
from agewise_lab.evaluation.measures.gender import confidence_bins
from agewise_lab.evaluation.measures.intervals import interval_scores

ECE_BINS = 10
Terms = Callable[[Faces, float], FloatArray]
Combine = Callable[[FloatArray, FloatArray], FloatArray]


def _mean(sums: FloatArray, count: FloatArray) -> FloatArray:
    mean: FloatArray = sums[..., 0] / count
    return mean


def _root_mean(sums: FloatArray, count: FloatArray) -> FloatArray:
    root: FloatArray = np.sqrt(sums[..., 0] / count)
    return root


def _mean_of_two_shares(sums: FloatArray, count: FloatArray) -> FloatArray:
    mean: FloatArray = (sums[..., 0] / sums[..., 1] + sums[..., 2] / sums[..., 3]) / 2
    return mean


def _sum_of_gaps(sums: FloatArray, count: FloatArray) -> FloatArray:
    gaps: FloatArray = np.abs(sums).sum(axis=-1) / count
    return gaps


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One measure of the table.

    Args:
        name: in the table.
        title: in a report.
        unit: of its value.
        needs: the columns of `Faces` that it is made of.
        terms: of faces and the level of their intervals, what is summed: (n,) or (n, k); a row with NaN does not
            count.
        combine: of sums (…, k) and the count (…,), the value (…,). None for the AUC, which is no function of sums.
        binary: each face gives 0 or 1, so that the value is a share of faces.
        binomial: its interval is that of Clopper and Pearson where subjects are unknown.
    """

    name: str
    title: str
    unit: Literal["years", "share"]
    needs: tuple[str, ...]
    terms: Terms
    combine: Combine | None = _mean
    binary: bool = False
    binomial: bool = False


def _errors(faces: Faces) -> FloatArray:
    assert faces.truths is not None
    errors: FloatArray = faces.estimates - faces.truths
    return errors


def _where(known: FloatArray, values: FloatArray) -> FloatArray:
    """`values` as numbers, NaN where `known` is NaN."""
    kept: FloatArray = np.where(np.isnan(known), np.nan, values)
    return kept


def _within(years: float) -> Terms:
    def terms(faces: Faces, level: float) -> FloatArray:
        errors = np.abs(_errors(faces))
        return _where(errors, errors <= years)

    return terms


def _answered_errors(faces: Faces, level: float) -> FloatArray:
    kept: FloatArray = np.where(faces.answered, np.abs(_errors(faces)), np.nan)
    return kept


def _inside(faces: Faces, level: float) -> FloatArray:
    assert faces.truths is not None
    assert faces.low is not None
    assert faces.high is not None
    inside = (faces.low <= faces.truths) & (faces.truths <= faces.high)
    return _where(faces.low + faces.high + faces.truths, inside)


def _score(faces: Faces, level: float) -> FloatArray:
    assert faces.truths is not None
    assert faces.low is not None
    assert faces.high is not None
    return interval_scores(faces.low, faces.high, faces.truths, level)


def _outside(side: Literal["below", "above"]) -> Terms:
    def terms(faces: Faces, level: float) -> FloatArray:
        assert faces.truths is not None
        end = faces.low if side == "below" else faces.high
        assert end is not None
        return _where(end + faces.truths, faces.truths < end if side == "below" else faces.truths > end)

    return terms


def _labels(faces: Faces) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The probability of the label female, the label as 1 or 0, and whether the likelier one is right; NaN unknown."""
    assert faces.female_probability is not None
    share = np.asarray(faces.female_probability, dtype=np.float64)
    female = np.asarray(faces.is_female, dtype=np.float64)
    known = share + female
    return _where(known, share), _where(known, female), _where(known, (share >= 0.5) == (female >= 0.5))


def _gender_right(faces: Faces, level: float) -> FloatArray:
    return _labels(faces)[2]


def _gender_sure(faces: Faces, level: float) -> FloatArray:
    assert faces.gender_sure is not None
    return _where(_labels(faces)[2], np.asarray(faces.gender_sure, dtype=np.float64))


def _sure_gender_right(faces: Faces, level: float) -> FloatArray:
    right: FloatArray = np.where(_gender_sure(faces, level) >= 0.5, _labels(faces)[2], np.nan)
    return right


def _gender_by_label(faces: Faces, level: float) -> FloatArray:
    _, female, right = _labels(faces)
    return np.stack([right * female, female, right * (1 - female), 1 - female], axis=1)


def _gender_gaps(faces: Faces, level: float) -> FloatArray:
    share, _, right = _labels(faces)
    confidence = np.maximum(share, 1 - share)
    place = confidence_bins(np.nan_to_num(confidence, nan=0.5), ECE_BINS)
    gaps = np.zeros((len(share), ECE_BINS))
    gaps[np.arange(len(share)), place] = right - confidence
    return gaps


def _estimated(at_least: float, first: float, last: float, *, passes: bool) -> Terms:
    """Of faces whose whole years are `first` to `last`: whether the estimate is `at_least` so much, or below it."""

    def terms(faces: Faces, level: float) -> FloatArray:
        assert faces.truths is not None
        years = whole_years(faces.truths)
        known = np.where((years >= first) & (years <= last), faces.estimates, np.nan)
        return _where(known, (faces.estimates >= at_least) == passes)

    return terms


def _class_distance(most: int) -> Terms:
    def terms(faces: Faces, level: float) -> FloatArray:
        assert faces.classes is not None
        assert faces.class_estimates is not None
        known = np.where((faces.classes >= 0) & (faces.class_estimates >= 0), 0.0, np.nan)
        return _where(known, np.abs(faces.classes - faces.class_estimates) <= most)

    return terms


def _top2(faces: Faces, level: float) -> FloatArray:
    assert faces.classes is not None
    kept: FloatArray = np.where((faces.classes >= 0) & faces.found, faces.in_top2, np.nan)
    return kept


def _apparent(faces: Faces, level: float) -> FloatArray:
    assert faces.apparent is not None
    errors: FloatArray = np.abs(faces.estimates - faces.apparent)
    return errors


def _epsilon(faces: Faces, level: float) -> FloatArray:
    assert faces.apparent is not None
    assert faces.apparent_std is not None
    return epsilon_errors(faces.estimates, faces.apparent, faces.apparent_std)


def _width(faces: Faces, level: float) -> FloatArray:
    assert faces.low is not None
    assert faces.high is not None
    width: FloatArray = faces.high - faces.low
    return width


def _declined(faces: Faces, level: float) -> FloatArray:
    kept: FloatArray = np.where(faces.found, ~np.asarray(faces.answered, dtype=bool), np.nan)
    return kept


_AGE = ("truths",)
_ENDS = ("truths", "low", "high")
_GENDER = ("is_female", "female_probability")
_SURE = (*_GENDER, "gender_sure")
_CLASS = ("classes", "class_estimates")


def _share(name: str, title: str, needs: tuple[str, ...], terms: Terms, *, binomial: bool = False) -> Measure:
    return Measure(name=name, title=title, unit="share", needs=needs, terms=terms, binary=True, binomial=binomial)


def _years(name: str, title: str, needs: tuple[str, ...], terms: Terms, combine: Combine = _mean) -> Measure:
    return Measure(name=name, title=title, unit="years", needs=needs, terms=terms, combine=combine)


MEASURES: tuple[Measure, ...] = (
    _share("found", "face found", (), lambda faces, level: faces.found.astype(np.float64)),
    _years("mae", "MAE", _AGE, lambda faces, level: np.abs(_errors(faces))),
    _years("rmse", "RMSE", _AGE, lambda faces, level: np.square(_errors(faces)), _root_mean),
    _years("bias", "bias (above 0: too old)", _AGE, lambda faces, level: _errors(faces)),
    *(_share(f"cs{years}", f"CS@{years}", _AGE, _within(years)) for years in (3, 5, 7, 10)),
    _years("mae_apparent", "MAE to apparent age", ("apparent",), _apparent),
    Measure(
        name="epsilon_error",
        title="ε-error",
        unit="share",
        needs=("apparent", "apparent_std"),
        terms=_epsilon,
    ),
    _share("exact", "exact class", _CLASS, _class_distance(0)),
    _share("one_off", "class or its neighbour", _CLASS, _class_distance(1)),
    _share("top2", "among the two likeliest classes", ("classes", "in_top2"), _top2),
    _share("coverage", "truth inside the interval", _ENDS, _inside, binomial=True),
    _share("truth_below", "truth below the interval", _ENDS, _outside("below"), binomial=True),
    _share("truth_above", "truth above the interval", _ENDS, _outside("above"), binomial=True),
    _years("width", "width of the interval", ("low", "high"), _width),
    _years("interval_score", "interval score", _ENDS, _score),
    _share("gender_accuracy", "gender right", _GENDER, _gender_right),
    _share("gender_sure", "gender sure", _SURE, _gender_sure),
    _share("gender_sure_accuracy", "sure gender right", _SURE, _sure_gender_right),
    Measure(
        name="gender_balanced",
        title="gender right, balanced",
        unit="share",
        needs=_GENDER,
        terms=_gender_by_label,
        combine=_mean_of_two_shares,
    ),
    Measure(name="gender_auc", title="gender AUC", unit="share", needs=_GENDER, terms=_gender_right, combine=None),
    Measure(
        name="gender_ece",
        title="gender ECE",
        unit="share",
        needs=_GENDER,
        terms=_gender_gaps,
        combine=_sum_of_gaps,
    ),
    _share(
        *("challenge25_fpr17", "aged 17, estimated 25 or older", _AGE),
        _estimated(25, 17, 17, passes=True),
        binomial=True,
    ),
    _share(
        *("challenge25_fnr", "aged 18 to 30, estimated below 25", _AGE),
        _estimated(25, 18, 30, passes=False),
        binomial=True,
    ),
    _share(
        *("over18_fpr", "aged 14 to 17, estimated 18 or older", _AGE),
        _estimated(18, 14, 17, passes=True),
        binomial=True,
    ),
    _share(
        *("over18_fnr", "aged 18 to 30, estimated below 18", _AGE),
        _estimated(18, 18, 30, passes=False),
        binomial=True,
    ),
    _share("declined", "declined", ("answered",), _declined, binomial=True),
    _years("mae_answered", "MAE of the answered", ("truths", "answered"), _answered_errors),
)
"""The measures of the table, in its order. All but `found` are of faces that were found."""
