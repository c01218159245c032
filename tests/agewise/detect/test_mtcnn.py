"""The cascade: its arithmetic on planned networks, then the embedded ones on real and on odd pictures."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from agewise.detect.mtcnn import MtcnnConfig, MtcnnDetector, automatic_min_face
from agewise.engine import FakeEngine, OnnxEngine
from agewise.errors import ModelError
from agewise.store import models
from agewise.types import Detection, FloatArray, UInt8Array

# ---------------------------------------------------------------- planned networks: a face is bright in a dark frame


def _planes(inputs: Mapping[str, Any]) -> FloatArray:
    images = inputs["images_rgb"]
    assert images.dtype == np.uint8
    return np.asarray(images, dtype=np.float64) / 255


def _rows(contrast: FloatArray) -> FloatArray:
    """Log-odds along the second axis, and no offsets: -8 where all is alike, 12 for white in a black frame."""
    return np.stack([20 * contrast - 8] + [np.zeros_like(contrast)] * 4, axis=1).astype(np.float32)


def pnet(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """How much brighter the inner 8×8 pixels of each 12×12 cell are than those around them."""
    (image,) = _planes(inputs).mean(axis=3)
    cells = np.lib.stride_tricks.sliding_window_view(image, (12, 12))[::2, ::2]
    inner, whole = cells[..., 2:10, 2:10].sum(axis=(2, 3)), cells.sum(axis=(2, 3))
    return {"out": _rows((inner / 64 - (whole - inner) / 80)[None])}


def rnet(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The same of a whole cut."""
    cuts = _planes(inputs).mean(axis=3)
    inner, whole = cuts[:, 4:20, 4:20].sum(axis=(1, 2)), cuts.sum(axis=(1, 2))
    return {"out": _rows(inner / 256 - (whole - inner) / 320)}


