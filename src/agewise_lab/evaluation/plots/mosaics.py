"""Small pictures of the best and the worst estimates, for the eyes of whoever holds the data set."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from matplotlib.axes import Axes

from agewise.errors import ImageError
from agewise.imaging import read_image
from agewise.types import UInt8Array
from agewise_lab.evaluation.plots.ages import with_ages
from agewise_lab.evaluation.plots.style import Canvas, Plot
from agewise_lab.evaluation.predictions import IntArray, Predictions

_SIDE = 56
_ROW = 10


def mosaic(name: str, table: Predictions, root: Path, place: int = 0) -> Plot | None:
    """The ten faces with the least and those with the largest error, 56 pixels wide, under them the ages."""
    faces = with_ages(table)
    if not len(faces):
        return None
    errors = np.abs(faces.years - faces.truth)
    order = np.argsort(errors, kind="stable")
    # Sorting by name among equals would show one age after the other: the best are drawn from the best fiftieth.
    pool = order[: max(_ROW, len(order) // 50)]
    best = pool[np.linspace(0, len(pool) - 1, min(_ROW, len(pool))).astype(np.int64)]
    worst = order[::-1][:_ROW]
    with Canvas(rows=2, columns=_ROW, width=8.6, height=2.9) as canvas:
        for row, (heading, chosen) in enumerate((("among the best", best), ("the worst", worst))):
            axes = canvas.axes[row * _ROW : (row + 1) * _ROW]
            _fill(axes, faces, chosen, root)
            axes[0].set_title(heading, fontsize=9)
        drawn = canvas.plot(
            name=f"mosaic-{place}",
            title=f"Among the best, and the worst: {name}",
            caption="Under each face: true age → estimate, years. Research pictures: do not pass this section on.",
            wide=True,
        )
        return Plot(name=drawn.name, title=drawn.title, caption=drawn.caption, png=drawn.png, wide=True)


def _fill(axes: list[Axes], faces: Predictions, chosen: IntArray, root: Path) -> None:
    for i, one in enumerate(axes):
        one.set_xticks([])
        one.set_yticks([])
        one.grid(False)
        one.spines[:].set_visible(False)
        if i < len(chosen):
            row = chosen[i]
            one.imshow(_thumbnail(_picture(root, str(faces.name[row]))))
            one.set_xlabel(f"{faces.truth[row]:.0f} → {faces.years[row]:.0f}", fontsize=9)


def _picture(root: Path, name: str) -> Path:
    """The picture of a face; "a.jpg#2" is the second face of a.jpg, which is shown whole."""
    path = root / name
    return path if path.exists() else root / name.rpartition("#")[0]


def _thumbnail(path: Path) -> UInt8Array:
    try:
        image = read_image(path)
    except ImageError:
        return np.full((_SIDE, _SIDE, 3), 200, dtype=np.uint8)
    side = min(image.shape[:2])
    top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
    square = image[top : top + side, left : left + side]
    return np.asarray(cv2.resize(square, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA), dtype=np.uint8)
