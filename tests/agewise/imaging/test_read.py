"""Every format, mode and orientation against known pixels, and every bad input against its error."""

from __future__ import annotations

import io
import os
import random
import struct
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image, features

from agewise.errors import ArrayError, ImageError, ImageReadError, ImageTooLargeError
from agewise.imaging import read
from agewise.imaging.read import DEFAULT_MAX_PIXELS, read_image
from agewise.types import UInt8Array

WIDTH, HEIGHT = 48, 32
HAS_AVIF = "avif" in features.modules and bool(features.check("avif"))
needs_avif = pytest.mark.skipif(not HAS_AVIF, reason="this Pillow has no AVIF decoder")


def ramp_rgb() -> UInt8Array:
    """A smooth picture, kind to lossy formats, that no flip or turn maps to itself, nor any swap of channels."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    return np.stack([40 + 4 * x, 20 + 3 * y, 200 - 2 * x - y], axis=2).astype(np.uint8)


def encode(picture: Image.Image | UInt8Array, format_name: str, **options: Any) -> bytes:
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    buffer = io.BytesIO()
    image.save(buffer, format_name, **options)
    return buffer.getvalue()


def assert_near(got: UInt8Array, expected: Any, tolerance: float) -> None:
    assert got.dtype == np.uint8
    assert got.flags.c_contiguous
    assert got.shape == np.shape(expected)
    worst = np.abs(got.astype(int) - np.asarray(expected).astype(int)).max()
    assert worst <= tolerance, f"off by {worst}"


def gray_rgb(values: Any) -> UInt8Array:
    return np.repeat(np.asarray(values, dtype=np.uint8)[:, :, None], 3, axis=2)


# ---------------------------------------------------------------- formats


def mpo() -> bytes:
    """As phones write it: a JPEG with a second one (here all black) behind it."""
    black = Image.new("RGB", (WIDTH, HEIGHT))
    return encode(ramp_rgb(), "MPO", save_all=True, append_images=[black], quality=95, subsampling=0)


def animated(format_name: str, **options: Any) -> bytes:
    return encode(ramp_rgb(), format_name, save_all=True, append_images=[Image.new("RGB", (WIDTH, HEIGHT))], **options)


FORMATS = [
    pytest.param(lambda: encode(ramp_rgb(), "JPEG", quality=95, subsampling=0), 3, id="jpeg"),
    pytest.param(lambda: encode(ramp_rgb(), "JPEG", quality=95, subsampling=2), 6, id="jpeg-420"),
    pytest.param(lambda: encode(ramp_rgb(), "JPEG", quality=95, subsampling=0, progressive=True), 3, id="jpeg-prog"),
    pytest.param(mpo, 3, id="mpo"),
    pytest.param(lambda: encode(ramp_rgb(), "PNG"), 0, id="png"),
    pytest.param(lambda: animated("PNG"), 0, id="apng"),
    pytest.param(lambda: encode(ramp_rgb(), "WEBP", lossless=True), 0, id="webp-lossless"),
    pytest.param(lambda: encode(ramp_rgb(), "WEBP", quality=95), 12, id="webp"),
    pytest.param(lambda: animated("WEBP", lossless=True), 0, id="webp-animated"),
    pytest.param(lambda: encode(ramp_rgb(), "BMP"), 0, id="bmp"),
    pytest.param(lambda: encode(ramp_rgb(), "TIFF"), 0, id="tiff"),
    pytest.param(lambda: encode(ramp_rgb(), "TIFF", big_tiff=True), 0, id="tiff-big"),
    pytest.param(lambda: encode(ramp_rgb(), "TIFF", compression="tiff_lzw"), 0, id="tiff-lzw"),
    pytest.param(lambda: encode(ramp_rgb(), "TIFF", compression="jpeg", quality=95), 6, id="tiff-jpeg"),
    pytest.param(lambda: animated("TIFF"), 0, id="tiff-pages"),
    pytest.param(lambda: encode(ramp_rgb(), "AVIF", quality=95), 6, id="avif", marks=needs_avif),
]


@pytest.mark.parametrize(("make", "tolerance"), FORMATS)
def test_each_format_gives_the_pixels_that_went_in(make: Callable[[], bytes], tolerance: int, tmp_path: Path) -> None:
    data = make()
    assert_near(read_image(data), ramp_rgb(), tolerance)
    path = tmp_path / "picture.unknown"  # the name's end plays no part
    path.write_bytes(data)
    assert np.array_equal(read_image(path), read_image(data))


def test_gif_gives_its_first_frame() -> None:
    blocks = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)
    blocks[:10, :20] = (255, 0, 0)
    blocks[12:, 30:] = (0, 128, 255)
    data = encode(blocks, "GIF", save_all=True, append_images=[Image.new("RGB", (WIDTH, HEIGHT), "white")])
    assert_near(read_image(data), blocks, 0)


def test_the_kinds_of_source_agree(tmp_path: Path) -> None:
    data = encode(ramp_rgb(), "PNG")
    path = tmp_path / "a picture, with spaces and Ünïcödé 图.png"
    path.write_bytes(data)
    sources: list[Any] = [path, str(path), data, bytearray(data), memoryview(data), Image.open(path)]
    sources.append(memoryview(bytes(byte for byte in data for _ in range(2)))[::2])  # not contiguous
    for source in sources:
        assert_near(read_image(source), ramp_rgb(), 0)


def test_a_pipe_is_read(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(encode(ramp_rgb(), "PNG"),), daemon=True)
    writer.start()
    assert_near(read_image(pipe), ramp_rgb(), 0)
    writer.join(timeout=10)


@pytest.mark.parametrize("format_name", ["PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP"])
def test_one_pixel_is_a_picture(format_name: str) -> None:
    assert_near(read_image(encode(np.full((1, 1, 3), 128, np.uint8), format_name)), [[[128] * 3]], 2)


# ---------------------------------------------------------------- modes


def png_16bit(values: Any) -> bytes:
    """A 16-bit PNG by OpenCV: grey, or RGB (given here in RGB)."""
    array = np.asarray(values, dtype=np.uint16)
    done, data = cv2.imencode(".png", array if array.ndim == 2 else np.ascontiguousarray(array[:, :, ::-1]))
    assert done
    return bytes(data)


def bare_tiff(rows: bytes, *, width: int, height: int, bits: int, photometric: int, order: str) -> bytes:
    """The least TIFF of one grey strip, for kinds that Pillow does not write. `order` is "<" or ">"."""
    fields = [(256, width), (257, height), (258, bits), (259, 1), (262, photometric), (277, 1), (278, height)]
    fields += [(273, 8 + 2 + 12 * 9 + 4), (279, len(rows))]
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    entries = b"".join(
        struct.pack(order + "HHI", tag, 3, 1) + struct.pack(order + "HH", value, 0) for tag, value in sorted(fields)
    )
    return head + struct.pack(order + "H", len(fields)) + entries + bytes(4) + rows


def pil(values: Any, mode: str) -> Image.Image:
    """A PIL image of exactly this mode from rows of values."""
    array = np.asarray(values)
    image = Image.new(mode, (array.shape[1], array.shape[0]))
    image.putdata([tuple(map(int, v)) if np.ndim(v) else v.item() for row in array for v in row])
    return image


def palette_png(transparency: Any = None) -> bytes:
    image = Image.new("P", (3, 1))
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    image.putdata([0, 1, 2])
    return encode(image, "PNG", **({} if transparency is None else {"transparency": transparency}))


def cmyk_blocks(format_name: str, **options: Any) -> bytes:
    """16×16 blocks of paper, cyan, black, and half yellow."""
    image = Image.new("CMYK", (64, 16))
    for i, ink in enumerate([(0, 0, 0, 0), (255, 0, 0, 0), (0, 0, 0, 255), (0, 0, 128, 0)]):
        image.paste(ink, (16 * i, 0, 16 * i + 16, 16))
    return encode(image, format_name, **options)


CMYK_AS_RGB = np.repeat(
    np.repeat(np.array([[[255, 255, 255], [0, 255, 255], [0, 0, 0], [255, 255, 127]]]), 16, axis=0), 16, axis=1
)
RED_GREEN_BLUE = [[[255, 0, 0], [0, 255, 0], [0, 0, 255]]]
WIDE = [[0, 128, 32896, 65407, 65535]]  # 16-bit values and, to the nearest, their 8 bits
WIDE_8 = gray_rgb([[0, 0, 128, 255, 255]])
WIDE_LE, WIDE_BE = np.array(WIDE, "<u2").tobytes(), np.array(WIDE, ">u2").tobytes()
TWELVE = bytes([0x00, 0x08, 0x00, 0xFF, 0xF0])  # 0, 2048, 4095 in 12 bits each

MODES = [
    ("png-1", lambda: encode(pil([[0, 255, 255]], "1"), "PNG"), gray_rgb([[0, 255, 255]]), 0),
    ("png-L", lambda: encode(pil([[0, 100, 255]], "L"), "PNG"), gray_rgb([[0, 100, 255]]), 0),
    ("png-L-keyed", lambda: encode(pil([[0, 100, 7]], "L"), "PNG", transparency=7), gray_rgb([[0, 100, 255]]), 0),
    ("png-LA", lambda: encode(pil([[[100, 255], [100, 0], [0, 128]]], "LA"), "PNG"), gray_rgb([[100, 255, 127]]), 0),
    ("png-P", palette_png, RED_GREEN_BLUE, 0),
    ("png-P-one-clear", lambda: palette_png(1), [[[255, 0, 0], [255, 255, 255], [0, 0, 255]]], 0),
    ("png-P-alphas", lambda: palette_png(bytes([255, 0, 128])), [[[255, 0, 0], [255] * 3, [127, 127, 255]]], 0),
    (
        "png-RGBA",
        lambda: encode(pil([[[10, 20, 30, 255], [10, 20, 30, 0], [255, 0, 0, 51]]], "RGBA"), "PNG"),
        [[[10, 20, 30], [255, 255, 255], [255, 204, 204]]],
        0,
    ),
    (
        "png-RGB-keyed",
        lambda: encode(pil([[[1, 2, 3], [1, 2, 4]]], "RGB"), "PNG", transparency=(1, 2, 3)),
        [[[255, 255, 255], [1, 2, 4]]],
        0,
    ),
    ("png-16", lambda: png_16bit(WIDE), WIDE_8, 0),
    ("png-16-rgb", lambda: png_16bit([[[65535, 32896, 0], [0, 25700, 51400]]]), [[[255, 128, 0], [0, 100, 200]]], 1),
    (
        "png-16-keyed",
        lambda: encode(Image.open(io.BytesIO(png_16bit([[0, 9000]]))), "PNG", transparency=0),
        gray_rgb([[255, 35]]),
        0,
    ),
    ("tiff-16", lambda: encode(Image.fromarray(np.array(WIDE, "<u2")), "TIFF"), WIDE_8, 0),
    ("tiff-16-lzw", lambda: encode(Image.fromarray(np.array(WIDE, "<u2")), "TIFF", compression="tiff_lzw"), WIDE_8, 0),
    ("tiff-16B", lambda: bare_tiff(WIDE_BE, width=5, height=1, bits=16, photometric=1, order=">"), WIDE_8, 0),
    (
        "tiff-16-white-is-zero",
        lambda: bare_tiff(WIDE_LE, width=5, height=1, bits=16, photometric=0, order="<"),
        255 - WIDE_8,
        0,
    ),
    (
        "tiff-12",
        lambda: bare_tiff(TWELVE, width=3, height=1, bits=12, photometric=1, order="<"),
        gray_rgb([[0, 128, 255]]),
        0,
    ),
    (
        "tiff-8-white-is-zero",
        lambda: bare_tiff(bytes([0, 100, 255]), width=3, height=1, bits=8, photometric=0, order="<"),
        gray_rgb([[255, 155, 0]]),
        0,
    ),
    (
        "tiff-I-8",
        lambda: encode(Image.fromarray(np.array([[0, 100, 255]], "<i4")), "TIFF"),
        gray_rgb([[0, 100, 255]]),
        0,
    ),
    ("tiff-I-16", lambda: encode(Image.fromarray(np.array(WIDE, "<i4")), "TIFF"), WIDE_8, 0),
    ("tiff-F-1", lambda: encode(Image.fromarray(np.array([[0, 0.5, 1]], "<f4")), "TIFF"), gray_rgb([[0, 128, 255]]), 0),
    (
        "tiff-F-255",
        lambda: encode(Image.fromarray(np.array([[0, 99.6, 255]], "<f4")), "TIFF"),
        gray_rgb([[0, 100, 255]]),
        0,
    ),
    ("tiff-F-16", lambda: encode(Image.fromarray(np.array(WIDE, "<f4")), "TIFF"), WIDE_8, 0),
    ("tiff-1", lambda: encode(pil([[0, 255, 255]], "1"), "TIFF"), gray_rgb([[0, 255, 255]]), 0),
    ("tiff-LA", lambda: encode(pil([[[100, 255], [100, 0]]], "LA"), "TIFF"), gray_rgb([[100, 255]]), 0),
    (
        "tiff-RGBA",
        lambda: encode(pil([[[10, 20, 30, 255], [255, 0, 0, 51]]], "RGBA"), "TIFF"),
        [[[10, 20, 30], [255, 204, 204]]],
        0,
    ),
    ("tiff-LAB", lambda: encode(Image.new("LAB", (2, 2), (128, 128, 128)), "TIFF"), gray_rgb([[119, 119]] * 2), 2),
    ("tiff-CMYK", lambda: cmyk_blocks("TIFF"), CMYK_AS_RGB, 0),
    ("jpeg-CMYK-adobe", lambda: cmyk_blocks("JPEG", quality=95), CMYK_AS_RGB, 2),
    ("jpeg-L", lambda: encode(np.full((16, 16), 77, np.uint8), "JPEG"), gray_rgb(np.full((16, 16), 77)), 1),
    (
        "webp-RGBA",
        lambda: encode(pil([[[10, 20, 30, 255], [9, 9, 9, 0]]], "RGBA"), "WEBP", lossless=True),
        [[[10, 20, 30], [255] * 3]],
        0,
    ),
    ("gif-clear", lambda: encode(pil([[0, 1, 1]], "L"), "GIF", transparency=1), gray_rgb([[0, 255, 255]]), 0),
    ("bmp-P", lambda: encode(Image.open(io.BytesIO(palette_png())), "BMP"), RED_GREEN_BLUE, 0),
    (
        "bmp-32",
        lambda: encode(pil([[[10, 20, 30, 255], [255, 0, 0, 51]]], "RGBA"), "BMP"),
        [[[10, 20, 30], [255, 0, 0]]],
        0,
    ),
]


@pytest.mark.parametrize(("make", "expected", "tolerance"), [pytest.param(*row[1:], id=row[0]) for row in MODES])
def test_each_mode_gives_the_right_rgb(make: Callable[[], bytes], expected: Any, tolerance: int) -> None:
    assert_near(read_image(make()), expected, tolerance)


@pytest.mark.parametrize(
    "mode", ["1", "L", "P", "RGB", "RGBA", "RGBa", "La", "LA", "PA", "RGBX", "CMYK", "YCbCr", "HSV", "I", "F"]
)
def test_pil_images_of_any_mode(mode: str) -> None:
    """A grey that all modes can hold. By Pillow's own convention I and F hold 0 to 255 here."""
    gray = Image.new("RGB", (5, 4), (255, 255, 255))
    through = {"PA": "P", "La": "LA", "RGBa": "RGBA"}.get(mode)
    image = (gray.convert(through) if through else gray).convert(mode)
    before = image.copy()
    assert_near(read_image(image), np.full((4, 5, 3), 255), 1)
    assert image.mode == mode
    assert image.tobytes() == before.tobytes()