class Onet:
    """O-Net whose log-odds are planned, one value a call; all landmarks lie where the cut is bluest."""

    def __init__(self, *logits: float, offsets: tuple[float, ...] = (0, 0, 0, 0)) -> None:
        self.logits, self.offsets = list(logits), offsets

    def __call__(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        cuts = _planes(inputs)
        logit = self.logits.pop(0) if self.logits else 6.0
        blue = np.clip(cuts[..., 2] - cuts[..., 0], 0, None) + 1e-9
        steps = (np.arange(48) + 0.5) / 48
        x = (blue.sum(axis=1) * steps).sum(axis=1) / blue.sum(axis=(1, 2))
        y = (blue.sum(axis=2) * steps).sum(axis=1) / blue.sum(axis=(1, 2))
        rows = [[logit, *self.offsets, *[x[i]] * 5, *[y[i]] * 5] for i in range(len(cuts))]
        return {"out": np.array(rows, dtype=np.float32)}


def planned(onet: Onet, **config: Any) -> tuple[MtcnnDetector, list[FakeEngine]]:
    engines = (FakeEngine(pnet), FakeEngine(rnet), FakeEngine(onet))
    return MtcnnDetector(MtcnnConfig(**({"second_try": False} | config)), engines=engines), list(engines)


@pytest.fixture
def lamp() -> UInt8Array:
    """A white square, 40 wide, at (100, 60), with a blue dot at (110, 70); all else is black."""
    image = np.zeros((200, 300, 3), dtype=np.uint8)
    image[60:100, 100:140] = 255
    image[68:72, 108:112] = (0, 0, 255)
    return image


def test_the_cascade_finds_the_square_and_carries_its_landmarks_back(lamp: UInt8Array) -> None:
    detector, _ = planned(Onet())
    (face,) = detector.detect(lamp)
    # The square with the frame that the planned networks want around it.
    assert np.abs(np.array(face.box_xyxy) - [90, 50, 150, 110]).max() < 8
    assert face.score == pytest.approx(1 / (1 + np.exp(-6)))
    assert face.landmarks_xy is not None
    # Also the mirrored look must point at the dot, or their mean would not.
    assert np.abs(face.landmarks_xy - [110, 70]).max() < 1


@pytest.mark.parametrize(
    ("offsets", "moved"),
    [
        ((0, 0, 0, 0), (0, 0, 0, 0)),
        ((0, 0.1, 0, 0.2), (0, 0.1, 0, 0.2)),  # downwards: as it is in the mirror
        ((0.1, 0, 0.1, 0), (0, 0, 0, 0)),  # to the right, and in the mirror to the left: they cancel out
        ((-0.1, 0, 0.1, 0), (-0.1, 0, 0.1, 0)),  # wider
    ],
)
def test_offsets_are_shares_of_the_square_and_turn_round_in_the_mirror(
    lamp: UInt8Array, offsets: tuple[float, ...], moved: tuple[float, ...]
) -> None:
    still, _ = planned(Onet())
    (before,) = still.detect(lamp)
    detector, engines = planned(Onet(offsets=offsets))
    # The first look moves the box too: the second one starts from the widened square of that.
    x0, y0, x1, y1 = before.box_xyxy
    side = x1 - x0
    first = np.array([x0, y0, x1, y1]) + np.array(offsets) * side
    centre, half = (first[:2] + first[2:]) / 2, (first[2:] - first[:2]).max() / 2
    square = np.array([*(centre - half), *(centre + half)])
    expected = square + np.array(moved) * 2 * half
    (face,) = detector.detect(lamp)
    np.testing.assert_allclose(face.box_xyxy, expected, atol=0.01)
    assert len(engines[2].calls) == 3


@pytest.mark.parametrize(
    ("logits", "least", "found"),
    [
        ((6.0, 3.0, 3.0), 0.98, True),  # the mean is 4: 0.982
        ((6.0, 3.0, 3.0), 0.99, False),
        ((9.0, 6.0, -9.0), 0.87, True),  # 2: 0.881
        ((9.0, 5.0, -9.0), 0.87, False),  # 1.67: 0.841
        ((-0.1, 9.0, 9.0), 0.87, False),  # the first look must see a face at all
        ((9.0, 9.0, 9.0), 1.0, False),
        ((0.0, -5.0, -5.0), 0.0, True),
    ],
)
def test_the_mean_of_three_looks_is_held_against_the_threshold(
    lamp: UInt8Array, logits: tuple[float, ...], least: float, found: bool
) -> None:
    detector, _ = planned(Onet(*logits), thresholds=(0.7, 0.5, least))
    faces = detector.detect(lamp)
    assert len(faces) == found
    if found:
        assert faces[0].score == pytest.approx(1 / (1 + np.exp(-np.mean(logits))), abs=1e-6)


@pytest.mark.parametrize(("thresholds", "calls"), [((1.0, 0.5, 0.9), (0, 0)), ((0.7, 1.0, 0.9), (1, 0))])
def test_nothing_goes_on_from_a_stage_that_refuses_all(
    lamp: UInt8Array, thresholds: tuple[float, float, float], calls: tuple[int, int]
) -> None:
    detector, engines = planned(Onet(), thresholds=thresholds)
    assert detector.detect(lamp) == []
    assert (min(len(engines[1].calls), 1), len(engines[2].calls)) == calls


def test_a_crowd_goes_through_in_batches_and_a_large_level_in_strips() -> None:
    crowd = np.zeros((1500, 1500, 3), dtype=np.uint8)
    for y in range(20, 1450, 60):
        for x in range(20, 1450, 60):
            crowd[y : y + 20, x : x + 20] = 255
    detector, engines = planned(Onet(), min_face=20)
    assert len(detector.detect(crowd)) == 24 * 24
    assert max(call["images_rgb"][0] for call in engines[1].calls + engines[2].calls) == 8
    assert max(np.prod(call["images_rgb"][1:3]) for call in engines[0].calls) == 900 * (32 + 10)
    assert engines[0].calls[0]["images_rgb"][2] == 900  # the finest level is as wide as a whole one


@pytest.mark.parametrize("pixels", [100, 700, 2500])
def test_strips_give_what_the_whole_gives(lamp: UInt8Array, pixels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, _ = planned(Onet(), min_face=55, pyramid_factor=0.3)  # levels of 66×44 and 20×14
    expected = whole.detect(lamp)
    monkeypatch.setattr("agewise.detect.mtcnn._STRIP", pixels)
    monkeypatch.setattr("agewise.detect.mtcnn._LEAST_ROWS", 2)
    strips, engines = planned(Onet(), min_face=55, pyramid_factor=0.3)
    assert strips.detect(lamp) == expected
    assert len(expected) == 1
    assert len(engines[0].calls) == {100: 18, 700: 5, 2500: 2}[pixels]


def test_the_surest_of_the_ways_to_turn_a_picture_counts(lamp: UInt8Array) -> None:
    none, low, high, middle = [-9.0], [4.0] * 3, [6.0] * 3, [5.0] * 3
    detector, engines = planned(Onet(*none, *low, *middle, *high, *low), second_try=True)
    (face,) = detector.detect(lamp)  # seen upright: 4, turned once: 5, twice: 6, three times: 4
    assert len(engines[2].calls) == 13
    assert face.score == pytest.approx(1 / (1 + np.exp(-6)))
    assert np.abs(points(face) - [110, 70]).max() < 1.5
    assert np.abs(np.array(face.box_xyxy) - [90, 50, 150, 110]).max() < 10


@pytest.mark.parametrize(("turned", "taken"), [(4.0, False), (2.5, True)])
def test_an_unsure_upright_face_gives_way_to_a_surer_one_only(lamp: UInt8Array, turned: float, taken: bool) -> None:
    detector, engines = planned(Onet(*[3.0] * 3, *[6.5 - turned] * 9), second_try=True)
    (face,) = detector.detect(lamp)
    assert len(engines[2].calls) == 12
    assert face.score == pytest.approx(1 / (1 + np.exp(-(6.5 - turned if taken else 3.0))))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"min_face": 11}, "min_face must be at least 12 pixels, got 11"),
        ({"thresholds": (0.5, 0.5, 1.1)}, "thresholds are three numbers"),
        ({"thresholds": (0.5, 0.5)}, "thresholds are three numbers"),
        ({"pyramid_factor": 1.0}, "pyramid_factor"),
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MtcnnConfig(**wrong)


