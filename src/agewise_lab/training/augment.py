"""Augmentation of crops with OpenCV: what happens to faces between a camera and a crop.

Geometry is composed into the one transform of `agewise.imaging.crop.warp_crop`, so that a training crop
without augmentation is, by construction, the crop that is served.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Literal

import cv2
import numpy as np

from agewise.imaging.crop import warp_crop
from agewise.types import FloatArray, UInt8Array

_FEWEST = 0.25  # of a crop's side, in `few_pixels`


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentConfig:
    """Each is a probability, or the spread of a normal or the bound of a uniform distribution.

    Args:
        flip: probability of a mirror image.
        rotate_degrees: standard deviation; cut at three of them.
        scale: standard deviation of the logarithm of the zoom.
        shift: standard deviation, in shares of the side.
        shear: standard deviation.
        colour: probability of changed brightness, contrast, gamma, saturation and white balance.
        grey: probability of no colour.
        low_resolution: probability of shrinking (to 20-75 % of the side) and enlarging again.
        few_pixels: probability of a small face: cut at 25-100 % of the side, blurred, darkened, given noise and JPEG at
            that size, as a camera and a file do it, and enlarged last, as a small face is for a network. `blur_sigma`
            keeps its share of the face, a motion blur its pixels.
        blur: probability of a Gaussian blur or a motion blur.
        blur_sigma: least and largest standard deviation of the Gaussian one, in pixels of the training crop.
        dark: probability of little light, 15-80 % of it, before the sensor's noise.
        uneven: probability of light from one side: 5-70 % of it on the other, where the border is anywhere on the face,
            sharp or soft; and up to twice the light in all, which clips where it is bright. Such a crop is not `dark`.
        noise: probability of sensor noise, sigma 2-14 of 255.
        jpeg: probability of JPEG at quality 15-85.
        erase: probability of a random rectangle of noise or of one colour.
        erase_area: least and largest share of the area that it takes.
        erase_aspect: its largest ratio of height to width, or of width to height.
        brightness: largest change of all pixels by one amount, in shares of 255.
        crop: share of the side that a random crop leaves out, as 256 pixels to 227 are 0.113.
        spread: "normal", the geometric changes as above; or "uniform", each up to its value, the zoom from 1 − scale to
            1 + scale, all with the same chance.
        each: with "uniform", the probability of each of them.
    """

    flip: float = 0.5
    rotate_degrees: float = 7.0
    scale: float = 0.07
    shift: float = 0.03
    shear: float = 0.03
    colour: float = 0.7
    grey: float = 0.12
    low_resolution: float = 0.25
    few_pixels: float = 0.0
    blur: float = 0.15
    blur_sigma: tuple[float, float] = (0.4, 1.8)
    dark: float = 0.0
    uneven: float = 0.0
    noise: float = 0.15
    jpeg: float = 0.3
    erase: float = 0.3
    erase_area: tuple[float, float] = (0.02, 0.25)
    erase_aspect: float = math.exp(1.1)
    brightness: float = 0.0
    crop: float = 0.0
    spread: Literal["normal", "uniform"] = "normal"
    each: float = 1.0

    def weakened(self, share: float, *, moves: bool = True) -> AugmentConfig:
        """The same with everything but the flip and the random crop weakened to a `share`, 0 to 1; on demand not what
        moves the face either.
        """
        kept = ("flip", "erase_area", "erase_aspect", "blur_sigma", "crop", "spread", "each")
        kept = kept if moves else (*kept, "rotate_degrees", "scale", "shift", "shear")
        names = [field.name for field in fields(self) if field.name not in kept]
        return replace(self, **{name: getattr(self, name) * share for name in names})


NO_AUGMENTATION = AugmentConfig(flip=0.0).weakened(0.0)
"""Crops as they are served."""


def _geometry(config: AugmentConfig, rng: np.random.Generator, side: int) -> FloatArray:
    """A transform (2, 3) from the stored crop's pixels to the unit square, about its centre."""
    if config.spread == "normal":
        normal = np.clip(rng.standard_normal(6), -3, 3)
        zoom, stretch = math.exp(config.scale * normal[1]), math.exp(0.3 * config.scale * normal[5])
    else:
        normal = rng.uniform(-1, 1, 6) * (rng.random(6) < config.each)
        zoom, stretch = 1 + config.scale * normal[1], 1.0
    angle = math.radians(config.rotate_degrees) * normal[0]
    mirror = -1.0 if rng.random() < config.flip else 1.0
    cos, sin = math.cos(angle), math.sin(angle)
    linear = zoom * np.array([[cos, -sin], [sin, cos]]) @ np.array([[1.0, config.shear * normal[4]], [0.0, 1.0]])
    linear = linear @ np.diag([mirror * stretch, 1 / stretch])
    shift = config.shift * normal[2:4]
    if config.crop > 0:  # a window of 1 − crop of the side, anywhere in it
        linear = linear / (1 - config.crop)
        shift = shift + rng.uniform(-0.5, 0.5, 2) * config.crop / (1 - config.crop)
    # x ↦ linear (x / side - 1/2) + 1/2 + shift
    return np.concatenate([linear / side, (0.5 + shift - linear @ [0.5, 0.5])[:, None]], axis=1)


