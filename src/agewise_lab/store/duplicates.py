"""Near-duplicates: pictures of the same photo, often with another label. They must not cross a split.

A picture's signature is its grey 32×32 thumbnail, mean removed, norm one; two pictures are near-duplicates
where their signatures, or one and the other's mirror image, correlate at 0.96 or more.

A million pictures have half a billion million pairs, so not all are compared. The 48 lowest frequencies of
the signature's cosine transform (but the constant) become bits: above or below their median. In each of twelve tables
pictures are sorted by another choice of some twenty of these bits, and a picture is compared with those of
its own key and of the keys that differ in its most doubtful bits. What that proposes is checked exactly, first
by the distance of the transforms, which can only be smaller than that of the signatures. Pairs that are equal
in all but noise are always found; how many of the borderline ones, `tests` and benchmarks/README.md say.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from agewise.types import FloatArray, UInt8Array

SIDE = 32
MIN_CORRELATION = 0.96
_BLOCK = 2048
_FREQUENCIES = 8  # in each direction
_POOL = 48
_TABLES = 12
_DOUBTFUL = 8  # bits of a key that are flipped alone; pairs of the first half of them are flipped together
_ALL_PAIRS = 4096  # up to here comparing all is quicker
_CANDIDATES = 1 << 20  # pairs that are checked at once

IntArray: TypeAlias = npt.NDArray[np.int64]


def thumbnail(image_rgb: UInt8Array) -> UInt8Array:
    """The picture in grey, uint8 (32, 32): all that near-duplicates are found by, so it is stored."""
    grey = cv2.cvtColor(image_rgb, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def signatures_of(thumbnails: UInt8Array) -> FloatArray:
    """float32 (n, 1024) of uint8 (n, 32, 32): mean zero, norm one (all zero for a picture of one colour)."""
    flat = thumbnails.reshape(-1, SIDE * SIDE).astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(flat, axis=1, keepdims=True)
    return np.asarray(flat / np.where(norm > 0, norm, 1), dtype=np.float32)


def signature(image_rgb: UInt8Array) -> FloatArray:
    """float32 (1024,), mean zero, norm one (all zero for a picture of one colour)."""
    return np.asarray(signatures_of(thumbnail(image_rgb)[None])[0])


def _mirrored(signatures: FloatArray) -> FloatArray:
    return signatures.reshape(-1, SIDE, SIDE)[:, :, ::-1].reshape(-1, SIDE * SIDE)


def similar_pairs(signatures: FloatArray, min_correlation: float) -> Iterator[tuple[int, int, float]]:
    """Pairs (i, j, correlation), i < j, above the threshold, mirror images included: all pairs are compared."""
    mirrored = _mirrored(signatures)
    for start in range(0, len(signatures), _BLOCK):
        rows = signatures[start : start + _BLOCK]
        best = np.maximum(rows @ signatures[start:].T, rows @ mirrored[start:].T)
        for i, j in np.argwhere(best >= min_correlation):
            if i < j:
                yield start + int(i), start + int(j), float(best[i, j])


# ---------------------------------------------------------------- without comparing all


def _transform(thumbnails: UInt8Array) -> FloatArray:
    """The 8×8 lowest frequencies of each signature's orthonormal cosine transform: float32 (n, 64)."""
    k, x = np.arange(_FREQUENCIES)[:, None], np.arange(SIDE)[None]
    basis = np.cos(np.pi * (2 * x + 1) * k / (2 * SIDE)) * np.sqrt(2 / SIDE)
    basis[0] /= np.sqrt(2)
    both = np.kron(basis, basis).astype(np.float32)
    blocks = range(0, len(thumbnails), 1 << 14)
    return np.concatenate([signatures_of(thumbnails[start : start + (1 << 14)]) @ both.T for start in blocks])


_TURNED = np.tile((-1.0) ** np.arange(_FREQUENCIES), _FREQUENCIES).astype(np.float32)
"""What mirroring does to a transform: horizontal frequencies of odd number change their sign."""


def _keys(heights: FloatArray) -> IntArray:
    """Bits (n, bits), above or below zero, as one number each."""
    return np.asarray((heights > 0) @ (1 << np.arange(heights.shape[1])), dtype=np.int64)


