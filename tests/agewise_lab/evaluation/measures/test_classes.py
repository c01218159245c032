"""Age classes: one-off is not top-2."""

from __future__ import annotations

import numpy as np
import pytest

from agewise_lab.evaluation.measures import confusion, exact_accuracy, one_off_accuracy, top_k_accuracy


def test_one_off_and_top_2_differ() -> None:
    # The second likeliest class is far away; the true one is the neighbour of the likeliest.
    probs = np.array([[0.5, 0.1, 0.0, 0.4]])
    neighbour, far = np.array([1]), np.array([3])
    assert one_off_accuracy(probs.argmax(axis=1), neighbour) == 1
    assert top_k_accuracy(probs, neighbour, 2) == 0
    assert one_off_accuracy(probs.argmax(axis=1), far) == 0
    assert top_k_accuracy(probs, far, 2) == 1


@pytest.mark.parametrize(("k", "share"), [(1, 0.5), (2, 0.75), (3, 1.0)])
def test_top_k(k: int, share: float) -> None:
    probs = np.array([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.4, 0.35, 0.25], [0.1, 0.2, 0.7]])
    truths = np.array([0, 2, 2, 2])
    assert top_k_accuracy(probs, truths, k) == share


def test_ties_go_to_the_younger_class() -> None:
    probs = np.full((1, 4), 0.25)
    assert [top_k_accuracy(probs, np.array([c]), 2) for c in range(4)] == [1, 1, 0, 0]


def test_exact_and_one_off() -> None:
    estimates, truths = np.array([0, 1, 2, 7, 4]), np.array([0, 2, 4, 6, 4])
    assert exact_accuracy(estimates, truths) == pytest.approx(2 / 5)
    assert one_off_accuracy(estimates, truths) == pytest.approx(4 / 5)


def test_confusion() -> None:
    table = confusion(np.array([0, 1, 1, 2]), np.array([0, 0, 1, 0]), 3)
    assert table.tolist() == [[1, 1, 1], [0, 1, 0], [0, 0, 0]]
    with pytest.raises(ValueError, match="estimates must be classes 0 to 2, got 0 to 3"):
        confusion(np.array([0, 3]), np.array([0, 0]), 3)