def test_a_wide_picture_is_put_together_from_many_strips() -> None:
    rng = np.random.default_rng(0)
    for shape in [(700, 400, 3), (3, 90_000, 3), (90_000, 1, 3)]:
        pixels = rng.integers(0, 256, shape, dtype=np.uint8)
        assert np.array_equal(read_image(Image.fromarray(pixels)), pixels)


# ---------------------------------------------------------------- orientation


def as_stored(upright: UInt8Array, orientation: int) -> UInt8Array:
    """The rows and columns as a camera writes them, from EXIF's words on where row 0 and column 0 lie."""
    return np.ascontiguousarray(
        {
            1: upright,  # top, left
            2: np.fliplr(upright),  # top, right
            3: np.rot90(upright, 2),  # bottom, right
            4: np.flipud(upright),  # bottom, left
            5: upright.transpose(1, 0, 2),  # left, top
            6: np.rot90(upright, 1),  # right, top
            7: np.rot90(upright, 2).transpose(1, 0, 2),  # right, bottom
            8: np.rot90(upright, -1),  # left, bottom
        }[orientation]
    )


def exif(orientation: Any) -> Image.Exif:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("format_name", "options", "tolerance"),
    [
        ("JPEG", {"quality": 95, "subsampling": 0}, 3),
        ("PNG", {}, 0),
        ("WEBP", {"lossless": True}, 0),
        ("TIFF", {}, 0),
        ("TIFF", {"compression": "tiff_lzw"}, 0),
        pytest.param("AVIF", {"quality": 95, "subsampling": "4:4:4"}, 8, marks=needs_avif),
    ],
)
def test_orientation(format_name: str, options: dict[str, Any], tolerance: int, orientation: int) -> None:
    stored = as_stored(ramp_rgb(), orientation)
    data = encode(stored, format_name, exif=exif(orientation), **options)
    assert_near(read_image(data), ramp_rgb(), tolerance)
    assert_near(read_image(Image.open(io.BytesIO(data))), ramp_rgb(), tolerance)


