"""A database at a glance: one HTML file that holds its pictures, and the pictures as PNG beside it.

It shows research faces, so it belongs into a folder that is never committed.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from agewise._files import atomic_write
from agewise.estimate import Estimator
from agewise.types import Detection
from agewise_lab.store.crops import CropStore, open_labels
from agewise_lab.store.database import read_pictures
from agewise_lab.store.leak_pictures import conflict_page
from agewise_lab.store.leaks import Leaks, find_leaks
from agewise_lab.store.manifest import Manifest, read_manifest
from agewise_lab.store.mosaics import faces_of, html_page, html_table, image_tag, mosaic, write_png
from agewise_lab.store.saved_splits import read_split, split_names
from agewise_lab.store.schema import decode
from agewise_lab.store.split import PARTS

_FEMALE, _MALE, _UNKNOWN, _PLAIN = "#b5446e", "#2f6690", "#9a9a9a", "#3f7d58"
_DECADES = 11
_A_ROW = 10
_SUSPICIOUS = 40

FloatArray = npt.NDArray[np.float32]


def write_look(folder: Path, output: Path, *, model: str | None = None, seed: int = 0) -> Path:
    """Write the report of a database; returns the page's path.

    Args:
        folder: the database.
        output: the folder for `report.html` and its pictures; made if need be.
        model: an embedded model's name or a file: shows the faces whose label is farthest from its estimate.
            One that has learned these very labels is less surprised by wrong ones.
        seed: of the faces that are shown at random.

    Raises:
        FileNotFoundError: the folder is no database.
        ValueError: one of another version.
        ModelError: the model cannot be read.
    """
    manifest, store = read_manifest(folder), open_labels(folder)
    estimator = None if model is None else Estimator(model)
    output.mkdir(parents=True, exist_ok=True)
    leaks = find_leaks([folder])
    parts = _summary(manifest, store, leaks)
    for name, title, height, draw in _plots(folder, store):
        parts.append(f"<h2>{title}</h2>{image_tag(_plot(output / f'{name}.png', height, draw), title)}")
    parts += _conflicts(output, leaks)
    parts += _random_faces(folder, output, store, seed)
    if estimator is not None:
        parts += _surprises(folder, output, store, estimator, manifest)
    with atomic_write(output / "report.html") as file:
        file.write(html_page(f"{manifest.settings.dataset}: {manifest.rows:,} faces", parts))
    return output / "report.html"


# ---------------------------------------------------------------- tables


def _summary(manifest: Manifest, store: CropStore, leaks: Leaks) -> list[str]:
    settings = manifest.settings
    ages = store.age_years[~np.isnan(store.age_years)]
    span = f"{ages.min():g} to {ages.max():g}, median {np.median(ages):g}" if len(ages) else "none"
    classes = int((np.isnan(store.age_years) & ~np.isnan(store.age_low_years)).sum())
    subjects = len(set(store.subject.tolist()) - {""})
    facts = [
        ("database", manifest.digest),
        ("crops", f"{settings.crops}, {settings.side} px, framed as {settings.framing}"),
        ("faces", f"{manifest.rows:,} of {manifest.records:,} records"),
        ("found by the detector", f"{store.found.sum():,} ({store.found.mean():.1%})"),
        ("ages in years", span),
        ("with a class of ages only", f"{classes:,}"),
        ("subjects", f"{subjects:,}" if subjects else "unknown"),
        ("near-duplicates", f"{leaks.grouped:,} faces in {leaks.groups:,} groups, {len(leaks.conflicts):,} disagree"),
    ]
    parts = [] if manifest.complete else ["<p class=warn>The build of this database is not finished.</p>"]
    parts.append(html_table(("", ""), facts))
    parts.append("<h2>Dropped</h2>")
    if manifest.dropped:
        parts.append(html_table(("reason", "records"), list(manifest.dropped.items())))
        parts.append("<p class=note>Each is named in the database's <code>drops.json</code>.</p>")
    else:
        parts.append("<p>Nothing was dropped.</p>")
    return parts


# ---------------------------------------------------------------- plots


_Plot: TypeAlias = tuple[str, str, float, Callable[[Any], None]]
"""(file, title, height in inches, what draws it into axes)."""


def _plot(path: Path, height: float, draw: Callable[[Any], None]) -> bytes:
    """Draw into axes of a figure of its own, without matplotlib's global state; returns the PNG's bytes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, height), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    draw(axes)
    axes.spines[["top", "right"]].set_visible(False)
    stream = io.BytesIO()
    # No date inside, so that the same database gives the same file.
    figure.savefig(stream, format="png", metadata={"Software": None})
    with atomic_write(path) as file:
        file.write(stream.getvalue())
    return stream.getvalue()


