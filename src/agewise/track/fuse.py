"""One estimate from many pictures of one face.

The frames' distributions over ages are pooled linearly, with weights by quality (`weight`): p̄ = Σ wᵢ pᵢ. The pool
holds what any frame finds likely, so no single frame can veto or pull it, and frames that disagree widen it. It is
then sharpened to p ∝ p̄ ^ n_eff, and the card's calibration is applied to that as to a single picture's distribution.

How far it may narrow. Pictures of one face repeat each other: most of what a model gets wrong of a person, it gets
wrong in every frame. With ρ the correlation of two frames' errors, the variance of the mean of n equally good frames is
(1 + (n − 1)ρ) / n of a single one's, so n frames count as n_eff = n / (1 + (n − 1)ρ) independent ones, never more than
1/ρ; for weights that differ n is (Σw)² / Σw² (Kish). The exponent n_eff divides a normal distribution's spread by
√n_eff, which is how much the error shrinks, so the card's radii, in units of the spread, keep their meaning. Where a
card's radii are in years, the interval does not shrink at all. √ρ, all that may ever be left of the width, is also a
floor: the interval is never narrower than that share of what the single pictures have on average.

What is promised. The card's conformal promise is for single pictures, and a fused one is not exchangeable with those:
for tracks it is measured, not proved. On UTKFace's validation part (1,293 faces, 8 pictures of each: shifted, turned,
scaled, blurred, lit and noised at random; `benchmarks/tracks.py`), ρ of the errors is .949 for agewise-s 4.3, .943 for
agewise-m 5.3 and .911 for agewise-ssr 2.2; with ρ = .95 fused 90 % intervals hold 90.6, 90.6 and 92.3 % of true ages,
being 18.9, 18.0 and 23.2 years wide, where single pictures' hold 90.2, 90.6 and 90.0 % at 19.3, 18.3 and 23.0 years.
What a track gains is mostly a better age, not a narrower interval.
The cards were calibrated on other pictures of these same faces.

Sources: Stone, «The opinion pool», Annals of Mathematical Statistics 1961, for the pool; Kish, «Survey Sampling», 1965,
for n and his design effect 1 + (n − 1)ρ.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np

from agewise.card import BinsAge, ExpectationAge, OrdinalAge
from agewise.decode import AgeEstimates, ages_of, is_gender_sure
from agewise.estimate import Estimator
from agewise.types import Detection, FloatArray, Gender, Prediction, Quality

CORRELATION = 0.95
"""Of the errors of two pictures of one face: the largest that was measured of the embedded models, see above."""

_DECLINED = 0.02  # the weight of a frame that was not judged, beside one that was
_SHARP, _LARGE = 0.35, 96.0  # sharpness, and pixels, that a face needs to count fully


def weight(quality: Quality | None, answered: bool) -> float:
    """How much a frame counts, above 0 to 1: sharp, large, frontal and whole faces most.

    A product: sharpness / .35 and side / 96 pixels, each at most 1; cos² of yaw and of pitch; 1 − the share that is
    cut; 1/50 where the frame was not judged. What was not measured counts as good.
    """
    value = 1.0 if answered else _DECLINED
    if quality is not None:
        value *= min(max(quality.sharpness / _SHARP, 0.05), 1.0)
        if quality.face_pixels is not None:
            value *= min(max(quality.face_pixels / _LARGE, 0.05), 1.0)
        for angle in (quality.yaw_degrees, quality.pitch_degrees):
            if angle is not None:
                value *= max(math.cos(math.radians(angle)) ** 2, 0.05) if abs(angle) < 90 else 0.05
        if quality.cut is not None:
            value *= max(1 - quality.cut, 0.05)
    return value


def effective_number(weights: FloatArray, correlation: float) -> float:
    """As how many independent pictures these count, 1 to 1 / correlation.

    >>> [round(effective_number(np.ones(n), 0.5), 3) for n in (1, 2, 100)]
    [1.0, 1.333, 1.98]
    """
    n = float(weights.sum() ** 2 / (weights * weights).sum())
    return n / (1 + (n - 1) * correlation)


@dataclass(frozen=True, slots=True)
class _Frame:
    prediction: Prediction
    detection: Detection
    weight: float


class Fusion:
    """The estimates of one face, the best `kept` of them, and what they say together.

    Args:
        estimator: its card decodes and calibrates.
        kept: most estimates remembered, 2 or more.
        correlation: ρ, 0 to 1.
        gender_sure: probability at which the gender is decided.
    """

    def __init__(
        self, estimator: Estimator, *, kept: int = 16, correlation: float = CORRELATION, gender_sure: float = 0.9
    ) -> None:
        self._estimator = estimator
        self._kept = kept
        self._correlation = correlation
        self._sure = gender_sure
        self._frames: list[_Frame] = []
        self._gender: Gender | None = None
        self._decided = False
        self.answered = 0  # answered estimates so far

    def add(self, prediction: Prediction, detection: Detection) -> Prediction:
        """Take in a frame's estimate; the fused one is given back."""
        self.answered += prediction.answered
        frame = _Frame(prediction, detection, weight(prediction.quality, prediction.answered))
        self._frames.append(frame)
        if len(self._frames) > self._kept:  # the worst goes, the oldest of equals, never the newest
            self._frames.remove(min(self._frames[:-1], key=lambda old: old.weight))
        return self._fused()

    @property
    def best(self) -> Detection | None:
        """Where the face was in the frame that counts most."""
        return max(self._frames, key=lambda frame: frame.weight).detection if self._frames else None

    def _fused(self) -> Prediction:
        predictions = [frame.prediction for frame in self._frames]
        weights = np.array([frame.weight for frame in self._frames])
        number = effective_number(weights, self._correlation)
        weights /= weights.sum()
        ages = self._ages(predictions, weights, number)
        female = _female(predictions, weights)
        best = max(self._frames, key=lambda frame: frame.weight).prediction
        if best.quality is None:  # an estimator of the caller's own that measures none
            raise ValueError("a track needs predictions with their quality, got one without")
        (fused,) = self._estimator.conclude(ages, None if female is None else np.array([female]), [best.quality])
        if not any(prediction.answered for prediction in predictions):
            fused = dataclasses.replace(fused, answered=False, reasons=best.reasons)
        fused = self._no_narrower(fused, predictions, weights)
        return fused if female is None else self._with_gender(fused, female)

    def _ages(self, predictions: list[Prediction], weights: FloatArray, number: float) -> AgeEstimates:
        """The sharpened pool; without distributions the weighted mean, with the mean variance over n_eff."""
        rows = [prediction.probs_over_ages for prediction in predictions]
        spec = self._estimator.card.age
        if isinstance(spec, ExpectationAge | BinsAge | OrdinalAge) and all(row is not None for row in rows):
            pooled = weights @ np.array(rows, dtype=np.float64)
            probs = (pooled / pooled.max()) ** number
            return ages_of((probs / probs.sum())[None], spec)
        years = weights @ np.array([prediction.age_years for prediction in predictions])
        variance = weights @ np.array([prediction.age_std_years**2 for prediction in predictions]) / number
        return AgeEstimates(np.array([years]), np.sqrt(np.array([variance])))

    def _no_narrower(self, fused: Prediction, predictions: list[Prediction], weights: FloatArray) -> Prediction:
        """Widen an interval about the estimate to the floor's share of the single frames' mean sides."""
        if fused.age_interval_years is None:
            return fused
        sides = [
            (p.age_years - p.age_interval_years[0], p.age_interval_years[1] - p.age_years)
            for p in predictions
            if p.age_interval_years is not None
        ]
        if len(sides) < len(predictions):
            return fused
        below, above = (math.sqrt(self._correlation) * (weights @ np.array(sides))).tolist()
        low, high = fused.age_interval_years
        wanted = (min(low, max(0.0, fused.age_years - below)), max(high, fused.age_years + above))
        return dataclasses.replace(fused, age_interval_years=wanted)

    def _with_gender(self, fused: Prediction, female: float) -> Prediction:
        """The label is held until the other one is likely enough: twice as likely before it is decided, sure after."""
        likelier, probability = (Gender.FEMALE, female) if female >= 0.5 else (Gender.MALE, 1 - female)
        if self._gender is None or (
            likelier is not self._gender and probability >= (self._sure if self._decided else 2 / 3)
        ):
            self._gender = likelier
        if likelier is self._gender and probability >= self._sure and self.answered >= 2:
            self._decided = True
        shown = min(probability if likelier is self._gender else 0.5, 1.0)
        spec = self._estimator.card.gender
        sure = None if spec is None else is_gender_sure(shown, fused.age_years, spec)
        return dataclasses.replace(fused, gender=self._gender, gender_probability=shown, gender_sure=sure)


def _female(predictions: list[Prediction], weights: FloatArray) -> float | None:
    """The probability of «female» from the weighted mean of the log-odds, not sharpened: it is calibrated as it is."""
    total = 0.0
    for prediction, share in zip(predictions, weights.tolist(), strict=True):
        if prediction.gender is None or prediction.gender_probability is None:
            return None
        probability = min(prediction.gender_probability, 1 - 1e-6)
        log_odds = math.log(probability / (1 - probability))
        total += share * (log_odds if prediction.gender is Gender.FEMALE else -log_odds)
    return 1 / (1 + math.exp(-total))
