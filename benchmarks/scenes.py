"""What the whole chain loses on composed scenes: faces pasted small, turned, dark, blurred, compressed into pictures.

    python benchmarks/scenes.py --root UTKFACE_FOLDER --store CROP_STORE [--model NAME] [--markdown]

Each labelled face of UTKFace's validation part (near-duplicate-free) is pasted with a soft edge into a picture
of 640×480 pixels of smooth noise and rectangles, one thing changed at a time, the picture saved as JPEG, and the
whole chain run on it: detection, alignment, network. Beside it stand the same faces' figures as bare crops. A
pasted chip is no photograph: its face is frontal and its surroundings end at the chip's edge. What is shown is
how the chain bears size, rotation, darkness, blur and compression, not how good it is in the wild.

Needs the extra `lab`, a copy of UTKFace, and the store that names the split.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import common

SIZE_WH = (640, 480)
HEAD = ("scene", "found", "MAE", "the same faces, bare", "mean change", "gender", "the same faces, bare", "coverage")


@dataclass(frozen=True)
class Scene:
    """How a face is put into a picture.

    Args:
        side: of the pasted chip, in pixels; the face itself takes about 60 % of it.
        degrees: rotation in the plane.
        gain: factor on the brightness of the whole picture.
        blur: standard deviation of a Gaussian blur of the whole picture, in shares of `side`.
        noise: standard deviation of sensor noise, of 255.
        quality: of the JPEG file.
    """

    side: int = 160
    degrees: float = 0.0
    gain: float = 1.0
    blur: float = 0.0
    noise: float = 0.0
    quality: int = 90


SCENES: dict[str, Scene] = {
    "chip of 240 px": Scene(side=240),
    "chip of 160 px": Scene(),
    "chip of 100 px": Scene(side=100),
    "chip of 64 px": Scene(side=64),
    "chip of 44 px": Scene(side=44),
    "turned by 15°": Scene(degrees=15),
    "turned by 30°": Scene(degrees=30),
    "half as bright": Scene(gain=0.5),
    "a quarter as bright, noise 8": Scene(gain=0.25, noise=8),
    "blur, sigma 1 % of the chip": Scene(blur=0.01),
    "blur, sigma 2.5 % of the chip": Scene(blur=0.025),
    "JPEG 60": Scene(quality=60),
    "JPEG 25": Scene(quality=25),
    "64 px, 10°, dim, noise 5, JPEG 60": Scene(side=64, degrees=10, gain=0.6, noise=5, quality=60),
}


def background(rng: Any) -> Any:
    """Smooth noise with a few rectangles: float32 RGB (480, 640, 3), 0 to 255."""
    import cv2
    import numpy as np

    width, height = SIZE_WH
    coarse = rng.random((int(rng.integers(3, 12)), int(rng.integers(3, 16)), 3), dtype=np.float32)
    picture = cv2.resize(coarse, SIZE_WH, interpolation=cv2.INTER_CUBIC) * 200 + 20
    for _ in range(int(rng.integers(2, 9))):
        x, y = int(rng.integers(0, width)), int(rng.integers(0, height))
        corner = (x + int(rng.integers(20, 300)), y + int(rng.integers(20, 240)))
        cv2.rectangle(picture, (x, y), corner, [float(v) for v in rng.random(3) * 255], -1)
    return cv2.GaussianBlur(picture, (0, 0), 1.0)


def compose(chip_rgb: Any, scene: Scene, rng: Any) -> Any:
    """A picture with one face, uint8 RGB (480, 640, 3), as a JPEG file gives it back, and the face's centre (x, y)."""
    import cv2
    import numpy as np

    picture = background(rng)
    height, width = picture.shape[:2]
    edge = chip_rgb.shape[0]
    scale, angle = scene.side / edge, math.radians(scene.degrees * (1 if rng.random() < 0.5 else -1))
    half = 0.5 * scene.side * (abs(math.cos(angle)) + abs(math.sin(angle)))
    centre = (rng.uniform(half, width - half), rng.uniform(half, height - half))
    matrix = cv2.getRotationMatrix2D((edge / 2, edge / 2), math.degrees(angle), scale)
    matrix[:, 2] += np.array(centre) - edge / 2
    # A mask with a soft edge, so that no hard line frames the chip.
    x = np.abs(np.linspace(-1, 1, edge, dtype=np.float32))
    mask = np.clip((1 - np.maximum(x[:, None], x[None])) * 12, 0, 1)
    small = chip_rgb
    if scale < 1:  # average down first, as a camera would
        side = max(scene.side, 8)
        small = cv2.resize(chip_rgb, (side, side), interpolation=cv2.INTER_AREA)
        mask = cv2.resize(mask, (side, side), interpolation=cv2.INTER_AREA)
        matrix[:, :2] *= edge / side
    face = cv2.warpAffine(small.astype(np.float32), matrix, SIZE_WH, borderMode=cv2.BORDER_REPLICATE)
    alpha = cv2.warpAffine(mask, matrix, SIZE_WH)[:, :, None]
    picture = picture * (1 - alpha) + face * alpha
    if scene.blur:
        picture = cv2.GaussianBlur(picture, (0, 0), scene.blur * scene.side)
    picture = picture * scene.gain + rng.standard_normal(picture.shape, dtype=np.float32) * scene.noise
    file = common.jpeg(np.clip(picture, 0, 255).astype(np.uint8), scene.quality)
    return np.ascontiguousarray(cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]), centre