@pytest.mark.parametrize(
    ("width", "height", "least"),
    [(1, 1, 20), (640, 480, 20), (480, 640, 20), (1920, 1280, 34), (4000, 3000, 50), (40_000, 100, 38)],
)
def test_the_smallest_face_grows_slowly_with_the_picture(width: int, height: int, least: int) -> None:
    assert automatic_min_face(width, height) == least


# ---------------------------------------------------------------- the embedded networks

EYES_NOSE_MOUTH = np.array([(204.3, 100.7), (246.5, 103.4), (224.6, 128.9), (202.1, 139.4), (244.8, 141.4)])


@pytest.fixture(scope="module")
def astronaut() -> UInt8Array:
    data = pytest.importorskip("skimage.data", reason="scikit-image ships the photo")
    return np.asarray(data.astronaut(), dtype=np.uint8)


@pytest.fixture(scope="module")
def detector() -> MtcnnDetector:
    return MtcnnDetector()


def points(face: Detection) -> FloatArray:
    assert face.landmarks_xy is not None
    return face.landmarks_xy


def test_the_astronaut_has_one_face(detector: MtcnnDetector, astronaut: UInt8Array) -> None:
    (face,) = detector.detect(astronaut)
    np.testing.assert_allclose(points(face), EYES_NOSE_MOUTH, atol=1.5)
    np.testing.assert_allclose(face.box_xyxy, (181.8, 60.6, 269.2, 174.2), atol=4)
    assert face.score > 0.99
    assert points(face).dtype == np.float32


def test_twice_the_same(detector: MtcnnDetector, astronaut: UInt8Array) -> None:
    first, second = detector.detect(astronaut), MtcnnDetector().detect(astronaut)
    assert [(face.box_xyxy, face.score) for face in first] == [(face.box_xyxy, face.score) for face in second]
    np.testing.assert_array_equal(points(first[0]), points(second[0]))


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_photo_on_its_side_is_found_with_its_eyes_in_the_upright_order(
    detector: MtcnnDetector, astronaut: UInt8Array, turns: int
) -> None:
    (face,) = detector.detect(np.rot90(astronaut, turns))  # a view that is not contiguous, too
    expected = EYES_NOSE_MOUTH
    for _ in range(turns):
        expected = np.stack([expected[:, 1], 512 - expected[:, 0]], axis=1)
    np.testing.assert_allclose(points(face), expected, atol=3)
    x0, y0, x1, y1 = face.box_xyxy
    assert (x0 < expected[:, 0].min()) & (expected[:, 0].max() < x1)
    assert (y0 < expected[:, 1].min()) & (expected[:, 1].max() < y1)
    assert MtcnnDetector(MtcnnConfig(second_try=False)).detect(np.rot90(astronaut, turns)) != [face]


def test_a_face_that_fills_the_picture_is_found_on_the_second_try(
    detector: MtcnnDetector, astronaut: UInt8Array
) -> None:
    tight = astronaut[88:152, 190:258]
    assert MtcnnDetector(MtcnnConfig(second_try=False)).detect(tight) == []
    (face,) = detector.detect(tight)
    np.testing.assert_allclose(points(face), EYES_NOSE_MOUTH - [190, 88], atol=5)


