"""Writing files so that a reader sees the old file or the whole new one, never half of it."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from agewise.errors import OutputError


def shown(path: str | os.PathLike[str]) -> str:
    r"""A path as text that can always be printed: bytes that are not UTF-8 become `\xff` and the like.

    >>> shown("caf\udce9.jpg")
    'caf\\xe9.jpg'
    """
    return os.fsencode(path).decode("utf-8", "backslashreplace")


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Yields a binary file; what is written to it stands at `path` once the block ends well.

    The bytes go to a hidden temporary file (`.agewise-….part`) in the same folder, are forced to the disk,
    and are moved into place. On any exception, KeyboardInterrupt too, the temporary is removed and a file
    that stood at `path` before is left as it was. A new file gets the permissions that the umask leaves;
    a replaced one keeps its own. A symbolic link stays, its target is replaced. What is not a regular file
    (a pipe, `/dev/stdout`) cannot be replaced and is written to directly. The block may close the file.

    Args:
        path: where the file shall stand; its folder must exist.

    Raises:
        OutputError: any OSError on the way, from the block as well: what could not be written, and why.
    """
    target = Path(os.path.realpath(path))
    try:
        mode = _mode(path)
        if mode is not None and not stat.S_ISREG(mode):
            # By the name that was given: `/dev/stdout` is a link whose end has no name when it is a pipe.
            with open(path, "wb") as device:
                yield device
        else:
            yield from _write_then_move(target, mode)
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(f"cannot write {shown(path)}: {_why(error, target)}") from error


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yields the path of an empty file to be written by its name; as `atomic_write`, for libraries that open it.

    Raises:
        OutputError: any OSError on the way, from the block as well; something that is no regular file at `path`.
    """
    target = Path(os.path.realpath(path))
    try:
        mode = _mode(path)
        if mode is not None and not stat.S_ISREG(mode):
            raise OutputError(f"cannot write {shown(path)}: it is no regular file; name a file in an existing folder")
        yield from _name_then_move(target, mode)
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(f"cannot write {shown(path)}: {_why(error, target)}") from error


@contextlib.contextmanager
def _moved(target: Path) -> Iterator[Path]:
    """A temporary name beside `target`: moved there in the end, removed if anything is raised."""
    # The name does not hold the target's: that may already be as long as the file system allows.
    temporary = target.with_name(f".agewise-{secrets.token_hex(8)}.part")
    try:
        yield temporary
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def _name_then_move(target: Path, mode: int | None) -> Iterator[Path]:
    with _moved(target) as temporary:
        with open(temporary, "xb"):
            pass
        if mode is not None:
            os.chmod(temporary, stat.S_IMODE(mode))
        yield temporary
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())


def _mode(path: str | os.PathLike[str]) -> int | None:
    """The mode of what stands at `path`, None where nothing does; an OSError if it may not be overwritten."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if stat.S_ISREG(mode):
        # A move needs a writable folder only: what protects the file itself shows when it is opened.
        with open(path, "r+b"):
            pass
    return mode


def _write_then_move(target: Path, mode: int | None) -> Iterator[BinaryIO]:
    # Two layers, so that a block that closes its file does not close the one that fsync needs.
    with _moved(target) as temporary, open(temporary, "xb", buffering=0) as raw:
        if mode is not None:
            os.chmod(temporary, stat.S_IMODE(mode))
        with open(raw.fileno(), "wb", closefd=False) as file:
            yield file
        os.fsync(raw.fileno())


def _why(error: OSError, target: Path) -> str:
    """The cause in words, and what to do where that is known."""
    folder = shown(target.parent)
    reason = error.strerror or str(error)
    if error.errno == errno.ENOENT:
        return f"the folder {folder} does not exist; create it first"
    if error.errno in (errno.EISDIR, errno.ENOTDIR):
        return f"{reason}; name a file in an existing folder"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{reason}; choose a file and a folder that may be written to, {folder} or the file in it may not"
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return f"{reason}; free some space, or choose a folder on another disk"
    return reason
