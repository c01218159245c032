"""Resident memory of one Analyzer over thousands of pictures.

    python benchmarks/memory.py [--images 3000] [--folder PICTURES] [--markdown]

The pictures are made from scikit-image's astronaut by another process, so that this one holds agewise and one
picture at a time, and nothing else. Their sizes, and the places, sizes and number of their faces, all differ.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import math
import os
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import common

SIDES = (240, 1920)
SETTLED = 300
LIMIT_MB = 300
PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


class Point(NamedTuple):
    """Resident memory after so many pictures."""

    images: int
    resident_mb: float
    faces: int
    seconds: float


def resident_mb() -> float:
    """Resident memory of this process, in units of 10⁶ bytes."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * PAGE / 1e6


def peak_mb() -> float:
    """The most that was ever resident, in units of 10⁶ bytes."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    return math.nan


def feed(count: int, seed: int) -> None:
    """In the other process: write pictures to standard output, each after its length."""
    import cv2
    import numpy as np
    from skimage.data import astronaut

    rng = np.random.default_rng(seed)
    head = astronaut()[:256, 96:352]  # the face and some of its surroundings
    for _ in range(count):
        width, height = (int(side) for side in np.exp(rng.uniform(np.log(SIDES[0]), np.log(SIDES[1]), 2)))
        image = np.full((height, width, 3), rng.integers(0, 256, 3), dtype=np.uint8)
        for _ in range(rng.integers(0, 4)):
            side = int(rng.uniform(0.25, 1.0) * min(width, height))
            x, y = rng.integers(0, width - side + 1), rng.integers(0, height - side + 1)
            image[y : y + side, x : x + side] = cv2.resize(head, (side, side), interpolation=cv2.INTER_AREA)
        data = common.jpeg(image, int(rng.integers(70, 96)))
        sys.stdout.buffer.write(struct.pack("<I", len(data)) + data)


def made_pictures(count: int, seed: int) -> Iterator[bytes]:
    """The bytes of JPEG files, from the other process."""
    command = [sys.executable, __file__, "--images", str(count), "--seed", str(seed), "--feed"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        while length := process.stdout.read(4):
            yield process.stdout.read(struct.unpack("<I", length)[0])
    if process.returncode:
        raise RuntimeError(f"the process that makes the pictures ended with status {process.returncode}")


def pictures_of(folder: Path, count: int) -> Iterator[Path]:
    """So many paths; a folder with fewer is gone through again."""
    suffixes = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"}
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in suffixes)
    if not paths:
        raise SystemExit(f"no picture in {folder}")
    return itertools.islice(itertools.cycle(paths), count)


def measure(pictures: Iterator[bytes | Path], every: int) -> Iterator[Point]:
    """Run them all through one Analyzer; the first point comes before the first picture."""
    import agewise

    analyzer = agewise.Analyzer(threads=1)
    begin, faces, images = time.perf_counter(), 0, 0
    yield Point(0, resident_mb(), 0, 0.0)
    for images, picture in enumerate(pictures, start=1):
        try:
            faces += len(analyzer(picture))
        except agewise.AgewiseError as error:
            print(f"{picture if isinstance(picture, Path) else images}: {error}", file=sys.stderr)
        if images % every == 0:
            yield Point(images, resident_mb(), faces, time.perf_counter() - begin)
    if images % every:
        yield Point(images, resident_mb(), faces, time.perf_counter() - begin)


def slope_mb(points: Sequence[Point]) -> float:
    """Growth per 1,000 pictures by least squares, in units of 10⁶ bytes."""
    if len(points) < 2:
        return math.nan
    x, y = [point.images for point in points], [point.resident_mb for point in points]
    middle_x, middle_y = sum(x) / len(x), sum(y) / len(y)
    squares = sum((a - middle_x) ** 2 for a in x)
    return 1000 * sum((a - middle_x) * (b - middle_y) for a, b in zip(x, y, strict=True)) / squares


def summary(points: Sequence[Point], peak: float) -> str:
    """The table."""
    settled = [point for point in points if point.images >= SETTLED]
    first, last = points[0], points[-1]
    after = settled[0] if settled else last
    rows = [
        ["Analyzer made, before the first picture", f"{first.resident_mb:.0f} MB", ""],
        [f"after {after.images} pictures", f"{after.resident_mb:.0f} MB", ""],
        [f"after {last.images} pictures", f"{last.resident_mb:.0f} MB", f"target {LIMIT_MB} MB; {last.faces} faces"],
        ["peak, at any time", f"{peak:.0f} MB", "VmHWM: also between two samples"],
        [f"slope from {after.images} on, per 1,000 pictures", f"{slope_mb(settled):+.2f} MB", "least squares"],
    ]
    return common.table(("resident memory", "figure", "notes"), rows)


def write_curve(points: Sequence[Point], path: Path) -> bool:
    """Draw the curve, where matplotlib is installed; says whether it is."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return False
    figure = Figure(figsize=(7, 3), layout="constrained")
    axes: Any = figure.add_subplot()
    axes.plot([point.images for point in points], [point.resident_mb for point in points], color="black", linewidth=1)
    axes.axhline(LIMIT_MB, color="gray", linewidth=1, linestyle="--")
    axes.set(xlabel="pictures", ylabel="resident memory, MB", ylim=(0, None), xlim=(0, points[-1].images))
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    return True


def main() -> None:
    """Measure, print, write the curve, and on demand write into README.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=3000, help="how many pictures (3000)")
    parser.add_argument("--every", type=int, default=50, help="pictures between two samples (50)")
    parser.add_argument("--folder", type=Path, help="take these pictures instead of made ones")
    parser.add_argument("--seed", type=int, default=0, help="of the made pictures (0)")
    parser.add_argument("--curve", type=Path, metavar="FILE", help="write FILE.csv and FILE.svg")
    parser.add_argument("--markdown", action="store_true", help="also write the table into benchmarks/README.md")
    parser.add_argument("--feed", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if not Path("/proc/self/statm").exists():
        raise SystemExit("this benchmark reads /proc/self/statm, which only Linux has")
    common.use_one_thread()
    if arguments.feed:
        feed(arguments.images, arguments.seed)
        return
    common.warn_if_busy()
    description = common.machine()
    if arguments.folder:
        pictures: Iterator[Any] = pictures_of(arguments.folder, arguments.images)
    else:
        pictures = made_pictures(arguments.images, arguments.seed)
    points: list[Point] = []
    for point in measure(pictures, arguments.every):
        points.append(point)
        print(
            f"{point.images:6d} pictures {point.resident_mb:7.1f} MB {point.faces:6d} faces {point.seconds:7.0f} s",
            flush=True,
        )
    text = f"{description}\n\n{summary(points, peak_mb())}"
    print(f"\n{text}")
    if arguments.curve:
        with arguments.curve.with_suffix(".csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([Point._fields, *((n, f"{mb:.1f}", f, f"{s:.1f}") for n, mb, f, s in points)])
        if not write_curve(points, arguments.curve.with_suffix(".svg")):
            print("no matplotlib here: the samples are written, their curve is not")
    if arguments.markdown:
        common.write_section("memory", text)


if __name__ == "__main__":
    main()
