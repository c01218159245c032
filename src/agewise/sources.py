"""From what a user names to the pictures to read: files, folders, patterns, and `-` for standard input.

- A file that is named is always tried, whatever its suffix; a missing one shows when it is read.
- A folder gives the files in it that have a picture's suffix and are not hidden; with `recursive` those of
  its subfolders too. Links to folders are followed, but each folder is entered once, so a loop of links ends.
- What names no file and holds `*`, `?` or `[…]` is a pattern, read as a shell reads it: `**` stands for any
  number of folders, and each match counts as if it had been named.
- A path that comes up again is left out: each picture is listed once, where it came first.

Within a folder files come before subfolders, both sorted as people sort (`img2` before `img10`), so that a
listing is the same every time.
"""

from __future__ import annotations

import fnmatch
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from agewise._files import shown
from agewise.errors import SourceError

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".avif")
"""The suffixes, in any case, that a folder's files must have to be listed."""

STDIN = "-"

_SEPARATORS = r"[/\\]" if os.name == "nt" else "/"


@dataclass(frozen=True, slots=True)
class Source:
    """One picture to read.

    Args:
        path: as it was named or found; "-" is standard input. Bytes that are not UTF-8 are kept as
            `os.fsdecode` keeps them.
        start: where in `path` the part begins that lies below the folder or pattern it was found by.
    """

    path: str
    start: int = 0

    @property
    def is_stdin(self) -> bool:
        """Whether the picture comes on standard input."""
        return self.path == STDIN

    @property
    def relative(self) -> str:
        """The path below the folder or pattern that it was found by; the bare name of a file that was named."""
        return self.path[self.start :]


@dataclass(frozen=True, slots=True)
class SourceList:
    """The pictures to read, in order, and what could not be listed."""

    sources: tuple[Source, ...]
    problems: tuple[SourceError, ...]


def list_sources(
    arguments: Iterable[str | os.PathLike[str]], *, recursive: bool = False, skip_folder: str | None = None
) -> SourceList:
    """The pictures that files, folders and patterns stand for.

    Args:
        arguments: paths, patterns, or "-", as a user names them.
        recursive: also list the subfolders of folders.
        skip_folder: a folder that is left out where it turns up below another one, such as one's own output.

    Returns:
        The pictures, and a `SourceError` for each folder that is empty or cannot be read and for each pattern
        that matches nothing. Nothing is raised for these, so that they do not stop the others.
    """
    lister = _Lister(recursive, skip_folder)
    for argument in arguments:
        lister.add(os.fspath(argument))
    return SourceList(tuple(lister.sources), tuple(lister.problems))


def natural_key(name: str) -> tuple[list[str | int], str]:
    """Sorts names as people do: numbers by their value, letters without regard to case.

    >>> sorted(["img10.jpg", "IMG2.jpg", "img1.jpg"], key=natural_key)
    ['img1.jpg', 'IMG2.jpg', 'img10.jpg']
    """
    pieces = re.split(r"([0-9]+)", name)
    return [int(piece) if i % 2 else piece.casefold() for i, piece in enumerate(pieces)], name


class _Lister:
    def __init__(self, recursive: bool, skip_folder: str | None) -> None:
        self.sources: list[Source] = []
        self.problems: list[SourceError] = []
        self._recursive = recursive
        self._skip = None if skip_folder is None else _identity(skip_folder)
        self._listed: set[str] = set()

    def add(self, argument: str) -> None:
        """List what one argument stands for."""
        if argument == STDIN:
            self._put(Source(STDIN))
        elif _is_pattern(argument):
            before, start = len(self.problems), len(_fixed_part(argument))
            found = [self._add_path(match, start)[0] for match in _expand(*_split(argument))]
            if not any(found) and len(self.problems) == before:
                self._problem(argument, "no picture matches this pattern" if found else "nothing matches this pattern")
        else:
            before = len(self.problems)
            found_here, subfolders = self._add_path(argument, None)
            if not found_here and len(self.problems) == before:
                hint = "; its subfolders are searched with -r" if subfolders and not self._recursive else ""
                self._problem(argument, f"no pictures in this folder ({' '.join(PICTURE_SUFFIXES)}){hint}")

    def _add_path(self, path: str, start: int | None) -> tuple[int, int]:
        """List a file, or a folder's files: how many pictures there are, and how many subfolders."""
        if os.path.isdir(path):
            return self._add_folder(path, len(os.path.join(path, "")) if start is None else start)
        self._put(Source(path, len(path) - len(os.path.basename(path)) if start is None else start))
        return 1, 0

    def _add_folder(self, folder: str, start: int) -> tuple[int, int]:
        # The folder that was named itself is listed in any case.
        entered = {self._skip} - {_identity(folder)}
        waiting, found, subfolders = [folder], 0, 0
        while waiting:
            here = waiting.pop()
            if (identity := _identity(here)) in entered:
                continue
            entered.add(identity)
            try:
                files, folders = _entries(here)
            except OSError as error:
                self._problem(here, f"cannot list this folder: {error.strerror or error}")
                continue
            for file in files:
                self._put(Source(file, start))
            found, subfolders = found + len(files), subfolders + len(folders)
            if self._recursive:
                waiting += reversed(folders)
        return found, subfolders

    def _put(self, source: Source) -> None:
        key = source.path if source.is_stdin else os.path.normcase(os.path.abspath(source.path))
        if key not in self._listed:
            self._listed.add(key)
            self.sources.append(source)

    def _problem(self, path: str, text: str) -> None:
        self.problems.append(SourceError(f"{shown(path)}: {text}"))


