"""From a file, bytes, a PIL image or an array to one thing: an upright uint8 RGB array (height, width, 3).

Pillow decodes. It takes about one and a half times as long as OpenCV for a JPEG and gives the same pixels,
but it refuses a file that is cut short where OpenCV returns a half-grey picture, and it knows CMYK,
palettes, alpha and EXIF. Its format readers are called by their own class, chosen here by the file's first bytes,
and not through `Image.open`: so no format beyond the list is ever tried, and Pillow's process-wide pixel
limit, which is not ours to change, neither warns nor refuses below `max_pixels`. (Inside its TIFF, WebP
and GIF readers that limit still acts, at 179 megapixels.) Colour profiles are not applied.
"""

from __future__ import annotations

import errno
import importlib
import io
import os
import unicodedata
from typing import IO, Any, TypeAlias, cast

import cv2
import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image

from agewise.errors import ArrayError, ImageError, ImageReadError, ImageTooLargeError
from agewise.imaging.arrays import ColorOrder, check_pixels, gray_to_rgb, rgb_from_array, scaled_to_uint8
from agewise.types import UInt8Array

ImageSource: TypeAlias = str | os.PathLike[str] | bytes | bytearray | memoryview | Image.Image | npt.NDArray[np.generic]

DEFAULT_MAX_PIXELS = 100_000_000
"""The most pixels that `read_image` takes unless told otherwise: 100 megapixels."""

_READERS = {
    "JPEG": ("PIL.JpegImagePlugin", "JpegImageFile"),  # also the first picture of a phone's MPO
    "PNG": ("PIL.PngImagePlugin", "PngImageFile"),
    "WebP": ("PIL.WebPImagePlugin", "WebPImageFile"),
    "BMP": ("PIL.BmpImagePlugin", "BmpImageFile"),
    "TIFF": ("PIL.TiffImagePlugin", "TiffImageFile"),
    "GIF": ("PIL.GifImagePlugin", "GifImageFile"),
    "AVIF": ("PIL.AvifImagePlugin", "AvifImageFile"),
}
_SIGNATURES = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
)
_FOREIGN_SIGNATURES = (
    (b"%PDF", "a PDF document"),
    (b"%!PS", "a PostScript file"),
    (b"8BPS", "a Photoshop file"),
    (b"\xff\x0a", "a JPEG XL picture"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL picture"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 picture"),
    (b"\0\0\1\0", "an icon"),
)
_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
_HEAD_BYTES = 128

_OS_REASONS = {
    errno.ENOENT: "no such file",
    errno.ENOTDIR: "no such file: a part of the path is not a folder",
    errno.EISDIR: "a folder, not a picture: name the files in it",
    errno.EACCES: "no permission to read it",
    errno.EPERM: "no permission to read it",
    errno.ELOOP: "a loop of symbolic links",
}

# EXIF 2.32, tag 0x0112: how the stored rows and columns lie → what makes them upright.
_TURNS = {3: cv2.ROTATE_180, 6: cv2.ROTATE_90_CLOCKWISE, 8: cv2.ROTATE_90_COUNTERCLOCKWISE}
_MIRRORED_AS = {2: 1, 4: 3, 5: 8, 7: 6}  # each mirrored orientation and the plain one that it becomes, once flipped

_UNPRINTABLE = {"Cc", "Cs", "Zl", "Zp"}  # control characters, surrogates, line and paragraph separators

_STRIP_BYTES = 1 << 18  # pixels leave Pillow in strips that stay in the cache; also keeps the peak of memory low


def read_image(
    source: ImageSource, *, color_order: ColorOrder | None = None, max_pixels: int = DEFAULT_MAX_PIXELS
) -> UInt8Array:
    """Read a picture: upright, RGB.

    Reads JPEG (also MPO), PNG, WebP, BMP, TIFF, GIF and, where Pillow has the decoder, AVIF; of several
    frames or pages the first. EXIF orientation is applied, to PIL images too where they carry the tag.
    Transparency is composed over white. 16-bit values are scaled to 8 bits. A 32-bit grey file (PIL mode I
    or F) does not say its scale: it is taken as 0..1 (floats only), 0..255 or 0..65535, the first that
    holds all its values.

    Args:
        source: a path (str or PathLike), an encoded file (bytes, bytearray, memoryview), a PIL image (its
            current frame), or an array: (height, width) or (height, width, 1) for GRAY, (height, width, 3)
            for RGB and BGR, (height, width, 4) for RGBA and BGRA; uint8, uint16 (0..65535), or floats 0..1.
        color_order: the order of an array's channels; needed for arrays, an error for all else.
        max_pixels: the most pixels (width times height) to take; checked before anything is decoded.

    Returns:
        uint8 array (height, width, 3), RGB, C-contiguous. It is `source` itself where that is such an
        array already; all else gives a new array.

    Raises:
        ImageReadError: the file is missing, a folder, not permitted, empty, cut short, or no picture of
            these formats; or `source` is of another type.
        ImageTooLargeError: more pixels than `max_pixels`.
        ArrayError: an array of another shape, type or range, or without its colour order.
    """
    if max_pixels < 1:
        raise ImageError(f"max_pixels must be 1 or more, got {max_pixels}")
    if isinstance(source, np.ndarray):
        return rgb_from_array(source, color_order, max_pixels)
    if color_order is not None:
        raise ArrayError(
            f"color_order={color_order!r} is for arrays only: {type(source).__name__} says its own, leave it out"
        )
    if isinstance(source, Image.Image):
        return _decode_mapped(source, "PIL image", source.format or "PIL", max_pixels)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _read_stream(io.BytesIO(bytes(source)), f"{type(source).__name__} given", max_pixels)
    if isinstance(source, (str, os.PathLike)):
        return _read_path(source, max_pixels)
    raise ImageReadError(
        f"expected a path, bytes, a PIL image or a numpy array, got {type(source).__name__}"
        " (for a tensor or a list: numpy.asarray(it), with its color_order)"
    )


