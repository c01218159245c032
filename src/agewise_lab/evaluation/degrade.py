"""Degraded copies of labelled pictures: what blur, darkness, tilt, few pixels and cuts do to a model's errors.

Each copy is made of the padded picture (`agewise_lab.store.crops.padded`) and goes along the whole chain, detection
too, as a photo would.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from agewise.detect import Detector
from agewise.estimate import Estimator
from agewise.imaging import read_image
from agewise.imaging.crop import warp_crop
from agewise.types import FloatArray, Quality, UInt8Array
from agewise_lab.datasets.record import Record
from agewise_lab.evaluation.run import most_central
from agewise_lab.store.crops import padded

Degrade = Callable[[UInt8Array], UInt8Array]


def shrink(image_rgb: UInt8Array, *, share: float) -> UInt8Array:
    """The picture at a share of its size, averaged down."""
    height, width = image_rgb.shape[:2]
    size = (max(round(width * share), 1), max(round(height * share), 1))
    return np.asarray(cv2.resize(image_rgb, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def blur(image_rgb: UInt8Array, *, share: float) -> UInt8Array:
    """Gaussian blur; its standard deviation is a share of the picture's side."""
    return np.asarray(cv2.GaussianBlur(image_rgb, (0, 0), share * max(image_rgb.shape[:2])), dtype=np.uint8)


def light(image_rgb: UInt8Array, *, gain: float) -> UInt8Array:
    """All values times `gain`, cut at white."""
    return np.clip(np.round(image_rgb * gain), 0, 255).astype(np.uint8)


def tilt(image_rgb: UInt8Array, *, degrees: float) -> UInt8Array:
    """Turned clockwise about the middle, borders replicated; a square as large as the longer side."""
    height, width = image_rgb.shape[:2]
    side = max(height, width)
    turn = np.array(
        [
            [math.cos(math.radians(degrees)), -math.sin(math.radians(degrees))],
            [math.sin(math.radians(degrees)), math.cos(math.radians(degrees))],
        ]
    )
    shift = 0.5 - turn @ [width / 2, height / 2] / side
    return warp_crop(image_rgb, np.column_stack([turn / side, shift]), side)


def cut(image_rgb: UInt8Array, *, share: float) -> UInt8Array:
    """Without a strip on the left: the padding there, and a share of the width of what was padded."""
    width = image_rgb.shape[1]
    chip = width / 1.6  # 30 % of padding on each side
    return np.ascontiguousarray(image_rgb[:, round((width - chip) / 2 + share * chip) :])


def same(image_rgb: UInt8Array) -> UInt8Array:
    """As it is."""
    return image_rgb


DEGRADATIONS: dict[str, Degrade] = {
    "clean": same,
    **{f"shrink {side}": partial(shrink, share=side / 200) for side in (96, 64, 48, 32, 24, 20, 16, 12)},
    **{f"blur {100 * share:g} %": partial(blur, share=share) for share in (0.005, 0.01, 0.015, 0.02, 0.03, 0.04)},
    **{f"darken {gain:g}": partial(light, gain=gain) for gain in (0.5, 0.25, 0.18, 0.12, 0.08)},
    **{f"brighten {gain:g}": partial(light, gain=gain) for gain in (1.5, 2.0, 2.5, 4.0)},
    **{f"tilt {degrees}": partial(tilt, degrees=degrees) for degrees in (20, -40, 60, -80)},
    **{f"cut {100 * share:g} %": partial(cut, share=share) for share in (0.1, 0.2, 0.3, 0.4, 0.5)},
}
"""Name → what it does; the first word is the kind, "clean" comes first.

Pictures are shrunk by the side that the unpadded one has then, from 200 pixels.
"""


@dataclass(frozen=True, slots=True)
class Degraded:
    """What came of one copy of one face.

    Args:
        degradation: its name.
        truth: true age.
        found: whether the detector found the face; the rest is NaN or None where not.
        error: |estimate − truth| in years.
        covered: whether the interval holds the truth.
        width: of the interval.
        quality: of the picture.
        answered: whether the model judges it.
    """

    degradation: str
    truth: float
    found: bool
    error: float = math.nan
    covered: bool = False
    width: float = math.nan
    quality: Quality | None = None
    answered: bool = False


def run_degraded(
    records: Sequence[Record],
    root: Path,
    estimator: Estimator,
    detector: Detector,
    degradations: dict[str, Degrade] | None = None,
) -> Iterator[Degraded]:
    """Every copy of every record, predicted."""
    for record in records:
        image = padded(read_image(root / record.path))
        assert record.age_years is not None
        for name, degrade in (degradations or DEGRADATIONS).items():
            copy = degrade(image)
            face = most_central(copy, detector.detect(copy))
            if face is None:
                yield Degraded(name, record.age_years, False)
                continue
            (prediction,) = estimator(copy, [face])
            low, high = prediction.age_interval_years or (-math.inf, math.inf)
            yield Degraded(
                name,
                record.age_years,
                True,
                abs(prediction.age_years - record.age_years),
                low <= record.age_years <= high,
                high - low,
                prediction.quality,
                prediction.answered,
            )


def spread_out(records: Sequence[Record], count: int) -> list[Record]:
    """At most `count` records, evenly from the whole list: the same each time."""
    if len(records) <= count:
        return list(records)
    chosen: npt.NDArray[np.int64] = np.linspace(0, len(records) - 1, count).round().astype(np.int64)
    return [records[i] for i in chosen]


def measured(copies: Sequence[Degraded], measure: str) -> FloatArray:
    """One measure of quality of all copies, float (n,); NaN where there is none."""
    values = [None if copy.quality is None else getattr(copy.quality, measure) for copy in copies]
    return np.array([math.nan if value is None else float(value) for value in values])