def test_orientation_after_the_pixels_of_a_png() -> None:
    data = encode(as_stored(ramp_rgb(), 6), "PNG", exif=exif(6))
    start = data.index(b"eXIf") - 4
    end = start + 12 + int.from_bytes(data[start : start + 4], "big")
    moved = data[:start] + data[end:-12] + data[start:end] + data[-12:]
    assert_near(read_image(moved), ramp_rgb(), 0)


def with_exif_only(payload: bytes) -> bytes:
    """A JPEG whose one APP segment is this EXIF, as cameras write it: no JFIF, so Pillow looks in it for the dpi."""
    plain = encode(ramp_rgb(), "JPEG", quality=95, subsampling=0)
    assert plain[2:4] == b"\xff\xe0"
    rest = plain[4 + int.from_bytes(plain[4:6], "big") :]
    return plain[:2] + b"\xff\xe1" + struct.pack(">H", len(payload) + 2) + payload + rest


GOOD_EXIF = exif(1).tobytes()
BROKEN_EXIF = {
    "not TIFF": b"Exif\0\0 this is not a directory of tags",
    "empty": b"Exif\0\0",
    "cut": GOOD_EXIF[:17],
    "directory outside": b"Exif\0\0II*\0\xff\xff\xff\x7f",
    "a million tags": b"Exif\0\0II*\0\x08\0\0\0\xff\xff",
    "orientation 0": exif(0).tobytes(),
    "orientation 9": exif(9).tobytes(),
    "orientation 65535": exif(65535).tobytes(),
    "orientation as text": b"Exif\0\0II*\0\x08\0\0\0\x01\0" + struct.pack("<HHI4s", 0x0112, 2, 3, b"up") + bytes(4),
}


