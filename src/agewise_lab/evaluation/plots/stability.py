"""How far ages move when the picture or the place of the face changes, a curve a kind of change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from agewise_lab.evaluation.perturbations import FAMILIES
from agewise_lab.evaluation.plots.style import Canvas, Plot, look
from agewise_lab.evaluation.stability import StabilityPoint

_COLUMNS = 3


def stability_curves(points: Mapping[str, Sequence[StabilityPoint]]) -> Plot | None:
    """Mean |age after − age before| over the levels of each change, all models; None where nothing was measured."""
    measured = {name: found for name, found in points.items() if found}
    if not measured:
        return None
    present = {point.family for found in measured.values() for point in found}
    families = [family for family in FAMILIES if family.name in present]
    rows = -(-len(families) // _COLUMNS)
    with Canvas(rows=rows, columns=_COLUMNS, width=9.6, height=0.6 + 2.3 * rows) as canvas:
        for axes, family in zip(canvas.axes, families, strict=False):
            for place, (name, found) in enumerate(measured.items()):
                curve = sorted((p for p in found if p.family == family.name), key=lambda point: point.level)
                middle = np.array([point.change for point in curve])
                ends = np.array([[p.change - p.change_low, p.change_high - p.change] for p in curve]).T
                # A single level, as of mirroring, has no axis: there the models stand beside each other.
                level = [point.level if len(family.levels) > 1 else float(place) for point in curve]
                axes.errorbar(
                    level, middle, yerr=np.maximum(ends, 0), label=name, markersize=4, capsize=2, lw=1.4, **look(place)
                )
            axes.set(xlabel=family.title)
            axes.set_ylim(bottom=0)
            if len(family.levels) == 1:
                axes.set_xticks([])
        for place, axes in enumerate(canvas.axes):
            if place >= len(families):
                axes.set_visible(False)
            elif place % _COLUMNS == 0:
                axes.set_ylabel("mean change, years")
        handles, labels = canvas.axes[0].get_legend_handles_labels()
        canvas.figure.legend(handles, labels, loc="outside upper center", ncols=3)
        counts = sorted({point.count for found in measured.values() for point in found})
        return canvas.plot(
            name="stability",
            title="Stability",
            caption=f"n = {' or '.join(f'{count:,}' for count in counts)} faces, spread over the records. Mean of |age "
            "after − age before|; bars: 95 % bootstrap intervals. The scales of the years differ.",
            wide=True,
        )
