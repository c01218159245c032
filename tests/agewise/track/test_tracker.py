"""The tracker on synthetic clips with known truth, with stand-ins for detector and network."""

from __future__ import annotations

import itertools
import tracemalloc
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import agewise
from agewise.errors import ArrayError
from agewise.track import TrackedFace, Tracker

SHARE = (0.2, 0.2, 0.8, 0.8)


def noisy(years: float, noise: float = 2.0) -> Any:
    """Ages without end about a mean."""
    generator = np.random.default_rng(5)
    return (years + generator.normal(0, noise) for _ in itertools.count())


def ids_of_frame(clips: ModuleType, shot: Any, faces: list[TrackedFace]) -> list[int | None]:
    found: list[int | None] = clips.ids_of(shot.boxes, [(face.track_id, face.detection.box_xyxy) for face in faces])
    return found


@pytest.fixture
def ids(clips: ModuleType, follow: Callable[..., Any]) -> Callable[..., list[list[int | None]]]:
    """`ids(tracker, shots, detector)`: the ids found of each actor, frame by frame."""

    def collect(tracker: Tracker, shots: Any, detector: Any) -> list[list[int | None]]:
        rows = [ids_of_frame(clips, shot, faces) for shot, faces in follow(tracker, shots, detector)]
        return [list(column) for column in zip(*rows, strict=True)]

    return collect


def test_a_moving_face_keeps_its_id_its_box_and_lies_on_the_face(
    clips: ModuleType, follow: Callable[..., Any], make_tracker: Callable[..., Any], make_texture: Callable[..., Any]
) -> None:
    tracker, detector, _ = make_tracker(noisy(40))
    actor = clips.Actor(make_texture(1), clips.sway(320, 180, 160, 90), face=SHARE)
    found = [(shot, faces) for shot, faces in follow(tracker, clips.clip([actor], frames=90), detector)]
    assert all(len(faces) == 1 and faces[0].track_id == 1 for _, faces in found)
    overlaps = [clips.overlap(shot.boxes[0], faces[0].detection.box_xyxy) for shot, faces in found]
    assert min(overlaps) > 0.7
    assert float(np.mean(overlaps)) > 0.88
    assert [faces[0].frames for _, faces in found] == list(range(1, 91))


def test_the_detector_runs_on_every_nth_frame_only(
    clips: ModuleType, follow: Callable[..., Any], make_tracker: Callable[..., Any], make_texture: Callable[..., Any]
) -> None:
    tracker, detector, _ = make_tracker(noisy(40), detect_every=10)
    actor = clips.Actor(make_texture(1), clips.sway(320, 180, 160, 40), face=SHARE)
    for _ in follow(tracker, clips.clip([actor], frames=101), detector):
        pass
    assert 11 <= detector.calls <= 13, "one of each ten, and one more as the track is new"


def test_the_id_outlives_a_short_occlusion(
    clips: ModuleType, ids: Callable[..., Any], make_tracker: Callable[..., Any], make_texture: Callable[..., Any]
) -> None:
    tracker, detector, _ = make_tracker(noisy(40))
    actor = clips.Actor(make_texture(1), clips.line((90, 180, 120), (560, 180, 120), 3.0), face=SHARE)
    (found,) = ids(tracker, clips.clip([actor], frames=100, bars=[(270, 360)]), detector)
    assert set(found) == {1, None}
    assert found[-1] == 1
    assert 3 < found.count(None) < 40


def test_a_long_occlusion_ends_the_track(
    clips: ModuleType, ids: Callable[..., Any], make_tracker: Callable[..., Any], make_texture: Callable[..., Any]
) -> None:
    tracker, detector, _ = make_tracker(noisy(40), max_lost_seconds=0.2)
    actor = clips.Actor(make_texture(1), clips.line((90, 180, 120), (560, 180, 120), 4.0), face=SHARE)
    (found,) = ids(tracker, clips.clip([actor], frames=125, bars=[(250, 400)]), detector)
    assert found[-1] == 2
    (first,) = tracker.ended()
    assert (first.track_id, first.first_seconds) == (1, 0.0)
    assert first.last_seconds < 2.5
    assert tracker.ended() == []
    assert [track.track_id for track in tracker.finish()] == [2]
    assert tracker.finish() == []


