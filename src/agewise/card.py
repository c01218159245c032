"""The model card: all that a model needs to be used rightly, kept inside its `.onnx` file.

The card is JSON under the metadata key `agewise_card`. Preprocessing and decoding are derived from it and
typed nowhere else, so a file cannot be served other than it was trained.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from agewise.errors import CardError
from agewise.imaging.crop import CropSpec
from agewise.quality import QualityThresholds
from agewise.types import Gender, UInt8Array
from agewise.verdicts import VerifyTable

CARD_KEY = "agewise_card"
CARD_VERSION = 1


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _check_bands(edges: tuple[float, ...], **columns: tuple[object, ...]) -> None:
    """Hold that edges rise, and that each column has one value for each of the bands between them."""
    if any(len(column) != len(edges) + 1 for column in columns.values()):
        raise ValueError(f"{len(edges)} edges need {len(edges) + 1} {' and '.join(columns)}")
    if list(edges) != sorted(set(edges)):
        raise ValueError(f"edges must rise, got {edges}")


_Positive = Annotated[float, Field(gt=0)]
_NotNegative = Annotated[float, Field(ge=0)]


class InputSpec(_Part):
    """What the network takes: float32 (n, 3, size, size), value = (pixel · scale − mean) / std.

    `pixel` is 0 to 255; `color_order` says which channel comes first.
    """

    name: str = "image"
    size: int = Field(ge=8, le=1024)
    color_order: Literal["RGB", "BGR"] = "RGB"
    scale: float = Field(default=1 / 255, gt=0)
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[_Positive, _Positive, _Positive] = (1.0, 1.0, 1.0)


class ExpectationAge(_Part):
    """A distribution over ages, decoded to its mean or its median.

    See `agewise.decode.expectation` and `agewise.decode.median`. Files from before there was `estimate` mean the mean.
    """

    kind: Literal["expectation"] = "expectation"
    output: str
    class_ages: tuple[float, ...] = Field(min_length=2)
    activation: Literal["none", "softmax"] = "none"
    estimate: Literal["mean", "median"] = "mean"

    @model_validator(mode="after")
    def _rising(self) -> ExpectationAge:
        if list(self.class_ages) != sorted(set(self.class_ages)):
            raise ValueError(f"class_ages must rise, got {self.class_ages}")
        return self


class BinsAge(_Part):
    """A distribution over age bins [low, high) in years. See `agewise.decode.class_bins`."""

    kind: Literal["bins"] = "bins"
    output: str
    bins: tuple[tuple[float, float], ...] = Field(min_length=2)
    activation: Literal["none", "softmax"] = "none"

    @model_validator(mode="after")
    def _rising(self) -> BinsAge:
        flat = [age for low_high in self.bins for age in low_high]
        if flat != sorted(flat) or not all(low < high for low, high in self.bins):
            raise ValueError(f"bins must be [low, high) with low < high, rising, without overlap, got {self.bins}")
        return self


class RegressionAge(_Part):
    """One number, age = output · scale + offset; its variance exp(log_variance) · scale², where there is one.

    See `agewise.decode.regression`.
    """

    kind: Literal["regression"] = "regression"
    output: str
    log_variance_output: str | None = None
    scale: float = 1.0
    offset: float = 0.0


class SoftStagewiseAge(_Part):
    """SSR-Net's stages, one output name each, coarse to fine. See `agewise.decode.soft_stagewise`."""

    kind: Literal["soft-stagewise"] = "soft-stagewise"
    probs: tuple[str, ...] = Field(min_length=1)
    deltas: tuple[str, ...] = Field(min_length=1)
    etas: tuple[str, ...] = Field(min_length=1)
    age_range: float = Field(default=101.0, gt=0)
    lambda_d: float = 1.0
    lambda_local: float = 1.0

    @model_validator(mode="after")
    def _same_stages(self) -> SoftStagewiseAge:
        if not len(self.probs) == len(self.deltas) == len(self.etas):
            raise ValueError(
                "probs, deltas and etas name one output a stage each, "
                f"got {len(self.probs)}, {len(self.deltas)} and {len(self.etas)}"
            )
        return self


class OrdinalAge(_Part):
    """A row of questions «older than class k?», one number a threshold. See `agewise.decode.ordinal`.

    With "sigmoid" the numbers are logits, with "none" probabilities. `conditional`: each question supposes
    that the one before it was answered with yes (CORN).
    """

    kind: Literal["ordinal"] = "ordinal"
    output: str
    class_ages: tuple[float, ...] = Field(min_length=2)
    activation: Literal["none", "sigmoid"] = "sigmoid"
    conditional: bool = False

    @model_validator(mode="after")
    def _rising(self) -> OrdinalAge:
        if list(self.class_ages) != sorted(set(self.class_ages)):
            raise ValueError(f"class_ages must rise, got {self.class_ages}")
        return self


