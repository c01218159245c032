from __future__ import annotations

import dataclasses
import os
import re
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from agewise.draw import DrawOptions, Pen, _candidates, _place, _turn, draw_faces, label_text, save_image
from agewise.errors import ArrayError, OutputError
from agewise.types import Box, Detection, Face, FloatArray, Gender, Prediction, UInt8Array

GREY = 128
YELLOW = (255, 221, 87)


def a_face(
    box: Box = (100.0, 100.0, 200.0, 220.0),
    age: float = 31.4,
    interval: tuple[float, float] | None = (24.2, 38.6),
    gender: Gender | None = Gender.FEMALE,
    probability: float | None = 0.97,
    points: FloatArray | None = None,
    sure: bool | None = None,
) -> Face:
    level = None if interval is None else 0.9
    prediction = Prediction(age, 5.0, interval, level, gender, probability, gender_sure=sure)
    return Face(Detection(box, 0.99, points), prediction)


def picture(height: int, width: int, value: int = GREY) -> UInt8Array:
    return np.full((height, width, 3), value, dtype=np.uint8)


def grid(rows: int, columns: int, width: int, share: float) -> list[Face]:
    """Faces on a 4:3 picture, each taking a share of its cell's width."""
    cell_w, cell_h, side = width / columns, width * 0.75 / rows, share * width / columns
    corners = [
        ((c + 0.5) * cell_w - side / 2, (r + 0.5) * cell_h - side / 2) for r in range(rows) for c in range(columns)
    ]
    return [
        a_face((x, y, x + side, y + side), age=20.0 + i, interval=(18.0, 120.0)) for i, (x, y) in enumerate(corners)
    ]


def label_rects(image_rgb: UInt8Array, faces: list[Face]) -> list[tuple[int, int, int, int]]:
    """Where labels were drawn, (x0, y0, x1, y1): the connected pixels by which a drawing without labels differs."""
    with_labels = draw_faces(image_rgb, faces)
    without = draw_faces(image_rgb, faces, options=DrawOptions(detail=None))
    differs = (with_labels != without).any(axis=2).astype(np.uint8)
    count, _, stats, _ = cv2.connectedComponentsWithStats(differs, connectivity=8)
    rects = []
    for x, y, width, height, area in stats[1:count].tolist():
        assert area == width * height, "a label is not one whole rectangle: it overlaps another or a line"
        rects.append((x, y, x + width, y + height))
    return rects


def contrast(one: tuple[int, ...], other: tuple[int, ...]) -> float:
    """WCAG 2.1, written a second time on purpose."""

    def luminance(colour: tuple[int, ...]) -> float:
        share = np.asarray(colour) / 255
        linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    dim, bright = sorted([luminance(one), luminance(other)])
    return (bright + 0.05) / (dim + 0.05)


def colours_of(pixels: UInt8Array) -> list[tuple[int, ...]]:
    """The colours of pixels (..., 3), the commonest first."""
    return [colour for colour, _ in Counter(map(tuple, pixels.reshape(-1, 3).tolist())).most_common()]


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, float]]:
    """The texts that get drawn, each with its font size."""
    texts: list[tuple[str, float]] = []
    draw_text = ImageDraw.ImageDraw.text

    def text(self: ImageDraw.ImageDraw, xy: object, text: str, *args: object, **settings: object) -> None:
        texts.append((text, settings["font"].size))  # type: ignore[attr-defined]
        draw_text(self, xy, text, *args, **settings)  # type: ignore[arg-type]

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", text)
    return texts