@pytest.mark.parametrize("seed", [1, 3, 5])
def test_two_crossing_faces_keep_their_ids(
    clips: ModuleType,
    ids: Callable[..., Any],
    make_tracker: Callable[..., Any],
    make_texture: Callable[..., Any],
    seed: int,
) -> None:
    tracker, detector, _ = make_tracker(noisy(40))
    behind = clips.Actor(make_texture(seed), clips.line((90, 170, 120), (560, 180, 120), 3.0), face=SHARE)
    front = clips.Actor(make_texture(seed + 1), clips.line((560, 190, 140), (90, 185, 140), 3.0), face=SHARE)
    both = ids(tracker, clips.clip([behind, front], frames=95), detector)
    first = [next(iter(found)) for found in both]
    assert set(first) == {1, 2}
    for own, found in zip(first, both, strict=True):
        assert found[-1] == own
        assert set(found) <= {own, None}


def test_a_settled_track_is_far_quieter_than_its_frames(
    clips: ModuleType, follow: Callable[..., Any], make_tracker: Callable[..., Any], make_texture: Callable[..., Any]
) -> None:
    """Frames' ages vary by a spread of 2 years, so |change| is 2.26 on average; a settled track's is near none."""
    tracker, detector, planned = make_tracker(noisy(40))
    actor = clips.Actor(make_texture(1), clips.sway(320, 180, 160, 60), face=SHARE)
    faces = [faces[0] for _, faces in follow(tracker, clips.clip([actor], frames=300), detector)]
    ages = [face.prediction.age_years for face in faces if face.settled]
    assert len(ages) > 200
    assert float(np.abs(np.diff(ages)).mean()) < 0.03
    assert abs(ages[-1] - 40) < 2.5
    measured = [face.measured for face in faces]
    assert sum(measured) == planned.crops <= 12, "a few at first, then rechecks"
    assert all(face.prediction is not None for face in faces)


def test_a_settled_track_is_checked_again_now_and_then(
    clips: ModuleType, follow: Callable[..., Any], make_tracker: Callable[..., Any], make_texture: Callable[..., Any]
) -> None:
    tracker, detector, planned = make_tracker(itertools.chain([40.0] * 5, itertools.repeat(70.0)), recheck_seconds=1.0)
    actor = clips.Actor(make_texture(1), clips.sway(320, 180, 160, 20), face=SHARE)
    faces = [faces[0] for _, faces in follow(tracker, clips.clip([actor], frames=150), detector)]
    first = next(i for i, face in enumerate(faces) if face.settled)
    again = next(i for i, face in enumerate(faces) if i > first and face.measured)
    assert 28 <= again - first <= 40
    assert not faces[again].settled, "an age that moves by more than three years is settled no more"
    assert faces[-1].prediction.age_years > 50
    assert planned.crops < 20


def test_the_budget_bounds_the_estimates_of_a_restless_track(
    clips: ModuleType, follow: Callable[..., Any], make_tracker: Callable[..., Any], make_texture: Callable[..., Any]
) -> None:
    tracker, detector, planned = make_tracker(itertools.cycle([20.0, 80.0]), budget=7, settle_years=1e-6)
    actor = clips.Actor(make_texture(1), clips.sway(320, 180, 160, 20), face=SHARE)
    for _ in follow(tracker, clips.clip([actor], frames=180), detector):
        pass
    (track,) = tracker.finish()
    assert track.measured == planned.crops == 7
    assert not track.settled
    assert track.frames == 180


def test_a_face_that_comes_nearer_is_estimated_again(
    clips: ModuleType, follow: Callable[..., Any], make_tracker: Callable[..., Any], make_texture: Callable[..., Any]
) -> None:
    counts = []
    for end in (80, 260):
        tracker, detector, planned = make_tracker(noisy(40), settle_years=1e-6, first_estimates=2, estimate_seconds=9.0)
        actor = clips.Actor(make_texture(1), clips.line((320, 180, 80), (320, 180, end), 2.0), face=SHARE)
        for _ in follow(tracker, clips.clip([actor], frames=75), detector):
            pass
        counts.append(planned.crops)
    assert counts[0] == 2
    assert counts[1] >= 4


def test_weak_detections_continue_tracks_but_begin_none(
    clips: ModuleType, follow: Callable[..., Any], make_tracker: Callable[..., Any], make_texture: Callable[..., Any]
) -> None:
    tracker, detector, _ = make_tracker(noisy(40), new_score=0.5)
    actor = clips.Actor(make_texture(1), clips.sway(320, 180, 160, 30), face=SHARE)
    detector.score = 0.3
    seen = []
    for shot, faces in follow(tracker, clips.clip([actor], frames=90), detector):
        detector.score = 0.9 if 0.5 < shot.seconds < 1.0 else 0.3
        seen.append([face.track_id for face in faces])
    assert seen[10] == []
    assert seen[-1] == [1]