def _plots(folder: Path, store: CropStore) -> list[_Plot]:
    """The plots that the labels allow."""
    out: list[_Plot] = []
    middle = (store.age_low_years + store.age_high_years) / 2
    ages, is_female = np.where(np.isnan(store.age_years), middle, store.age_years), store.is_female
    if not np.isnan(ages).all():
        out.append(("ages", "Faces by age", 3.4, lambda axes: _ages(axes, ages, is_female)))
        out.append(("ages-by-gender", "Ages by gender", 3.4, lambda axes: _ages_by_gender(axes, ages, is_female)))
    genders = np.select([is_female == 1, is_female == 0], ["female", "male"], "unknown")
    out.append(_counts("genders", "Faces by gender label", genders))
    groups = np.where(store.group_name == "", "unknown", store.group_name)
    if set(groups.tolist()) != {"unknown"}:
        out.append(_counts("groups", "Faces by group label", groups))
    if names := split_names(folder):
        out.append(("splits", "Faces by split", _height(len(names)) + 0.3, lambda axes: _splits(axes, folder, names)))
    if store.found.any():
        out.append(("scores", "Detector scores", 3.4, lambda axes: _scores(axes, store.score[store.found])))
    if not np.isnan(store.face_side_px).all():
        sides, sharpness = store.face_side_px, store.sharpness
        out.append(("sizes", "Sides of the faces in their pictures", 3.4, lambda axes: _sizes(axes, sides)))
        out.append(("sharpness", "Sharpness of the crops", 3.4, lambda axes: _sharpness(axes, sharpness)))
    return out


def _counts(name: str, title: str, words: npt.NDArray[np.str_]) -> _Plot:
    """Bars of how often each word stands there, the most frequent 25."""
    values, counts = np.unique(words, return_counts=True)
    shown = np.argsort(-counts, kind="stable")[:25]
    return name, title, _height(len(shown)), lambda axes: _bars(axes, values[shown].tolist(), counts[shown].tolist())


def _height(bars: int) -> float:
    return 0.9 + 0.33 * bars


def _ages(axes: Any, ages: FloatArray, is_female: FloatArray) -> None:
    edges = np.arange(0, max(float(np.nanmax(ages)), 1) + 2) - 0.5
    parts = [ages[is_female == 1], ages[is_female == 0], ages[np.isnan(is_female)]]
    names, colours = ["female", "male", "unknown gender"], [_FEMALE, _MALE, _UNKNOWN]
    kept = [i for i, part in enumerate(parts) if len(part)]
    axes.hist(
        [parts[i][~np.isnan(parts[i])] for i in kept],
        bins=edges,
        stacked=True,
        label=[names[i] for i in kept],
        color=[colours[i] for i in kept],
    )
    axes.set(xlabel="age in years", ylabel="faces", xlim=(-0.5, edges[-1]))
    axes.legend(frameon=False)


def _ages_by_gender(axes: Any, ages: FloatArray, is_female: FloatArray) -> None:
    """Shares of each gender's own faces, so that unequal numbers do not hide unequal ages."""
    edges = np.arange(0, max(float(np.nanmax(ages)), 1) + 5, 5)
    for name, code, colour in (("female", 1, _FEMALE), ("male", 0, _MALE)):
        part = ages[(is_female == code) & ~np.isnan(ages)]
        if len(part):
            share = np.histogram(part, bins=edges)[0] / len(part)
            axes.stairs(100 * share, edges, color=colour, linewidth=2, label=f"{name}: median {np.median(part):g}")
    axes.set(xlabel="age in years, in steps of five", ylabel="% of the gender's faces", xlim=(0, edges[-1]))
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False)


def _bars(axes: Any, names: Sequence[str], counts: Sequence[int]) -> None:
    places = np.arange(len(names))
    bars = axes.barh(places, counts, color=_PLAIN)
    axes.bar_label(bars, [f"{count:,}" for count in counts], padding=3)
    axes.set_yticks(places, names)
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.set_xlabel("faces")


def _splits(axes: Any, folder: Path, names: Sequence[str]) -> None:
    left = np.zeros(len(names))
    splits = [read_split(folder, name) for name in names]
    for part, colour in zip(PARTS, (_MALE, "#e0a800", _FEMALE), strict=True):
        counts = np.array([len(getattr(saved.split, part)) for saved in splits])
        bars = axes.barh(names, counts, left=left, color=colour, label=part)
        axes.bar_label(bars, [f"{count:,}" if count else "" for count in counts], label_type="center", color="white")
        left = left + counts
    axes.invert_yaxis()
    axes.set_xlabel("faces")
    axes.legend(frameon=False, ncols=3, loc="lower right", bbox_to_anchor=(1, 1))


def _scores(axes: Any, scores: FloatArray) -> None:
    axes.hist(scores, bins=np.linspace(float(scores.min()), 1, 60), color=_PLAIN)
    axes.set(xlabel="detector score of the faces that were found", ylabel="faces (logarithmic)", yscale="log")


