"""Assignment, motion, optical flow and the configuration, each alone."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from agewise.track import TrackConfig
from agewise.track.assign import assign, overlaps
from agewise.track.flow import Flow
from agewise.track.motion import Motion


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (3, 3), (2, 4), (4, 2), (4, 4)])
@pytest.mark.parametrize("seed", range(5))
def test_the_assignment_is_the_cheapest_of_all(rows: int, columns: int, seed: int) -> None:
    costs = np.random.default_rng(seed).uniform(0, 2, (rows, columns))
    most = 1.2

    def total(pairs: list[tuple[int, int]]) -> float:
        return sum(costs[pair] for pair in pairs) + most * (rows - len(pairs))

    every = [
        list(zip(some, order, strict=True))
        for n in range(min(rows, columns) + 1)
        for some in itertools.combinations(range(rows), n)
        for order in itertools.permutations(range(columns), n)
    ]
    legal = [pairs for pairs in every if all(costs[pair] <= most for pair in pairs)]
    pairs = assign(costs, most)
    assert all(costs[pair] <= most for pair in pairs)
    assert total(pairs) == pytest.approx(min(map(total, legal)))


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0)])
def test_nothing_to_assign(shape: tuple[int, int]) -> None:
    assert assign(np.zeros(shape), 1.0) == []


def test_overlaps_by_hand() -> None:
    boxes = np.array([[0.0, 0, 4, 4], [2.0, 2, 6, 6], [9.0, 9, 10, 10]])
    assert overlaps(boxes, boxes).round(4).tolist() == [[1, 0.1429, 0], [0.1429, 1, 0], [0, 0, 1]]


def test_a_filtered_box_trembles_less_and_does_not_lag() -> None:
    generator = np.random.default_rng(0)
    motion, raw, smooth, truth = Motion((100.0, 100.0, 200.0, 200.0)), [], [], []
    for i in range(1, 200):
        true = np.array([100.0 + 2 * i, 100.0, 200.0 + 2 * i, 200.0])
        seen = true + generator.normal(0, 3, 4)
        motion.predict(1 / 30, seen=True)
        motion.detected(tuple(seen))
        raw.append(seen)
        smooth.append(motion.box)
        truth.append(true)
    errors = [np.array(boxes)[50:] - np.array(truth)[50:] for boxes in (raw, smooth)]
    assert abs(errors[1].mean()) < 0.5
    trembles = [np.abs(np.diff(error, axis=0)).mean() for error in errors]
    assert trembles[1] < 0.4 * trembles[0]


def test_a_hidden_face_is_expected_where_its_speed_brings_it() -> None:
    motion = Motion((100.0, 100.0, 200.0, 200.0))
    for i in range(1, 61):
        motion.predict(1 / 30, seen=True)
        motion.detected((100.0 + 3 * i, 100.0, 200.0 + 3 * i, 200.0))
    for _ in range(4):  # optical flow sticks to what hides it
        motion.predict(1 / 30, seen=True)
        motion.flowed((280.0, 100.0, 380.0, 200.0))
    motion.lost()
    assert motion.box[0] == pytest.approx(280 + 3 * 4, abs=4)
    motion.predict(0.5, seen=False)
    assert 280 + 12 + 35 < motion.box[0] < 280 + 12 + 50


def test_a_long_gap_does_not_break_the_filter() -> None:
    motion = Motion((100.0, 100.0, 200.0, 200.0))
    motion.predict(86_400.0, seen=True)
    motion.detected((300.0, 300.0, 400.0, 400.0))
    assert np.allclose(motion.box, (300, 300, 400, 400), atol=1)


@pytest.mark.parametrize("size_wh", [(640, 360), (1920, 1080)])
def test_flow_follows_a_face_that_moves_and_grows(
    clips: ModuleType, make_texture: Callable[..., Any], size_wh: tuple[int, int]
) -> None:
    unit = size_wh[0] / 640
    way = clips.line((200 * unit, 150 * unit, 160 * unit), (260 * unit, 180 * unit, 200 * unit), 0.5)
    actor = clips.Actor(make_texture(1), way, face=(0.25, 0.25, 0.75, 0.75))
    flow, box = Flow(), actor.box(0.0)
    for shot in clips.clip([actor], size_wh=size_wh, frames=16):
        flow.push(shot.image_rgb)
        if shot.seconds > 0:
            box = flow.move(box)
            assert box is not None
    assert clips.overlap(box, actor.box(0.5)) > 0.9


def test_flow_gives_up_where_the_picture_changes_wholly(make_texture: Callable[..., Any]) -> None:
    flow = Flow()
    assert flow.move((10.0, 10.0, 60.0, 60.0)) is None, "no frame before"
    flow.push(make_texture(1))
    flow.push(make_texture(2))
    assert flow.move((50.0, 50.0, 150.0, 150.0)) is None
    flow.push(make_texture(2))
    assert flow.move((50.0, 50.0, 150.0, 150.0)) == pytest.approx((50, 50, 150, 150), abs=0.1)
    assert flow.move((500.0, 500.0, 600.0, 600.0)) is None, "beyond the picture"
    flow.push(make_texture(2, side=100))
    assert flow.move((10.0, 10.0, 60.0, 60.0)) is None, "another size"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"detect_every": 0}, "detect_every must be a whole number of 1 or more"),
        ({"detect_every": 2.5}, "detect_every must be a whole number"),
        ({"kept": 1}, "kept must be a whole number of 2 or more"),
        ({"detect_seconds": 0.0}, "detect_seconds must be above 0"),
        ({"max_lost_seconds": float("nan")}, "max_lost_seconds must be finite"),
        ({"better": 0.9}, "better must be 1 or more"),
        ({"correlation": 1.1}, "correlation must be 0 to 1"),
        ({"gender_sure": 0.5}, "gender_sure must be above 0.5"),
    ],
)
def test_a_configuration_out_of_range_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        TrackConfig(**change)