def nearest(faces: Any, centre: tuple[float, float], side: int) -> Any:
    """The face whose box holds the pasted chip's centre, the best score first; None where there is none."""
    x, y = centre
    good = []
    for face in faces:
        x0, y0, x1, y1 = face.box_xyxy
        if x0 <= x <= x1 and y0 <= y <= y1 and max(x1 - x0, y1 - y0) >= 0.3 * side:
            good.append(face)
    return max(good, key=lambda f: f.score, default=None)


def measure(arguments: argparse.Namespace) -> str:
    """The table, with what was measured on."""
    import numpy as np

    import agewise
    from agewise.imaging import read_image
    from agewise_lab.evaluation.run import part_of_store, run

    estimator = agewise.Estimator(arguments.model)
    part = part_of_store(arguments.store, arguments.root, arguments.part)
    records = common.spread_out(part, arguments.limit)
    count = len(records)
    bare = run(records, arguments.root, estimator)
    chips = [read_image(arguments.root / record.path) for record in records]
    detector = agewise.make_detector("mtcnn", min_face=20)
    false_faces, rows = 0, []
    for place, (name, scene) in enumerate(SCENES.items()):
        rng = np.random.default_rng((arguments.seed, place))
        years, female, low, high = (np.full(count, np.nan) for _ in range(4))
        for i, chip in enumerate(chips):
            picture, centre = compose(chip, scene, rng)
            faces = detector.detect(picture)
            face = nearest(faces, centre, scene.side)
            false_faces += len(faces) - (face is not None)
            if face is None:
                continue
            (said,) = estimator(picture, [face])
            years[i] = said.age_years
            low[i], high[i] = said.age_interval_years or (np.nan, np.nan)
            share = said.gender_probability or 0.5
            female[i] = share if said.gender is agewise.Gender.FEMALE else 1 - share
        found = ~np.isnan(years)
        truth, is_female = bare.truth[found], bare.is_female[found]
        bare_years, bare_female = bare.years[found], bare.female_probability[found]
        rows.append(
            (
                name,
                f"{100 * found.mean():.1f} %",
                f"{np.abs(years[found] - truth).mean():.2f}",
                f"{np.abs(bare_years - truth).mean():.2f}",
                f"{np.abs(years[found] - bare_years).mean():.2f}",
                f"{100 * ((female[found] >= 0.5) == is_female).mean():.1f} %",
                f"{100 * ((bare_female >= 0.5) == is_female).mean():.1f} %",
                f"{100 * ((low[found] <= truth) & (truth <= high[found])).mean():.1f} %",
            )
        )
        print(f"{name}: done", flush=True)
    pictures = count * len(SCENES)
    about = (
        f"{estimator.card.name} {estimator.card.version}, {count} faces of UTKFace's {arguments.part} part, detector "
        f"mtcnn from 20 px; years. {false_faces} false faces in {pictures} pictures."
    )
    return f"{common.machine()}\n\n{about}\n\n{common.table(HEAD, rows)}"


def main() -> None:
    """Measure, print, and on demand write into README.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="the folder of UTKFace's pictures")
    parser.add_argument("--store", type=Path, required=True, help="the crop store made of them")
    parser.add_argument("--model", default="agewise-s", help="a model's name, or an .onnx file with a card")
    parser.add_argument("--part", default="validation", choices=("validation", "holdout"))
    parser.add_argument("--limit", type=int, default=400, metavar="N", help="at most N faces, evenly over the ages")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--markdown", action="store_true", help="also write the table into benchmarks/README.md")
    arguments = parser.parse_args()
    common.use_one_thread()
    text = measure(arguments)
    print(f"\n{text}")
    if arguments.markdown:
        common.write_section("scenes", text)


if __name__ == "__main__":
    main()