def exif_in(format_name: str) -> Callable[[bytes], bytes]:
    lossy: dict[str, Any] = {"quality": 95, "subsampling": 0}
    options = {"JPEG": lossy, "WEBP": {"lossless": True}}.get(format_name, {})
    return lambda payload: encode(ramp_rgb(), format_name, exif=payload, **options)


EXIF_CARRIERS = [
    pytest.param(with_exif_only, id="jpeg"),
    *(pytest.param(exif_in(name), id=f"by-pillow-{name}") for name in ("JPEG", "PNG", "WEBP")),
]


@pytest.mark.parametrize("carry", EXIF_CARRIERS)
@pytest.mark.parametrize("payload", BROKEN_EXIF.values(), ids=BROKEN_EXIF.keys())
@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow tells of it
def test_broken_exif_does_not_cost_the_picture(payload: bytes, carry: Callable[[bytes], bytes]) -> None:
    assert_near(read_image(carry(payload)), ramp_rgb(), 3)


@pytest.mark.parametrize("carry", EXIF_CARRIERS)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_exif_with_any_bytes_flipped_does_not_cost_the_picture(carry: Callable[[bytes], bytes]) -> None:
    tags = exif(1)
    tags[0x010F], tags[0x011A], tags[0x0128] = "maker", 72.0, 2
    tags.get_ifd(0x8769)[0x9003] = "2026:11:23 08:00:00"
    good = tags.tobytes()
    rng = random.Random(0)
    for _ in range(200):
        payload = bytearray(good)
        for _ in range(rng.randint(1, 6)):
            payload[rng.randrange(6, len(payload))] = rng.randrange(256)
        pixels = read_image(carry(bytes(payload)))
        assert sorted(pixels.shape) == [3, HEIGHT, WIDTH], payload.hex()


