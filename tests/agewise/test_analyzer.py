"""The whole chain with planned parts: which faces come, in what order, from which sources, with what settings."""

from __future__ import annotations

import io
import pickle
import re
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from agewise.analyzer import Analyzer
from agewise.engine import FakeEngine
from agewise.errors import ArrayError, ImageTooLargeError, UnknownDetectorError, UnknownModelError
from agewise.estimate import Estimator
from agewise.types import Detection, Face, Gender, UInt8Array

AnyArray = npt.NDArray[np.generic]
MakeAnalyzer = Callable[..., Analyzer]


@pytest.fixture
def make_analyzer(photo: Any, make_estimator: Callable[..., Estimator]) -> MakeAnalyzer:
    """`make_analyzer(detector=the photo's, **options)`."""

    def make(detector: Any = None, **options: Any) -> Analyzer:
        return Analyzer(make_estimator(), detector or photo.detector, **options)

    return make


def encoded(image_rgb: UInt8Array) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image_rgb).save(buffer, "PNG")
    return buffer.getvalue()


# ---------------------------------------------------------------- faces


def test_the_faces_come_the_largest_first(photo: Any, make_analyzer: MakeAnalyzer) -> None:
    faces = make_analyzer()(photo.image_rgb, color_order="RGB")
    order = [1, 2, 0]
    assert [face.box_xyxy for face in faces] == [photo.boxes[i] for i in order]
    assert [face.age_years for face in faces] == pytest.approx([photo.ages[i] for i in order], abs=1e-3)
    assert [face.gender for face in faces] == [Gender.FEMALE, Gender.FEMALE, Gender.MALE]
    assert [face.gender_probability for face in faces] == pytest.approx([0.8, 1.0, 0.8], abs=1e-5)
    assert [face.age_interval_years for face in faces] == [
        pytest.approx((35, 45), abs=1e-3),
        pytest.approx((72, 88), abs=1e-3),
        pytest.approx((40 / 3 - 3, 40 / 3 + 3), abs=1e-3),
    ]
    assert all(isinstance(face, Face) for face in faces)


@pytest.mark.parametrize(("max_faces", "count"), [(None, 3), (1, 1), (2, 2), (3, 3), (99, 3)])
def test_max_faces_keeps_the_largest(
    photo: Any, make_analyzer: MakeAnalyzer, max_faces: int | None, count: int
) -> None:
    faces = make_analyzer(max_faces=max_faces)(photo.image_rgb, color_order="RGB")
    assert [face.box_xyxy for face in faces] == [photo.boxes[i] for i in (1, 2, 0)][:count]


def test_detecting_alone_gives_the_same_faces_in_the_same_order(photo: Any, make_analyzer: MakeAnalyzer) -> None:
    analyzer = make_analyzer(max_faces=2)
    boxes = [face.box_xyxy for face in analyzer.detect(photo.image_rgb)]
    assert boxes == [photo.boxes[1], photo.boxes[2]]
    assert boxes == [face.box_xyxy for face in analyzer.analyze(photo.image_rgb)]


def test_only_the_faces_that_are_kept_cost_time(photo: Any, make_engine: Callable[..., FakeEngine]) -> None:
    engine = make_engine()
    analyzer = Analyzer(Estimator(engine=engine), photo.detector, max_faces=1)
    engine.calls.clear()
    analyzer(photo.image_rgb, color_order="RGB")
    assert engine.calls == [{"image": (1, 3, 16, 16)}]


def test_equal_faces_keep_the_detectors_order(make_analyzer: MakeAnalyzer, make_detector: Callable[..., Any]) -> None:
    boxes = [(float(x), 5.0, x + 20.0, 25.0) for x in (60, 0, 30)]
    analyzer = make_analyzer(make_detector([Detection(box, 0.9) for box in boxes]))
    faces = analyzer(np.zeros((40, 90, 3), dtype=np.uint8), color_order="RGB")
    assert [face.box_xyxy for face in faces] == boxes


def test_what_the_detector_found_stands_in_the_face(
    make_analyzer: MakeAnalyzer, make_detector: Callable[..., Any]
) -> None:
    points = np.array([[10, 10], [20, 10], [15, 15], [11, 20], [19, 20]], dtype=np.float32)
    found = Detection((5.0, 5.0, 25.0, 25.0), 0.75, points)
    (face,) = make_analyzer(make_detector([found]))(np.zeros((40, 40, 3), dtype=np.uint8), color_order="RGB")
    assert face.detection is found
    assert face.detector_score == 0.75