def _printable(path: str | os.PathLike[str]) -> str:
    """The path as one line that any UTF-8 stream can take; bytes that are not UTF-8 as \\xNN."""

    def shown(char: str) -> str:
        if "\udc80" <= char <= "\udcff":  # how Python keeps an undecodable byte
            return f"\\x{ord(char) - 0xDC00:02x}"
        return char.encode("unicode_escape").decode() if unicodedata.category(char) in _UNPRINTABLE else char

    return "".join(map(shown, os.fsdecode(path))) or "(empty path)"


def _read_path(path: str | os.PathLike[str], max_pixels: int) -> UInt8Array:
    name = _printable(path)
    try:
        with open(path, "rb") as file:
            stream = file if file.seekable() else io.BytesIO(file.read())
            return _read_stream(stream, name, max_pixels)
    except ImageError:
        raise
    except OSError as error:
        reason = _OS_REASONS.get(error.errno or 0) or error.strerror or str(error)
        if error.errno == errno.ENOENT and "://" in name:
            reason = "no such file; addresses are not fetched: download it first"
        raise ImageReadError(f"{name}: {reason}") from error
    except ValueError as error:  # a null character, or a name that the file system's encoding cannot hold
        raise ImageReadError(f"{name}: not a possible path ({_reason(error)})") from error


def _read_stream(stream: IO[bytes], name: str, max_pixels: int) -> UInt8Array:
    """Decode a seekable stream; `name` is for messages."""
    head = stream.read(_HEAD_BYTES)
    stream.seek(0)
    format_name = _identify(head, name)
    check_pixels(_claimed_size(head, format_name), name, max_pixels)
    return _decode_mapped(stream, name, format_name, max_pixels)


def _identify(head: bytes, name: str) -> str:
    """The format that a file's first bytes tell.

    Raises:
        ImageReadError: none of those that are read.
    """
    if not head:
        raise ImageReadError(f"{name}: empty, 0 bytes")
    for signature, format_name in _SIGNATURES:
        if head.startswith(signature):
            return format_name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    if head[4:8] == b"ftyp":
        box = head[8 : max(int.from_bytes(head[:4], "big"), 12)]
        brands = {box[i : i + 4] for i in range(0, len(box), 4) if i != 4}  # the second word is a version
        if brands & {b"avif", b"avis"}:
            return "AVIF"
        if brands & _HEIC_BRANDS:
            raise ImageReadError(f"{name}: HEIC is not read: convert it to JPEG or PNG first")
    known = ", ".join(_READERS)
    foreign = next((what for signature, what in _FOREIGN_SIGNATURES if head.startswith(signature)), None)
    found = f"this is {foreign}" if foreign else f"it starts with {head[:12]!r}"
    raise ImageReadError(f"{name}: not a picture of a kind that is read ({known}): {found}")


def _claimed_size(head: bytes, format_name: str) -> tuple[int, int]:
    """(width, height) from the first bytes, for the two readers that allocate on opening; else (0, 0).

    Sources: GIF89a, section 18; RFC 9649 (WebP), sections 2.5 to 2.7.
    """
    if format_name == "GIF":
        return int.from_bytes(head[6:8], "little"), int.from_bytes(head[8:10], "little")
    if format_name == "WebP":
        kind = head[12:16]
        if kind == b"VP8X":
            return int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1
        if kind == b"VP8L":
            bits = int.from_bytes(head[21:25], "little")
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        return int.from_bytes(head[26:28], "little") & 0x3FFF, int.from_bytes(head[28:30], "little") & 0x3FFF
    return 0, 0