AgeSpec = Annotated[
    ExpectationAge | BinsAge | RegressionAge | SoftStagewiseAge | OrdinalAge, Field(discriminator="kind")
]


class SureTable(_Part):
    """The probability from which on a gender label is sure; below it the model does not stand by the label.

    Band i holds estimated ages from `edges[i - 1]` up to `edges[i]`, the first and last are open. Of the labels of its
    faces that reach `probabilities[i]` a share of `right` or more is right; None where no probability gives that, so
    that no label is sure there. See `agewise.calibrate.fit_sure` for how it is made.
    """

    right: float = Field(gt=0.5, lt=1)
    edges: tuple[float, ...]
    probabilities: tuple[Annotated[float, Field(ge=0.5, le=1)] | None, ...]
    counts: tuple[Annotated[int, Field(ge=0)], ...]
    data: str

    @model_validator(mode="after")
    def _sizes(self) -> SureTable:
        _check_bands(self.edges, probabilities=self.probabilities, counts=self.counts)
        return self


class GenderSpec(_Part):
    """Gender: two numbers (n, 2) in the stated order, or one number (n,) or (n, 1): that of `order[1]`.

    With "softmax" two logits, with "sigmoid" one, with "none" probabilities, two or one.
    `temperature` divides the log-odds (Guo et al., «On Calibration of Modern Neural Networks», 2017). `sure` says
    which labels the model stands by; files without it say nothing about that.
    """

    output: str
    order: tuple[Gender, Gender] = (Gender.FEMALE, Gender.MALE)
    activation: Literal["none", "softmax", "sigmoid"] = "none"
    temperature: float = Field(default=1.0, gt=0)
    sure: SureTable | None = None

    @model_validator(mode="after")
    def _both(self) -> GenderSpec:
        if len(set(self.order)) != 2:
            raise ValueError(f"order must name both labels once, got {', '.join(self.order)}")
        return self


IntervalKind = Literal["plain", "normalised", "mondrian", "label-conditional"]


class IntervalTable(_Part):
    """Split-conformal radii. See `agewise.decode.interval`, and `agewise.calibrate` for how they are made.

    Band i holds ages from `edges[i - 1]` up to `edges[i]`; the first and last bands are open. The bands are of the
    predicted age, but of the true age where the kind is "label-conditional". "plain" and "normalised" have one.
    Where `normalised`, radii are in units of the predicted spread, which counts as `spread_floor` at least.
    """

    kind: IntervalKind = "mondrian"
    level: float = Field(gt=0, lt=1)
    edges: tuple[float, ...]
    radii: tuple[_NotNegative, ...]
    counts: tuple[Annotated[int, Field(ge=0)], ...]
    normalised: bool
    spread_floor: float = Field(default=0.0, ge=0)

    @model_validator(mode="after")
    def _sizes(self) -> IntervalTable:
        _check_bands(self.edges, radii=self.radii, counts=self.counts)
        if self.kind in ("plain", "normalised") and (self.edges or self.normalised != (self.kind == "normalised")):
            raise ValueError(f"a {self.kind} table has one band and normalised={self.kind == 'normalised'}")
        return self


class DensityTable(_Part):
    """Thresholds of highest-density sets, by bands of the true age as in `IntervalTable`.

    A class belongs to the set where the mass of all classes at least as dense, itself included, is at most the
    threshold of its band. See `agewise.density.DensitySets`.
    """

    level: float = Field(gt=0, lt=1)
    edges: tuple[float, ...]
    masses: tuple[Annotated[float, Field(ge=0, le=1)], ...]
    counts: tuple[Annotated[int, Field(ge=0)], ...]

    @model_validator(mode="after")
    def _sizes(self) -> DensityTable:
        _check_bands(self.edges, masses=self.masses, counts=self.counts)
        return self


class Calibration(_Part):
    """Interval tables, and what they were measured on.

    `served` says which kind a prediction's interval is of. `faces`, `date` (ISO 8601) and `sha256` (of the labels
    and predictions) say more exactly what the tables were measured on, where that was noted.
    """

    data: str
    intervals: tuple[IntervalTable, ...] = Field(min_length=1)
    served: IntervalKind = "mondrian"
    sets: tuple[DensityTable, ...] = ()
    faces: int | None = Field(default=None, ge=1)
    date: str | None = None
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")

    @model_validator(mode="after")
    def _one_a_level(self) -> Calibration:
        tables = [(table.kind, table.level) for table in self.intervals]
        if len(set(tables)) != len(tables):
            raise ValueError(f"one table a kind and level, got {tables}")
        if not any(table.kind == self.served for table in self.intervals):
            raise ValueError(f"the kind that is served, {self.served}, has no table")
        if len({table.level for table in self.sets}) != len(self.sets):
            raise ValueError(f"one set a level, got {[table.level for table in self.sets]}")
        return self


