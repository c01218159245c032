"""Plots of estimated ages: against the true ones, errors by age, and how many are how near."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.colors import LogNorm

from agewise.types import FloatArray
from agewise_lab.evaluation.plots.style import DENSITY, INK, Canvas, Plot, line_look, look
from agewise_lab.evaluation.predictions import Predictions

_STEP = 5  # years a bin of true age
_LEAST = 5  # faces that a bin needs to be drawn


def with_ages(table: Predictions) -> Predictions:
    """The faces that have both an age and an estimate in years."""
    return table.select(np.isfinite(table.years) & np.isfinite(table.truth))


def _limit(*values: FloatArray) -> float:
    """The end of an axis of ages: the next multiple of 10 above all values, 20 at least and 125 at most."""
    highest = max((float(part.max()) for part in values if len(part)), default=20.0)
    return float(np.clip(np.ceil(highest / 10 + 1e-9) * 10, 20, 125))


def density(name: str, table: Predictions, place: int = 0) -> Plot | None:
    """Estimated against true age: how many faces a square of two years, and quantiles along the true age."""
    faces = with_ages(table)
    if not len(faces):
        return None
    end = _limit(faces.truth, faces.years)
    edges = np.arange(0, end + 2, 2)
    counts, _, _ = np.histogram2d(faces.truth, np.clip(faces.years, 0, end), bins=(edges, edges))
    with Canvas(width=5.6, height=4.8) as canvas:
        axes = canvas.axes[0]
        shown = np.ma.masked_equal(counts.T, 0)
        mesh = axes.pcolormesh(
            edges, edges, shown, cmap=DENSITY, norm=LogNorm(1, max(2, counts.max())), rasterized=True
        )
        canvas.figure.colorbar(mesh, ax=axes, label="faces in a square of 2 × 2 years")
        axes.plot([0, end], [0, end], color=INK, linewidth=1, linestyle=":", label="estimate = truth")
        middle, quantiles = _quantiles(faces)
        if len(middle):
            axes.plot(middle, quantiles[1], color="#D55E00", linewidth=2, label="median")
            for side, label in ((0, "10 % and 90 %"), (2, None)):
                axes.plot(middle, quantiles[side], color="#D55E00", linewidth=1.2, linestyle="--", label=label)
        axes.set(xlim=(0, end), ylim=(0, end), xlabel="true age, years", ylabel="estimated age, years", title=name)
        axes.set_aspect("equal")
        axes.legend(loc="upper left")
        return canvas.plot(
            name=f"density-{place}",
            title=f"Estimated against true age: {name}",
            caption=f"n = {len(faces):,} faces. Above the dotted line: too old. Colours are on a logarithmic scale.",
        )


def _quantiles(faces: Predictions) -> tuple[FloatArray, FloatArray]:
    """Middles of bins of true age with enough faces, and the estimates' 10, 50 and 90 % quantiles (3, bins)."""
    bins = (faces.truth // _STEP).astype(np.int64)
    kept = [i for i in np.unique(bins) if (bins == i).sum() >= _LEAST]
    quantiles = [np.quantile(faces.years[bins == i], [0.1, 0.5, 0.9]) for i in kept]
    middles = [float(faces.truth[bins == i].mean()) for i in kept]
    return np.array(middles), np.array(quantiles).reshape(-1, 3).T


def errors_by_age(tables: Mapping[str, Predictions]) -> Plot | None:
    """Mean absolute error, and mean signed error, by bins of five years of true age, all models on one figure."""
    parts = {name: with_ages(table) for name, table in tables.items()}
    parts = {name: faces for name, faces in parts.items() if len(faces)}
    if not parts:
        return None
    with Canvas(rows=2, width=6.6, height=6.0, sharex=True) as canvas:
        above, below = canvas.axes
        for place, (name, faces) in enumerate(parts.items()):
            errors = faces.years - faces.truth
            for axes, values in ((above, np.abs(errors)), (below, errors)):
                middle, mean, reach = _means(faces.truth, values)
                axes.plot(middle, mean, label=name, markersize=4, linewidth=1.6, **look(place))
                axes.fill_between(middle, mean - reach, mean + reach, color=look(place)["color"], alpha=0.1, lw=0)
        above.set(ylabel="mean absolute error, years", ylim=(0, None), title="How far off")
        below.axhline(0, color=INK, linewidth=1)
        below.set(ylabel="mean error, years", xlabel="true age, years", title="Too old (above 0) or too young (below)")
        above.legend(loc="best")
        return canvas.plot(
            name="error-by-age",
            title="Error by age",
            caption=f"{_counts(parts)}. Bins of {_STEP} years of true age with at least {_LEAST} faces, drawn at their "
            "mean age. Bands: 95 % by the normal law, faces taken as independent.",
        )


def _means(truth: FloatArray, values: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Mean age, mean value and half the 95 % interval's width of each bin that has enough faces."""
    bins = (truth // _STEP).astype(np.int64)
    count = np.bincount(bins)
    kept = count >= _LEAST
    with np.errstate(invalid="ignore", divide="ignore"):
        age = np.bincount(bins, weights=truth) / count
        mean = np.bincount(bins, weights=values) / count
        variance = np.maximum(np.bincount(bins, weights=values**2) / count - mean**2, 0)
        reach = 1.96 * np.sqrt(variance / np.maximum(count - 1, 1))
    return age[kept], mean[kept], reach[kept]


def cumulative_scores(tables: Mapping[str, Predictions], most: int = 20) -> Plot | None:
    """CS: the share of faces at most so many years off, all models on one figure."""
    parts = {name: with_ages(table) for name, table in tables.items()}
    parts = {name: faces for name, faces in parts.items() if len(faces)}
    if not parts:
        return None
    years = np.arange(0, most + 0.25, 0.25)
    with Canvas() as canvas:
        axes = canvas.axes[0]
        for place, (name, faces) in enumerate(parts.items()):
            errors = np.sort(np.abs(faces.years - faces.truth))
            share = np.searchsorted(errors, years + 1e-9, side="right") / len(errors)
            axes.plot(years, 100 * share, label=name, **line_look(place))
        axes.set(xlim=(0, most), ylim=(0, 100), xlabel="error of at most, years", ylabel="share of faces, %")
        axes.set_title("Cumulative score")
        axes.legend(loc="lower right")
        return canvas.plot(
            name="cumulative-score",
            title="Cumulative errors (CS curve)",
            caption=f"{_counts(parts)}. The higher a curve, the more faces are near the truth.",
        )


def _counts(parts: Mapping[str, Predictions]) -> str:
    """ "n = 1,293 faces", or one number a model where they differ."""
    counts = {len(faces) for faces in parts.values()}
    if len(counts) == 1:
        return f"n = {counts.pop():,} faces"
    return "Faces: " + ", ".join(f"{name} {len(faces):,}" for name, faces in parts.items())