def test_a_find_that_does_not_come_again_is_gone_on_the_next_frame(
    make_tracker: Callable[..., Any], make_texture: Callable[..., Any]
) -> None:
    tracker, detector, _ = make_tracker(noisy(40))
    image = make_texture(1)
    detector.boxes = [(50.0, 50.0, 120.0, 120.0)]
    assert [face.track_id for face in tracker.update(image, 0.0)] == [1]
    detector.boxes = []
    assert tracker.update(image, 0.04) == []
    (track,) = tracker.ended()
    assert (track.track_id, track.frames, track.measured) == (1, 1, 1)


def test_a_cut_begins_new_tracks(make_tracker: Callable[..., Any], make_texture: Callable[..., Any]) -> None:
    tracker, detector, _ = make_tracker(noisy(40))
    detector.boxes = [(50.0, 50.0, 120.0, 120.0)]
    for i in range(8):
        before = tracker.update(make_texture(1), i / 25)
    for i in range(8, 12):
        after = tracker.update(make_texture(2), i / 25)
    assert [face.track_id for face in before] == [1]
    assert [face.track_id for face in after] == [2]


def test_frames_of_another_size_go_on_with_the_same_tracks(
    make_tracker: Callable[..., Any], make_texture: Callable[..., Any]
) -> None:
    import cv2

    tracker, detector, _ = make_tracker(noisy(40))
    image = make_texture(1)
    detector.boxes = [(50.0, 50.0, 120.0, 120.0)]
    for i in range(4):
        tracker.update(image, i / 25)
    detector.boxes = [(100.0, 100.0, 240.0, 240.0)]
    (face,) = tracker.update(cv2.resize(image, None, fx=2.0, fy=2.0), 0.2)
    assert face.track_id == 1
    assert face.detection.box_xyxy == pytest.approx((100, 100, 240, 240), abs=8)
    (face,) = tracker.update(cv2.resize(image, None, fx=2.0, fy=2.0), 0.24)
    assert face.track_id == 1


def test_few_frames_a_second_are_followed_by_detection(
    clips: ModuleType, ids: Callable[..., Any], make_tracker: Callable[..., Any], make_texture: Callable[..., Any]
) -> None:
    tracker, detector, _ = make_tracker(noisy(40))
    actor = clips.Actor(make_texture(1), clips.sway(320, 180, 160, 20, period=7.0), face=SHARE)
    (found,) = ids(tracker, clips.clip([actor], frames=15, fps=1.0), detector)
    assert set(found) == {1}
    assert detector.calls == 15


def test_only_the_largest_faces_are_followed(
    make_tracker: Callable[..., Any], make_texture: Callable[..., Any]
) -> None:
    tracker, detector, _ = make_tracker(noisy(40), max_tracks=2)
    detector.boxes = [(10.0, 10.0, 40.0, 40.0), (60.0, 60.0, 120.0, 120.0), (130.0, 130.0, 180.0, 180.0)]
    faces = tracker.update(make_texture(1), 0.0)
    assert [round(face.detection.box_xyxy[0], -1) for face in faces] == [60, 130]


@pytest.mark.parametrize(
    ("image", "error"),
    [
        (np.zeros((10, 10), dtype=np.uint8), ArrayError),
        (np.zeros((10, 10, 3), dtype=np.float32), ArrayError),
        (np.zeros((10, 10, 4), dtype=np.uint8), ArrayError),
        (np.zeros((0, 10, 3), dtype=np.uint8), ArrayError),
    ],
)
def test_what_is_no_frame_is_refused(make_tracker: Callable[..., Any], image: Any, error: type[Exception]) -> None:
    tracker, _, _ = make_tracker(noisy(40))
    with pytest.raises(error, match="uint8 RGB frame"):
        tracker.update(image, 0.0)


@pytest.mark.parametrize("second", [1.0, 0.5, float("nan"), float("inf")])
def test_time_must_rise(make_tracker: Callable[..., Any], make_texture: Callable[..., Any], second: float) -> None:
    tracker, detector, _ = make_tracker(noisy(40))
    detector.boxes = [(50.0, 50.0, 120.0, 120.0)]
    tracker.update(make_texture(1), 1.0)
    with pytest.raises(ValueError, match="rise from frame to frame"):
        tracker.update(make_texture(1), second)
    assert [face.track_id for face in tracker.update(make_texture(1), 1.1)] == [1], "it goes on as if it had not been"