def _sizes(axes: Any, sides_px: FloatArray) -> None:
    most = float(np.percentile(sides_px, 99.5))
    axes.hist(np.minimum(sides_px, most), bins=60, color=_PLAIN)
    axes.set(xlabel=f"pixels (all above {most:.0f} in the last bar)", ylabel="faces")


def _sharpness(axes: Any, sharpness: FloatArray) -> None:
    low, high = (max(float(edge), 1e-2) for edge in (sharpness.min(), sharpness.max()))
    axes.hist(np.maximum(sharpness, low), bins=np.geomspace(low, max(high, low * 2), 60), color=_PLAIN)
    axes.set(xlabel="variance of the Laplacian (logarithmic)", ylabel="faces", xscale="log")


# ---------------------------------------------------------------- faces


def _caption(store: CropStore, row: int) -> str:
    age = store.age_years[row]
    low, high = store.age_low_years[row], store.age_high_years[row]
    years = f"{age:g}" if not np.isnan(age) else "?" if np.isnan(low) else f"{low:g}-{high:g}"
    return f"{years} {({1.0: 'f', 0.0: 'm'}).get(float(store.is_female[row]), '?')}"


def _conflicts(output: Path, leaks: Leaks) -> list[str]:
    if not leaks.conflicts:
        return []
    shown = leaks.conflicts[:_SUSPICIOUS]
    png = write_png(output / "conflicts.png", conflict_page(leaks, shown))
    about = f"The {len(shown)} widest of {len(leaks.conflicts):,} groups: the same photo, other labels."
    return [f"<h2>Near-duplicates that disagree</h2><p class=note>{about}</p>", image_tag(png, "conflicts")]


def _random_faces(folder: Path, output: Path, store: CropStore, seed: int) -> list[str]:
    """A row of random faces for each decade of age."""
    rng = np.random.default_rng(seed)
    middle = (store.age_low_years + store.age_high_years) / 2
    ages = np.where(np.isnan(store.age_years), middle, store.age_years)
    decades = np.clip(np.nan_to_num(ages, nan=-10) // 10, -1, _DECADES - 1)
    parts = ["<h2>Random faces by decade of age</h2>"]
    for decade in range(-1, _DECADES):
        members = np.flatnonzero(decades == decade)
        if len(members):
            rows = np.sort(rng.choice(members, min(len(members), _A_ROW), replace=False))
            name = "age unknown" if decade < 0 else f"{10 * decade} to {10 * decade + 9} years"
            name = f"{10 * decade} years and more" if decade == _DECADES - 1 else name
            page = mosaic(faces_of(folder, rows), [_caption(store, row) for row in rows], _A_ROW)
            png = write_png(output / f"faces-{'unknown' if decade < 0 else f'{10 * decade:03d}'}.png", page)
            parts.append(f"<p>{name} ({len(members):,})</p>{image_tag(png, name)}")
    return parts


def estimates(folder: Path, estimator: Estimator, manifest: Manifest) -> npt.NDArray[np.float64]:
    """The model's estimate of each face's age in years, from the stored crop that it would see: float64 (n,)."""
    kind = "aligned" if manifest.settings.crops == "aligned" else "whole"
    side = float(manifest.settings.side)
    whole = Detection((0.0, 0.0, side, side), 1.0, is_crop=True)
    out = []
    for pictures in read_pictures(folder):
        data = pictures["aligned"] or pictures[kind]
        assert data is not None
        (prediction,) = estimator(decode(data), [whole])
        out.append(prediction.age_years)
    return np.array(out)


def _surprises(folder: Path, output: Path, store: CropStore, estimator: Estimator, manifest: Manifest) -> list[str]:
    """The faces whose label lies farthest from the model's estimate."""
    years = estimates(folder, estimator, manifest)
    apart = np.abs(np.nan_to_num(store.age_years - years, nan=0.0))
    rows = np.argsort(-apart, kind="stable")[:_SUSPICIOUS]
    rows = rows[apart[rows] > 0]
    if not len(rows):
        return []
    captions = [f"{_caption(store, row)}, est {years[row]:.0f}" for row in rows]
    png = write_png(output / "surprises.png", mosaic(faces_of(folder, rows), captions, _A_ROW))
    about = (
        f"{estimator.card.name} {estimator.card.version}; label, then estimate. A label may be wrong, or the model; "
        "if it was trained on these faces, it has seen the labels."
    )
    listed = [(str(store.name[row]), float(store.age_years[row]), round(float(years[row]), 1)) for row in rows]
    return [
        "<h2>Labels farthest from the model's estimate</h2>",
        f"<p class=note>{about}</p>{image_tag(png, 'surprises')}",
        html_table(("picture", "label", "estimate"), listed),
    ]
