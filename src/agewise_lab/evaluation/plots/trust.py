"""Plots of what a model promises: coverage of its intervals, its probabilities, declining, and age gates."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes

from agewise_lab.evaluation.measures import AGE_BANDS, TradeOff, band_of, rate, reliability, risk_coverage, trade_off
from agewise_lab.evaluation.measures.gender import Reliability
from agewise_lab.evaluation.plots.style import COLOURS, INK, Canvas, Plot, line_look, look
from agewise_lab.evaluation.predictions import BoolArray, Predictions

_SMALL = 100
_LEAST = 20  # faces a subset needs to be drawn
_LEAST_BIN = 10  # faces a bin of the reliability plot needs
_LEAST_GATE = 20  # faces on either side of an age that a trade-off needs


def coverage_by_band(tables: Mapping[str, Predictions]) -> Plot | None:
    """Share of truths inside their intervals, by true age band and by sex, with binomial intervals."""
    parts = {name: table.select(np.isfinite(table.low) & np.isfinite(table.truth)) for name, table in tables.items()}
    parts = {name: faces for name, faces in parts.items() if len(faces)}
    if not parts:
        return None
    first = next(iter(parts.values()))
    counts = {label: int(rows.sum()) for label, rows in _bands(first).items()}
    labels = [label for label, count in counts.items() if count >= _LEAST]
    left = ", ".join(f"{label} ({count})" for label, count in counts.items() if 0 < count < _LEAST)
    if not labels:
        return None
    with Canvas(width=7.8, height=4.4) as canvas:
        axes = canvas.axes[0]
        for place, (name, faces) in enumerate(parts.items()):
            shift = (place - (len(parts) - 1) / 2) * 0.8 / max(len(parts), 3)
            _points(axes, faces, labels, shift, place, name)
        levels = sorted({faces.provenance.level for faces in parts.values()})
        for level in levels:
            axes.axhline(100 * level, color=INK, linewidth=1, linestyle=":", label=f"promised, {100 * level:.0f} %")
        ticks = [f"{label}\n{counts[label]:,}" for label in labels]
        axes.set_xticks(range(len(labels)), ticks, fontsize=8)
        axes.set(xlabel="true age band, years, and label; below it the faces", ylabel="truth inside the interval, %")
        axes.set_ylim(max(0, axes.get_ylim()[0]), 101)
        axes.set_title("Coverage")
        canvas.figure.legend(loc="outside lower center", ncols=3)
        return canvas.plot(
            name="coverage",
            title="Coverage of the intervals",
            caption=f"Bars: 95 % intervals after Clopper and Pearson. n = {len(first):,} faces. Subsets of fewer than "
            f"{_SMALL} faces say little" + (f"; left out, with fewer than {_LEAST}: {left}." if left else "."),
            wide=True,
        )


def _bands(faces: Predictions) -> dict[str, BoolArray]:
    bands = band_of(faces.truth)
    rows = {"all": np.ones(len(faces), dtype=bool)}
    rows |= {label: bands == place for place, (label, _, _) in enumerate(AGE_BANDS)}
    return rows | {"female": faces.is_female >= 0.5, "male": faces.is_female < 0.5}


def _points(axes: Axes, faces: Predictions, labels: list[str], shift: float, place: int, name: str) -> None:
    inside = (faces.low <= faces.truth) & (faces.truth <= faces.high)
    rows = _bands(faces)
    rates = [rate(inside[rows[label]]) for label in labels]
    middle = np.array([100 * found.value for found in rates])
    reach = np.array([[100 * (found.value - found.low), 100 * (found.high - found.value)] for found in rates]).T
    style = look(place) | {"linestyle": ""}
    axes.errorbar(np.arange(len(labels)) + shift, middle, yerr=reach, label=name, markersize=4, capsize=2, **style)


def gender_reliability(tables: Mapping[str, Predictions]) -> Plot | None:
    """How often a gender label of a given probability is right."""
    parts: dict[str, tuple[int, Reliability]] = {}
    for name, table in tables.items():
        known = np.isfinite(table.female_probability) & np.isfinite(table.is_female)
        if known.any():
            bins = reliability(table.female_probability[known], table.is_female[known] >= 0.5)
            parts[name] = (int(known.sum()), bins)
    if not parts:
        return None
    with Canvas(rows=2, width=5.4, height=5.2, sharex=True, height_ratios=(3, 1)) as canvas:
        above, below = canvas.axes
        above.plot([50, 100], [50, 100], color=INK, linewidth=1, linestyle=":", label="as promised")
        for place, (name, (_, bins)) in enumerate(parts.items()):
            full = bins.count >= _LEAST_BIN
            above.plot(100 * bins.confidence[full], 100 * bins.right[full], label=name, markersize=5, **look(place))
            middle = 100 * (bins.edges[:-1] + bins.edges[1:]) / 2
            below.step(middle, bins.count, where="mid", color=COLOURS[place % len(COLOURS)])
        below.set_yscale("symlog", linthresh=10)
        below.set(xlabel="probability of the label, %", ylabel="faces", ylim=(0, None))
        above.set(ylabel="label is right, %", xlim=(50, 101), ylim=(_floor(parts), 102), title="Reliability of gender")
        above.legend(loc="lower right")
        counts = ", ".join(f"{name} {count:,}" for name, (count, _) in parts.items())
        return canvas.plot(
            name="gender-reliability",
            title="Reliability of gender probabilities",
            caption=f"Faces: {counts}. Ten equal bins; those of fewer than {_LEAST_BIN} faces have no point. Below "
            "the dotted line: surer than right.",
        )


def _floor(parts: Mapping[str, tuple[int, Reliability]]) -> float:
    """A round per cent a little below the lowest point, 45 at most."""
    lowest = min(
        (100 * float(share) for _, bins in parts.values() for share in bins.right[bins.count >= _LEAST_BIN]),
        default=45.0,
    )
    return min(45.0, max(0.0, np.floor(lowest / 10) * 10 - 5))


def risk_and_coverage(tables: Mapping[str, Predictions]) -> Plot | None:
    """Mean absolute error of the faces that are answered, the surest first."""
    curves = {}
    for name, table in tables.items():
        scores = np.where(np.isfinite(table.high - table.low), table.high - table.low, table.std_years)
        known = np.isfinite(table.years) & np.isfinite(table.truth) & np.isfinite(scores)
        if known.sum() >= _LEAST_GATE and np.ptp(scores[known]) > 0:
            errors = np.abs(table.years[known] - table.truth[known])
            curves[name] = (int(known.sum()), risk_coverage(errors, scores[known]))
    if not curves:
        return None
    with Canvas(height=3.9 + 0.22 * len(curves)) as canvas:
        axes = canvas.axes[0]
        for place, (name, (count, curve)) in enumerate(curves.items()):
            start = max(0, count // 50 - 1)  # the first few faces only scatter
            step = max(1, count // 2000)
            shown = f"{name}: AURC {curve.aurc:.2f}, at best {curve.oracle:.2f}"
            axes.plot(100 * curve.coverage[start::step], curve.risk[start::step], label=shown, **line_look(place))
        axes.set(xlim=(0, 100), ylim=(0, None), xlabel="answered, % of faces, the surest first")
        axes.set(ylabel="mean absolute error of the answered, years", title="Risk and coverage")
        canvas.figure.legend(loc="outside lower center")
        counts = ", ".join(f"{name} {count:,}" for name, (count, _) in curves.items())
        return canvas.plot(
            name="risk-coverage",
            title="What declining buys",
            caption=f"Faces: {counts}. Sorted by the width of the interval, or by the model's own spread where it has "
            "no interval. AURC: mean of the curve, years; less is better. At best: sorted by the errors themselves.",
        )


def over_eighteen(tables: Mapping[str, Predictions]) -> Plot | None:
    """Both errors of an age gate at 18: minors who pass, adults who do not, over the age that is asked for."""
    curves: dict[str, TradeOff] = {}
    for name, table in tables.items():
        known = np.isfinite(table.years) & np.isfinite(table.truth)
        curve = trade_off(table.years[known], table.truth[known])
        if min(curve.minors, curve.adults) >= _LEAST_GATE:
            curves[name] = curve
    if not curves:
        return None
    with Canvas(columns=3, width=11.4, height=4.0) as canvas:
        passing, refused, both = canvas.axes
        for place, (name, curve) in enumerate(curves.items()):
            style = line_look(place)
            passing.plot(curve.challenges, 100 * curve.false_positive, label=name, **style)
            refused.plot(curve.challenges, 100 * curve.false_negative, label=name, **style)
            both.plot(100 * curve.false_positive, 100 * curve.false_negative, label=name, **style)
        for axes in (passing, refused):
            for age in (18, 25):
                axes.axvline(age, color=INK, linewidth=0.8, linestyle=":")
            axes.set(xlim=(10, 40), ylim=(0, 100), xlabel="passes if estimated at least, years")
        passing.set(ylabel="share of faces, %", title="Aged 14-17 who pass")
        refused.set(ylabel="share of faces, %", title="Aged 18-30 who do not")
        both.set(xlim=(0, 100), ylim=(0, 100), xlabel="aged 14-17 who pass, %", ylabel="aged 18-30 who do not, %")
        both.set_title("One against the other")
        both.legend(loc="upper right")
        first = next(iter(curves.values()))
        return canvas.plot(
            name="over-18",
            title="Over-18 trade-off, both directions",
            caption=f"n = {first.minors:,} faces aged 14-17 and {first.adults:,} aged 18-30. Dotted: 18 and 25 years.",
            wide=True,
        )
