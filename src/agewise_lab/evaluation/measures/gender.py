"""Gender probabilities against the data set's labels: `female_probability` (n,), 0 to 1, and `is_female`, bool (n,)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit, ndtri
from scipy.stats import rankdata

from agewise.types import FloatArray

BoolArray = npt.NDArray[np.bool_]


def accuracy(female_probability: FloatArray, is_female: BoolArray) -> float:
    """Share of faces whose likelier label is the data set's; 0.5 counts as female, as in `agewise.decode`.

    Source: Levi, Hassner, «Age and gender classification using convolutional neural networks», CVPR workshops 2015.

    >>> accuracy(np.array([0.9, 0.4, 0.6]), np.array([True, False, False]))
    0.6666666666666666
    """
    return float(((female_probability >= 0.5) == is_female).mean())


def balanced_accuracy(female_probability: FloatArray, is_female: BoolArray) -> float:
    """Mean of the shares that are right among faces labelled female and among those labelled male.

    Unlike accuracy, 0.5 for a model that always says the same. NaN where a label is missing.

    Source: Brodersen, Ong, Stephan, Buhmann, «The balanced accuracy and its posterior distribution», ICPR 2010.

    >>> balanced_accuracy(np.array([0.9, 0.8, 0.7, 0.6]), np.array([True, True, True, False]))
    0.5
    """
    right = (female_probability >= 0.5) == is_female
    if is_female.all() or not is_female.any():
        return float("nan")
    return float((right[is_female].mean() + right[~is_female].mean()) / 2)


def area_under_curve(female_probability: FloatArray, is_female: BoolArray) -> float:
    """AUC: the probability that a face labelled female has the higher probability than one labelled male.

    Ties count half. NaN where a label is missing.

    Source: Hanley, McNeil, «The meaning and use of the area under a ROC curve», Radiology 143, 1982.

    >>> area_under_curve(np.array([0.9, 0.4, 0.6, 0.1]), np.array([True, True, False, False]))
    0.75
    """
    females, males = int(is_female.sum()), int((~is_female).sum())
    if not females or not males:
        return float("nan")
    ranks = rankdata(female_probability)
    return float((ranks[is_female].sum() - females * (females + 1) / 2) / (females * males))


def auc_interval(
    female_probability: FloatArray,
    is_female: BoolArray,
    subjects: npt.NDArray[np.int64] | None = None,
    level: float = 0.95,
) -> tuple[float, float]:
    """Interval of the AUC, by subjects where they are given as numbers (n,); normal on the scale of log-odds.

    The standard deviation is made of each face's placement among those of the other label, summed by subject. An
    AUC of 0 or 1, and a label with one face only, have no such interval: NaN.

    Source: DeLong, DeLong, Clarke-Pearson, Biometrics 44, 1988; with subjects: Obuchowski, Biometrics 53, 1997.

    >>> p, female = np.array([0.9, 0.4, 0.8, 0.6, 0.1, 0.3]), np.array([True] * 3 + [False] * 3)
    >>> [round(end, 3) for end in auc_interval(p, female)]
    [0.261, 0.995]
    """
    females, males = int(is_female.sum()), int((~is_female).sum())
    area = area_under_curve(female_probability, is_female)
    if min(females, males) < 2 or not 0 < area < 1:
        return float("nan"), float("nan")
    ranks = rankdata(female_probability)
    within = np.empty(len(ranks))
    within[is_female] = rankdata(female_probability[is_female])
    within[~is_female] = rankdata(female_probability[~is_female])
    # Of a female face the share of males below it, of a male one the share of females above it.
    placement = np.where(is_female, (ranks - within) / males, 1 - (ranks - within) / females)
    # Each mean's own degrees of freedom, as DeLong's variance has them.
    pull = (placement - area) / np.where(is_female, np.sqrt(females * (females - 1)), np.sqrt(males * (males - 1)))
    if subjects is not None:
        pull = np.bincount(np.unique(subjects, return_inverse=True)[1], weights=pull)
    spread = float(np.sqrt(np.square(pull).sum())) / (area * (1 - area))
    reach = float(ndtri((1 + level) / 2)) * spread
    return float(expit(logit(area) - reach)), float(expit(logit(area) + reach))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability:
    """A reliability plot's bins: edges (bins + 1,); of each bin (bins,) its count, mean confidence and share right.

    `confidence` and `right` are NaN in an empty bin.
    """

    edges: FloatArray
    count: npt.NDArray[np.int64]
    confidence: FloatArray
    right: FloatArray


def reliability(female_probability: FloatArray, is_female: BoolArray, bins: int = 10) -> Reliability:
    """Equal bins of the confidence in the likelier label, 0.5 to 1.

    Source: DeGroot, Fienberg, «The comparison and evaluation of forecasters», The Statistician 32, 1983.

    >>> r = reliability(np.array([0.9, 0.9, 0.1, 0.6]), np.array([True, True, True, False]), bins=2)
    >>> r.count.tolist(), r.confidence.round(6).tolist(), r.right.round(4).tolist()
    ([1, 3], [0.6, 0.9], [0.0, 0.6667])
    """
    confidence = np.maximum(female_probability, 1 - female_probability)
    right = (female_probability >= 0.5) == is_female
    place = confidence_bins(confidence, bins)
    count = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        means = [np.bincount(place, weights=values, minlength=bins) / count for values in (confidence, right)]
    return Reliability(
        edges=np.linspace(0.5, 1.0, bins + 1), count=count.astype(np.int64), confidence=means[0], right=means[1]
    )


def confidence_bins(confidence: FloatArray, bins: int) -> npt.NDArray[np.int64]:
    """The bin of each confidence, 0.5 to 1: int64 (n,)."""
    return np.clip(((confidence - 0.5) * 2 * bins).astype(np.int64), 0, bins - 1)


def expected_calibration_error(female_probability: FloatArray, is_female: BoolArray, bins: int = 10) -> float:
    """ECE: mean |share right − confidence| over equal bins of confidence 0.5 to 1, weighted by their sizes.

    In small sets it is above 0 by chance even where the probabilities are right.

    Source: Guo et al., «On Calibration of Modern Neural Networks», ICML 2017, eq. 3.

    >>> round(expected_calibration_error(np.array([0.9, 0.9, 0.1, 0.9]), np.array([True, True, False, False])), 4)
    0.15
    """
    r = reliability(female_probability, is_female, bins)
    full = r.count > 0
    return float((np.abs(r.right[full] - r.confidence[full]) * r.count[full]).sum() / r.count.sum())
