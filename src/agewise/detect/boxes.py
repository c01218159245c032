"""Arithmetic on many boxes at once: float arrays (n, 4) of (x0, y0, x1, y1)."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from agewise.types import FloatArray

_BLOCK = 256  # boxes compared at once; bounds the memory of a crowd


def overlaps(boxes: FloatArray, others: FloatArray, relative_to: Literal["union", "smaller"]) -> FloatArray:
    """Share of overlap of each box (n, 4) with each other one (m, 4): (n, m), 0 to 1.

    Relative to the area of their union, or of the smaller of the two. Boxes without area overlap nothing.

    >>> overlaps(np.array([[0., 0., 10., 10.]]), np.array([[5., 0., 15., 10.], [0., 0., 5., 5.]]), "smaller").tolist()
    [[0.5, 1.0]]
    """
    x0, y0, x1, y1 = (boxes[:, i, None] for i in range(4))
    width = np.minimum(x1, others[:, 2]) - np.maximum(x0, others[:, 0])
    height = np.minimum(y1, others[:, 3]) - np.maximum(y0, others[:, 1])
    shared = np.maximum(width, 0) * np.maximum(height, 0)
    area = (x1 - x0) * (y1 - y0)
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

    Among equal scores the earlier box goes first, so that the result is the same every time.

    >>> boxes = np.array([[0., 0., 10., 10.], [1., 0., 11., 10.], [20., 0., 30., 10.]])
    >>> suppress(boxes, np.array([.8, .9, .7]), 0.5).tolist()
    [1, 2]
    """
    order = np.argsort(-scores, kind="stable")
    kept = order[:0]
    for start in range(0, len(order), _BLOCK):
        block = order[start : start + _BLOCK]
        for done in range(0, len(kept), _BLOCK):
            against = boxes_xyxy[kept[done : done + _BLOCK]]
            block = block[~(overlaps(boxes_xyxy[block], against, relative_to) > max_overlap).any(axis=1)]
        kept = np.concatenate([kept, block[_greedy(boxes_xyxy[block], max_overlap, relative_to)]])
    return kept


def _greedy(boxes: FloatArray, max_overlap: float, relative_to: Literal["union", "smaller"]) -> npt.NDArray[np.bool_]:
    """Which of a few boxes stay, in order of falling score."""
    hits = overlaps(boxes, boxes, relative_to) > max_overlap
    stays = np.ones(len(boxes), dtype=np.bool_)
    for i in range(len(boxes)):
        if stays[i]:
            stays[i + 1 :] &= ~hits[i, i + 1 :]
    return stays


def to_squares(boxes_xyxy: FloatArray) -> FloatArray:
    """Each box widened to a square about its centre."""
    centre = (boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2
    half = (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]).max(axis=1, keepdims=True) / 2
    return np.concatenate([centre - half, centre + half], axis=1)
