"""The tables of a result, as rows of words: the terminal, the HTML report and the Markdown card all show these."""

from __future__ import annotations

import math
import textwrap
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from agewise_lab.evaluation.measures import AGE_BANDS, Figure
from agewise_lab.evaluation.result import TITLES, UNITS, ModelResult, Result
from agewise_lab.evaluation.stability import KEY_LEVELS

FEW = 100
"""Subsets of fewer faces are marked: their figures may be chance."""

ERRORS = ("mae", "bias", "rmse", "cs5", "exact", "one_off", "over18_fpr", "over18_fnr")
TRUST = (
    *("coverage", "truth_below", "truth_above", "width"),
    *("gender_accuracy", "gender_sure", "gender_sure_accuracy", "declined"),
)
BY_SUBSET = (*ERRORS, *TRUST)
"""The measures of the tables by subset; both directions of an error stand side by side."""

HEADINGS = {
    "mae": "MAE, years",
    "bias": "too old (+) or young (−), years",
    "rmse": "RMSE, years",
    "cs5": "within 5 years",
    "exact": "exact class",
    "one_off": "or its neighbour",
    "over18_fpr": "14-17 taken for 18+",
    "over18_fnr": "18-30 taken for under 18",
    "coverage": "truth in the interval",
    "truth_below": "truth below it",
    "truth_above": "truth above it",
    "width": "width, years",
    "gender_accuracy": "gender right",
    "gender_sure": "gender sure",
    "gender_sure_accuracy": "sure gender right",
    "declined": "declined",
}


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of words under a heading. `weak` says of each row whether it is of few faces."""

    heading: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    weak: tuple[bool, ...] = ()


def number(value: float, unit: str) -> str:
    """A figure for people: years to 2 decimals, shares in per cent to 1.

    >>> number(4.956, "years"), number(0.9251, "share"), number(float("nan"), "share")
    ('4.96', '92.5 %', '–')
    """
    if math.isnan(value):
        return "–"
    return f"{100 * value:.1f} %" if unit == "share" else f"{value:.2f}"


def with_interval(value: float, low: float, high: float, unit: str) -> str:
    """A figure and its interval.

    >>> with_interval(0.5, 0.4, 0.6, "share"), with_interval(-1.0, float("nan"), float("nan"), "years")
    ('50.0 % [40.0-60.0]', '-1.00')
    """
    if math.isnan(low) or math.isnan(high):
        return number(value, unit)
    if unit == "share":
        return f"{number(value, unit)} [{100 * low:.1f}-{100 * high:.1f}]"
    return f"{value:.2f} [{low:.2f} to {high:.2f}]"


def _cell(figure: Figure | None) -> str:
    return "" if figure is None else with_interval(figure.value, figure.low, figure.high, UNITS[figure.measure])


def subsets_by_one(model: ModelResult) -> list[str]:
    """All, the age bands, the sexes and the groups that have faces, in that order."""
    return ["all", *_by_one(model, "band"), *_by_one(model, "sex"), *_by_one(model, "group")]


def _by_one(model: ModelResult, dimension: str) -> list[str]:
    """The subsets of one kind, bands in the order of the ages."""
    others = [name for name in ("band", "sex", "group") if name != dimension]
    found = {
        str(getattr(figure, dimension))
        for figure in model.figures
        if getattr(figure, dimension) is not None and all(getattr(figure, other) is None for other in others)
    }
    order = [name for name, _, _ in AGE_BANDS]
    return sorted(found, key=lambda name: (order.index(name) if name in order else 0, name))


def crossings(model: ModelResult, kinds: tuple[str, str]) -> list[str]:
    """The subsets that are crossings of two kinds, such as ("band", "sex")."""
    firsts, seconds = (_by_one(model, kind) for kind in kinds)
    named = {figure.name for figure in model.figures}
    return [name for first in firsts for second in seconds if (name := f"{first}, {second}") in named]


def by_subset(model: ModelResult, subsets: Sequence[str], measures: Sequence[str] = BY_SUBSET) -> Table:
    """One row a subset. Measures that the model has nowhere are left out."""
    present = {figure.measure for figure in model.figures}
    shown = [measure for measure in measures if measure in present]
    rows, weak = [], []
    for subset in subsets:
        figures = [model.figure(measure, subset) for measure in shown]
        count = max((figure.count for figure in figures if figure is not None), default=0)
        if count:
            rows.append((subset, f"{count:,}", *map(_cell, figures)))
            weak.append(count < FEW)
    heading = ("faces", "n", *(HEADINGS.get(measure, TITLES[measure]) for measure in shown))
    return Table(heading=heading, rows=tuple(rows), weak=tuple(weak))


def overview(result: Result) -> Table:
    """One row a model: how many faces, and the protocol's own figures."""
    names = list(dict.fromkeys(one.measure for model in result.models for one in model.headlines))
    rows = []
    for model in result.models:
        by_name = {one.measure: one for one in model.headlines}
        cells = []
        for name in names:
            one = by_name.get(name)
            if one is None:
                cells.append("")
                continue
            text = with_interval(one.value, one.low, one.high, UNITS[name])
            if one.folds > 1:
                mean, std = number(one.fold_mean, UNITS[name]), number(one.fold_std, UNITS[name])
                text += f"; {one.folds} folds {mean} ± {std}"
            cells.append(text)
        rows.append((model.name, f"{model.faces:,}", f"{model.found:,}", f"{model.declined:,}", *cells))
    heading = ("model", "faces", "found", "declined", *(HEADINGS.get(name, TITLES[name]) for name in names))
    return Table(heading=heading, rows=tuple(rows))


