"""Folders, patterns and numbered names of pictures, read as one moving picture."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Self

from agewise._files import shown
from agewise.errors import ImageError, VideoError
from agewise.imaging import DEFAULT_MAX_PIXELS, read_image
from agewise.video.frame import Frame, exact_seconds

DEFAULT_RATE = Fraction(25)
_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
_NUMBER = re.compile(r"%0?(\d*)d")


def find_pictures(source: str) -> list[str] | None:
    """The pictures of a folder, of a pattern (`*`, `?`, `[`) or of a numbered name (`%04d`), by number and name.

    Returns:
        None where the source is none of these, such as a file that has such a name.
    """
    if os.path.isdir(source):
        return _in_order(path for path in glob.glob(os.path.join(glob.escape(source), "*")))
    if "://" in source or os.path.exists(source):
        return None
    if _NUMBER.search(os.path.basename(source)):
        folder, name = os.path.split(source)
        parts = _NUMBER.split(name)
        wanted = re.compile("".join(r"\d+" if at % 2 else re.escape(part) for at, part in enumerate(parts)))
        found = glob.glob(os.path.join(glob.escape(folder), "*"))
        return _in_order(path for path in found if wanted.fullmatch(os.path.basename(path)))
    if glob.has_magic(source):
        return _in_order(glob.iglob(source))
    return None


def _in_order(paths: Iterator[str]) -> list[str]:
    """Pictures only, `2.png` before `10.png`."""
    kept = [path for path in paths if Path(path).suffix.lower() in _SUFFIXES]
    return sorted(
        kept, key=lambda path: [part.zfill(20) if part.isdigit() else part for part in re.split(r"(\d+)", path)]
    )


class PictureSequence:
    """Frames from pictures, each shown for 1/rate seconds.

    A picture that cannot be read, or of another size than the first, is left out: its time passes without it.

    Args:
        source: what was asked for, for messages.
        paths: of the pictures, in order.
        start_seconds: earlier ones are left out; None for none.
        end_seconds: this one and later ones are left out; None for none.
        rate: frames a second.

    Raises:
        VideoError: none of the pictures can be read.
    """

    sound = None

    def __init__(
        self,
        source: str,
        paths: list[str],
        *,
        start_seconds: float | None = None,
        end_seconds: float | None = None,
        rate: Fraction = DEFAULT_RATE,
    ) -> None:
        self.source, self.fps = source, float(rate)
        self.warnings: list[str] = []
        self._rate = rate
        timed = [(path, at / rate) for at, path in enumerate(paths)]
        self._timed = [
            (path, time)
            for path, time in timed
            if time >= exact_seconds(start_seconds or 0) and (end_seconds is None or time < exact_seconds(end_seconds))
        ]
        self.frame_count: int | None = len(self._timed)
        self.time_base = 1 / rate
        for path in paths:
            try:
                self.height, self.width = read_image(path, max_pixels=DEFAULT_MAX_PIXELS).shape[:2]
                return
            except ImageError as error:
                reason = str(error)
        why = f"the first says: {reason}" if paths else "there is none"
        raise VideoError(f"cannot read pictures from {shown(source)}: {why}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Nothing is held open."""

    def __iter__(self) -> Iterator[Frame]:
        index = 0
        for path, time in self._timed:
            try:
                image_rgb = read_image(path, max_pixels=DEFAULT_MAX_PIXELS)
            except ImageError as error:
                self.warnings.append(str(error))
                continue
            if image_rgb.shape[:2] != (self.height, self.width):
                size = f"{image_rgb.shape[1]}×{image_rgb.shape[0]}"
                self.warnings.append(f"{shown(path)} left out: it is {size}, the first is {self.width}×{self.height}")
                continue
            yield Frame(image_rgb=image_rgb, time=time, index=index, duration=1 / self._rate)
            index += 1