@pytest.mark.parametrize(
    ("face", "full", "short", "age"),
    [
        (a_face(), "31 (24-39) · female 97 %", "31 · F", "31"),
        (a_face(gender=Gender.MALE, probability=0.5), "31 (24-39) · male 50 %", "31 · M", "31"),
        (a_face(interval=None), "31 · female 97 %", "31 · F", "31"),
        (a_face(gender=None, probability=None), "31 (24-39)", "31", "31"),
        (a_face(interval=None, gender=None, probability=None), "31", "31", "31"),
        (a_face(probability=None), "31 (24-39) · female", "31 · F", "31"),
        (a_face(age=4.0, interval=(1.0, 7.0), probability=0.62, sure=False), "4 (1-7) · female? 62 %", "4 · F?", "4"),
        (a_face(sure=True), "31 (24-39) · female 97 %", "31 · F", "31"),
        # Half up, not half to even, and not cut off: 30.5, 29.9, 0.5.
        (a_face(age=30.5, interval=(0.5, 38.5)), "31 (1-39) · female 97 %", "31 · F", "31"),
        (a_face(age=29.9), "30 (24-39) · female 97 %", "30 · F", "30"),
        (a_face(age=0.49999999999999994, interval=(0.0, 2.49)), "0 (0-2) · female 97 %", "0 · F", "0"),
        (a_face(age=101.2, interval=(90.0, 116.5)), "101 (90-117) · female 97 %", "101 · F", "101"),
        (a_face(age=-0.3, interval=(-0.5, 1.0)), "0 (0-1) · female 97 %", "0 · F", "0"),
        (a_face(age=-0.7, interval=None), "-1 · female 97 %", "-1 · F", "-1"),
        # Only certainty is shown as certainty.
        (a_face(probability=0.9999), "31 (24-39) · female 99 %", "31 · F", "31"),
        (a_face(probability=1.0), "31 (24-39) · female 100 %", "31 · F", "31"),
        (a_face(probability=0.985), "31 (24-39) · female 99 %", "31 · F", "31"),
    ],
)
def test_label_text(face: Face, full: str, short: str, age: str) -> None:
    assert (label_text(face), label_text(face, "short"), label_text(face, "age")) == (full, short, age)


def test_label_text_of_unknown_detail() -> None:
    with pytest.raises(ValueError, match="detail must be one of full, short, age, got 'long'"):
        label_text(a_face(), "long")  # type: ignore[arg-type]


def test_every_letter_of_a_label_is_in_the_font() -> None:
    font = ImageFont.load_default(size=40)
    missing = bytes(font.getmask("\ue000"))
    letters = {*label_text(a_face()), *label_text(a_face(gender=Gender.MALE), "full"), *"FM0123456789"} - {" "}
    assert [letter for letter in letters if bytes(font.getmask(letter)) == missing] == []


@pytest.mark.parametrize("faces", [[], [a_face()], [a_face((-50.0, -50.0, 900.0, 900.0))]])
def test_the_input_is_not_changed_and_the_output_is_a_new_picture(faces: list[Face]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8)
    before = image.copy()
    image.flags.writeable = False
    drawn = draw_faces(image, faces, options=DrawOptions(landmarks=True))
    assert np.array_equal(image, before)
    assert not np.shares_memory(image, drawn)
    assert drawn.shape == image.shape
    assert drawn.dtype == np.uint8
    assert drawn.flags.c_contiguous
    assert np.array_equal(drawn, image) == (not faces)


@pytest.mark.parametrize("view", [np.s_[::-1], np.s_[:, ::-1], np.s_[::2, ::2], np.s_[..., ::-1]])
def test_views_are_drawn_like_copies(view: tuple[slice, ...]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)[view]
    assert np.array_equal(draw_faces(image, [a_face()]), draw_faces(image.copy(), [a_face()]))


@pytest.mark.parametrize(
    "colour",
    # Greys beside the point where black and white contrast equally are the hardest.
    [
        YELLOW,
        (0, 0, 0),
        (255, 255, 255),
        (110, 110, 110),
        (117, 117, 117),
        (118, 118, 118),
        (255, 0, 0),
        (0, 0, 255),
        (0, 255, 0),
    ],
)
def test_text_contrasts_with_its_plate(colour: tuple[int, int, int]) -> None:
    image = picture(480, 640, GREY)
    drawn = draw_faces(image, [a_face()], options=DrawOptions(colour_rgb=colour))
    ((x0, y0, x1, y1),) = label_rects(image, [a_face()])
    inside = drawn[y0 + 2 : y1 - 2, x0 + 2 : x1 - 2]
    plate, text = colours_of(inside)[:2]
    assert plate == colour
    assert np.mean((inside == text).all(axis=2)) > 0.02, "the second colour is not the text's"
    assert contrast(plate, text) >= 4.5


@pytest.mark.parametrize("background", [0, 255, 117, *range(0, 256, 50)])
@pytest.mark.parametrize("side", [6.0, 20.0, 150.0])
def test_a_box_stands_out_on_any_background_and_hides_nothing_inside(background: int, side: float) -> None:
    image = picture(480, 640, background)
    box = (200.0, 200.0, 200.0 + side, 200.0 + side)
    drawn = draw_faces(image, [a_face(box)], options=DrawOptions(detail=None))
    end = 200 + int(side)
    assert (drawn[200:end, 200:end] == background).all()
    across = int(200 + side / 2)
    for beside in (drawn[across, :200], drawn[across, end:][::-1], drawn[:200, across], drawn[end:, across][::-1]):
        assert max(contrast(colour, (background,) * 3) for colour in colours_of(beside)) >= 3  # WCAG, for lines
        changes = (beside[1:] != beside[:-1]).any(axis=1)
        met = [tuple(colour) for colour in beside[1:][changes].tolist()]
        dark_light_dark = [(0, 0, 0), YELLOW, (0, 0, 0)]
        assert met == (dark_light_dark if background else dark_light_dark[1:])


