"""What a detector is."""

from __future__ import annotations

from typing import Protocol

from agewise.types import Detection, UInt8Array


class Detector(Protocol):
    """Finds faces in one picture."""

    @property
    def name(self) -> str:
        """The name by which users choose it."""
        ...

    def detect(self, image_rgb: UInt8Array) -> list[Detection]:
        """The faces of an upright uint8 RGB picture (height, width, 3), the surest first."""
        ...
