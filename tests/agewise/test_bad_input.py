"""Bad input, end to end: what comes of each when given to an Analyzer, and that the next picture is none the worse.

Every refusal is an `AgewiseError` in one line that names what was given. `read_image` alone has its own, finer tests.
"""

from __future__ import annotations

import io
import os
import re
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from agewise.analyzer import Analyzer
from agewise.errors import (
    AgewiseError,
    ArrayError,
    CardError,
    ImageReadError,
    ImageTooLargeError,
    ModelError,
    UnknownModelError,
)
from agewise.estimate import Estimator
from agewise.imaging import read_image
from agewise.types import Detection, Face, UInt8Array

COLOUR = (51, 102, 153)  # 40 years by the tiny network
AGE = 40.0


def flat_rgb(height: int = 60, width: int = 80) -> UInt8Array:
    return np.full((height, width, 3), COLOUR, dtype=np.uint8)


def encoded(image_rgb: UInt8Array, format_name: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image_rgb).save(buffer, format_name)
    return buffer.getvalue()


def png_claiming(width: int, height: int) -> bytes:
    """A PNG of a few dozen bytes whose header promises a picture of any size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def noise_jpeg() -> bytes:
    return encoded(np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8), "JPEG")


@pytest.fixture
def whole(make_estimator: Callable[..., Estimator]) -> Analyzer:
    """Takes every picture as one face."""
    return Analyzer(make_estimator(), "none")


@pytest.fixture
def finder(onnx_path: Path) -> Analyzer:
    """With the default detector, on real networks throughout."""
    return Analyzer(onnx_path)


def refused(analyzer: Analyzer, source: Any, error: type[AgewiseError], message: str, **options: Any) -> None:
    """By the Analyzer and by `read_image` alike, in one printable line; the Analyzer works on afterwards."""
    for call in (analyzer, read_image):
        with pytest.raises(error, match=re.escape(message)) as caught:
            call(source, **options)
        assert "\n" not in str(caught.value)
        str(caught.value).encode("utf-8")
    assert_sound(analyzer(flat_rgb(), color_order="RGB"))


def assert_sound(faces: list[Face]) -> None:
    (face,) = faces
    assert face.age_years == pytest.approx(AGE, abs=0.5)


# ---------------------------------------------------------------- files

FILES: list[tuple[str, bytes, type[AgewiseError], str]] = [
    ("empty.jpg", b"", ImageReadError, "empty.jpg: empty, 0 bytes"),
    ("cut in half.jpg", noise_jpeg()[: len(noise_jpeg()) // 2], ImageReadError, "cut in half.jpg: cannot decode"),
    ("cut short.jpg", noise_jpeg()[:200], ImageReadError, "cut short.jpg: cannot decode"),
    ("cut.png", encoded(flat_rgb())[:-30], ImageReadError, "cut.png: cannot decode"),
    ("text.jpg", b"Dear Sir or Madam,\nenclosed", ImageReadError, "text.jpg: not a picture of a kind that is read"),
    ("page.jpg", b"<!DOCTYPE html><html>", ImageReadError, "page.jpg: not a picture"),
    ("huge.png", png_claiming(60_000, 60_000), ImageTooLargeError, "huge.png: 60000x60000 = 3,600,000,000 pixels"),
    ("nothing.png", png_claiming(0, 0), ImageReadError, "nothing.png: cannot decode"),
]


@pytest.mark.parametrize(("name", "data", "error", "message"), FILES, ids=[row[0] for row in FILES])
def test_files_that_are_no_pictures(
    whole: Analyzer, tmp_path: Path, name: str, data: bytes, error: type[AgewiseError], message: str
) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    refused(whole, path, error, message)
    refused(whole, data, error, message.removeprefix(f"{name}: "))


def test_paths_that_lead_nowhere(whole: Analyzer, tmp_path: Path) -> None:
    loop = tmp_path / "loop.jpg"
    loop.symlink_to(tmp_path / "pool.jpg")
    (tmp_path / "pool.jpg").symlink_to(loop)
    dangling = tmp_path / "dangling.jpg"
    dangling.symlink_to(tmp_path / "gone.jpg")
    (tmp_path / "file.jpg").write_bytes(encoded(flat_rgb()))
    refused(whole, tmp_path / "missing.jpg", ImageReadError, "missing.jpg: no such file")
    refused(whole, dangling, ImageReadError, "dangling.jpg: no such file")
    refused(whole, tmp_path / "file.jpg" / "inner.jpg", ImageReadError, "inner.jpg: no such file")
    refused(whole, loop, ImageReadError, "loop.jpg: a loop of symbolic links")
    refused(whole, tmp_path, ImageReadError, f"{tmp_path}: a folder, not a picture")
    refused(whole, "", ImageReadError, "no such file")
    refused(whole, "nul\0l.jpg", ImageReadError, "not a possible path")
    refused(whole, "https://example.org/face.jpg", ImageReadError, "addresses are not fetched")


def test_a_file_without_permission(
    whole: Analyzer, tmp_path: Path, not_root: Callable[[], AbstractContextManager[None]]
) -> None:
    path = tmp_path / "locked.png"
    path.write_bytes(encoded(flat_rgb()))
    path.chmod(0)
    with not_root():
        refused(whole, path, ImageReadError, "locked.png: no permission to read it")


@pytest.mark.parametrize(
    "name",
    [
        b"with spaces and  more.png",
        "Ünïcode 顔写真 👩‍👧.png".encode(),
        "right-to-left שלום.png".encode(),
        b"undecodable \xe9\xff.png",
        b"new\nline.png",
        b"-starts-with-a-dash.png",
        b"quote'\"%s{}[*]?.png",
        b"no suffix",
        b"wrong suffix.txt",
    ],
)
def test_names_of_all_kinds(whole: Analyzer, tmp_path: Path, name: bytes) -> None:
    path = os.path.join(os.fsencode(tmp_path), name)
    with open(path, "wb") as file:
        file.write(encoded(flat_rgb()))
    for source in (os.fsdecode(path), Path(os.fsdecode(path))):
        assert_sound(whole(source))
    os.truncate(path, 0)
    refused(whole, os.fsdecode(path), ImageReadError, "empty, 0 bytes")


# ---------------------------------------------------------------- arrays and other things

PICTURE = flat_rgb().astype(np.float64) / 255


def with_one(value: float) -> Any:
    array = PICTURE.copy()
    array[3, 4, 1] = value
    return array


ARRAYS: list[tuple[str, Any, str | None, str]] = [
    ("no colour order", flat_rgb(), None, "an array (60, 80, 3) does not say its colours: pass color_order"),
    ("lower case", flat_rgb(), "rgb", "unknown color_order 'rgb': did you mean 'RGB'?"),
    ("NaN", with_one(float("nan")), "RGB", "1 of 14400 values are NaN or infinite"),
    ("infinity", with_one(float("inf")), "RGB", "1 of 14400 values are NaN or infinite"),
    ("0 to 255 as floats", PICTURE * 255, "RGB", "expected 0..1; clip them, or divide by 255"),
    ("below zero", with_one(-0.1), "BGR", "float values from -0.1 to"),
    ("whole numbers", flat_rgb().astype(np.int64), "RGB", "expected uint8, uint16, or floats 0..1, got int64"),
    ("truth values", flat_rgb() > 100, "RGB", "got bool"),
    ("complex", PICTURE.astype(np.complex128), "RGB", "got complex128"),
    ("two channels", flat_rgb()[..., :2], "RGB", "RGB needs an array (height, width, 3), got shape (60, 80, 2)"),
    ("four channels as RGB", np.zeros((6, 8, 4), dtype=np.uint8), "RGB", "this shape fits color_order RGBA or BGRA"),
    ("grey as RGB", np.zeros((6, 8), dtype=np.uint8), "RGB", "this shape fits color_order GRAY"),
    ("channels first", np.zeros((3, 6, 8), dtype=np.uint8), "RGB", "if channels come first: numpy.moveaxis"),
    ("a batch", np.zeros((1, 6, 8, 3), dtype=np.uint8), "RGB", "pass one picture at a time"),
    (
        "an encoded file",
        np.frombuffer(encoded(flat_rgb()), np.uint8),
        "RGB",
        "for an encoded file pass array.tobytes()",
    ),
    ("no pixels", np.zeros((0, 8, 3), dtype=np.uint8), "RGB", "it has no pixels"),
]


@pytest.mark.parametrize(
    ("array", "color_order", "message"), [row[1:] for row in ARRAYS], ids=[row[0] for row in ARRAYS]
)
def test_arrays_that_are_no_pictures(whole: Analyzer, array: Any, color_order: Any, message: str) -> None:
    refused(whole, array, ArrayError, message, color_order=color_order)


@pytest.mark.parametrize("source", [None, 7, flat_rgb().tolist(), object(), io.BytesIO(b"")])
def test_things_that_are_no_source(whole: Analyzer, source: Any) -> None:
    refused(whole, source, ImageReadError, f"got {type(source).__name__}")


def test_a_colour_order_for_what_says_its_own(whole: Analyzer, tmp_path: Path) -> None:
    refused(whole, encoded(flat_rgb()), ArrayError, "color_order='BGR' is for arrays only", color_order="BGR")


# ---------------------------------------------------------------- sizes


def test_one_pixel(whole: Analyzer, finder: Analyzer) -> None:
    assert_sound(whole(encoded(flat_rgb(1, 1))))
    assert finder(encoded(flat_rgb(1, 1))) == []


@pytest.mark.parametrize(("height", "width"), [(1, 500), (500, 1), (11, 11), (12, 12), (13, 700), (3000, 12)])
def test_thin_and_small_pictures(whole: Analyzer, finder: Analyzer, height: int, width: int) -> None:
    assert finder(flat_rgb(height, width), color_order="RGB") == []
    assert_sound(whole(flat_rgb(height, width), color_order="RGB"))


LARGE = """
import sys
from pathlib import Path
from agewise.analyzer import Analyzer
model, picture = sys.argv[1:]
finder = Analyzer(model, max_pixels=12_000 * 9_000)
image_rgb = finder.read(picture)
print(image_rgb.shape, len(finder.analyze(image_rgb)))
(face,) = Analyzer(model, "none").analyze(image_rgb)
print(round(face.age_years, 2))
# not ru_maxrss, which a process takes over from the one that started it
status = Path("/proc/self/status")
lines = status.read_text().splitlines() if status.exists() else []
print(next((int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM")), 0))
"""


def test_a_valid_picture_of_108_megapixels(whole: Analyzer, onnx_path: Path, tmp_path: Path) -> None:
    """Refused by the default limit; with a higher one it is read, in a process of its own whose memory is watched."""
    picture = tmp_path / "large.png"
    Image.new("L", (12_000, 9_000), 102).save(picture, compress_level=1)
    refused(
        whole,
        picture,
        ImageTooLargeError,
        "large.png: 12000x9000 = 108,000,000 pixels, the limit is 100,000,000:"
        " make it smaller, or pass max_pixels=108000000 if you trust it",
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", LARGE, str(onnx_path), str(picture)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert done.stderr == ""
    shape_and_found, age, peak_mib = done.stdout.splitlines()
    assert shape_and_found == "(9000, 12000, 3) 0"
    assert float(age) == 40.0
    # the picture itself is 309 MiB, and its grey original, while it is decoded, 103 MiB
    assert int(peak_mib) < 700


# ---------------------------------------------------------------- faces


@pytest.mark.parametrize(
    "image",
    [flat_rgb(240, 320), np.random.default_rng(1).integers(0, 256, (240, 320, 3), dtype=np.uint8)],
    ids=["flat", "noise"],
)
def test_no_face(finder: Analyzer, image: UInt8Array) -> None:
    assert finder(image, color_order="RGB") == []


@pytest.mark.parametrize(
    "box",
    [
        (-30.0, -30.0, 20.0, 20.0),
        (70.0, 40.0, 120.0, 90.0),
        (-50.0, -50.0, 130.0, 110.0),
        (-90.0, -90.0, -10.0, -10.0),
        (500.0, 20.0, 560.0, 80.0),
        (30.0, 30.0, 30.5, 30.5),
        (-1e5, -1e5, 1e5, 1e5),
    ],
)
def test_faces_over_the_border_see_the_picture_go_on(
    make_estimator: Callable[..., Estimator], make_detector: Callable[..., Any], box: Any
) -> None:
    """Black beyond the border would make them younger."""
    analyzer = Analyzer(make_estimator(), make_detector([Detection(box, 0.9)]))
    (face,) = analyzer(flat_rgb(), color_order="RGB")
    assert face.box_xyxy == box
    assert face.age_years == pytest.approx(AGE, abs=1e-3)


@pytest.fixture
def astronaut() -> UInt8Array:
    """A face at about (175..270, 60..175)."""
    data = pytest.importorskip("skimage.data", reason="scikit-image, for a picture with a face, is not installed")
    return np.asarray(data.astronaut())


def test_a_real_face_cut_by_the_border(finder: Analyzer, astronaut: UInt8Array) -> None:
    (middle,) = finder(astronaut, color_order="RGB")
    for left, top in ((195, 0), (0, 80)):
        part = np.ascontiguousarray(astronaut[top:300, left:400])
        face = max(finder(part, color_order="RGB"), key=lambda face: face.detector_score)
        shifted = np.add(face.box_xyxy, (left, top, left, top))
        assert np.abs(shifted - middle.box_xyxy).max() < 30
        assert min(face.box_xyxy) < 5


def test_a_hundred_real_faces(finder: Analyzer, astronaut: UInt8Array) -> None:
    tile = astronaut[10:230, 110:330]
    small = np.asarray(Image.fromarray(tile).resize((110, 110), Image.Resampling.BOX))
    faces = finder(np.tile(small, (10, 10, 1)), color_order="RGB")
    assert len(faces) == 100
    cells = {(int(face.box_xyxy[0] // 110), int(face.box_xyxy[1] // 110)) for face in faces}
    assert len(cells) == 100
    assert np.std([face.age_years for face in faces]) < 1


# ---------------------------------------------------------------- model files


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda data: b"", ModelError, "is not a model that ONNX Runtime"),
        (lambda data: data[: len(data) // 2], ModelError, "is not a model that ONNX Runtime"),
        (lambda data: b"\x89PNG\r\n\x1a\n" + data, ModelError, "is not a model that ONNX Runtime"),
        (lambda data: data.replace(b"MatMul", b"MatMad"), ModelError, "is not a model that ONNX Runtime"),
        (lambda data: data.replace(b"agewise_card", b"another_card"), CardError, "has no agewise card"),
        (lambda data: data.replace(b'"card_version":1', b'"card_version":7'), CardError, "a card of version 7"),
        (
            lambda data: data.replace(b'"scale":100.0', b'"scale":200.0'),
            ModelError,
            "does not answer as its card promises",
        ),
    ],
)
def test_corrupt_model_files(
    onnx_path: Path, change: Callable[[bytes], bytes], error: type[AgewiseError], message: str
) -> None:
    data = onnx_path.read_bytes()
    assert change(data) != data
    onnx_path.write_bytes(change(data))
    with pytest.raises(error, match=re.escape(message)) as caught:
        Analyzer(onnx_path, "none")
    assert "\n" not in str(caught.value)
    assert "tiny" in str(caught.value), "the file, or the model, is named"


def test_model_paths_that_lead_nowhere(tmp_path: Path) -> None:
    with pytest.raises(UnknownModelError, match=re.escape(f"no model file at {tmp_path / 'missing.onnx'}")):
        Analyzer(tmp_path / "missing.onnx")
    with pytest.raises(ModelError, match="Is a directory"):
        Analyzer(tmp_path)


def test_one_bad_picture_after_another(whole: Analyzer, tmp_path: Path) -> None:
    """And a sound one among them each time: nothing of a failure stays behind."""
    for name, data, error, _ in FILES:
        (tmp_path / name).write_bytes(data)
        with pytest.raises(error):
            whole(tmp_path / name)
        assert_sound(whole(encoded(flat_rgb())))