def test_a_detector_that_takes_the_picture_as_the_crop(
    plan: Callable[..., Any], make_texture: Callable[..., Any]
) -> None:
    estimator, _ = plan(noisy(40))
    tracker = Tracker(agewise.Analyzer(estimator, "none"))
    for i in range(12):
        (face,) = tracker.update(make_texture(1), i / 25)
    assert face.detection.is_crop
    assert face.detection.box_xyxy == (0.0, 0.0, 200.0, 200.0)
    assert face.track_id == 1


def test_landmarks_move_with_the_box(make_tracker: Callable[..., Any], make_texture: Callable[..., Any]) -> None:
    from agewise.types import Detection

    tracker, detector, _ = make_tracker(noisy(40))
    points = np.array([[70.0, 70], [100, 70], [85, 85], [75, 100], [95, 100]])
    detector.detect = lambda image: [Detection((50.0, 50.0, 120.0, 120.0), 0.9, points)]
    image = make_texture(1)
    for i in range(3):
        (face,) = tracker.update(np.roll(image, 2 * i, axis=1) if i == 2 else image, i / 25)
    assert face.detection.landmarks_xy is not None
    shift = face.detection.box_xyxy[0] - 50
    assert 1.0 < shift < 4.5
    assert np.allclose(face.detection.landmarks_xy - points, [shift, 0], atol=0.6)


@pytest.mark.slow
def test_memory_is_bounded_over_many_frames_and_many_short_tracks(
    make_tracker: Callable[..., Any], make_texture: Callable[..., Any]
) -> None:
    check_memory(make_tracker, make_texture, 6000)


def test_memory_is_bounded(make_tracker: Callable[..., Any], make_texture: Callable[..., Any]) -> None:
    check_memory(make_tracker, make_texture, 200)


def check_memory(make_tracker: Callable[..., Any], make_texture: Callable[..., Any], frames: int) -> None:
    """A face that stays, one that flickers: after a first part nothing but the summaries that wait grows."""
    tracker, detector, _ = make_tracker(noisy(40), detect_every=1, recheck_seconds=0.05, kept=4, budget=4)
    images = [make_texture(seed) for seed in (1, 1)]
    images[1] = np.roll(images[1], 1, axis=0)

    def go(start: int) -> None:
        for i in range(start, start + frames):
            detector.boxes = [(20.0, 20.0, 90.0, 90.0)] + ([(110.0, 110.0, 180.0, 180.0)] if i % 4 == 0 else [])
            tracker.update(images[i % 2], i / 25)
            tracker.ended()

    go(0)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    go(frames)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 300_000
    assert len(tracker._tracks) <= 2


def test_summaries_that_nobody_asks_for_are_bounded(
    make_tracker: Callable[..., Any], make_texture: Callable[..., Any]
) -> None:
    tracker, detector, _ = make_tracker(noisy(40), detect_every=1)
    image = make_texture(1)
    for i in range(2100):
        detector.boxes = [(20.0, 20.0, 90.0, 90.0)] if i % 2 == 0 else []
        tracker.update(image, i / 25)
    ended = tracker.ended()
    assert len(ended) == 1000
    assert ended[-1].track_id == 1050


def test_real_faces_through_the_whole_chain(
    clips: ModuleType, follow: Callable[..., Any], faces_rgb: list[Any]
) -> None:
    """mtcnn and agewise-s: one face passes behind a pillar, one sways; one id each, few estimates, little noise."""
    tracker = Tracker(agewise.Analyzer())
    actors = [
        clips.Actor(faces_rgb[0], clips.line((110, 170, 150), (560, 180, 150), 3.0)),
        clips.Actor(faces_rgb[3], clips.sway(560, 470, 170, 40)),
    ]
    ids: list[set[int | None]] = [set(), set()]
    seen: list[list[TrackedFace]] = []
    shots = clips.clip(actors, size_wh=(740, 600), frames=100, bars=[(270, 360)], seed=2)
    for shot, faces in follow(tracker, shots):
        seen.append(faces)
        for own, found in zip(ids, ids_of_frame(clips, shot, faces), strict=True):
            own.add(found)
    assert None in ids[0]
    assert [len(own - {None}) for own in ids] == [1, 1]
    assert all(face.prediction is not None for faces in seen for face in faces)
    assert sum(face.measured for faces in seen for face in faces) < 0.15 * len(seen) * 2
