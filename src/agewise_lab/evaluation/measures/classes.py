"""Age classes, as Adience has them: int (n,) from 0, in the order of the ages, so that neighbours differ by 1."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from agewise.types import FloatArray

IntArray = npt.NDArray[np.int64]


def exact_accuracy(estimates: IntArray, truths: IntArray) -> float:
    """Share of faces whose class is the true one.

    Source: Eidinger, Enbar, Hassner, «Age and gender estimation of unfiltered faces», IEEE TIFS 2014.

    >>> exact_accuracy(np.array([1, 2, 5, 0]), np.array([1, 3, 3, 0]))
    0.5
    """
    return float((estimates == truths).mean())


def one_off_accuracy(estimates: IntArray, truths: IntArray) -> float:
    """Share of faces whose class is the true one or its neighbour. It is not top-2: see there.

    Source: Eidinger, Enbar, Hassner, IEEE TIFS 2014.

    >>> one_off_accuracy(np.array([1, 2, 5, 0]), np.array([1, 3, 3, 0]))
    0.75
    """
    return float((np.abs(estimates - truths) <= 1).mean())


def top_k_accuracy(probs_over_classes: FloatArray, truths: IntArray, k: int) -> float:
    """Share of faces whose true class is among the `k` likeliest. Of equal probabilities the younger class comes first.

    Some publish top-2 under the name of one-off: the second likeliest class need not be a neighbour, and a neighbour
    need not be the second likeliest.

    Source: Russakovsky et al., «ImageNet Large Scale Visual Recognition Challenge», IJCV 2015, section 4.1.

    >>> probs = np.array([[0.5, 0.1, 0.4], [0.2, 0.5, 0.3]])
    >>> top_k_accuracy(probs, np.array([2, 0]), 2), one_off_accuracy(probs.argmax(axis=1), np.array([2, 0]))
    (0.5, 0.5)
    """
    return float(in_top_k(probs_over_classes, truths, k).mean())


def in_top_k(probs_over_classes: FloatArray, truths: IntArray, k: int) -> npt.NDArray[np.bool_]:
    """For each face, whether its true class is among the `k` likeliest: bool (n,)."""
    order = np.argsort(-probs_over_classes, axis=1, kind="stable")[:, :k]
    found: npt.NDArray[np.bool_] = (order == np.asarray(truths)[:, None]).any(axis=1)
    return found


def confusion(estimates: IntArray, truths: IntArray, classes: int) -> IntArray:
    """How many faces of each true class (row) were put into each class (column): int64 (classes, classes).

    Raises:
        ValueError: a class outside 0 to classes − 1.

    >>> confusion(np.array([0, 1, 1]), np.array([0, 0, 1]), 2).tolist()
    [[1, 1], [0, 1]]
    """
    for name, values in (("estimates", estimates), ("truths", truths)):
        if len(values) and not 0 <= values.min() <= values.max() < classes:
            raise ValueError(f"{name} must be classes 0 to {classes - 1}, got {values.min()} to {values.max()}")
    places = np.asarray(truths, dtype=np.int64) * classes + estimates
    return np.bincount(places, minlength=classes * classes).reshape(classes, classes).astype(np.int64)
