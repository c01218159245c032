"""What the tests of agewise share: a network whose answers can be worked out by hand, in every form that a test needs.

The network looks at a crop's mean colour only: the age is the mean of all values (a black crop is 0 years old, a
white one 100), the probability of «female» is the mean of the first channel. It comes as a function (`tiny_answer`),
as a fake engine, and as the bytes of a real ONNX file, which are written here by hand: the light environment has no
`onnx`.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import struct
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pytest

from agewise.card import CARD_KEY, ModelCard, synthetic_crop
from agewise.engine import FakeEngine
from agewise.estimate import Estimator
from agewise.quality import ANSWER_ALL
from agewise.types import Box, Detection, UInt8Array

AnyArray: TypeAlias = npt.NDArray[np.generic]

SIZE = 16


# ---------------------------------------------------------------- the network, as a function


def tiny_answer(inputs: Mapping[str, AnyArray]) -> dict[str, AnyArray]:
    """`probs` (n, 101): two neighbouring classes about the mean age; `age` (n, 1), 0 to 1; `female` and `genders`."""
    planes = np.asarray(inputs["image"], dtype=np.float64)
    age = planes.mean(axis=(1, 2, 3))
    female = planes[:, 0].mean(axis=(1, 2))
    probs = np.clip(1 - np.abs(100 * age[:, None] - np.arange(101)), 0, None)
    return {
        "probs": probs.astype(np.float32),
        "age": age[:, None].astype(np.float32),
        "female": female[:, None].astype(np.float32),
        "genders": np.stack([female, 1 - female], axis=1).astype(np.float32),
    }


# ---------------------------------------------------------------- cards


def card_fields(**changes: Any) -> dict[str, Any]:
    """The JSON of a card that is right for `tiny_answer`, with some of its top fields changed."""
    crop = synthetic_crop(7, SIZE).astype(np.float64) / 255
    age = 100 * float(crop.mean())
    part = age % 1
    return {
        "card_version": 1,
        "name": "tiny",
        "version": "1.0",
        "summary": "the mean of the crop",
        "input": {"size": SIZE},
        "crop": {"kind": "box"},
        "age": {"kind": "expectation", "output": "probs", "class_ages": list(range(101))},
        "gender": {"output": "genders", "order": ["female", "male"]},
        "calibration": {
            "data": "none",
            "intervals": [
                {"level": 0.9, "edges": [20, 60], "radii": [3, 5, 8], "counts": [9, 9, 9], "normalised": False},
                {"level": 0.5, "edges": [], "radii": [2], "counts": [27], "normalised": False},
            ],
        },
        "validity": {"age_years": [0, 100]},
        "quality": dataclasses.asdict(ANSWER_ALL),  # flat colours are no sharp faces
        "training_data": "none",
        "recipe": "by hand",
        "licences": {"code": "Apache-2.0", "weights": "CC0-1.0", "data": "none"},
        "figures": [{"measure": "MAE", "value": 0.5, "unit": "years", "data": "none", "protocol": "none"}],
        "golden": {
            "seed": 7,
            "age_years": age,
            "age_std_years": (part * (1 - part)) ** 0.5,
            "probability_female": float(crop[..., 0].mean()),
        },
    } | changes


CardFields: TypeAlias = Callable[..., dict[str, Any]]
MakeCard: TypeAlias = Callable[..., ModelCard]


@pytest.fixture(name="card_fields")
def card_fields_fixture() -> CardFields:
    """`card_fields(**changes)`: a whole card as JSON-able fields, some of the top ones changed."""
    return card_fields


@pytest.fixture
def make_card() -> MakeCard:
    """`make_card(**changes)`: the same as a `ModelCard`."""
    return lambda **changes: ModelCard.model_validate(card_fields(**changes))


# ---------------------------------------------------------------- engines and estimators


@pytest.fixture
def make_engine(make_card: MakeCard) -> Callable[..., FakeEngine]:
    """`make_engine(card=None, answer=tiny_answer)`: a fake engine whose metadata hold the card."""

    def make(card: ModelCard | None = None, answer: Callable[..., dict[str, AnyArray]] = tiny_answer) -> FakeEngine:
        return FakeEngine(answer, {CARD_KEY: (card or make_card()).to_json()})

    return make


@pytest.fixture
def make_estimator(make_engine: Callable[..., FakeEngine]) -> Callable[..., Estimator]:
    """`make_estimator(card=None, answer=tiny_answer, **options)`: an `Estimator` on a fake engine."""

    def make(
        card: ModelCard | None = None, answer: Callable[..., dict[str, AnyArray]] = tiny_answer, **options: Any
    ) -> Estimator:
        return Estimator(engine=make_engine(card, answer), **options)

    return make


# ---------------------------------------------------------------- the network, as a real ONNX file


def _varint(value: int) -> bytes:
    return bytes([value]) if value < 128 else bytes([value & 127 | 128]) + _varint(value >> 7)


def _proto(*fields: tuple[int, int | str | bytes]) -> bytes:
    """A protocol buffer message of numbered fields."""
    message = b""
    for number, value in fields:
        if isinstance(value, int):
            message += _varint(number << 3) + _varint(value)
        else:
            data = value.encode() if isinstance(value, str) else value
            message += _varint(number << 3 | 2) + _varint(len(data)) + data
    return message


def _value_info(name: str, *shape: int | str) -> bytes:
    dims = _proto(*((1, _proto((1 if isinstance(side, int) else 2, side))) for side in shape))
    return _proto((1, name), (2, _proto((1, _proto((1, 1), (2, dims))))))


def onnx_file(metadata: Mapping[str, str]) -> bytes:
    """The tiny network as an ONNX file: `image` (n, 3, 16, 16) → `age` (n, 1) and `female` (n, 1), both 0 to 1.

    Field numbers are those of `onnx.proto`; the network needs no operator with attributes.
    """

    def node(operator: str, inputs: list[str], output: str) -> tuple[int, bytes]:
        return 1, _proto(*((1, name) for name in inputs), (2, output), (4, operator))

    def column(name: str, values: list[float]) -> tuple[int, bytes]:
        return 5, _proto((1, 3), (1, 1), (2, 1), (8, name), (9, struct.pack("<3f", *values)))

    graph = _proto(
        node("GlobalAveragePool", ["image"], "pooled"),
        node("Flatten", ["pooled"], "colour"),
        node("MatMul", ["colour", "thirds"], "age"),
        node("MatMul", ["colour", "first"], "female"),
        (2, "tiny"),
        column("thirds", [1 / 3, 1 / 3, 1 / 3]),
        column("first", [1.0, 0.0, 0.0]),
        (11, _value_info("image", "n", 3, SIZE, SIZE)),
        (12, _value_info("age", "n", 1)),
        (12, _value_info("female", "n", 1)),
    )
    opset = _proto((1, ""), (2, 17))
    return _proto(
        (1, 8), (7, graph), (8, opset), *((14, _proto((1, key), (2, value))) for key, value in metadata.items())
    )


ONNX_CHANGES: dict[str, Any] = {
    "age": {"kind": "regression", "output": "age", "scale": 100.0},
    "gender": {"output": "female", "order": ["male", "female"]},
    "golden": card_fields()["golden"] | {"age_std_years": 0.0},
}
"""What a card says differently of the ONNX file, whose age is one number."""


@pytest.fixture
def make_onnx(make_card: MakeCard) -> Callable[..., bytes]:
    """`make_onnx(metadata=None, **changes)`: the bytes of a real model with its card, or with that metadata."""

    def make(metadata: Mapping[str, str] | None = None, **changes: Any) -> bytes:
        if metadata is None:
            metadata = {CARD_KEY: make_card(**(ONNX_CHANGES | changes)).to_json()}
        return onnx_file(metadata)

    return make


@pytest.fixture
def onnx_path(tmp_path: Path, make_onnx: Callable[..., bytes]) -> Path:
    """A real model file with its card."""
    path = tmp_path / "tiny.onnx"
    path.write_bytes(make_onnx())
    return path


# ---------------------------------------------------------------- pictures and detectors


class FakeDetector:
    """A detector whose finds are planned."""

    name = "fake"

    def __init__(self, detections: Sequence[Detection]) -> None:
        self.detections = list(detections)
        self.seen: list[tuple[int, ...]] = []

    def detect(self, image_rgb: UInt8Array) -> list[Detection]:
        self.seen.append(image_rgb.shape)
        return list(self.detections)


@dataclass(frozen=True)
class Photo:
    """A picture of flat squares on a ramp, and where they are.

    `tiny_answer` finds `ages` and `females` in crops of `boxes`.
    """

    image_rgb: UInt8Array
    boxes: list[Box]
    ages: list[float]
    females: list[float]

    @property
    def detector(self) -> FakeDetector:
        """Finds the squares, in the order of `boxes`."""
        return FakeDetector([Detection(box, 0.9) for box in self.boxes])


SQUARES: list[tuple[Box, tuple[int, int, int]]] = [
    ((10.0, 20.0, 50.0, 60.0), (51, 51, 0)),  # 13.3 years, male
    ((100.0, 40.0, 180.0, 120.0), (204, 102, 0)),  # 40 years, female; the largest
    ((200.0, 10.0, 264.0, 74.0), (255, 204, 153)),  # 80 years, female
]


@pytest.fixture
def photo() -> Photo:
    """Three «faces», none of them in a place where another would do."""
    y, x = np.mgrid[0:160, 0:300]
    image = np.stack([x % 256, y, (x + y) % 256], axis=2).astype(np.uint8)
    for (x0, y0, x1, y1), colour in SQUARES:
        # a little larger than its box: what is sampled at the box's edge is of the square, too
        image[int(y0) - 2 : int(y1) + 2, int(x0) - 2 : int(x1) + 2] = colour
    return Photo(
        image,
        [box for box, _ in SQUARES],
        [100 * sum(colour) / 3 / 255 for _, colour in SQUARES],
        [colour[0] / 255 for _, colour in SQUARES],
    )


@pytest.fixture
def make_detector() -> Callable[..., FakeDetector]:
    """`make_detector(detections)`: a detector that finds just these."""
    return FakeDetector


# ---------------------------------------------------------------- permissions


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that any user can reach; pytest's own is closed to others."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    yield folder
    folder.chmod(0o777)
    shutil.rmtree(folder)


@pytest.fixture
def not_root() -> Callable[[], AbstractContextManager[None]]:
    """`with not_root():` root may do anything: act as `nobody` for a while, so that the system itself refuses."""

    @contextmanager
    def act() -> Iterator[None]:
        if os.name != "posix" or os.geteuid() != 0:
            yield
            return
        try:
            os.seteuid(65534)
        except OSError:
            pytest.skip("runs as root, and cannot step down to another user")
        try:
            yield
        finally:
            os.seteuid(0)

    return act
