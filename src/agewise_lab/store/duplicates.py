"""Near-duplicates: pictures of the same photo, often with another label. They must not cross a split.

A picture's signature is its grey 32×32 thumbnail, mean removed, norm one; two pictures are near-duplicates
where their signatures, or one and the other's mirror image, correlate above a threshold. All pairs are
compared by blocks of a matrix product: 19,000 pictures take some 20 s on one core.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import numpy.typing as npt

from agewise.types import FloatArray, UInt8Array

SIDE = 32
MIN_CORRELATION = 0.96
_BLOCK = 2048


def signature(image_rgb: UInt8Array) -> FloatArray:
    """float32 (1024,), mean zero, norm one (all zero for a picture of one colour)."""
    grey = cv2.cvtColor(image_rgb, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32).ravel()
    small -= small.mean()
    norm = float(np.linalg.norm(small))
    return np.asarray(small / norm if norm > 0 else small, dtype=np.float32)


def similar_pairs(signatures: FloatArray, min_correlation: float) -> Iterator[tuple[int, int, float]]:
    """Pairs (i, j, correlation), i < j, above the threshold, mirror images included."""
    mirrored = signatures.reshape(-1, SIDE, SIDE)[:, :, ::-1].reshape(len(signatures), -1)
    for start in range(0, len(signatures), _BLOCK):
        rows = signatures[start : start + _BLOCK]
        best = np.maximum(rows @ signatures[start:].T, rows @ mirrored[start:].T)
        for i, j in np.argwhere(best >= min_correlation):
            if i < j:
                yield start + int(i), start + int(j), float(best[i, j])


def duplicate_groups(signatures: FloatArray, min_correlation: float = MIN_CORRELATION) -> npt.NDArray[np.int64]:
    """For each picture the index of the first picture of its group of near-duplicates (union-find).

    Args:
        signatures: float32 (n, 1024), rows from `signature`.
        min_correlation: 0 to 1.
    """
    parent = list(range(len(signatures)))

    def find(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for i, j, _ in similar_pairs(signatures, min_correlation):
        a, b = find(i), find(j)
        parent[max(a, b)] = min(a, b)
    return np.array([find(i) for i in range(len(parent))], dtype=np.int64)
