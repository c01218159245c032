"""One HTML page an evaluation: nothing is loaded from elsewhere, no script runs, and a telephone can show it."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence
from pathlib import Path

from agewise._files import atomic_write
from agewise_lab.evaluation import tables
from agewise_lab.evaluation.plots import Plot
from agewise_lab.evaluation.result import ModelResult, Result

_STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1180px; padding: 1rem; background: #fff; color: #1b1b1b;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: .5rem 0 1rem; }
h2 { font-size: 1.25rem; margin: 2.2rem 0 .6rem; padding-top: .6rem; border-top: 2px solid #0072B2; }
h3 { font-size: 1.05rem; margin: 1.4rem 0 .4rem; }
p { margin: .4rem 0; max-width: 75ch; }
nav { display: flex; flex-wrap: wrap; gap: .3rem 1rem; }
a { color: #005a8c; }
.scroll { overflow-x: auto; margin: .4rem 0 1rem; }
table { border-collapse: collapse; font-size: .84rem; font-variant-numeric: tabular-nums; }
th, td { padding: .28rem .6rem; text-align: right; border-bottom: 1px solid #e0e0e0; white-space: nowrap; }
th { background: #f3f6f8; white-space: normal; vertical-align: bottom; min-width: 5.5rem; }
th:first-child, td:first-child { text-align: left; position: sticky; left: 0; background: #fff; }
th:first-child { background: #f3f6f8; }
td.words { text-align: left; white-space: normal; min-width: 12rem; }
tr.weak td { color: #666; }
tr.weak td:first-child::after { content: " *"; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; margin: .4rem 0; }
dt { color: #555; } dd { margin: 0; overflow-wrap: anywhere; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 460px), 1fr)); gap: 1.2rem; }
.plots .wide { grid-column: 1 / -1; }
figure { margin: 0; }
figure img { max-width: 100%; height: auto; display: block; }
figcaption { font-size: .84rem; color: #444; max-width: 75ch; }
ul.notes { border-left: 4px solid #E69F00; background: #fff8e8; margin: .8rem 0; padding: .5rem 1rem .5rem 2rem; }
details { margin: .6rem 0; } summary { cursor: pointer; font-weight: 600; }
footer { margin-top: 2.5rem; padding-top: .6rem; border-top: 1px solid #ccc; font-size: .84rem; color: #444; }
@media (max-width: 640px) { dl { grid-template-columns: 1fr; } dd { margin-bottom: .4rem; } body { padding: .7rem; } }
@media print { details:not([open]) > *:not(summary) { display: none; } }
"""

_READING = (
    "Square brackets hold 95 % intervals: bootstrap, by person where people are known, and Clopper and Pearson's for "
    "shares without known people. A star and grey mark rows of fewer than {few} faces: these figures may be chance.",
    "Both directions of an error stand side by side, because a model can always make one of them small at the other's "
    "cost.",
    "Gender is the label that the data set's makers gave a picture. It is not who someone is, and the share that is "
    "right says how often a model repeats such a label.",
)


def write_report(result: Result, plots: Mapping[str, Sequence[Plot]], path: Path, runs: Sequence[Path] = ()) -> None:
    """Write the page.

    Args:
        result: all figures.
        plots: by model name; those of all models together under "".
        path: of the page.
        runs: folders of training runs, to be linked, and PNG pictures of their curves.
    """
    page = _page(result, plots, runs)
    with atomic_write(path) as file:
        file.write(page.encode())


