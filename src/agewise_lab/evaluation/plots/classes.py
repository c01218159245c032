"""Confusion matrices: of gender, and of age bands or of a protocol's age classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from agewise_lab.evaluation.measures import AGE_BANDS, band_of, confusion
from agewise_lab.evaluation.plots.style import INK, Canvas, Plot
from agewise_lab.evaluation.predictions import IntArray, Predictions


def _matrix(
    counts: IntArray, labels: Sequence[str], *, name: str, title: str, heading: str, axis: str, caption: str
) -> Plot:
    """Rows are the truth; colours and numbers are shares of a row, the count stands at the row's end."""
    totals = counts.sum(axis=1, keepdims=True)
    shares = counts / np.maximum(totals, 1)
    many = len(labels) > 3
    with Canvas(width=6.4 if many else 4.2, height=5.2 if many else 3.4) as canvas:
        axes = canvas.axes[0]
        axes.grid(False)
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for (row, column), share in np.ndenumerate(shares):
            if counts[row, column]:
                text = f"{100 * share:.0f}" if share >= 0.005 else "<1"
                axes.text(
                    column,
                    row,
                    text,
                    ha="center",
                    va="center",
                    fontsize=9,
                    color="white" if share > 0.55 else INK,
                )
        gap = " " if many else "\n"
        ticks = [f"{label}{gap}({int(total):,})" for label, total in zip(labels, totals[:, 0], strict=True)]
        axes.set_xticks(range(len(labels)), labels, rotation=45 if many else 0, ha="right" if many else "center")
        axes.set_yticks(range(len(labels)), ticks)
        axes.set(xlabel=f"estimated {axis}", ylabel=f"true {axis} (faces)", title=heading)
        return canvas.plot(name=name, title=title, caption=caption)


def gender_confusion(name: str, table: Predictions, place: int = 0) -> Plot | None:
    """Which label the model gives to faces of which label."""
    faces = table.select(np.isfinite(table.female_probability) & np.isfinite(table.is_female))
    if not len(faces):
        return None
    estimates = np.where(faces.female_probability >= 0.5, 0, 1)
    truths = np.where(faces.is_female >= 0.5, 0, 1)
    return _matrix(
        confusion(estimates, truths, 2),
        ("female", "male"),
        name=f"confusion-gender-{place}",
        title=f"Gender labels: {name}",
        heading=name,
        axis="label",
        caption=f"n = {len(faces):,} faces. Per cent of each row.",
    )


def band_confusion(name: str, table: Predictions, place: int = 0) -> Plot | None:
    """Which age band the estimate falls into, for faces of each age band."""
    faces = table.select(np.isfinite(table.years) & np.isfinite(table.truth))
    if not len(faces):
        return None
    labels = [label for label, _, _ in AGE_BANDS]
    return _matrix(
        confusion(band_of(np.maximum(faces.years, 0)), band_of(faces.truth), len(labels)),
        labels,
        name=f"confusion-ages-{place}",
        title=f"Age bands: {name}",
        heading=name,
        axis="age band, years",
        caption=f"n = {len(faces):,} faces. Per cent of each row. Bands differ in width: a miss by one band is a few "
        "years at 17 and many at 50.",
    )


def class_confusion(
    name: str, truths: IntArray, estimates: IntArray, labels: Sequence[str], place: int = 0
) -> Plot | None:
    """Which of a protocol's classes the model gives, -1 where a label or an estimate is not there."""
    known = (truths >= 0) & (estimates >= 0)
    if not known.any():
        return None
    return _matrix(
        confusion(estimates[known], truths[known], len(labels)),
        labels,
        name=f"confusion-classes-{place}",
        title=f"Age classes: {name}",
        heading=name,
        axis="class, years",
        caption=f"n = {int(known.sum()):,} faces. Per cent of each row.",
    )