def test_the_box_of_a_small_face_in_a_large_picture_is_thin() -> None:
    image = picture(3000, 4000)
    drawn = draw_faces(image, [a_face((1000.0, 1000.0, 1036.0, 1036.0))], options=DrawOptions(detail=None))
    rows, columns = np.nonzero((drawn != image).any(axis=2))
    assert (rows.min(), columns.min()) == (1000 - 5, 1000 - 5)  # 3 px of light, 1 px of dark on either side
    assert (rows.max(), columns.max()) == (1035 + 5, 1035 + 5)


@pytest.mark.parametrize("width", [160, 640, 2400])
@pytest.mark.parametrize(
    "box",
    [
        (0.0, 0.0, 0.2, 0.3),
        (0.8, 0.0, 1.0, 0.3),
        (0.0, 0.8, 0.2, 1.0),
        (0.8, 0.8, 1.0, 1.0),
        (-0.1, 0.4, 0.1, 0.6),
        (0.95, 0.4, 1.2, 0.6),
        (0.4, -0.1, 0.6, 0.1),
        (0.4, 0.95, 0.6, 1.4),
        (0.0, 0.0, 1.0, 1.0),
        (-1.0, -1.0, 2.0, 2.0),
        (0.4, -1e9, 0.6, 1e9),
        (0.5, 0.5, 0.51, 0.51),
    ],
)
def test_a_label_lies_whole_in_the_picture(width: int, box: Box) -> None:
    height = width * 3 // 4
    image = picture(height, width)
    face = a_face((box[0] * width, box[1] * height, box[2] * width, box[3] * height))
    options = DrawOptions(detail=None)
    drawn, boxes_only = draw_faces(image, [face]), draw_faces(image, [face], options=options)
    rows, columns = np.nonzero((drawn != boxes_only).any(axis=2))
    label = drawn[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    # A label that the border cut would lack its rim, or a part of its text's margin, on that side.
    assert YELLOW in colours_of(label)
    pen = Pen(image, [face.box_xyxy], DrawOptions())
    sizes = [pen.plate_size(label_text(face, detail)) for detail in ("full", "short", "age")]
    slack = 2 * pen.edge + 2 * int(pen.line) + 4  # where the label's rim lies on a box's dark line nothing differs
    assert any(w - slack <= label.shape[1] <= w and h - slack <= label.shape[0] <= h for w, h in sizes)


@pytest.mark.parametrize(
    ("box", "where"),
    [
        ((200.0, 200.0, 300.0, 300.0), "above"),
        ((200.0, 5.0, 300.0, 105.0), "below"),
        ((200.0, 0.0, 300.0, 480.0), "beside"),
        ((0.0, 0.0, 640.0, 480.0), "inside"),
    ],
)
def test_a_label_moves_where_there_is_room(box: Box, where: str) -> None:
    image = picture(480, 640)
    drawn = draw_faces(image, [a_face(box)])
    rows, columns = np.nonzero(
        (drawn != draw_faces(image, [a_face(box)], options=DrawOptions(detail=None))).any(axis=2)
    )
    is_where = {
        "above": rows.max() < box[1],
        "below": rows.min() >= box[3],
        "beside": columns.min() >= box[2] or columns.max() < box[0],
        "inside": rows.max() < box[1] + 40,
    }
    assert is_where[where]


def placed_label(faces: list[Face]) -> tuple[str, tuple[int, int, int, int]]:
    """Text and place of the first face's label on a picture of 640×480; that face is known by its age of 50."""
    ordered = sorted(faces, key=_turn)
    pen = Pen(picture(480, 640), [face.box_xyxy for face in ordered], DrawOptions())
    outlines = [pen.outline_rect(face.box_xyxy) for face in ordered]
    return next((text, plate) for text, plate in _place(pen, ordered, outlines, "full") if text.startswith("50"))


def test_a_label_lies_close_to_a_neighbour_rather_than_on_one() -> None:
    face = a_face((270.0, 200.0, 370.0, 300.0), age=50.0, interval=(40.0, 60.0))
    above, below = a_face((200.0, 40.0, 440.0, 185.0)), a_face((200.0, 344.0, 440.0, 474.0))
    left, right = a_face((10.0, 195.0, 264.0, 310.0)), a_face((376.0, 195.0, 630.0, 310.0))
    _, (_, y0, _, y1) = placed_label([face, above, below, left, right])
    assert y0 >= 300
    assert y1 <= 344


def test_a_label_moves_into_its_box_where_neighbours_are_all_around() -> None:
    face = a_face((170.0, 110.0, 470.0, 370.0), age=50.0, interval=(40.0, 60.0))
    beside = [a_face((x, 120.0, x + 140.0, 360.0)) for x in (15.0, 485.0)]
    above_and_below = [a_face((5.0, y, 635.0, y + 90.0)) for y in (10.0, 380.0)]
    text, (x0, y0, x1, y1) = placed_label([face, *beside, *above_and_below])
    assert text == "50 (40-60) · female 97 %"
    assert x0 >= 150
    assert x1 <= 490
    assert y0 >= 100
    assert y1 <= 140


def test_a_text_that_leaves_nothing_out_is_not_taken_for_a_shortened_one() -> None:
    face = a_face(interval=None, gender=None, probability=None)  # its three texts are the same
    pen = Pen(picture(480, 640), [face.box_xyxy], DrawOptions())
    assert _candidates(pen, face, pen.outline_rect(face.box_xyxy), "full")[0][:2] == (0.0, "31")


def test_the_large_face_has_the_first_choice_then_one_goes_as_one_reads() -> None:
    large = a_face((300.0, 300.0, 500.0, 500.0))
    row = [a_face((10.0, 10.0, 60.0, 60.0)), a_face((70.0, 10.0, 122.0, 62.0)), a_face((10.0, 90.0, 61.0, 141.0))]
    assert sorted([row[2], row[1], large, row[0]], key=_turn) == [large, *row]


@pytest.mark.parametrize(("rows", "columns", "share"), [(2, 3, 0.6), (4, 5, 0.6), (5, 8, 0.55), (6, 10, 0.4)])
@pytest.mark.parametrize("width", [640, 4000])
def test_labels_of_a_crowd_hide_neither_each_other_nor_faces(rows: int, columns: int, share: float, width: int) -> None:
    image = picture(width * 3 // 4, width)
    faces = grid(rows, columns, width, share)
    rects = label_rects(image, faces)
    assert len(rects) == rows * columns  # two that touch would be one
    boxes = np.array([face.box_xyxy for face in faces])
    for x0, y0, x1, y1 in rects:
        away_x = np.maximum(boxes[:, 0] - x1, x0 - boxes[:, 2])
        away_y = np.maximum(boxes[:, 1] - y1, y0 - boxes[:, 3])
        away = np.maximum(away_x, away_y)
        assert away.min() >= 0
        assert (away < (y1 - y0) / 2).sum() == 1, "whose label is it?"


@pytest.mark.parametrize("seed", range(10))
def test_labels_of_a_random_crowd_keep_their_promises(seed: int) -> None:
    """In the picture, apart from each other, and over no more than a third of any face."""
    rng = np.random.default_rng(seed)
    height, width = rng.integers(60, 500, 2).tolist()
    corners, sides = rng.uniform(-20, [width - 5, height - 5], (40, 2)), rng.uniform(6, 90, (40, 2))
    boxes = [tuple(box) for box in np.concatenate([corners, corners + sides], axis=1).tolist()]
    faces = [a_face(box) for box in boxes if box[2] > 0 and box[3] > 0]
    pen = Pen(picture(height, width), [face.box_xyxy for face in faces], DrawOptions())
    outlines = [pen.outline_rect(face.box_xyxy) for face in faces]
    placed = [plate for _, plate in _place(pen, faces, outlines, "full")]
    assert placed
    space = np.zeros((height, width), dtype=int)
    for x0, y0, x1, y1 in placed:
        assert 0 <= x0 < x1 <= width
        assert 0 <= y0 < y1 <= height
        space[max(y0 - pen.padding, 0) : y1, max(x0 - pen.padding, 0) : x1] += 1  # a gap, so that they read apart
        for bx0, by0, bx1, by1 in outlines:
            hidden = max(min(x1, bx1) - max(x0, bx0), 0) * max(min(y1, by1) - max(y0, by0), 0)
            assert hidden <= (bx1 - bx0) * (by1 - by0) / 3
    assert space.max() == 1


@pytest.mark.parametrize(
    ("width", "text"),
    [(640, "31 (24-39) · female 97 %"), (130, "31 (24-39) · female 97 %"), (100, "31 · F"), (24, "31"), (12, None)],
)
def test_the_text_gets_shorter_with_the_picture(width: int, text: str | None, written: list[tuple[str, float]]) -> None:
    draw_faces(picture(80, width), [a_face((4.0, 40.0, 9.0, 46.0))])
    assert [label for label, _ in written] == ([] if text is None else [text])


@pytest.mark.parametrize("detail", ["full", "short", "age", None])
def test_no_text_is_longer_than_asked_for(detail: str | None, written: list[tuple[str, float]]) -> None:
    draw_faces(picture(480, 640), [a_face()], options=DrawOptions(detail=detail))  # type: ignore[arg-type]
    expected = {"full": ["31 (24-39) · female 97 %"], "short": ["31 · F"], "age": ["31"], None: []}
    assert [label for label, _ in written] == expected[detail]


@pytest.mark.parametrize(
    ("height", "width", "side", "least", "most"),
    [
        (75, 100, 10, 11, 11),
        (75, 100, 60, 11, 11),
        (480, 640, 10, 11, 11),
        (480, 640, 400, 18, 22),
        (3000, 4000, 30, 45, 60),
        (3000, 4000, 2000, 100, 140),
        (60, 12_000, 40, 11, 20),
    ],
)
def test_letters_follow_the_picture_and_the_faces(
    height: int, width: int, side: int, least: float, most: float, written: list[tuple[str, float]]
) -> None:
    draw_faces(picture(height, width), [a_face((20.0, 10.0, 20.0 + side, 10.0 + side))])
    ((_, size),) = written
    assert least <= size <= most


@pytest.mark.parametrize(("scale", "size"), [(0.25, 11), (1.0, 21), (2.0, 43)])
def test_letters_follow_the_option(scale: float, size: float, written: list[tuple[str, float]]) -> None:
    face = a_face((200.0, 100.0, 600.0, 400.0))
    draw_faces(picture(600, 600), [face], options=DrawOptions(scale=scale))
    assert [written_size for _, written_size in written] == [size]


def test_landmarks_are_drawn_when_asked_for() -> None:
    image = picture(480, 640)
    points = np.array([[130, 140], [170, 140], [150, 165], [135, 190], [165, 190]], dtype=np.float32)
    face = a_face(points=points)
    off = draw_faces(image, [face])
    on = draw_faces(image, [face, a_face((300.0, 300.0, 400.0, 400.0))], options=DrawOptions(landmarks=True))
    for x, y in points.astype(int):
        assert (off[y, x] == GREY).all()
        assert tuple(on[y, x]) == YELLOW
        assert (0, 0, 0) in colours_of(on[y, x - 6 : x + 7])
    far = np.array([[-1e9, 5], [1e9, 5], [0, 0], [639.9, 479.9], [300, -3]], dtype=np.float32)
    draw_faces(image, [a_face(points=far)], options=DrawOptions(landmarks=True))


@pytest.mark.parametrize(
    "box", [(-50.0, 10.0, -5.0, 60.0), (640.0, 10.0, 700.0, 60.0), (9.0, -9.0, 60.0, 0.0), (9.0, 480.0, 60.0, 500.0)]
)
def test_a_face_outside_the_picture_is_not_drawn(box: Box) -> None:
    assert (draw_faces(picture(480, 640), [a_face(box)]) == GREY).all()


@pytest.mark.parametrize("seed", range(30))
def test_any_box_on_any_small_picture(seed: int) -> None:
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 40, 2).tolist()
    low, size = rng.uniform(-30, 50, (9, 2)), 10.0 ** rng.uniform(-3, 3, (9, 2))
    faces = [
        a_face((*a, *b), points=rng.uniform(-9, 50, (5, 2)))
        for a, b in zip(low.tolist(), (low + size).tolist(), strict=True)
    ]
    drawn = draw_faces(picture(height, width), faces, options=DrawOptions(landmarks=True, scale=4.0))
    assert drawn.shape == (height, width, 3)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"detail": "long"}, "detail must be one of full, short, age, got 'long'"),
        ({"colour_rgb": (0, 0, 256)}, "three values 0 to 255, got (0, 0, 256)"),
        ({"colour_rgb": (0, 0)}, "three values 0 to 255, got (0, 0)"),
        ({"scale": 0.0}, "scale must be 0.25 to 4, got 0.0"),
        ({"scale": float("nan")}, "scale must be 0.25 to 4, got nan"),
    ],
)
def test_options_out_of_range(settings: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        DrawOptions(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
        None,
        [[[0, 0, 0]]],
    ],
)
def test_what_is_not_a_picture_is_refused(image: UInt8Array, tmp_path: Path) -> None:
    with pytest.raises(ArrayError, match=r"expected a uint8 RGB array \(height, width, 3\)"):
        draw_faces(image, [a_face()])
    with pytest.raises(ArrayError, match=r"expected a uint8 RGB array \(height, width, 3\)"):
        save_image(image, tmp_path / "out.png")
    assert list(tmp_path.iterdir()) == []