@pytest.mark.parametrize("left", [180, 200, 215])
def test_a_face_at_the_border_has_a_box_beyond_it(detector: MtcnnDetector, astronaut: UInt8Array, left: int) -> None:
    (face,) = detector.detect(astronaut[:, left:])
    assert abs(face.box_xyxy[0] - (181.8 - left)) < 8
    np.testing.assert_allclose(points(face)[1:3], EYES_NOSE_MOUTH[1:3] - [left, 0], atol=5)


@pytest.mark.parametrize(("least", "found"), [(20, 1), (60, 1), (260, 0)])
def test_faces_below_the_smallest_are_not_found(astronaut: UInt8Array, least: int, found: int) -> None:
    config = MtcnnConfig(min_face=least, second_try=False)
    assert len(MtcnnDetector(config).detect(astronaut)) == found


@pytest.mark.parametrize("width", [24, 40])
def test_a_hundred_faces(detector: MtcnnDetector, astronaut: UInt8Array, width: int) -> None:
    share = width / 88
    one = cv2.resize(astronaut[30:220, 130:320], None, fx=share, fy=share, interpolation=cv2.INTER_AREA)
    step = one.shape[0] + 2
    crowd = np.full((10 * step, 10 * step, 3), 120, dtype=np.uint8)
    for i in range(100):
        y, x = i // 10 * step, i % 10 * step
        crowd[y : y + len(one), x : x + len(one)] = one
    faces = detector.detect(crowd)
    assert len(faces) >= 98
    cells = {(int(points(face)[2, 1] // step), int(points(face)[2, 0] // step)) for face in faces}
    assert len(cells) == len(faces)


@pytest.mark.parametrize(
    "shape", [(1, 1), (1, 12), (5, 5000), (5000, 5), (11, 11), (12, 12), (13, 4000), (40, 33_000), (480, 640)]
)
@pytest.mark.parametrize("fill", ["black", "white", "grey", "noise"])
def test_pictures_without_a_face(detector: MtcnnDetector, shape: tuple[int, int], fill: str) -> None:
    if fill == "noise":
        image = np.random.default_rng(3).integers(0, 256, (*shape, 3), dtype=np.uint8)
    else:
        image = np.full((*shape, 3), {"black": 0, "white": 255, "grey": 127}[fill], dtype=np.uint8)
    assert detector.detect(image) == []


@pytest.mark.parametrize("name", ["coffee", "rocket", "chelsea", "coins", "page", "text", "moon", "brick", "gravel"])
def test_photos_without_a_face(detector: MtcnnDetector, name: str) -> None:
    data = pytest.importorskip("skimage.data", reason="scikit-image ships the photos")
    image = np.asarray(getattr(data, name)(), dtype=np.uint8)
    assert detector.detect(image if image.ndim == 3 else np.stack([image] * 3, axis=2)) == []


@pytest.mark.parametrize("change", ["grey", "dark", "blurred", "noisy"])
def test_a_bad_photo_still_has_its_face(detector: MtcnnDetector, astronaut: UInt8Array, change: str) -> None:
    image = astronaut.astype(np.float64)
    if change == "grey":
        image[:] = image.mean(axis=2, keepdims=True)
    elif change == "dark":
        image *= 0.15
    elif change == "blurred":
        image = cv2.GaussianBlur(image, (0, 0), 3)
    else:
        image += np.random.default_rng(1).normal(0, 25, image.shape)
    (face,) = detector.detect(image.clip(0, 255).astype(np.uint8))
    np.testing.assert_allclose(points(face), EYES_NOSE_MOUTH, atol=5)


def test_damaged_weights_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One flipped bit of a weight still loads and runs, so only the checksum tells."""
    shipped = Path(models.__file__).parents[1] / "weights"
    for name in ("manifest.json", "mtcnn-pnet.onnx", "mtcnn-rnet.onnx", "mtcnn-onet.onnx"):
        shutil.copy(shipped / name, tmp_path)
    monkeypatch.setattr("agewise.store.models.resources.files", lambda package: tmp_path)
    MtcnnDetector()
    data = bytearray((tmp_path / "mtcnn-onet.onnx").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "mtcnn-onet.onnx").write_bytes(data)
    OnnxEngine(bytes(data))
    with pytest.raises(ModelError, match=r"mtcnn-onet\.onnx is damaged"):
        MtcnnDetector()
