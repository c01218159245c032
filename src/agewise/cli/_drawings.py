"""Where the pictures of `--draw` go, under names that never meet."""

from __future__ import annotations

import errno
import os
import re
import stat
import tempfile
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

from agewise._files import shown
from agewise.errors import OutputError
from agewise.sources import Source
from agewise.types import Face, UInt8Array

_KEPT_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")  # what `save_image` writes; all else becomes a PNG
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


def drawing_names(sources: Iterable[Source]) -> Iterator[str]:
    """For each source the relative path of its drawing, the same for the same list of sources.

    A picture keeps its path below the folder that was named, and one of a kind that is not written gets `.png`
    behind its name. Where a name was given away already, also where only case or the form of an accent
    differs, as some file systems do not tell these apart, `-2`, `-3`, … goes before the suffix.
    """
    files: set[str] = set()
    folders: set[str] = set()
    numbers: dict[str, int] = {}
    for source in sources:
        *above, file = _parts(source)
        if any(key in files for key in _folder_keys(above)):
            above, file = [], "_".join([*above, file])  # one of its folders has the name of another's drawing
        stem, suffix = os.path.splitext(file)
        if suffix.lower() not in _KEPT_SUFFIXES:
            stem, suffix = file, ".png"
        name = first = os.path.join(*above, stem + suffix)
        while (key := _key(name)) in files or key in folders:
            numbers[_key(first)] = number = numbers.get(_key(first), 1) + 1
            name = os.path.join(*above, f"{stem}-{number}{suffix}")
        files.add(key)
        folders.update(_folder_keys(above))
        yield name


def _parts(source: Source) -> list[str]:
    """The folders and the file of a source's relative path; nothing in it leads upwards."""
    if source.is_stdin:
        return ["stdin.jpg"]
    separators = r"[/\\]" if os.name == "nt" else "/"
    return [part for part in re.split(separators, source.relative) if part.strip(".")] or ["picture"]


def _folder_keys(folders: Sequence[str]) -> list[str]:
    return [_key(os.path.join(*folders[:depth])) for depth in range(1, len(folders) + 1)]


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def find_overwritten(targets: Iterable[str], sources: Iterable[Source]) -> tuple[str, str] | None:
    """The first target that is one of the sources, with that source, or None."""
    taken = {identity: target for target in targets if (identity := _identity(target)) is not None}
    if taken:
        for source in sources:
            if not source.is_stdin and (identity := _identity(source.path)) in taken:
                return taken[identity], source.path
    return None


def _identity(path: str) -> tuple[int, int] | None:
    """What tells one file from another, by whatever name; None where there is no regular file."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return (status.st_dev, status.st_ino) if stat.S_ISREG(status.st_mode) else None


class Drawer:
    """Draws results into a folder, which is made where it is missing.

    Args:
        folder: where the drawings go.

    Raises:
        OutputError: the folder cannot be made or written to.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self.is_full = False
        """Whether the last failure will befall every drawing; then there is no point in more."""
        try:
            os.makedirs(folder, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):  # asking for permissions is not as sure as using them
                pass
        except OSError as error:
            reason = error.strerror or str(error)
            raise OutputError(
                f"cannot write drawings to {shown(folder)}: {reason}; choose a folder that may be written to"
            ) from error

    def draw(self, name: str, image_rgb: UInt8Array, faces: Sequence[Face]) -> None:
        """Write a picture with its faces' boxes and labels; a file of that name is replaced.

        Args:
            name: relative path in the folder, from `drawing_names`.
            image_rgb: uint8 RGB (height, width, 3).
            faces: of the picture.

        Raises:
            OutputError: the drawing cannot be written.
        """
        from agewise.draw import draw_faces, save_image

        path = os.path.join(self._folder, name)
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            save_image(draw_faces(image_rgb, faces), path)
        except OSError as error:  # an OutputError too is one
            cause = error.__cause__ if isinstance(error, OutputError) else error
            self.is_full = isinstance(cause, OSError) and cause.errno in _FULL
            if isinstance(error, OutputError):
                raise
            raise OutputError(f"cannot write {shown(path)}: {error.strerror or error}") from error