def test_a_hundred_faces(make_engine: Callable[..., FakeEngine], make_detector: Callable[..., Any]) -> None:
    """Each with its own colour; the networks see them 32 at a time."""
    image = np.zeros((500, 500, 3), dtype=np.uint8)
    boxes = []
    for i in range(100):
        x, y = 50 * (i % 10), 50 * (i // 10)
        image[y : y + 50, x : x + 50] = 2 * i
        side = 10 + 0.3 * ((37 * i) % 100)
        boxes.append((x + 2.0, y + 2.0, x + 2 + side, y + 2 + side))
    engine = make_engine()
    analyzer = Analyzer(Estimator(engine=engine), make_detector([Detection(box, 0.9) for box in boxes]))
    engine.calls.clear()
    faces = analyzer(image, color_order="RGB")
    assert [call["image"][0] for call in engine.calls] == [32, 32, 32, 4]
    assert len(faces) == 100
    sides = [face.box_xyxy[2] - face.box_xyxy[0] for face in faces]
    assert sides == sorted(sides, reverse=True)
    for face in faces:
        assert face.age_years == pytest.approx(2 * boxes.index(face.box_xyxy) / 2.55, abs=1e-3)


def test_no_face_is_an_empty_list(make_analyzer: MakeAnalyzer, make_detector: Callable[..., Any]) -> None:
    assert make_analyzer(make_detector([]))(np.zeros((40, 40, 3), dtype=np.uint8), color_order="RGB") == []


def test_faces_survive_pickling(photo: Any, make_analyzer: MakeAnalyzer) -> None:
    faces = make_analyzer()(photo.image_rgb, color_order="RGB")
    assert pickle.loads(pickle.dumps(faces)) == faces


# ---------------------------------------------------------------- sources


def sources(image_rgb: UInt8Array, folder: Path) -> list[tuple[Any, str | None]]:
    path = folder / "photo.png"
    path.write_bytes(encoded(image_rgb))
    alpha = np.full((*image_rgb.shape[:2], 1), 255, dtype=np.uint8)
    return [
        (path, None),
        (str(path), None),
        (path.read_bytes(), None),
        (bytearray(path.read_bytes()), None),
        (Image.fromarray(image_rgb), None),
        (image_rgb, "RGB"),
        (image_rgb[..., ::-1], "BGR"),
        (np.concatenate([image_rgb, alpha], axis=2), "RGBA"),
        (np.concatenate([image_rgb[..., ::-1], alpha], axis=2), "BGRA"),
        (image_rgb / 255, "RGB"),
        ((image_rgb[..., ::-1] / 255).astype(np.float32), "BGR"),
        (image_rgb.astype(np.uint16) * 257, "RGB"),
    ]


def test_every_kind_of_source_gives_the_same_faces(photo: Any, make_analyzer: MakeAnalyzer, tmp_path: Path) -> None:
    analyzer = make_analyzer()
    expected = analyzer(photo.image_rgb, color_order="RGB")
    for source, color_order in sources(photo.image_rgb, tmp_path):
        assert analyzer(source, color_order=color_order) == expected, (type(source), color_order)  # type: ignore[arg-type]


def test_wrong_colours_would_be_noticed(photo: Any, make_analyzer: MakeAnalyzer) -> None:
    """The test above can fail: the photo's genders hang on the first channel."""
    right = make_analyzer()(photo.image_rgb, color_order="RGB")
    wrong = make_analyzer()(photo.image_rgb, color_order="BGR")
    assert [face.gender for face in right] != [face.gender for face in wrong]


def test_grey_arrays_are_taken(make_analyzer: MakeAnalyzer, photo: Any) -> None:
    faces = make_analyzer()(np.full((160, 300), 51, dtype=np.uint8), color_order="GRAY")
    assert [face.age_years for face in faces] == pytest.approx([20.0] * 3, abs=1e-3)


def test_reading_and_analysing_are_also_to_be_had_apart(
    photo: Any, make_analyzer: MakeAnalyzer, tmp_path: Path
) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(encoded(photo.image_rgb))
    analyzer = make_analyzer()
    image = analyzer.read(path)
    assert np.array_equal(image, photo.image_rgb)
    assert analyzer.analyze(image) == analyzer(path)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((40, 40), dtype=np.uint8),
        np.zeros((40, 40, 4), dtype=np.uint8),
        np.zeros((40, 40, 3), dtype=np.float32),
        np.zeros((1, 40, 40, 3), dtype=np.uint8),
        np.zeros((0, 40, 3), dtype=np.uint8),
    ],
)
def test_analyze_takes_what_read_gives_and_no_more(make_analyzer: MakeAnalyzer, image: Any) -> None:
    message = f"expected a uint8 RGB picture (height, width, 3), got {image.dtype} {image.shape}"
    with pytest.raises(ArrayError, match=re.escape(message)):
        make_analyzer().analyze(image)


