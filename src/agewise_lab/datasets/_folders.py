"""Folders as readers see them: what lies in them, and how they differ from what was expected."""

from __future__ import annotations

import contextlib
import itertools
import os
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path

from agewise._files import shown
from agewise_lab.datasets.base import LayoutError

PICTURES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})
_MOST_SHOWN = 14
_MOST_SEARCHED = 200


def require_folder(title: str, root: Path) -> None:
    """Raise `LayoutError` unless `root` is a folder."""
    if not root.is_dir():
        raise LayoutError(f"{title}: {shown(root)} is no folder; expected the folder that the data set was unpacked to")


def wrong_layout(
    title: str, root: Path, expected_layout: str, missing: str, is_root: Callable[[Path], bool] | None = None
) -> LayoutError:
    """The error of a folder that is not as expected: the expected tree beside what was found.

    Args:
        title: the data set's name.
        root: the folder.
        expected_layout: the reader's.
        missing: what was looked for in vain.
        is_root: says whether a folder is the right one: if one inside `root` is, the message names it.
    """
    left = ["expected", *expected_layout.strip("\n").splitlines()]
    right = ["found", f"{shown(root.name or root)}/", *(f"  {line}" for line in _entries(root))]
    width = max(map(len, left)) + 3
    pairs = [
        (left[i] if i < len(left) else "", right[i] if i < len(right) else "")
        for i in range(max(len(left), len(right)))
    ]
    lines = [f"{title}: {shown(root)} is not laid out as expected: {missing}."]
    lines += [f"  {a.ljust(width)}{b}".rstrip() for a, b in pairs]
    nested = _nested(root, is_root) if is_root is not None else None
    if nested is not None:
        lines.append(f"  It seems to lie in {shown(nested)}: give that folder.")
    return LayoutError("\n".join(lines))


def _entries(root: Path) -> list[str]:
    with os.scandir(root) as found:
        names = sorted(shown(entry.name) + ("/" if entry.is_dir() else "") for entry in found)
    if not names:
        return ["(nothing)"]
    rest = len(names) - _MOST_SHOWN
    return names if rest <= 1 else [*names[:_MOST_SHOWN], f"… and {rest:,} more"]


def _nested(root: Path, is_root: Callable[[Path], bool]) -> Path | None:
    """The first folder up to two levels below `root` that is the right one."""
    level = [root]
    for _ in range(2):
        level = [child for folder in level for child in _subfolders(folder)][:_MOST_SEARCHED]
        for folder in level:
            with contextlib.suppress(OSError):  # a hint is not worth an error
                if is_root(folder):
                    return folder
    return None


def _subfolders(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as found:
            return sorted(Path(entry.path) for entry in found if entry.is_dir(follow_symlinks=False))
    except OSError:
        return []


def walk_pictures(root: Path, suffixes: frozenset[str] = PICTURES) -> Iterator[str]:
    """Paths of all pictures below `root`, relative to it, "/" between their parts, in the order of names.

    Hidden files (`._name` of macOS too) and folders are left out. Links to folders are followed, but not back into
    a folder that they lie in. Links to nowhere count: their records are dropped where they are collected.
    """
    yield from _walk(root, suffixes, frozenset())


def _walk(folder: Path, suffixes: frozenset[str], above: frozenset[tuple[int, int]]) -> Iterator[str]:
    state = os.stat(folder)
    here = (state.st_dev, state.st_ino)
    if here in above:
        return
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        if entry.name.startswith(".") or entry.name == "__MACOSX":
            continue
        if entry.is_dir():
            for below in _walk(Path(entry.path), suffixes, above | {here}):
                yield f"{entry.name}/{below}"
        elif os.path.splitext(entry.name)[1].lower() in suffixes:
            yield entry.name


def any_picture(folder: Path, is_one: Callable[[str], bool]) -> bool:
    """Whether one of the first pictures below the folder has a name (without its folders) that passes."""
    paths = itertools.islice(walk_pictures(folder), _MOST_SEARCHED)
    return any(is_one(path.rpartition("/")[2]) for path in paths)


class FileIndex:
    """Which files lie below a folder. Each folder is listed once: 460,723 questions cost no 460,723 looks at a disk.

    Args:
        root: the folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folders: dict[str, dict[str, str]] = {}

    def find(self, path: str) -> str | None:
        """The path as the disk has it, or None where no such file is; links to nowhere are no files.

        Names that differ by Unicode's normal form only (é as one character or two) are the same.
        """
        folder, _, name = path.rpartition("/")
        names = self._names(folder)
        actual = names.get(name) or names.get(_composed(name))
        if actual is None:
            return None
        if actual == name:
            return path
        return f"{folder}/{actual}" if folder else actual

    def _names(self, folder: str) -> dict[str, str]:
        """Names, and their composed forms, to names."""
        if folder not in self._folders:
            try:
                with os.scandir(self._root / folder) as found:
                    names = [entry.name for entry in found if entry.is_file()]
            except OSError:
                names = []
            composed = {_composed(name): name for name in names if not name.isascii()}
            self._folders[folder] = {**composed, **{name: name for name in names}}
        return self._folders[folder]


def _composed(name: str) -> str:
    return name if name.isascii() else unicodedata.normalize("NFC", name)