def _degrade(image: UInt8Array, config: AugmentConfig, rng: np.random.Generator, scale: float) -> UInt8Array:
    """Low resolution and blur; the standard deviation of the Gaussian one is multiplied by `scale`."""
    side = image.shape[0]
    if rng.random() < config.low_resolution:
        small = max(16, int(side * rng.uniform(0.2, 0.75)))
        how = (cv2.INTER_AREA, cv2.INTER_LINEAR)[rng.integers(2)]
        back = (cv2.INTER_LINEAR, cv2.INTER_CUBIC)[rng.integers(2)]
        image = cv2.resize(cv2.resize(image, (small, small), interpolation=how), (side, side), interpolation=back)  # type: ignore[assignment]
    if rng.random() < config.blur:
        if rng.random() < 0.7:
            sigma = scale * rng.uniform(*config.blur_sigma)
            image = cv2.GaussianBlur(image, (0, 0), sigma)  # type: ignore[assignment]
        else:
            length = int(rng.integers(3, 7))
            kernel = np.zeros((length, length), np.float32)
            angle = rng.uniform(0, math.pi)
            reach = np.linspace(-(length - 1) / 2, (length - 1) / 2, 4 * length)
            rows = np.round(reach * math.sin(angle) + (length - 1) / 2).astype(int)
            kernel[rows, np.round(reach * math.cos(angle) + (length - 1) / 2).astype(int)] = 1
            image = cv2.filter2D(image, -1, kernel / kernel.sum())  # type: ignore[assignment]
    return image


def _lit_from_one_side(image: UInt8Array, rng: np.random.Generator) -> UInt8Array:
    """Every pixel's light by its place along one direction: from the least to all of it, as a logistic function."""
    angle, border = rng.uniform(0, 2 * math.pi), rng.uniform(-0.3, 0.3)
    width, least = math.exp(rng.uniform(math.log(0.04), math.log(0.4))), rng.uniform(0.05, 0.7)
    gain = math.exp(rng.uniform(0.0, math.log(2.0)))
    places = np.linspace(-0.5, 0.5, image.shape[0], dtype=np.float32)
    along = (places[None] * math.cos(angle) + places[:, None] * math.sin(angle) - border) / width
    light = gain * (least + (1 - least) / (1 + np.exp(-along)))
    return np.clip(image * light[:, :, None], 0, 255).astype(np.uint8)


