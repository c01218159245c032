"""Arithmetic on boxes: worked numbers, and suppression against its definition on random crowds."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest

from agewise.detect import boxes
from agewise.detect.boxes import overlaps, suppress, to_squares

UNIT = [0.0, 0.0, 10.0, 10.0]


@pytest.mark.parametrize(
    ("other", "relative_to", "share"),
    [
        (UNIT, "union", 1.0),
        ([5.0, 0.0, 15.0, 10.0], "union", 1 / 3),
        ([5.0, 0.0, 15.0, 10.0], "smaller", 0.5),
        ([2.0, 2.0, 4.0, 4.0], "union", 0.04),
        ([2.0, 2.0, 4.0, 4.0], "smaller", 1.0),
        ([10.0, 0.0, 20.0, 10.0], "union", 0.0),  # they touch
        ([20.0, 20.0, 30.0, 30.0], "smaller", 0.0),  # apart both ways: no product of two negatives
        ([3.0, 3.0, 3.0, 9.0], "smaller", 0.0),  # no area
    ],
)
def test_overlap_of_two_boxes(other: list[float], relative_to: Literal["union", "smaller"], share: float) -> None:
    assert overlaps(np.array([UNIT]), np.array([other]), relative_to).tolist() == [[pytest.approx(share)]]
    assert overlaps(np.array([other]), np.array([UNIT]), relative_to).tolist() == [[pytest.approx(share)]]


@pytest.mark.parametrize(
    ("scores", "most", "kept"),
    [
        ([0.9, 0.8, 0.7], 0.5, [0, 2]),  # the second overlaps the first by 9/11
        ([0.7, 0.8, 0.9], 0.5, [2, 1]),  # the order is that of the scores
        ([0.9, 0.8, 0.7], 0.9, [0, 1, 2]),
        ([0.5, 0.5, 0.5], 0.5, [0, 2]),  # among equals the earlier stays
    ],
)
def test_suppression_keeps_the_best_of_each_heap(scores: list[float], most: float, kept: list[int]) -> None:
    three = np.array([UNIT, [1.0, 0.0, 11.0, 10.0], [30.0, 0.0, 40.0, 10.0]])
    assert suppress(three, np.array(scores), most).tolist() == kept


def test_what_was_suppressed_suppresses_nothing() -> None:
    chain = np.array([[0.0, 0.0, 10.0, 10.0], [4.0, 0.0, 14.0, 10.0], [8.0, 0.0, 18.0, 10.0]])
    assert suppress(chain, np.array([0.9, 0.8, 0.7]), 0.3).tolist() == [0, 2]


def test_suppression_of_nothing() -> None:
    assert suppress(np.empty((0, 4)), np.empty(0), 0.5).tolist() == []


@pytest.mark.parametrize("relative_to", ["union", "smaller"])
def test_blocks_give_what_the_plain_definition_gives(
    relative_to: Literal["union", "smaller"], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boxes, "_BLOCK", 7)
    rng = np.random.default_rng(5)
    corner, side = rng.uniform(0, 60, (150, 2)), rng.uniform(5, 30, (150, 2))
    crowd, scores = np.concatenate([corner, corner + side], axis=1), rng.integers(0, 40, 150) / 40
    plain: list[int] = []
    for i in np.argsort(-scores, kind="stable"):
        if all(overlaps(crowd[[i]], crowd[[j]], relative_to)[0, 0] <= 0.4 for j in plain):
            plain.append(int(i))
    assert suppress(crowd, scores, 0.4, relative_to).tolist() == plain
    assert 5 < len(plain) < 150


def test_squares_keep_the_centre_and_the_longer_side() -> None:
    made = to_squares(np.array([[0.0, 0.0, 10.0, 20.0], [-4.0, 2.0, 4.0, 4.0]]))
    assert made.tolist() == [[-5, 0, 15, 20], [-4, -1, 4, 7]]