def _identity(path: str) -> tuple[int, int] | str:
    """What tells one folder from another, by whatever name."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return os.path.abspath(path)
    return status.st_dev, status.st_ino


def _entries(folder: str) -> tuple[list[str], list[str]]:
    """Paths of the pictures and of the subfolders in a folder, sorted; OSError if it cannot be read."""
    files, folders = [], []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if _is(entry.is_dir):
                folders.append(entry.name)
            elif os.path.splitext(entry.name)[1].lower() in PICTURE_SUFFIXES and not _is_special(entry):
                files.append(entry.name)
    return _joined(folder, files), _joined(folder, folders)


def _joined(folder: str, names: list[str]) -> list[str]:
    return [os.path.join(folder, name) for name in sorted(names, key=natural_key)]


def _is(question: Callable[[], bool]) -> bool:
    try:
        return question()
    except OSError:  # a loop of links: is neither; reading it tells why
        return False


def _is_special(entry: os.DirEntry[str]) -> bool:
    """Whether reading could wait for ever: a pipe, a socket, a device. A link that leads nowhere is none."""
    try:
        return not stat.S_ISREG(entry.stat().st_mode)
    except OSError:
        return False


def _is_pattern(argument: str) -> bool:
    return bool(re.search(r"[*?[]", argument)) and not os.path.lexists(argument)


def _split(pattern: str) -> tuple[str, list[str]]:
    """Where a pattern starts, "" for here, and its parts."""
    drive, tail = os.path.splitdrive(pattern)
    rooted = re.match(_SEPARATORS, tail)
    return drive + (os.sep if rooted else ""), [part for part in re.split(_SEPARATORS, tail) if part]


def _fixed_part(pattern: str) -> str:
    """The folder that all matches of a pattern lie below, with its separator; "" for here."""
    base, parts = _split(pattern)
    for part in parts[:-1]:
        if re.search(r"[*?[]", part):
            break
        base = os.path.join(base, part)
    return os.path.join(base, "") if base else ""


def _expand(base: str, parts: list[str]) -> Iterator[str]:
    """The paths that match a pattern's parts below `base`, sorted."""
    if not parts:
        yield base
        return
    part, rest = parts[0], parts[1:]
    if part == "**":
        for folder in _folders_below(base):
            yield from _expand(folder, rest or ["*"])
    elif not re.search(r"[*?[]", part):
        path = os.path.join(base, part)
        if os.path.isdir(path) if rest else os.path.lexists(path):
            yield from _expand(path, rest)
    else:
        for name in sorted(fnmatch.filter(_names(base), part), key=natural_key):
            path = os.path.join(base, name)
            if (not name.startswith(".") or part.startswith(".")) and (not rest or os.path.isdir(path)):
                yield from _expand(path, rest)


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder or os.curdir)
    except OSError:  # as in a shell: what cannot be listed matches nothing
        return []


def _folders_below(base: str) -> Iterator[str]:
    """A folder and all below it, each entered once; hidden ones left out."""
    entered, waiting = set(), [base]
    while waiting:
        folder = waiting.pop()
        if (identity := _identity(folder or os.curdir)) in entered:
            continue
        entered.add(identity)
        yield folder
        paths = [os.path.join(folder, name) for name in sorted(_names(folder), key=natural_key, reverse=True)]
        waiting += [path for path in paths if not os.path.basename(path).startswith(".") and os.path.isdir(path)]