class Validity(_Part):
    """Where the model was validated: ages, and the least face side in pixels."""

    age_years: tuple[float, float]
    min_face_pixels: int = Field(default=24, ge=1)
    note: str = ""

    @model_validator(mode="after")
    def _rising(self) -> Validity:
        if not self.age_years[0] < self.age_years[1]:
            raise ValueError(f"age_years must be (low, high) with low < high, got {self.age_years}")
        return self


class Licences(_Part):
    """SPDX identifiers where there are such, else text."""

    code: str
    weights: str
    data: str


class Figure(_Part):
    """One measured figure, with all that it takes to repeat it."""

    measure: str
    value: float
    unit: str = ""
    data: str
    protocol: str


class Golden(_Part):
    """What the model must answer to `synthetic_crop(seed, size)`, within `tolerance` (absolute, of each number).

    `age_years` is the distribution's mean where there is one, also where the model's estimate is the median: that jumps
    by a year at a difference in the last bit.
    """

    seed: int = Field(ge=0, lt=2**31)
    age_years: float
    age_std_years: float = Field(ge=0)
    probability_female: float | None = Field(ge=0, le=1)
    tolerance: float = Field(default=0.02, gt=0)


class ModelCard(_Part):
    """Everything that a model file promises.

    `quality` says which faces are judged, by the library's own thresholds where it is None; `verification` counts
    right and wrong verdicts. Both, and all of `Calibration` but data and intervals, came later: files without them
    are read as before.
    """

    card_version: Literal[1] = 1
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    version: str
    summary: str
    input: InputSpec
    crop: CropSpec
    age: AgeSpec
    gender: GenderSpec | None
    calibration: Calibration | None
    validity: Validity
    quality: QualityThresholds | None = None
    verification: tuple[VerifyTable, ...] = ()
    training_data: str
    recipe: str
    licences: Licences
    figures: tuple[Figure, ...] = ()
    golden: Golden

    @model_validator(mode="after")
    def _golden_covers_gender(self) -> ModelCard:
        if (self.gender is None) != (self.golden.probability_female is None):
            raise ValueError("golden.probability_female is there exactly where the card has a gender")
        if self.calibration is not None and self.calibration.sets and self.age.kind not in ("expectation", "bins"):
            raise ValueError(f"highest-density sets need a distribution over classes; age is a {self.age.kind}")
        thresholds = [table.threshold for table in self.verification]
        if len(set(thresholds)) != len(thresholds):
            raise ValueError(f"one table of verification a threshold, got {thresholds}")
        return self

    def to_json(self) -> str:
        """The card as compact JSON."""
        return self.model_dump_json()


def read_card(metadata: Mapping[str, str], file: str) -> ModelCard:
    """The card among a model file's metadata.

    Args:
        metadata: key-value pairs of the file.
        file: its name, for messages.

    Raises:
        CardError: no card, an unknown card version, or a card that makes no sense.
    """
    text = metadata.get(CARD_KEY)
    if text is None:
        raise CardError(
            f"{file} has no agewise card (metadata key {CARD_KEY!r}), so its crop, colour order and decoding are "
            "unknown: use a file that agewise-lab exported"
        )
    try:
        version = _Version.model_validate_json(text).card_version
        if version != CARD_VERSION:
            raise CardError(
                f"{file} has a card of version {version}; this agewise reads version {CARD_VERSION}: "
                + ("update agewise" if version > CARD_VERSION else "export the model again")
            )
        return ModelCard.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "card"
        what = first["msg"].removeprefix("Value error, ")
        raise CardError(f"{file} has a card that makes no sense: {where}: {what}") from error


class _Version(BaseModel):
    card_version: int


def synthetic_crop(seed: int, size: int) -> UInt8Array:
    """A picture made from a seed by integer arithmetic alone: uint8 RGB (size, size, 3), the same everywhere.

    Smooth waves under a hash of the position, so that both large and small structures occur.

    Args:
        seed: 0 or more, below 2**31.
        size: side in pixels, at most 1024, as in `InputSpec`.
    """
    y, x, channel = np.indices((size, size, 3), dtype=np.int64)
    hashed = (x * 73856093) ^ (y * 19349663) ^ ((channel + 1) * 83492791) ^ (seed * 2654435761)
    grain = (hashed >> 7) & 63
    wave = ((x * (channel + 3) * 5 + y * 7 + seed * 11) * 256 // size) % 384
    crop: UInt8Array = np.minimum(grain + np.abs(wave - 192), 255).astype(np.uint8)
    return crop
