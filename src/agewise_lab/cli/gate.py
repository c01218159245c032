"""`agewise-lab gate`: does a model keep its limits for every group of people? For a CI."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from agewise_lab.evaluation.gate import Verdict
    from agewise_lab.evaluation.measures import Figure

_FLAGS = {
    "max_gap": ("--max-gap", "MAE above the best group's", "years"),
    "max_mae": ("--max-mae", "MAE", "years"),
    "max_bias": ("--max-bias", "bias, either way", "years"),
    "min_coverage": ("--min-coverage", "coverage of the interval", ""),
    "max_fpr17": ("--max-fpr17", "aged 17, estimated 25 or older", ""),
    "min_gender": ("--min-gender", "gender right", ""),
    "max_gender_gap": ("--max-gender-gap", "gender right, below the best group's", ""),
}


def gate(
    result: Annotated[
        Path, typer.Argument(help="A folder or result.json of `evaluate`, or a .parquet or .csv table of predictions.")
    ],
    max_gap: Annotated[float | None, typer.Option(help="MAE of a sex or group above the best's, years.")] = None,
    max_mae: Annotated[float | None, typer.Option(help="MAE of each band, sex and group, years.")] = None,
    max_bias: Annotated[float | None, typer.Option(help="Signed error of the same, either way, years.")] = None,
    min_coverage: Annotated[float | None, typer.Option(help="Share of truths in their intervals, of the same.")] = None,
    max_fpr17: Annotated[float | None, typer.Option(help="Share of 17-year-olds estimated at 25 or more.")] = None,
    min_gender: Annotated[float | None, typer.Option(help="Share of gender labels right, each sex and group.")] = None,
    max_gender_gap: Annotated[float | None, typer.Option(help="That share below the best sex's or group's.")] = None,
    least: Annotated[int, typer.Option(help="Faces that a group needs to be judged.")] = 100,
    strict: Annotated[bool, typer.Option("--strict", help="The 95 % interval must keep the limit, too.")] = False,
    crossings: Annotated[bool, typer.Option("--crossings", help="Judge bands × sexes × groups, too.")] = False,
    model: Annotated[str | None, typer.Option(help="Of several models only this one.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Print what holds, too.")] = False,
) -> None:
    """Judge a result: 0 if all limits hold, 1 if a group breaks one, 2 if it was asked wrongly.

    A group fails where its value breaks the limit; with --strict where the end of its 95 % interval does. Groups of
    fewer than --least faces are named, and fail with --strict; a limit that no group can be judged by fails.
    """
    from agewise_lab.evaluation.gate import Limits, judge

    try:
        limits = Limits(
            max_gap=max_gap,
            max_mae=max_mae,
            max_bias=max_bias,
            min_coverage=min_coverage,
            max_fpr17=max_fpr17,
            min_gender=min_gender,
            max_gender_gap=max_gender_gap,
            least=least,
            strict=strict,
            crossings=crossings,
        )
        tables = _tables(result, model)
    except (ValueError, OSError) as error:
        typer.echo(f"agewise-lab: {error}", err=True)
        raise typer.Exit(2) from error
    failed = False
    for name, figures in tables.items():
        verdicts = judge(figures, limits)
        for line in _lines(name, verdicts, everything):
            typer.echo(line)
        failed |= any(verdict.state == "fails" for verdict in verdicts)
    if failed:
        raise typer.Exit(1)


def _tables(path: Path, model: str | None) -> dict[str, Sequence[Figure]]:
    """The long table of each model of a result.

    Raises:
        ValueError: no such model, or a file that is no result.
        OSError: it cannot be read.
    """
    from agewise.errors import unknown_name
    from agewise_lab.evaluation.prediction_files import read_predictions
    from agewise_lab.evaluation.result import read_result
    from agewise_lab.evaluation.scoring import figures_of

    if path.suffix.lower() in (".parquet", ".csv"):
        table = read_predictions(path)
        if not len(table):
            raise ValueError(f"{path} holds no faces")
        tables: dict[str, Sequence[Figure]] = {table.provenance.model or path.name: figures_of(table)}
    else:
        tables = {found.name: found.figures for found in read_result(path).models}
    if model is None:
        return tables
    if model not in tables:
        raise ValueError(unknown_name("model", model, tables))
    return {model: tables[model]}


def _lines(name: str, verdicts: Sequence[Verdict], everything: bool) -> Iterator[str]:
    """What is printed of a model: a line a verdict, the failed ones first, in columns two spaces apart."""
    order = {"fails": 0, "too few": 1, "holds": 2}
    count = {state: sum(verdict.state == state for verdict in verdicts) for state in order}
    yield f"{name}: {count['fails']} fail, {count['too few']} too few to judge, {count['holds']} hold"
    shown = [verdict for verdict in verdicts if everything or verdict.state != "holds"]
    rows = [_cells(verdict) for verdict in sorted(shown, key=lambda verdict: order[verdict.state])]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _cells(verdict: Verdict) -> tuple[str, ...]:
    """A verdict's line, cell by cell."""
    flag, title, unit = _FLAGS[verdict.limit_name]
    measured = "–"
    if not math.isnan(verdict.value):
        measured = f"{verdict.value:.3g} [{verdict.low:.3g}, {verdict.high:.3g}] {unit}".rstrip()
    state = {"fails": "FAILS", "too few": "too few", "holds": "holds"}[verdict.state]
    return (state, f"{flag} {verdict.limit:g}", verdict.subset, title, measured, f"n = {verdict.count}", verdict.beside)
