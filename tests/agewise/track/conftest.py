"""What the tests of tracks share: clips, a detector that knows the truth, and a network whose answers are planned."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pytest

import agewise
from agewise.estimate import Estimator
from agewise.track import TrackConfig, TrackedFace, Tracker
from agewise.types import Box, Detection, UInt8Array

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def clips() -> ModuleType:
    """`benchmarks/clips.py`, which makes clips with known truth."""
    if "agewise_clips" not in sys.modules:
        path = ROOT / "benchmarks" / "clips.py"
        if not path.exists():
            pytest.skip("benchmarks/clips.py is not here: tests run from another place than the checkout")
        spec = importlib.util.spec_from_file_location("agewise_clips", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules["agewise_clips"] = module
        spec.loader.exec_module(module)
    return sys.modules["agewise_clips"]


class KnowingDetector:
    """Finds the true boxes, a little off each time; of a box that is hidden, nothing."""

    name = "knowing"

    def __init__(self, off: float = 0.02, score: float = 0.9) -> None:
        self.boxes: list[Box] = []
        self.calls = 0
        self.score = score
        self._off = off
        self._generator = np.random.default_rng(1)

    def detect(self, image_rgb: UInt8Array) -> list[Detection]:
        self.calls += 1
        return [
            Detection(tuple(np.array(box) + self._generator.normal(0, self._off, 4) * (box[2] - box[0])), self.score)
            for box in self.boxes
        ]


def texture(seed: int, side: int = 200) -> UInt8Array:
    """Something with structure, unlike other seeds': stands for a face where none is needed."""
    generator = np.random.default_rng(seed)
    total = np.zeros((side, side, 3), dtype=np.float32)
    for cells, strength in ((5, 50.0), (16, 25.0)):
        small = generator.normal(0, strength, (cells, cells, 3)).astype(np.float32)
        total += cv2.resize(small, (side, side), interpolation=cv2.INTER_CUBIC)
    return np.clip(total + 128, 0, 255).astype(np.uint8)


def bell(years: float, spread: float = 5.0) -> Any:
    """A distribution over the ages 0 to 100."""
    probs = np.exp(-0.5 * ((np.arange(101) - years) / spread) ** 2)
    return probs / probs.sum()


class Planned:
    """Answers of a network: ages from a plan, whatever the picture; the card's own crop gets its golden answer."""

    def __init__(self, golden: Callable[[Mapping[str, Any]], dict[str, Any]], ages: Iterable[float]) -> None:
        self._golden = golden
        self._ages = iter(ages)
        self._begun = False
        self.female = 0.8
        self.crops = 0

    def __call__(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        if not self._begun:
            self._begun = True
            return self._golden(inputs)
        n = len(inputs["image"])
        self.crops += n
        return {
            "probs": np.array([bell(next(self._ages)) for _ in range(n)]),
            "genders": np.array([[self.female, 1 - self.female]] * n),
        }


@pytest.fixture
def knowing() -> type[KnowingDetector]:
    return KnowingDetector


@pytest.fixture
def make_texture() -> Callable[..., UInt8Array]:
    return texture


@pytest.fixture
def make_bell() -> Callable[..., Any]:
    return bell


@pytest.fixture
def plan(make_engine: Callable[..., Any], make_estimator: Callable[..., Estimator]) -> Callable[..., Any]:
    """`plan(ages, card=None)`: an estimator that gives these ages in turn, and its plan."""

    def make(ages: Iterable[float], **options: Any) -> tuple[Estimator, Planned]:
        planned = Planned(make_engine().run, ages)
        return make_estimator(answer=planned, **options), planned

    return make


@pytest.fixture
def follow(clips: ModuleType) -> Callable[..., Iterator[tuple[Any, list[TrackedFace]]]]:
    """`follow(tracker, shots, detector=None)`: shots with the faces that were found; the detector is told the truth."""

    def run(
        tracker: Tracker, shots: Iterable[Any], detector: KnowingDetector | None = None
    ) -> Iterator[tuple[Any, list[TrackedFace]]]:
        for shot in shots:
            if detector is not None:
                detector.boxes = [box for box in shot.boxes if box is not None]
            yield shot, tracker.update(shot.image_rgb, shot.seconds)

    return run


@pytest.fixture
def make_tracker(plan: Callable[..., Any]) -> Callable[..., tuple[Tracker, KnowingDetector, Planned]]:
    """`make_tracker(ages, **config)`: a tracker of stand-ins."""

    def make(ages: Iterable[float], **config: Any) -> tuple[Tracker, KnowingDetector, Planned]:
        estimator, planned = plan(ages)
        detector = KnowingDetector()
        return Tracker(agewise.Analyzer(estimator, detector), TrackConfig(**config)), detector, planned

    return make


@pytest.fixture(scope="session")
def utkface() -> Path:
    """The folder of UTKFace's pictures."""
    folder = ROOT.parent / "shared" / "data" / "utkface"
    if not folder.exists():
        pytest.skip("UTKFace is not on hand (../shared/data/utkface)")
    return folder


@pytest.fixture(scope="session")
def faces_rgb(utkface: Path) -> list[UInt8Array]:
    """Six pictures of UTKFace."""
    paths = sorted(utkface.glob("2[5-9]_0_*.jpg"))[::60][:3] + sorted(utkface.glob("3[5-9]_1_*.jpg"))[::60][:3]
    return [agewise.read_image(path) for path in paths]
