"""What is drawn on a frame, and what is not touched."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from agewise.errors import ArrayError
from agewise.track import TrackedFace
from agewise.types import Box, Detection, Gender, Prediction, UInt8Array
from agewise.video.overlay import SETTLED_RGB, UNSETTLED_RGB, draw_tracked, tracked_text

BACK = 77


def prediction(**changes: Any) -> Prediction:
    fields: dict[str, Any] = {
        "age_years": 31.4,
        "age_std_years": 4.0,
        "age_interval_years": (24.2, 39.0),
        "interval_level": 0.9,
        "gender": Gender.FEMALE,
        "gender_probability": 0.97,
    }
    return Prediction(**fields | changes)


def tracked(box: Box, *, track_id: int = 1, settled: bool = True, estimate: Prediction | None = None) -> TrackedFace:
    return TrackedFace(
        track_id=track_id,
        detection=Detection(box_xyxy=box, score=0.9),
        prediction=estimate,
        settled=settled,
        measured=False,
        frames=3,
    )


@pytest.fixture
def frame() -> UInt8Array:
    return np.full((360, 640, 3), BACK, np.uint8)


def has_colour(image_rgb: UInt8Array, colour: tuple[int, int, int]) -> int:
    return int((image_rgb == colour).all(axis=2).sum())


def test_words_have_no_digits_that_flicker() -> None:
    assert tracked_text(prediction()) == "31 (24-39) · female"
    assert tracked_text(prediction(), "short") == "31 · F"
    assert tracked_text(prediction(answered=False, reasons=("blurred",))) == "declined (31?)"


def test_only_lines_and_plates_are_touched(frame: UInt8Array) -> None:
    drawn = draw_tracked(frame, [tracked((200, 150, 300, 270), estimate=prediction())])
    assert (frame == BACK).all(), "a copy by default"
    changed = (drawn != BACK).any(axis=2)
    assert not changed[156:264, 206:294].any(), "nothing inside the box"
    assert 0 < changed.mean() < 0.04
    rows = np.flatnonzero(changed.any(axis=1))
    assert 110 < rows[0] < 135, "the label is above"
    assert rows[-1] < 276


def test_colour_tells_whether_it_holds_still(frame: UInt8Array) -> None:
    box = (200.0, 150.0, 300.0, 270.0)
    settled = draw_tracked(frame, [tracked(box, estimate=prediction())])
    coming = draw_tracked(frame, [tracked(box, settled=False, estimate=prediction())])
    assert has_colour(settled, SETTLED_RGB) > 1500
    assert has_colour(settled, UNSETTLED_RGB) == 0
    assert has_colour(coming, UNSETTLED_RGB) > 1500
    assert has_colour(coming, SETTLED_RGB) == 0


def test_a_face_without_an_estimate_has_a_box_only(frame: UInt8Array) -> None:
    drawn = draw_tracked(frame, [tracked((200, 150, 300, 270), settled=False)])
    changed = np.flatnonzero((drawn != BACK).any(axis=(1, 2)))
    assert changed[0] >= 144


def test_in_place(frame: UInt8Array) -> None:
    assert draw_tracked(frame, [tracked((200, 150, 300, 270))], in_place=True) is frame
    assert (frame != BACK).any()


@pytest.mark.parametrize(
    "box",
    [
        (0, 0, 60, 60),
        (600, 300, 700, 420),
        (-50, -50, 700, 500),
        (5, 100, 9, 104),
        (-90, 0, -10, 80),
        (0, 330, 50, 360),
    ],
)
def test_at_the_border_and_beyond_nothing_breaks(frame: UInt8Array, box: Box) -> None:
    drawn = draw_tracked(frame, [tracked(box, estimate=prediction())])
    assert (drawn != BACK).any() == (box[2] > 0)


def test_a_label_stays_where_it_is_when_another_face_comes_near(frame: UInt8Array) -> None:
    first = tracked((200, 150, 300, 270), track_id=1, estimate=prediction())
    alone = draw_tracked(frame, [first])
    second = tracked((310, 150, 410, 270), track_id=2, estimate=prediction(age_years=33.0))
    both = draw_tracked(frame, [second, first])
    label = (slice(118, 146), slice(195, 300))
    np.testing.assert_array_equal(both[label], alone[label])


def test_labels_do_not_hide_each_other(frame: UInt8Array) -> None:
    near = [tracked((200 + 6 * at, 150, 240 + 6 * at, 200), track_id=at + 1, estimate=prediction()) for at in range(4)]
    drawn = draw_tracked(frame, near)
    one = has_colour(draw_tracked(frame, near[:1]), SETTLED_RGB)
    assert has_colour(drawn, SETTLED_RGB) > 1.4 * one


def test_letters_keep_their_size_when_a_face_comes_nearer(frame: UInt8Array) -> None:
    heights = set()
    for side in range(60, 120, 10):
        drawn = draw_tracked(frame, [tracked((200, 150, 200 + side, 150 + side), estimate=prediction())])
        column = (drawn[:150, 202] != BACK).any(axis=1)
        heights.add(int(column.sum()))
    assert max(heights) - min(heights) <= 2, "but for the line's width"


@pytest.mark.parametrize(
    "image", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((0, 4, 3), np.uint8)]
)
def test_what_is_no_frame(image: Any) -> None:
    with pytest.raises(ArrayError, match="expected a uint8 RGB frame"):
        draw_tracked(image, [])


def test_it_is_quick() -> None:
    frame = np.full((720, 1280, 3), BACK, np.uint8)
    faces = [
        tracked((200 + 400 * at, 150, 300 + 400 * at, 270), track_id=at + 1, estimate=prediction()) for at in range(2)
    ]
    draw_tracked(frame, faces, in_place=True)
    began = time.process_time()
    for _ in range(50):
        draw_tracked(frame, faces, in_place=True)
    assert (time.process_time() - began) / 50 < 0.005, "usually 0.0002 s"


def test_in_a_crowd_each_small_face_has_its_age_above_it(frame: UInt8Array) -> None:
    crowd = [
        tracked((100 + 34 * at, 150, 130 + 34 * at, 190), track_id=at + 1, estimate=prediction()) for at in range(8)
    ]
    above = draw_tracked(frame, crowd)[122:144]
    plates = (above == SETTLED_RGB).all(axis=2).any(axis=0)
    for at in range(8):
        assert plates[100 + 34 * at : 130 + 34 * at].any(), at
    assert (~plates[100:368] & np.roll(plates[100:368], 1)).sum() >= 7, "they are apart"