def soft_picture() -> UInt8Array:
    """Smooth colours that a lossy format keeps well, all three channels different."""
    y, x = np.mgrid[0:60, 0:80]
    return np.stack([x * 3, y * 4, 255 - x * 2], axis=2).astype(np.uint8)


@pytest.mark.parametrize(
    ("name", "kind", "most_off"),
    [("a.png", "PNG", 0), ("a.PNG", "PNG", 0), ("a.jpg", "JPEG", 8), ("a.JPEG", "JPEG", 8), ("a b.webp", "WEBP", 12)],
)
def test_save_image_by_suffix(tmp_path: Path, name: str, kind: str, most_off: int) -> None:
    image = soft_picture()
    save_image(image, str(tmp_path / name))
    with Image.open(tmp_path / name) as saved:
        assert saved.format == kind
        off = np.abs(np.asarray(saved.convert("RGB")).astype(int) - image)
    assert off.max() <= most_off
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_jpeg_is_quality_92_and_4_4_4(tmp_path: Path) -> None:
    save_image(soft_picture(), tmp_path / "ours.jpg")
    Image.fromarray(soft_picture()).save(tmp_path / "wanted.jpg", quality=92, subsampling="4:4:4")
    with Image.open(tmp_path / "ours.jpg") as ours, Image.open(tmp_path / "wanted.jpg") as wanted:
        assert ours.quantization == wanted.quantization  # type: ignore[attr-defined]
        assert [channel[1:3] for channel in ours.layer] == [(1, 1)] * 3  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["out.gif", "out", "out.jpg.txt", "out.\udcff"])