def _page(result: Result, plots: Mapping[str, Sequence[Plot]], runs: Sequence[Path]) -> str:
    title = f"Evaluation on {result.data}"
    anchors = [f"model-{place}" for place in range(len(result.models))]
    parts = [
        _provenance(result),
        _notes(result),
        '<h2 id="overview">Overview</h2>',
        _table(tables.overview(result)),
        *(f"<p>{_text(line.format(few=tables.FEW))}</p>" for line in _READING),
        _comparisons(result),
        '<h2 id="figures">All models</h2>' if plots.get("") else "",
        _figures(plots.get("", ())),
        _stability(result),
        _nist(result),
        *(
            _model(model, plots.get(model.name, ()), anchor)
            for model, anchor in zip(result.models, anchors, strict=True)
        ),
        _runs(runs),
        _footer(result),
    ]
    body = "\n".join(part for part in parts if part)
    links = [("overview", "Overview"), ("figures", "All models"), ("nist", "NIST's measures")]
    links += [(anchor, model.name) for anchor, model in zip(anchors, result.models, strict=True)]
    links.append(("runs", "Training"))
    shown = "".join(f'<a href="#{anchor}">{_text(name)}</a>' for anchor, name in links if f'id="{anchor}"' in body)
    body = f"<h1>{_text(title)}</h1>\n<nav>{shown}</nav>\n{body}"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_text(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _text(words: str) -> str:
    # Names of files may hold what is not text; a page must still be UTF-8.
    return html.escape(words.encode("utf-8", "backslashreplace").decode())


def _provenance(result: Result) -> str:
    rows = [
        ("protocol", f"{result.protocol.name}, part {result.protocol.part}: {result.protocol.title}"),
        ("published by", result.protocol.source),
        ("data", result.data),
        ("split", f"{result.split} (digest of which faces are tested in which fold)"),
        ("measured by", f"{result.code}, {result.made}"),
    ]
    if len(result.models) > 1:
        rows.append(("compared on", f"{result.common:,} faces that all models found"))
    dropped = sum(result.dropped.values())
    if dropped:
        why = "; ".join(f"{reason}: {count:,}" for reason, count in result.dropped.items())
        rows.append(("left out", f"{dropped:,} records of no use: {why}"))
    rows += [(f"model {model.name}", _of_model(model)) for model in result.models]
    return _definitions(rows)


def _of_model(model: ModelResult) -> str:
    stated = model.provenance
    digest = f"sha256 {stated.model_sha256}" if stated.model_sha256 else "no file"
    return "; ".join(part for part in (stated.model, digest, f"faces: {stated.crop}" if stated.crop else "") if part)


def _definitions(rows: Sequence[tuple[str, str]]) -> str:
    return "<dl>" + "".join(f"<dt>{_text(key)}</dt><dd>{_text(value)}</dd>" for key, value in rows if value) + "</dl>"


def _notes(result: Result) -> str:
    notes = [*result.notes]
    by_note: dict[str, list[str]] = {}
    for model in result.models:
        for note in model.provenance.notes:
            by_note.setdefault(note, []).append(model.name)
        if model.found < model.faces:
            lost = f"{model.faces - model.found:,} of {model.faces:,} faces were not found"
            by_note.setdefault(f"{lost}; they count in «found» and in nothing else", []).append(model.name)
    notes += [f"{', '.join(names)}: {note}" for note, names in by_note.items()]
    if not notes:
        return ""
    return '<ul class="notes">' + "".join(f"<li>{_text(note)}</li>" for note in notes) + "</ul>"


def _table(table: tables.Table, words: int = 1) -> str:
    """An HTML table; the first `words` columns hold words."""
    if not table.rows:
        return ""
    head = "".join(f'<th scope="col">{_text(cell)}</th>' for cell in table.heading)
    body = []
    for place, row in enumerate(table.rows):
        weak = ' class="weak"' if table.weak and table.weak[place] else ""
        cells = (
            f'<td class="words">{_text(c)}</td>' if 0 < i < words else f"<td>{_text(c)}</td>" for i, c in enumerate(row)
        )
        body.append(f"<tr{weak}>{''.join(cells)}</tr>")
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{"".join(body)}</tbody></table></div>'


def _comparisons(result: Result) -> str:
    if not result.comparisons:
        return ""
    count = result.comparisons[0].test.count
    return (
        "<h3>Compared in pairs</h3>" + _table(tables.compared(result)) + f"<p>{_text(_PAIRED.format(count=count))}</p>"
    )


_PAIRED = (
    "Mean absolute errors on the {count:,} faces that all models found. p: random flips of who said what, two-sided, "
    "not corrected for the number of pairs. A difference that is not shown is not one that is not there."
)


def _nist(result: Result) -> str:
    table = tables.nist(result)
    if not table.rows:
        return ""
    return (
        '<h2 id="nist">NIST\'s measures</h2><p>After Face Analysis Technology Evaluation, Age Estimation and '
        "Verification (NIST IR 8525). Every error has its opposite beside it.</p>" + _table(table, words=2)
    )


def _stability(result: Result) -> str:
    table = tables.stability(result)
    if not table.rows:
        return ""
    return "<h3>How far an age moves when the picture changes, years</h3>" + _table(table)


def _model(model: ModelResult, plots: Sequence[Plot], anchor: str) -> str:
    parts = [
        f'<h2 id="{anchor}">{_text(model.name)}</h2>',
        "<h3>Errors</h3>",
        _table(tables.by_subset(model, tables.subsets_by_one(model), tables.ERRORS)),
        "<h3>Intervals, gender, declining</h3>",
        _table(tables.by_subset(model, tables.subsets_by_one(model), tables.TRUST)),
        "<h3>Crossings</h3>",
    ]
    for kinds, title in (
        (("band", "sex"), "Age band and label"),
        (("band", "group"), "Age band and group"),
        (("sex", "group"), "Label and group"),
    ):
        table = tables.by_subset(model, tables.crossings(model, kinds))
        if table.rows:
            parts.append(f"<details><summary>{title}: {len(table.rows)} subsets</summary>{_table(table)}</details>")
    parts.append(_figures(plots))
    return "\n".join(parts)


def _figures(plots: Sequence[Plot]) -> str:
    if not plots:
        return ""
    shown = []
    for plot in plots:
        data = base64.b64encode(plot.png).decode()
        kind = ' class="wide"' if plot.wide else ""
        shown.append(
            f'<figure{kind}><img src="data:image/png;base64,{data}" alt="{_text(plot.title)}">'
            f"<figcaption><b>{_text(plot.title)}.</b> {_text(plot.caption)}</figcaption></figure>"
        )
    return f'<div class="plots">{"".join(shown)}</div>'


def _runs(runs: Sequence[Path]) -> str:
    """Links to runs with the PNG pictures in them, and pictures that `agewise-lab plot` has drawn of several."""
    items = []
    for run in runs:
        images = sorted(run.glob("*.png")) if run.is_dir() else [run]
        link = f'<p><a href="{_text(run.resolve().as_uri())}">{_text(run.name)}</a></p>'
        items.append(link + f'<div class="plots">{"".join(map(_inlined, images))}</div>')
    return '<h2 id="runs">Training</h2>' + "".join(items) if items else ""


def _inlined(image: Path) -> str:
    data = base64.b64encode(image.read_bytes()).decode()
    name = _text(image.name)
    return f'<figure><img src="data:image/png;base64,{data}" alt="{name}"><figcaption>{name}</figcaption></figure>'


def _footer(result: Result) -> str:
    return (
        f"<footer>{_text(result.code)}. Beside this page: result.json (all figures), figures.csv (the long table), a "
        "Parquet file of predictions for each model, and each plot as PNG and SVG. Pictures of research data sets are "
        "for whoever holds the set: do not pass them on.</footer>"
    )
