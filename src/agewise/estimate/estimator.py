"""A model with its card: crops in, predictions out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from agewise import decode
from agewise import quality as picture_quality
from agewise.card import IntervalKind, ModelCard, read_card, synthetic_crop
from agewise.density import DensitySets
from agewise.engine import Engine, EngineConfig, OnnxEngine
from agewise.errors import ArrayError, GoldenCheckError, ModelError
from agewise.imaging.crop import crop_face
from agewise.imaging.normalise import to_network_input
from agewise.quality import QualityThresholds
from agewise.store import DEFAULT_MODEL, find_model
from agewise.types import Detection, FloatArray, Prediction, Quality, UInt8Array


class Estimator:
    """Estimates age and gender from faces.

    Args:
        model: the name of an embedded model, or the path of an `.onnx` file with a card.
        engine_config: threads and providers.
        batch: most crops in one network call; bounds memory.
        level: of the intervals; the card must have a table for it, if it has any calibration.
        interval_kind: of the intervals; by default the one that the card serves.
        quality: which faces are judged; by default the card's thresholds, or the library's where it has none. May
            be set later, too.
        answer_all: judge every face, whatever its quality and its estimate. May be set later, too.
        engine: instead of `model`, a network that is open already (its metadata hold the card).

    Raises:
        UnknownModelError: no such model.
        CardError: the file has no card, or one that makes no sense.
        GoldenCheckError: the network does not answer as its card promises.
        ModelError: the file is no network, or has no interval of that level.
    """

    def __init__(
        self,
        model: str | Path = DEFAULT_MODEL,
        *,
        engine_config: EngineConfig | None = None,
        batch: int = 32,
        level: float = 0.9,
        interval_kind: IntervalKind | None = None,
        quality: QualityThresholds | None = None,
        answer_all: bool = False,
        engine: Engine | None = None,
    ) -> None:
        if batch < 1:
            raise ValueError(f"batch must be at least 1, got {batch}")
        self.name = str(model) if engine is None else "engine"
        self._engine = engine or OnnxEngine(find_model(model).data, engine_config, name=self.name)
        self.card: ModelCard = read_card(self._engine.metadata, self.name)
        self._batch = batch
        self._level = level
        self._kind = interval_kind
        self.answer_all = answer_all
        self.quality: QualityThresholds = quality or thresholds_of(self.card)
        self._sets: DensitySets | None = None
        calibration = self.card.calibration
        if calibration is not None:
            # an unknown level or kind is refused now, not at the first face
            decode.table_of(calibration, level, interval_kind)
            table = next((table for table in calibration.sets if abs(table.level - level) < 1e-9), None)
            self._sets = None if table is None else DensitySets(self.card.age, table)
        check_golden(self)

    def crop(self, image_rgb: UInt8Array, detection: Detection) -> UInt8Array:
        """The crop that the network sees of a face: uint8 RGB (size, size, 3)."""
        return crop_face(image_rgb, detection, self.card.crop, self.card.input.size)

    def run(self, crops_rgb: UInt8Array) -> tuple[decode.AgeEstimates, FloatArray | None]:
        """Ages, and probabilities of «female» (n,) or None, of crops: uint8 RGB (n, size, size, 3).

        Raises:
            ArrayError: crops of another size, shape or type.
            ModelError: the network's outputs are not what the card promises.
        """
        spec = self.card.input
        if crops_rgb.ndim != 4 or crops_rgb.shape[1:] != (spec.size, spec.size, 3):
            raise ArrayError(
                f"{self.card.name} takes uint8 RGB crops (n, {spec.size}, {spec.size}, 3), got {crops_rgb.shape}"
            )
        values = to_network_input(
            crops_rgb, color_order=spec.color_order, scale=spec.scale, mean=spec.mean, std=spec.std
        )
        outputs = self._engine.run({spec.name: values})
        ages = decode.decode_ages(outputs, self.card.age)
        if len(ages.years) != len(crops_rgb):
            raise ModelError(f"{self.card.name} gave {len(ages.years)} ages for {len(crops_rgb)} crops")
        if self.card.gender is None:
            return ages, None
        female = decode.decode_female_probability(outputs, self.card.gender)
        if len(female) != len(crops_rgb):
            raise ModelError(f"{self.card.name} gave {len(female)} genders for {len(crops_rgb)} crops")
        return ages, female

    def predict_crops(self, crops_rgb: UInt8Array) -> list[Prediction]:
        """Predictions of crops, uint8 RGB (n, size, size, 3), in their order; n may be 0.

        Of their quality only that is measured which a crop shows: no size in pixels, no angles, no cut.
        """
        predictions: list[Prediction] = []
        for start in range(0, len(crops_rgb), self._batch):
            part = crops_rgb[start : start + self._batch]
            predictions += self._predictions(part, [picture_quality.measure(crop) for crop in part])
        return predictions

    def __call__(self, image_rgb: UInt8Array, detections: Sequence[Detection]) -> list[Prediction]:
        """Predictions of the faces of a picture, uint8 RGB (height, width, 3), in their order.

        Crops are cut a batch at a time, so that a crowd costs no more memory than a batch.
        """
        size_wh = (image_rgb.shape[1], image_rgb.shape[0])
        predictions: list[Prediction] = []
        for start in range(0, len(detections), self._batch):
            part = detections[start : start + self._batch]
            crops = np.stack([self.crop(image_rgb, face) for face in part])
            pictures = [picture_quality.measure(crop, face, size_wh) for crop, face in zip(crops, part, strict=True)]
            predictions += self._predictions(crops, pictures)
        return predictions

    def predict_pictures(self, pictures: Sequence[tuple[UInt8Array, Sequence[Detection]]]) -> list[list[Prediction]]:
        """Predictions of the faces of several pictures, a list a picture, in their order.

        Faces of different pictures share a network call, at most `batch` of them. The values are those of a call
        for each picture, but for the last bits, in which the runtime may differ with the size of a batch.

        Args:
            pictures: uint8 RGB (height, width, 3), each with its faces, of which there may be none.
        """
        faces = [(image_rgb, face) for image_rgb, detections in pictures for face in detections]
        predictions: list[Prediction] = []
        for start in range(0, len(faces), self._batch):
            part = faces[start : start + self._batch]
            crops = np.stack([self.crop(image_rgb, face) for image_rgb, face in part])
            measured = [
                picture_quality.measure(crop, face, (image_rgb.shape[1], image_rgb.shape[0]))
                for crop, (image_rgb, face) in zip(crops, part, strict=True)
            ]
            predictions += self._predictions(crops, measured)
        each = iter(predictions)
        return [[next(each) for _ in detections] for _, detections in pictures]

    def _predictions(self, crops_rgb: UInt8Array, pictures: Sequence[Quality]) -> list[Prediction]:
        """Of one batch of crops and the qualities of their pictures."""
        ages, female = self.run(crops_rgb)
        return self.conclude(ages, female, pictures)

    def conclude(
        self, ages: decode.AgeEstimates, female: FloatArray | None, pictures: Sequence[Quality]
    ) -> list[Prediction]:
        """Predictions from what `run` gave: intervals, ranges and the decision to answer, all by the card.

        Args:
            ages: of n faces; a fusion of several pictures of one face may take the place of `run`'s.
            female: probabilities of «female» (n,), or None.
            pictures: the qualities of the n faces' pictures.
        """
        ranges = None
        if self._sets is not None and ages.probs_over_ages is not None:
            ranges = self._sets.ranges(ages.probs_over_ages)
        return [
            self._prediction(ages, female, i, picture, None if ranges is None else ranges[i])
            for i, picture in enumerate(pictures)
        ]

    def _prediction(
        self,
        ages: decode.AgeEstimates,
        female: FloatArray | None,
        i: int,
        picture: Quality,
        ranges: tuple[tuple[float, float], ...] | None,
    ) -> Prediction:
        years, spread = float(ages.years[i]), float(ages.std_years[i])
        calibration = self.card.calibration
        interval = None if calibration is None else decode.interval(years, spread, calibration, self._level, self._kind)
        gender, probability, sure = None, None, None
        if female is not None and self.card.gender is not None:
            gender, probability = decode.likelier_gender(float(female[i]))
            sure = decode.is_gender_sure(probability, years, self.card.gender)
        why: tuple[str, ...] = ()
        if not self.answer_all:
            valid = self.card.validity.age_years
            why = picture_quality.reasons(picture, self.quality, age_years=years, interval=interval, valid_ages=valid)
        return Prediction(
            age_years=years,
            age_std_years=spread,
            age_interval_years=interval,
            interval_level=None if calibration is None else self._level,
            gender=gender,
            gender_probability=probability,
            gender_sure=sure,
            probs_over_ages=None if ages.probs_over_ages is None else ages.probs_over_ages[i],
            class_ages=ages.class_ages,
            answered=not why,
            reasons=why,
            quality=picture,
            age_ranges_years=ranges,
            verify_tables=self.card.verification,
        )


def thresholds_of(card: ModelCard) -> QualityThresholds:
    """Which faces a model judges: by its card, or by the library's thresholds and the card's least face."""
    return card.quality or QualityThresholds(min_face_pixels=card.validity.min_face_pixels)


def check_golden(estimator: Estimator) -> None:
    """Hold a model against the answers that its card promises.

    Raises:
        GoldenCheckError: an answer differs by more than the card's tolerance.
    """
    card = estimator.card
    golden = card.golden
    crop = synthetic_crop(golden.seed, card.input.size)
    ages, female = estimator.run(crop[None])
    got = {"age_years": float(ages.mean_years[0]), "age_std_years": float(ages.std_years[0])}
    promised = {"age_years": golden.age_years, "age_std_years": golden.age_std_years}
    if female is not None and golden.probability_female is not None:
        got["probability_female"] = float(female[0])
        promised["probability_female"] = golden.probability_female
    for key, value in promised.items():
        if not abs(got[key] - value) <= golden.tolerance:
            raise GoldenCheckError(
                f"{card.name} {card.version} does not answer as its card promises: {key} is {got[key]:.4f}, "
                f"expected {value:.4f} ± {golden.tolerance:g}. The file is damaged, or this runtime computes wrongly"
            )