# ---------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_faces": 0}, "max_faces must be at least 1, got 0"),
        ({"max_faces": -3}, "max_faces must be at least 1, got -3"),
        ({"threads": -1}, "threads must be 0 (all cores) or more, got -1"),
        ({"batch": 0}, "batch must be at least 1, got 0"),
        ({"min_face": 1}, "min_face"),
    ],
)
def test_settings_out_of_range(onnx_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        Analyzer(onnx_path, **options)


def test_an_unknown_detector(onnx_path: Path) -> None:
    with pytest.raises(UnknownDetectorError, match=r"unknown detector 'mtcn': did you mean 'mtcnn'\? Known: .*none"):
        Analyzer(onnx_path, "mtcn")


def test_an_unknown_model() -> None:
    with pytest.raises(UnknownModelError, match=r"unknown model 'agewise-q'"):
        Analyzer("agewise-q")


def test_the_pixel_limit_is_passed_on(photo: Any, make_analyzer: MakeAnalyzer) -> None:
    pixels = 160 * 300
    assert len(make_analyzer(max_pixels=pixels)(photo.image_rgb, color_order="RGB")) == 3
    with pytest.raises(ImageTooLargeError, match="the limit is 47,999"):
        make_analyzer(max_pixels=pixels - 1)(encoded(photo.image_rgb))


@pytest.mark.parametrize("threads", [0, 1, 2])
def test_from_names_and_files(onnx_path: Path, threads: int) -> None:
    """Detector by name, model by path, the numbers of the detector `none`: the picture is the crop."""
    analyzer = Analyzer(onnx_path, "none", threads=threads, batch=1)
    (face,) = analyzer(np.full((40, 40, 3), (51, 102, 153), dtype=np.uint8), color_order="RGB")
    assert face.box_xyxy == (0.0, 0.0, 40.0, 40.0)
    assert face.age_years == pytest.approx(40.0, abs=1e-3)
    assert face.gender is Gender.MALE
    assert face.gender_probability == pytest.approx(0.8, abs=1e-5)


def test_the_settings_reach_the_detector(onnx_path: Path) -> None:
    assert Analyzer(onnx_path, "mtcnn", min_face=37).detector.config.min_face == 37  # type: ignore[attr-defined]


# ---------------------------------------------------------------- threads


def test_two_threads_are_in_the_same_network_at_once_and_get_their_own_faces(
    photo: Any, make_engine: Callable[..., FakeEngine]
) -> None:
    """Each call waits inside the network for the other: with a lock around the Analyzer this would not end well."""
    plain = make_engine()
    meet: list[threading.Barrier] = []

    def answer(inputs: Mapping[str, AnyArray]) -> dict[str, AnyArray]:
        if meet:
            meet[0].wait(timeout=20)
        return plain.run(inputs)

    analyzer = Analyzer(Estimator(engine=make_engine(answer=answer)), photo.detector)
    darker = photo.image_rgb // 2
    pictures = [photo.image_rgb, darker]
    alone = [analyzer(picture, color_order="RGB") for picture in pictures]
    assert alone[0] != alone[1]
    meet.append(threading.Barrier(2))
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(lambda picture: analyzer(picture, color_order="RGB"), pictures))
    assert together == alone


def test_many_threads_on_the_real_networks(onnx_path: Path) -> None:
    data = pytest.importorskip("skimage.data", reason="scikit-image, for a picture with a face, is not installed")
    image = np.asarray(data.astronaut())
    analyzer = Analyzer(onnx_path, "mtcnn", min_face=60)
    pictures = [image, image[:, ::-1], image // 2, np.zeros_like(image)]
    alone = [analyzer(picture, color_order="RGB") for picture in pictures]
    assert [len(faces) for faces in alone] == [1, 1, 1, 0]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda picture: analyzer(picture, color_order="RGB"), pictures * 3))
    assert together == alone * 3
