"""No detector: the whole picture is the crop."""

from __future__ import annotations

from agewise.types import Detection, UInt8Array


class WholePicture:
    """Takes the picture as the crop, for pictures that were cropped already."""

    name = "none"

    def detect(self, image_rgb: UInt8Array) -> list[Detection]:
        """One detection: the whole picture, score 1, no landmarks."""
        height, width = image_rgb.shape[:2]
        return [Detection((0.0, 0.0, float(width), float(height)), 1.0, is_crop=True)]