def compared(result: Result) -> Table:
    """One row a pair of models."""
    rows = []
    for pair in result.comparisons:
        test = pair.test
        better = pair.model_a if test.difference < 0 else pair.model_b
        said = f"{better} errs less" if test.p_value < 0.05 else "no difference shown"
        rows.append(
            (
                f"{pair.model_a} − {pair.model_b}",
                f"{test.mae_a:.2f} − {test.mae_b:.2f}",
                with_interval(test.difference, test.low, test.high, "years"),
                "< 0.001" if test.p_value < 0.001 else f"{test.p_value:.3f}",
                said,
            )
        )
    return Table(heading=("models", "MAE, years", "difference, years", "p", ""), rows=tuple(rows))


def nist(result: Result) -> Table:
    """One row a figure of NIST's, one column a model."""
    titles = list(dict.fromkeys((one.block, one.title) for model in result.models for one in model.nist))
    rows, weak = [], []
    for block, title in titles:
        found = [next((o for o in m.nist if (o.block, o.title) == (block, title)), None) for m in result.models]
        cells = ["" if one is None else with_interval(one.value, one.low, one.high, one.unit) for one in found]
        count = max(one.count for one in found if one is not None)
        rows.append((block, title, f"{count:,}", *cells))
        weak.append(count < FEW)
    return Table(heading=("", "", "n", *(model.name for model in result.models)), rows=tuple(rows), weak=tuple(weak))


def stability(result: Result) -> Table:
    """One row a change that models should stand, one column a model: mean change of the age, years."""
    rows = []
    for family, level in KEY_LEVELS:
        cells, counts = [], []
        for model in result.models:
            found = [p for p in model.stability if (p.family, p.level) == (family, level)]
            cells += [with_interval(p.change, p.change_low, p.change_high, "years") for p in found] or [""]
            counts += [p.count for p in found]
        if counts:
            rows.append((_CHANGES[family].format(level=level), f"{max(counts):,}", *cells))
    return Table(heading=("change", "n", *(model.name for model in result.models)), rows=tuple(rows))


_CHANGES = {
    "jitter": "box and landmarks jittered by {level:.0%} of the side",
    "jpeg": "JPEG of quality {level:g}",
    "scale": "scaled to {level:g}",
}


def as_text(table: Table, heading_width: int = 16) -> str:
    """A table for a terminal: columns aligned, the first to the left, long headings on several lines."""
    heads = [textwrap.wrap(words, heading_width) or [""] for words in table.heading]
    height = max(map(len, heads))
    above = [tuple(["", *[""] * height, *head][-height:][i] for head in heads) for i in range(height)]
    cells = [*above, *table.rows]
    widths = [max(_width(row[i]) for row in cells) for i in range(len(table.heading))]
    lines = []
    for place, row in enumerate(cells, start=-height):
        words = [_padded(word, width, left=i == 0) for i, (word, width) in enumerate(zip(row, widths, strict=True))]
        mark = " *" if place >= 0 and table.weak and table.weak[place] else ""
        lines.append(("  ".join(words) + mark).rstrip())
    return "\n".join(lines)


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in text)


def _padded(text: str, width: int, *, left: bool) -> str:
    gap = " " * (width - _width(text))
    return text + gap if left else gap + text


def as_markdown(table: Table) -> str:
    """A table for Markdown; rows of few faces have a star."""

    def line(words: Sequence[str]) -> str:
        return "| " + " | ".join(word.replace("|", "\\|") for word in words) + " |"

    rows = [
        (f"{row[0]} *" if weak else row[0], *row[1:])
        for row, weak in zip(table.rows, table.weak or (False,) * len(table.rows), strict=True)
    ]
    return "\n".join([line(table.heading), line(["---"] * len(table.heading)), *map(line, rows)])
