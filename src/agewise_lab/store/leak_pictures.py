"""The pictures of a leak report, for the eyes of whoever asked: written only where told, never committed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from agewise._files import atomic_write
from agewise.types import UInt8Array
from agewise_lab.store.leaks import Conflict, Faces, Leaks
from agewise_lab.store.mosaics import faces_of, html_page, html_table, image_tag, mosaic, write_png

_MOST = 60  # groups or pairs a section shows


def _tiles(faces: Faces, rows: Sequence[int]) -> tuple[list[UInt8Array], list[str]]:
    """The crops of some faces of any of the databases, and their labels."""
    out: dict[int, UInt8Array] = {}
    chosen = np.asarray(rows, dtype=np.int64)
    for i, folder in enumerate(faces.folders):
        here = chosen[faces.database[chosen] == i]
        if len(here):
            out |= dict(zip(here.tolist(), faces_of(folder, faces.row[here]), strict=True))
    return [out[int(row)] for row in chosen], [label(faces, int(row)) for row in chosen]


def label(faces: Faces, row: int) -> str:
    """A face's age and gender in a few characters: `35 f`."""
    age = "?" if np.isnan(faces.age_years[row]) else f"{faces.age_years[row]:g}"
    gender = {1.0: "f", 0.0: "m"}.get(float(faces.is_female[row]), "?")
    return f"{age} {gender}"


def conflict_page(leaks: Leaks, conflicts: Sequence[Conflict]) -> UInt8Array:
    """Groups that disagree, up to six faces of each side by side: uint8 RGB."""
    tiles, captions = _tiles(leaks.faces, [row for conflict in conflicts for row in conflict.members[:6]])
    return _strips(tiles, captions, [min(len(conflict.members), 6) for conflict in conflicts])


def write_pictures(leaks: Leaks, folder: Path) -> Path:
    """Write `leaks.html`, which holds its pictures, and the pictures as PNG beside it; returns the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    names = ", ".join(str(path) for path in leaks.faces.folders)
    parts = [f"<p class=note>{leaks.groups} groups of near-duplicates hold {leaks.grouped} faces.</p>"]
    if leaks.conflicts:
        shown = leaks.conflicts[:_MOST]
        parts.append(f"<h2>Near-duplicates that disagree: {len(leaks.conflicts)} groups</h2>")
        parts.append(f"<p class=note>The {len(shown)} widest; up to six of each group side by side.</p>")
        parts.append(image_tag(write_png(folder / "conflicts.png", conflict_page(leaks, shown)), "conflicts"))
    for number, crossing in enumerate(c for c in leaks.crossings if c.touched):
        parts.append(
            f"<h2>{crossing.touched} of {crossing.faces} faces of {crossing.measured} have a {crossing.kind} "
            f"in {crossing.trained}</h2>"
        )
        pairs = crossing.examples[:_MOST]
        tiles, captions = _tiles(leaks.faces, [row for pair in pairs for row in pair])
        page = _strips(tiles, captions, [2] * len(pairs))
        parts.append(image_tag(write_png(folder / f"crossing-{number}.png", page), crossing.kind))
        listed = [(str(leaks.faces.name[a]), str(leaks.faces.name[b])) for a, b in pairs]
        parts.append(html_table((crossing.measured, crossing.trained), listed))
    with atomic_write(folder / "leaks.html") as file:
        file.write(html_page(f"Leaks in {names}", parts))
    return folder / "leaks.html"


def _strips(tiles: Sequence[UInt8Array], captions: Sequence[str], lengths: Sequence[int]) -> UInt8Array:
    """Groups of tiles one after the other on rows of ten, a group never broken over two rows."""
    blank = np.full_like(tiles[0], 255)
    out, words, start = [], [], 0
    for length in lengths:
        room = 10 - len(out) % 10
        gap = room if room < length else 0
        out += [blank] * gap + list(tiles[start : start + length])
        words += [""] * gap + list(captions[start : start + length])
        if len(out) % 10:
            out.append(blank)
            words.append("")
        start += length
    return mosaic(out, words, 10)
