"""Pages of small faces with a caption each, as PNG, and HTML that holds its pictures itself."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from agewise._files import atomic_write
from agewise.types import UInt8Array
from agewise_lab.store.database import some_pictures
from agewise_lab.store.manifest import read_manifest
from agewise_lab.store.schema import decode

TILE = 96
_CAPTION = 16
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1b1b1b; background: #fff; max-width: 62rem; margin: 2rem auto;
  padding: 0 1rem }
h1 { font-size: 1.7rem; margin-bottom: .2rem } h2 { font-size: 1.2rem; margin-top: 2.2rem }
p.note { color: #555; margin-top: .2rem }
table { border-collapse: collapse; margin: .6rem 0; font-variant-numeric: tabular-nums }
th, td { padding: .2rem .8rem .2rem 0; text-align: left; border-bottom: 1px solid #ddd; vertical-align: top }
th { color: #555; font-weight: 600 } td.n, th.n { text-align: right }
td { overflow-wrap: anywhere }
img { max-width: 100%; height: auto; display: block; margin: .4rem 0 }
.warn { background: #fff4d6; padding: .5rem .8rem; border-left: 4px solid #e0a800 }
"""


def faces_of(folder: Path, rows: Sequence[int] | npt.NDArray[np.int64]) -> list[UInt8Array]:
    """Some faces' crops, uint8 RGB (96, 96, 3): as the data set frames them where the database has that."""
    column = "aligned" if read_manifest(folder).settings.crops == "aligned" else "whole"
    pictures = some_pictures(folder, np.asarray(rows, dtype=np.int64), column)
    out = []
    for data in pictures:
        assert data is not None, "every face has the crop that its database is made of"
        crop = decode(data)
        way = cv2.INTER_AREA if crop.shape[0] > TILE else cv2.INTER_LINEAR
        out.append(np.asarray(cv2.resize(crop, (TILE, TILE), interpolation=way), dtype=np.uint8))
    return out


def mosaic(tiles: Sequence[UInt8Array], captions: Sequence[str], columns: int) -> UInt8Array:
    """One picture of all tiles, each over its caption (ASCII, some 15 characters): uint8 RGB."""
    rows = -(-len(tiles) // columns)
    page = np.full((max(rows, 1) * (TILE + _CAPTION), columns * TILE, 3), 255, dtype=np.uint8)
    for i, (tile, caption) in enumerate(zip(tiles, captions, strict=True)):
        top, left = i // columns * (TILE + _CAPTION), i % columns * TILE
        page[top : top + TILE, left : left + TILE - 2] = tile[:, : TILE - 2]
        where = (left + 2, top + TILE + 11)
        cv2.putText(page, caption, where, cv2.FONT_HERSHEY_SIMPLEX, 0.36, (20, 20, 20), 1, cv2.LINE_AA)
    return page


def write_png(path: Path, image_rgb: UInt8Array) -> bytes:
    """Write a picture; returns the file's bytes."""
    done, data = cv2.imencode(".png", image_rgb[:, :, ::-1])
    assert done, "OpenCV encodes every uint8 array"
    with atomic_write(path) as file:
        file.write(bytes(data))
    return bytes(data)


def image_tag(png: bytes, text: str) -> str:
    """An HTML image that holds its own bytes."""
    return f'<img alt="{html.escape(text)}" src="data:image/png;base64,{base64.b64encode(png).decode()}">'


def html_table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """An HTML table; columns of numbers are aligned right."""
    right = [bool(rows) and all(isinstance(row[i], int | float) for row in rows) for i in range(len(head))]

    def line(cells: Sequence[object], tag: str) -> str:
        texts = [html.escape(f"{cell:g}" if isinstance(cell, float) else str(cell)) for cell in cells]
        shown = [f"<{tag}{' class=n' if r else ''}>{text}</{tag}>" for text, r in zip(texts, right, strict=True)]
        return f"<tr>{''.join(shown)}</tr>"

    return f"<table>{line(head, 'th')}{''.join(line(row, 'td') for row in rows)}</table>"


def html_page(title: str, parts: Sequence[str]) -> bytes:
    """A whole page without anything from elsewhere."""
    name = html.escape(title)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{name}</title><style>{_STYLE}</style>'
        f"<body><h1>{name}</h1>{''.join(parts)}</body></html>\n"
    ).encode()