def test_an_unknown_suffix_names_the_known_ones(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match=r"unknown suffix '.*'; use one of .jpg, .jpeg, .png, .webp") as caught:
        save_image(soft_picture(), tmp_path / name)
    str(caught.value).encode("utf-8")
    assert list(tmp_path.iterdir()) == []


def test_a_picture_too_large_for_the_format(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="WEBP holds at most 16383 pixels a side, the picture has 16384×1; use .png"):
        save_image(picture(1, 16_384), tmp_path / "out.webp")
    save_image(picture(1, 16_383), tmp_path / "out.webp")
    with pytest.raises(OutputError, match="JPEG holds at most 65500 pixels a side"):
        save_image(picture(65_501, 1), tmp_path / "out.jpg")
    save_image(picture(65_500, 1), tmp_path / "out.jpg")
    save_image(picture(65_501, 1), tmp_path / "out.png")


def test_a_failing_encoder_is_reported_and_the_old_file_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "out.jpg").write_bytes(b"old")

    def fails(*_: object, **__: object) -> None:
        raise OSError("encoder error -2")

    monkeypatch.setattr(Image.Image, "save", fails)
    with pytest.raises(OutputError, match="out.jpg: encoding as JPEG failed: encoder error -2"):
        save_image(soft_picture(), tmp_path / "out.jpg")
    assert (tmp_path / "out.jpg").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["out.jpg"]


def test_a_missing_folder_is_reported(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="the folder .*missing does not exist; create it first"):
        save_image(soft_picture(), tmp_path / "missing" / "out.jpg")


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(OutputError, match="No space left on device; free some space"):
        save_image(soft_picture(), tmp_path / "out.jpg")
    assert os.listdir(tmp_path) == []


def test_a_declined_face_says_so() -> None:
    answered = a_face()
    why = ("blurred (sharpness 0.05 < 0.15)",)
    declined = Face(answered.detection, dataclasses.replace(answered.prediction, answered=False, reasons=why))
    texts = [label_text(declined, detail) for detail in ("full", "short", "age")]
    assert texts == ["declined (31?)", "31?", "31?"]