def _recolour(image: UInt8Array, config: AugmentConfig, rng: np.random.Generator) -> UInt8Array:
    """Brightness, contrast, gamma, white balance, saturation."""
    if config.brightness > 0:
        change = rng.uniform(-config.brightness, config.brightness) * 255
        image = np.clip(image + np.float32(change), 0, 255).astype(np.uint8)
    if rng.random() < config.colour:
        level = np.arange(256, dtype=np.float32) / 255
        gamma, contrast = math.exp(0.3 * rng.standard_normal()), math.exp(0.2 * rng.standard_normal())
        curve = (level**gamma - 0.5) * contrast + 0.5 + 0.1 * rng.standard_normal()
        balanced = curve[:, None] * np.exp(0.06 * rng.standard_normal(3))
        table = np.clip(balanced * 255, 0, 255).astype(np.uint8)[None]
        image = cv2.LUT(image, table)  # type: ignore[assignment]
    if config.uneven > 0 and rng.random() < config.uneven:
        image = _lit_from_one_side(image, rng)
    elif config.dark > 0 and rng.random() < config.dark:
        image = cv2.convertScaleAbs(image, alpha=rng.uniform(0.15, 0.8))  # type: ignore[assignment]
    saturation = 0.0 if rng.random() < config.grey else math.exp(0.3 * rng.standard_normal())
    if saturation == 0.0 or (rng.random() < 0.5 * config.colour):
        grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        image = cv2.addWeighted(image, saturation, grey, 1 - saturation, 0)  # type: ignore[assignment]
    return image


def _corrupt(image: UInt8Array, config: AugmentConfig, rng: np.random.Generator) -> UInt8Array:
    """Sensor noise, JPEG, an erased rectangle."""
    side = image.shape[0]
    if rng.random() < config.noise:
        noise = rng.standard_normal(image.shape, dtype=np.float32) * rng.uniform(2, 14)
        image = np.clip(image + noise, 0, 255).astype(np.uint8)
    if rng.random() < config.jpeg:
        quality = int(rng.integers(15, 86))
        data = cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
        assert decoded is not None
        image = np.ascontiguousarray(decoded[:, :, ::-1], dtype=np.uint8)
    if rng.random() < config.erase:
        bound = math.log(config.erase_aspect)
        area, aspect = rng.uniform(*config.erase_area) * side * side, math.exp(rng.uniform(-bound, bound))
        height, width = (min(side, max(1, int(math.sqrt(area * r)))) for r in (aspect, 1 / aspect))
        top, left = rng.integers(0, side - height + 1), rng.integers(0, side - width + 1)
        shape = (height, width, 3) if rng.random() < 0.5 else (1, 1, 3)
        image = image.copy()
        image[top : top + height, left : left + width] = rng.integers(0, 256, shape, dtype=np.uint8)
    return image


def augment_crop(crop_rgb: UInt8Array, size: int, config: AugmentConfig, rng: np.random.Generator) -> UInt8Array:
    """A stored crop → one training crop, uint8 RGB (size, size, 3)."""
    return _seen(crop_rgb, _geometry(config, rng, crop_rgb.shape[0]), size, config, rng)


def augment_twice(
    crop_rgb: UInt8Array, size: int, first: AugmentConfig, second: AugmentConfig, rng: np.random.Generator
) -> tuple[UInt8Array, UInt8Array]:
    """A stored crop → two training crops, uint8 RGB (size, size, 3): the first as `augment_crop` makes it, the second
    moved from the first one's place by `second`, and changed by that alone.
    """
    geometry = _geometry(first, rng, crop_rgb.shape[0])
    image = _seen(crop_rgb, geometry, size, first, rng)
    moved = _geometry(second, rng, 1)
    again = np.concatenate([moved[:, :2] @ geometry[:, :2], moved[:, :2] @ geometry[:, 2:] + moved[:, 2:]], axis=1)
    return image, _seen(crop_rgb, again, size, second, rng)


def _seen(
    crop_rgb: UInt8Array, geometry: FloatArray, size: int, config: AugmentConfig, rng: np.random.Generator
) -> UInt8Array:
    small = size
    if config.few_pixels > 0 and rng.random() < config.few_pixels:
        small = round(size * math.exp(rng.uniform(math.log(_FEWEST), 0.0)))
    image = warp_crop(crop_rgb, geometry, small)
    image = _degrade(image, config, rng, small / size)
    image = _recolour(image, config, rng)
    image = _corrupt(image, config, rng)
    if small == size:
        return image
    return np.asarray(cv2.resize(image, (size, size), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)
