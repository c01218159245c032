"""Arithmetic on many boxes at once: float arrays (n, 4) of (x0, y0, x1, y1)."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from agewise.types import FloatArray


def overlaps(box: FloatArray, others: FloatArray, relative_to: Literal["union", "smaller"]) -> FloatArray:
    """Share of overlap of one box (4,) with others (n, 4), 0 to 1, relative to the union or the smaller box."""
    width = np.minimum(box[2], others[:, 2]) - np.maximum(box[0], others[:, 0])
    height = np.minimum(box[3], others[:, 3]) - np.maximum(box[1], others[:, 1])
    shared = np.clip(width, 0, None) * np.clip(height, 0, None)
    area = (box[2] - box[0]) * (box[3] - box[1])
    areas = (others[:, 2] - others[:, 0]) * (others[:, 3] - others[:, 1])
    whole = np.minimum(area, areas) if relative_to == "smaller" else area + areas - shared
    result: FloatArray = shared / np.maximum(whole, 1e-9)
    return result


def suppress(
    boxes_xyxy: FloatArray,
    scores: FloatArray,
    max_overlap: float,
    relative_to: Literal["union", "smaller"] = "union",
) -> npt.NDArray[np.intp]:
    """Greedy non-maximum suppression: indices of the boxes that stay, the highest score first.

    >>> boxes = np.array([[0., 0., 10., 10.], [1., 0., 11., 10.], [20., 0., 30., 10.]])
    >>> suppress(boxes, np.array([.8, .9, .7]), 0.5).tolist()
    [1, 2]
    """
    order = np.argsort(-scores, kind="stable")
    kept: list[int] = []
    while order.size:
        best, rest = int(order[0]), order[1:]
        kept.append(best)
        order = rest[overlaps(boxes_xyxy[best], boxes_xyxy[rest], relative_to) <= max_overlap]
    return np.asarray(kept, dtype=np.intp)


def to_squares(boxes_xyxy: FloatArray) -> FloatArray:
    """Each box widened to a square about its centre."""
    centre = (boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2
    half = (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]).max(axis=1, keepdims=True) / 2
    return np.concatenate([centre - half, centre + half], axis=1)