# ---------------------------------------------------------------- bad bytes


def png_claiming(width: int, height: int) -> bytes:
    data = bytearray(encode(ramp_rgb(), "PNG"))
    data[16:24] = struct.pack(">II", width, height)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    return bytes(data)


def patched(data: bytes, at: int, fmt: str, *values: int) -> bytes:
    return data[:at] + struct.pack(fmt, *values) + data[at + struct.calcsize(fmt) :]


def jpeg_claiming(width: int, height: int) -> bytes:
    data = encode(ramp_rgb(), "JPEG")
    return patched(data, data.index(b"\xff\xc0") + 5, ">HH", height, width)


def heif(*brands: bytes) -> bytes:
    return struct.pack(">I", 12 + 4 * len(brands)) + b"ftyp" + brands[0] + bytes(4) + b"".join(brands[1:]) + bytes(99)


UNREADABLE = [
    ("empty", b"", "empty, 0 bytes"),
    ("one byte", b"\xff", "it starts with b'\\xff'"),
    ("text", b"a diary, named .jpg", "it starts with b'a diary, nam'"),
    ("web page", b"<!DOCTYPE html><html>", "it starts with b'<!DOCTYPE ht'"),
    ("text like BMP", b"BMW is a maker of cars, and this is text", "cannot decode this BMP"),
    ("pdf", b"%PDF-1.7 ...", "this is a PDF document"),
    ("postscript, which would start another program", b"%!PS-Adobe-3.0 EPSF-3.0", "this is a PostScript file"),
    ("photoshop", b"8BPS\0\1" + bytes(30), "this is a Photoshop file"),
    ("ppm", encode(ramp_rgb(), "PPM"), "not a picture of a kind that is read (JPEG, PNG, "),
    ("tga", encode(ramp_rgb(), "TGA"), "not a picture of a kind that is read"),
    ("icon", encode(ramp_rgb(), "ICO", sizes=[(16, 16)]), "this is an icon"),
    ("heic", heif(b"heic", b"mif1", b"heic"), "HEIC is not read: convert it to JPEG or PNG"),
    ("heic, brand second", heif(b"mif1", b"heic"), "HEIC is not read: convert it to JPEG or PNG"),
    ("avif, no more than its brand", heif(b"avif", b"mif1"), "AVIF"),
    ("avif, brand second", heif(b"mif1", b"avif"), "AVIF"),
    ("video", heif(b"isom", b"mp41"), "not a picture of a kind that is read"),
    ("jpeg, three bytes", b"\xff\xd8\xff", "cannot decode this JPEG"),
    ("png, signature only", b"\x89PNG\r\n\x1a\n", "cannot decode this PNG"),
    ("png, 0 wide", png_claiming(0, 10), "cannot decode this PNG"),
    ("tiff, no directory", b"II*\0\x08\0\0\0", "cannot decode this TIFF"),
    ("tiff, values below 0", encode(Image.fromarray(np.array([[-5, 9]], "<i4")), "TIFF"), "32-bit values from -5 to 9"),
    ("tiff, values too high", encode(Image.fromarray(np.array([[0, 7e4]], "<f4")), "TIFF"), "from 0.0 to 70000.0"),
    ("tiff, nan", encode(Image.fromarray(np.array([[np.nan, 1]], "<f4")), "TIFF"), "from nan to nan"),
]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(("data", "message"), [pytest.param(*row[1:], id=row[0]) for row in UNREADABLE])
def test_what_is_no_picture_is_told(data: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(data)
    with pytest.raises(ImageReadError) as caught:
        read_image(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("format_name", "options"),
    [
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("PNG", {}),
        ("WEBP", {"lossless": True}),
        ("WEBP", {}),
        ("BMP", {}),
        ("GIF", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        pytest.param("AVIF", {}, marks=needs_avif),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_file_cut_short_is_refused_or_whole(format_name: str, options: dict[str, Any]) -> None:
    """At every length: an error, or (where only the file's tail is lost) the very picture; never a part of it."""
    data = encode(ramp_rgb(), format_name, **options)
    whole = read_image(data)
    refused = 0
    for length in range(len(data)):
        try:
            assert np.array_equal(read_image(data[:length]), whole), f"a part of the picture from {length} bytes"
        except ImageReadError:
            refused += 1
    assert refused >= 0.8 * len(data)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_damaged_bytes_give_a_picture_or_an_image_error() -> None:
    rng = random.Random(0)
    names = ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF"] + ["AVIF"] * HAS_AVIF
    for data in [encode(ramp_rgb(), name) for name in names]:
        for _ in range(150):
            damaged = bytearray(data)
            for _ in range(rng.randint(1, 8)):
                damaged[rng.randrange(len(damaged))] = rng.randrange(256)
            with suppress(ImageError):
                assert read_image(bytes(damaged), max_pixels=10**6).ndim == 3


# ---------------------------------------------------------------- too large


HUGE = [
    ("png", png_claiming(60_000, 60_000)),
    ("jpeg", jpeg_claiming(65_500, 65_500)),
    ("bmp", patched(encode(ramp_rgb(), "BMP"), 18, "<II", 60_000, 60_000)),
    ("gif", patched(encode(ramp_rgb(), "GIF"), 6, "<HH", 60_000, 60_000)),
    (
        "tiff",
        encode(ramp_rgb(), "TIFF").replace(
            struct.pack("<HHI", 256, 4, 1) + struct.pack("<I", WIDTH), struct.pack("<HHII", 256, 4, 1, 60_000_000)
        ),
    ),
    ("webp", patched(encode(ramp_rgb(), "WEBP"), 26, "<HH", 16_383, 16_383)),
    ("webp-lossless", patched(encode(ramp_rgb(), "WEBP", lossless=True), 21, "<I", 16_383 | 16_383 << 14)),
    ("webp-extended", patched(encode(ramp_rgb(), "WEBP", exif=exif(1)), 24, "<HBHB", 59_999, 0, 59_999, 0)),
]


@pytest.mark.parametrize("data", [pytest.param(row[1], id=row[0]) for row in HUGE])
def test_a_claim_of_too_many_pixels_is_refused_before_decoding(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*_: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", load)
    monkeypatch.setattr("PIL.TiffImagePlugin.TiffImageFile.load", load)
    with pytest.raises(ImageTooLargeError, match=r"pixels, the limit is 100,000,000: .*pass max_pixels="):
        read_image(data)


@pytest.mark.parametrize("format_name", ["GIF", "WEBP"])
def test_readers_that_allocate_on_opening_are_not_opened(format_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for reader in ("GIF", "WebP"):
        monkeypatch.setitem(read._READERS, reader, ("no.such.module", "Reader"))
    data = encode(ramp_rgb(), format_name)
    with pytest.raises(ImageTooLargeError, match="48x32 = 1,536 pixels, the limit is 1,535"):
        read_image(data, max_pixels=1535)
    with pytest.raises(ImageReadError, match="no .* reader: update Pillow"):
        read_image(data, max_pixels=1536)


@pytest.mark.parametrize("make", [lambda: encode(ramp_rgb(), "PNG"), lambda: Image.fromarray(ramp_rgb()), ramp_rgb])
def test_the_limit_is_the_first_number_that_is_taken(make: Callable[[], Any]) -> None:
    order: Any = {"color_order": "RGB"} if make is ramp_rgb else {}
    assert read_image(make(), max_pixels=WIDTH * HEIGHT, **order).shape == (HEIGHT, WIDTH, 3)
    with pytest.raises(ImageTooLargeError, match="limit is 1,535"):
        read_image(make(), max_pixels=WIDTH * HEIGHT - 1, **order)


def test_108_megapixels_are_read_when_allowed(recwarn: pytest.WarningsRecorder) -> None:
    """12,000 by 9,000: above our limit, and above where Pillow would warn."""
    picture = Image.new("1", (12_000, 9_000))
    picture.paste(255, (11_000, 8_000, 12_000, 9_000))
    data = encode(picture, "PNG")
    with pytest.raises(ImageTooLargeError, match=r"12000x9000 = 108,000,000 .*100,000,000.* max_pixels=108000000"):
        read_image(data)
    pixels = read_image(data, max_pixels=108_000_000)
    assert pixels.shape == (9_000, 12_000, 3)
    assert pixels[8_500, 11_500].tolist() == [255, 255, 255]
    assert pixels[7_999, 11_500].tolist() == [0, 0, 0]
    assert not recwarn.list


def test_pillows_own_limit_neither_warns_nor_refuses_nor_moves(
    monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100_000)
    picture = np.zeros((400, 600, 3), dtype=np.uint8)  # more than twice that
    for name in ("JPEG", "PNG", "BMP", "GIF"):
        assert read_image(encode(picture, name)).shape == (400, 600, 3)
    with suppress(ImageTooLargeError):  # newer Pillows ask it inside this reader: then it must be this error
        read_image(encode(picture, "TIFF"))
    assert Image.MAX_IMAGE_PIXELS == 100_000
    assert not recwarn.list


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_below_one_is_refused(limit: int) -> None:
    with pytest.raises(ImageError, match="max_pixels must be 1 or more"):
        read_image(ramp_rgb(), color_order="RGB", max_pixels=limit)


# ---------------------------------------------------------------- paths


def test_no_permission(tmp_path: Path, not_root: Callable[[], AbstractContextManager[None]]) -> None:
    path = tmp_path / "locked.png"
    path.write_bytes(encode(ramp_rgb(), "PNG"))
    path.chmod(0)
    with not_root(), pytest.raises(ImageReadError, match=r"locked\.png: no permission to read it") as caught:
        read_image(path)
    assert isinstance(caught.value.__cause__, PermissionError)
    path.chmod(0o600)


def test_a_link_loop(tmp_path: Path) -> None:
    first, second = tmp_path / "first.jpg", tmp_path / "second.jpg"
    first.symlink_to(second)
    second.symlink_to(first)
    with pytest.raises(ImageReadError, match=r"first\.jpg: a loop of symbolic links"):
        read_image(first)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing.jpg", "missing.jpg: no such file"),
        ("folder", "folder: a folder, not a picture"),
        ("file.txt/photo.jpg", "file.txt/photo.jpg: no such file: a part of the path is not a folder"),
        ("a\0b.jpg", "a\\x00b.jpg: not a possible path (embedded null byte)"),
        ("x" * 300 + ".jpg", ".jpg: File name too long"),
        ("line\nbreak \x1b[31m.jpg", "line\\nbreak \\x1b[31m.jpg: no such file"),
        (b"broken \xff\xfe name.jpg", "broken \\xff\\xfe name.jpg: no such file"),
        ("lone \ud800.jpg", "lone \\ud800.jpg: not a possible path"),
        ("Ünïcödé 图.jpg", "Ünïcödé 图.jpg: no such file"),
    ],
)
def test_paths_that_cannot_be_read(name: str | bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file.txt").write_text("text")
    with pytest.raises(ImageReadError) as caught:
        read_image(f"{tmp_path}/{os.fsdecode(name)}")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    str(caught.value).encode("utf-8")


def test_a_name_of_undecodable_bytes_is_read_and_told(tmp_path: Path) -> None:
    path = os.path.join(os.fsencode(tmp_path), b"caf\xe9.png")
    try:
        with open(path, "wb") as file:
            file.write(encode(ramp_rgb(), "PNG")[:60])
    except OSError:
        pytest.skip("this file system takes no such names")
    with pytest.raises(ImageReadError) as caught:
        read_image(os.fsdecode(path))
    assert "caf\\xe9.png: cannot decode this PNG" in str(caught.value)
    with open(path, "wb") as file:
        file.write(encode(ramp_rgb(), "PNG"))
    assert_near(read_image(os.fsdecode(path)), ramp_rgb(), 0)


@pytest.mark.parametrize(
    ("path", "message"), [("", "(empty path): no such file"), ("https://a.org/b.jpg", "download it")]
)
def test_strings_that_are_no_paths(path: str, message: str) -> None:
    with pytest.raises(ImageReadError) as caught:
        read_image(path)
    assert message in str(caught.value)


def test_a_disk_that_fails_while_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError(5, "Input/output error")

    monkeypatch.setattr("builtins.open", lambda *_: Failing())
    with pytest.raises(ImageReadError, match="photo.jpg: Input/output error"):
        read_image("photo.jpg")


# ---------------------------------------------------------------- other objects


@pytest.mark.parametrize("source", ["photo.jpg", b"bytes", Image.new("RGB", (2, 2))])
def test_a_colour_order_is_for_arrays_only(source: Any) -> None:
    with pytest.raises(ArrayError, match="color_order='RGB' is for arrays only"):
        read_image(source, color_order="RGB")


@pytest.mark.parametrize("source", [None, 3, [[1, 2, 3]], io.BytesIO(b"x")])
def test_other_objects_are_refused(source: Any) -> None:
    with pytest.raises(ImageReadError, match=f"expected a path, bytes, .* got {type(source).__name__}"):
        read_image(source)


def test_pil_images_that_are_no_pictures() -> None:
    with pytest.raises(ImageReadError, match="no pixels, 0x5"):
        read_image(Image.new("RGB", (0, 5)))
    closed = Image.new("RGB", (4, 4))
    closed.close()
    with pytest.raises(ImageReadError, match="PIL image: cannot decode"):
        read_image(closed)


# ---------------------------------------------------------------- the process around it


def test_threads_do_not_disturb_each_other() -> None:
    jobs = [encode(ramp_rgb(), name) for name in ("PNG", "BMP", "TIFF")] + [png_claiming(60_000, 60_000)]

    def read_right(i: int) -> bool:
        if i % 4 < 3:
            return np.array_equal(read_image(jobs[i % 4]), ramp_rgb())
        with pytest.raises(ImageTooLargeError):
            read_image(jobs[3])
        return True

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read_right, range(400)))


def test_nothing_global_is_changed() -> None:
    script = """
import sys, warnings
import cv2, numpy, PIL.Image, PIL.ImageFile
def state():
    return (PIL.Image.MAX_IMAGE_PIXELS, PIL.ImageFile.LOAD_TRUNCATED_IMAGES, list(warnings.filters),
            PIL.ImageFile.MAXBLOCK)
before = state()
from agewise.imaging import read_image
assert "PIL.AvifImagePlugin" not in sys.modules and "torch" not in sys.modules
read_image(sys.stdin.buffer.read())
assert state() == before
"""
    run = subprocess.run(
        [sys.executable, "-c", script],
        input=encode(ramp_rgb(), "PNG"),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr.decode()


def test_the_default_limit_is_100_megapixels() -> None:
    assert DEFAULT_MAX_PIXELS == 100_000_000