def _decode_mapped(opened: IO[bytes] | Image.Image, name: str, format_name: str, max_pixels: int) -> UInt8Array:
    """Decode, and tell whatever goes wrong as an `ImageError`."""
    try:
        # The PIL image is gone when `_pixels` returns: turning then needs no third copy in memory.
        pixels, orientation = _pixels(opened, name, format_name, max_pixels)
        return _upright(pixels, orientation)
    except ImageError:
        raise
    except ImportError as error:
        raise ImageReadError(f"{name}: this Pillow has no {format_name} reader: update Pillow") from error
    except Image.DecompressionBombError as error:
        raise ImageTooLargeError(
            f"{name}: refused by Pillow's own limit, PIL.Image.MAX_IMAGE_PIXELS: {_reason(error)}"
        ) from error
    except MemoryError as error:
        raise ImageReadError(f"{name}: not enough memory to decode this {format_name} picture") from error
    except Exception as error:  # decoders raise nearly anything on damaged data
        raise ImageReadError(
            f"{name}: cannot decode this {format_name} picture ({_reason(error)}):"
            " it is damaged, cut short, or of a rare kind; get it again, or convert it to PNG"
        ) from error


def _reason(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _pixels(opened: IO[bytes] | Image.Image, name: str, format_name: str, max_pixels: int) -> tuple[UInt8Array, int]:
    """Decode to RGB as stored, and the EXIF orientation that is still to be applied."""
    if isinstance(opened, Image.Image):
        picture = opened
    else:
        module, reader = _READERS[format_name]
        picture = cast(Image.Image, getattr(importlib.import_module(module), reader)(opened))
    check_pixels(picture.size, name, max_pixels)
    if 0 in picture.size:
        raise ImageReadError(f"{name}: no pixels, {picture.width}x{picture.height}")
    picture.load()
    # After loading: a PNG's EXIF may follow its pixels, and Pillow turns a TIFF itself while it loads it.
    orientation = _orientation(picture)
    if picture.mode in ("I", "F") or picture.mode.startswith("I;16"):
        return gray_to_rgb(_wide_gray(picture, name)), orientation
    width, height = picture.size
    pixels = np.empty((height, width, 3), dtype=np.uint8)
    rows = max(1, _STRIP_BYTES // (3 * width))
    for top in range(0, height, rows):
        strip = picture.crop((0, top, width, min(top + rows, height)))
        pixels[top : top + rows] = np.asarray(_flat_rgb(strip))
    return pixels, orientation


def _orientation(picture: Image.Image) -> int:
    """EXIF orientation as the tag has it, 1 to 8 if it makes sense; 1 where it is missing or cannot be read."""
    try:
        value = picture.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # noqa: BLE001  broken metadata must not cost the picture, and breaks in any way
        return 1
    return value if isinstance(value, int) else 1


def _upright(pixels: UInt8Array, orientation: int) -> UInt8Array:
    """Undo an EXIF orientation; any number outside 1 to 8 counts as 1. C-contiguous."""
    if orientation in _MIRRORED_AS:
        pixels = cast(UInt8Array, cv2.flip(pixels, 1))
        orientation = _MIRRORED_AS[orientation]
    turn = _TURNS.get(orientation)
    return pixels if turn is None else cast(UInt8Array, cv2.rotate(pixels, turn))


def _flat_rgb(picture: Image.Image) -> Image.Image:
    """Any 8-bit mode → RGB, transparency composed over white."""
    if not picture.has_transparency_data:
        return picture if picture.mode == "RGB" else picture.convert("RGB")
    straight = picture.convert("LA") if picture.mode == "La" else picture  # Pillow knows no other way from there
    rgba = straight.convert("RGBA")
    flat = Image.new("RGB", picture.size, "white")
    flat.paste(rgba, (0, 0), rgba)
    return flat


def _wide_gray(picture: Image.Image, name: str) -> UInt8Array:
    """A grey picture of more than 8 bits → uint8 (height, width)."""
    values = np.asarray(picture)
    tags: Any = getattr(picture, "tag_v2", {})  # a TIFF's own; elsewhere none
    if picture.mode.startswith("I;16"):
        white = (1 << 12) - 1 if tags.get(258) == (12,) else 65535  # BitsPerSample
    else:
        white = _guessed_white(values, picture.mode, name)
    gray = scaled_to_uint8(values, white)
    if tags.get(262) == 0:  # PhotometricInterpretation: white is zero, which Pillow minds at 8 bits only
        gray = 255 - gray
    key = picture.info.get("transparency")
    if isinstance(key, int):
        gray[values == key] = 255
    return gray


def _guessed_white(values: npt.NDArray[Any], mode: str, name: str) -> int:
    """What stands for white in a picture that does not say: the least usual scale that holds all values."""
    low, high = values.min(), values.max()
    for white in (255, 65535) if mode == "I" else (1, 255, 65535):
        if low >= 0 and high <= white:
            return white
    raise ImageReadError(f"{name}: 32-bit values from {low} to {high}: expected 0..1, 0..255 or 0..65535; scale it")