def _probes(heights: FloatArray) -> Iterator[IntArray]:
    """The keys under which a picture is looked for: its own, and with its most doubtful bits flipped."""
    keys = _keys(heights)
    yield keys
    masks = 1 << np.argsort(np.abs(heights), axis=1)[:, :_DOUBTFUL].astype(np.int64)
    for bit in range(masks.shape[1]):
        yield keys ^ masks[:, bit]
    for a, b in itertools.combinations(range(masks.shape[1] // 2), 2):
        yield keys ^ masks[:, a] ^ masks[:, b]


def _same_key(sorted_keys: IntArray, order: IntArray, wanted: IntArray) -> Iterator[tuple[IntArray, IntArray]]:
    """(asked, found): rows of `wanted` beside those whose key it is, at most about `_CANDIDATES` at once."""
    first = np.searchsorted(sorted_keys, wanted, side="left")
    counts = np.searchsorted(sorted_keys, wanted, side="right") - first
    asking = np.flatnonzero(counts)
    ends = np.cumsum(counts[asking])
    start = 0
    while start < len(asking):
        done = ends[start - 1] if start else 0
        end = max(int(np.searchsorted(ends, done + _CANDIDATES, side="right")), start + 1)
        rows = asking[start:end]
        asked = np.repeat(rows, counts[rows])
        offsets = np.arange(len(asked)) - np.repeat(ends[start:end] - counts[rows] - done, counts[rows])
        yield asked, order[np.repeat(first[rows], counts[rows]) + offsets]
        start = end


def _checked(
    a: IntArray, b: IntArray, queries: FloatArray, transforms: FloatArray, most: float
) -> tuple[IntArray, IntArray]:
    """The pairs whose transforms are as near as near-duplicates' must be; a < b."""
    keep = a < b
    a, b = a[keep], b[keep]
    # The first frequencies alone already refuse nearly all.
    for part in (slice(0, 4 * _FREQUENCIES), slice(None)):
        near = ((queries[a, part] - transforms[b, part]) ** 2).sum(axis=1) <= most
        a, b = a[near], b[near]
    return a, b


def _correlations(thumbnails: UInt8Array, a: IntArray, b: IntArray) -> FloatArray:
    """The larger of the correlations of a with b and of a with b's mirror image."""
    out = np.empty(len(a), dtype=np.float32)
    for start in range(0, len(a), 1 << 14):
        part = slice(start, start + (1 << 14))
        left, right = signatures_of(thumbnails[a[part]]), signatures_of(thumbnails[b[part]])
        out[part] = np.maximum((left * right).sum(axis=1), (left * _mirrored(right)).sum(axis=1))
    return out


def banded_pairs(
    thumbnails: UInt8Array, min_correlation: float = MIN_CORRELATION, *, tables: int = _TABLES, seed: int = 0
) -> tuple[IntArray, IntArray, FloatArray]:
    """Near-duplicates without comparing all: arrays i < j and their correlations, sorted by i, then j.

    Args:
        thumbnails: uint8 (n, 32, 32).
        min_correlation: of signatures, 0 to 1.
        tables: how many choices of bits are tried.
        seed: of the choices.
    """
    count = len(thumbnails)
    transforms = _transform(thumbnails)
    # The 48 bits that say most; a median of both orientations, so that mirrored keys are as balanced.
    spread = transforms.var(axis=0)
    spread[0] = -1.0  # the mean is removed, so this one is zero
    pool = np.argsort(-spread, kind="stable")[:_POOL]
    middle = np.where(_TURNED > 0, np.median(transforms, axis=0), 0.0).astype(np.float32)
    bits = min(max(math.ceil(math.log2(max(count, 2))) + 3, 12), _POOL)
    rng = np.random.default_rng(seed)
    # |x − y|² = 2 − 2 correlation, and the transform is a part of a rotation.
    most = 2 - 2 * min_correlation + 1e-5
    found: list[IntArray] = []
    for _ in range(tables):
        chosen = np.sort(rng.permutation(pool)[:bits])
        keys = _keys(transforms[:, chosen] - middle[chosen])
        order = np.argsort(keys, kind="stable").astype(np.int64)
        sorted_keys = keys[order]
        here: list[IntArray] = []
        for queries in (transforms, transforms * _TURNED):
            for wanted in _probes(queries[:, chosen] - middle[chosen]):
                for asked, other in _same_key(sorted_keys, order, wanted):
                    # Either of a pair may be the one that finds the other; turning both changes nothing.
                    low, high = np.minimum(asked, other), np.maximum(asked, other)
                    a, b = _checked(low, high, queries, transforms, most)
                    here.append(a * count + b)
        found.append(np.unique(np.concatenate(here)))
    codes = np.unique(np.concatenate(found)) if found else np.empty(0, dtype=np.int64)
    i, j = codes // max(count, 1), codes % max(count, 1)
    values = _correlations(thumbnails, i, j)
    keep = values >= min_correlation
    return i[keep], j[keep], values[keep]


def find_pairs(
    thumbnails: UInt8Array, min_correlation: float = MIN_CORRELATION
) -> tuple[IntArray, IntArray, FloatArray]:
    """Near-duplicates among thumbnails, uint8 (n, 32, 32): arrays i < j and their correlations."""
    if len(thumbnails) > max(_ALL_PAIRS, 1):
        return banded_pairs(thumbnails, min_correlation)
    pairs = list(similar_pairs(signatures_of(thumbnails), min_correlation))
    i, j = (np.array([pair[k] for pair in pairs], dtype=np.int64) for k in (0, 1))
    return i, j, np.array([pair[2] for pair in pairs], dtype=np.float32)


# ---------------------------------------------------------------- groups


def joined(count: int, pairs: Iterable[tuple[int, int]]) -> IntArray:
    """For each of `count` things the first of those that the pairs join it to (union-find): int64 (count,).

    >>> joined(5, [(3, 1), (1, 4)]).tolist()
    [0, 1, 2, 1, 1]
    """
    parent = list(range(count))

    def find(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for i, j in pairs:
        a, b = find(i), find(j)
        parent[max(a, b)] = min(a, b)
    return np.array([find(i) for i in range(count)], dtype=np.int64)


def duplicate_groups(thumbnails: UInt8Array, min_correlation: float = MIN_CORRELATION) -> IntArray:
    """For each picture the index of the first picture of its group of near-duplicates.

    Args:
        thumbnails: uint8 (n, 32, 32), from `thumbnail`.
        min_correlation: 0 to 1.
    """
    # A set may hold thousands of one and the same file: all pairs of these would be millions.
    first: dict[bytes, int] = {}
    same = [first.setdefault(picture.tobytes(), i) for i, picture in enumerate(thumbnails)]
    flat = np.ptp(thumbnails.reshape(-1, SIDE * SIDE), axis=1) == 0
    alone = np.array([row for row in first.values() if not flat[row]], dtype=np.int64)
    i, j, _ = find_pairs(thumbnails[alone], min_correlation)
    equal = ((row, other) for row, other in enumerate(same) if row != other and not flat[row])
    return joined(len(thumbnails), itertools.chain(equal, zip(alone[i].tolist(), alone[j].tolist(), strict=True)))
