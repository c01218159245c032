"""One picture of a moving one."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from agewise.types import UInt8Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One frame, upright.

    Args:
        image_rgb: uint8 RGB (height, width, 3), C-contiguous, its reader's no longer: it may be drawn on.
        time: when it is shown, in seconds since the source's start, exact.
        index: counted from 0 over the frames that the reader gave.
        duration: for how many seconds it is shown, or None where the source does not say.
    """

    image_rgb: UInt8Array
    time: Fraction
    index: int
    duration: Fraction | None = None

    @property
    def seconds(self) -> float:
        """`time` as a float."""
        return float(self.time)


def exact_seconds(seconds: float) -> Fraction:
    """A time that someone wrote in decimals, as exact as they meant it: 0.08 is 2/25.

    >>> exact_seconds(0.08)
    Fraction(2, 25)
    """
    return Fraction(seconds).limit_denominator(1_000_000)
