"""`agewise-lab evaluate` and `card`: how good a model is, and for whom; and the same in words."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

_FACES = "none: the picture is the crop; labels: the data set's own boxes; else a detector's name."


def evaluate(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MODEL]...",
            help="Embedded models' names and .onnx files with a card; {fold} in a path is a model a fold.",
        ),
    ] = None,
    protocol: Annotated[str, typer.Option(help="A name from `agewise-lab protocols`.")] = "utkface",
    root: Annotated[
        Path | None, typer.Option(help="The folder of the data set; for the protocol `own` a table too.")
    ] = None,
    part: Annotated[str | None, typer.Option(help="A part of the protocol; by default its first.")] = None,
    store: Annotated[
        Path | None, typer.Option(help="A crop store of the same pictures, for UTKFace's validation and holdout.")
    ] = None,
    detector: Annotated[str, typer.Option(help=_FACES)] = "none",
    command: Annotated[
        list[str] | None,
        typer.Option(help='A foreign program, such as "peer {input} {output}"; {folder} for a folder of pictures.'),
    ] = None,
    predictions: Annotated[
        list[Path] | None, typer.Option(help="Somebody's predictions, .csv or .parquet; labels from --root or in it.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder for predictions, result.json, figures.csv, plots and report.html.")
    ] = None,
    run: Annotated[
        list[Path] | None, typer.Option(help="A training run's folder, or a PNG by `agewise-lab plot`.")
    ] = None,
    level: Annotated[float, typer.Option(help="Of the models' intervals.")] = 0.9,
    stability: Annotated[
        int, typer.Option(help="On so many faces, how far ages move when the picture changes: 45 crops a face.")
    ] = 0,
    plots: Annotated[bool, typer.Option(help="Draw the plots.")] = True,
    pictures: Annotated[bool, typer.Option(help="Small pictures of the best and worst faces in the report.")] = True,
) -> None:
    """Measure models on the same faces: by age band, gender label and group, with intervals, plots and a report."""
    import tempfile

    from agewise_lab.evaluation import tables
    from agewise_lab.evaluation.job import Job, run_job
    from agewise_lab.evaluation.protocols import find_protocol

    try:
        chosen = find_protocol(protocol)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    job = Job(
        protocol=chosen,
        part=part,
        root=root,
        store=store,
        models=tuple(models or ()),
        commands=tuple(command or ()),
        predictions=tuple(predictions or ()),
        faces=detector,
        level=level,
        runs=tuple(run or ()),
        stability=stability,
        plots=plots and output is not None,
        pictures=pictures,
    )
    with tempfile.TemporaryDirectory(prefix="agewise-") as temporary:
        result = run_job(job, output or Path(temporary), _progress)
    typer.echo(f"{result.data}, split {result.split}, {result.code}\n")
    for note in result.notes:
        typer.echo(f"note: {note}")
    typer.echo("\n" + tables.as_text(tables.overview(result)))
    for model in result.models:
        typer.echo(f"\n{model.name}")
        for measures in (tables.ERRORS, tables.TRUST):
            shown = tables.by_subset(model, tables.subsets_by_one(model), measures)
            typer.echo(tables.as_text(shown) + "\n")
    typer.echo(f"[95 % intervals]; * fewer than {tables.FEW} faces")
    if result.comparisons:
        typer.echo("\n" + tables.as_text(tables.compared(result)))
    if output is not None:
        typer.echo(f"\n{output / 'report.html'}")


def _progress(done: int, whole: int) -> None:
    """Say every so often how far it is; on a terminal only."""
    if sys.stderr.isatty() and (done % 50 == 0 or done == whole):
        typer.echo(f"\r{done:,} of {whole:,} pictures" + ("\n" if done == whole else ""), err=True, nl=False)


def protocols() -> None:
    """List the protocols: name, parts, what they are."""
    from agewise_lab.evaluation.protocols import PROTOCOLS

    for name, protocol in PROTOCOLS.items():
        typer.echo(f"{name}\t{', '.join(protocol.parts)}\t{protocol.title}")


def card(
    results: Annotated[list[Path], typer.Argument(metavar="RESULT...", help="result.json files, or their folders.")],
    output: Annotated[Path, typer.Option(help="The Markdown file.")],
    model: Annotated[str | None, typer.Option(help="Which model, where a result has several.")] = None,
) -> None:
    """Write a model card in Markdown from results: intended use, limits, data, licences, figures, plots."""
    from agewise_lab.evaluation.model_card import write_card
    from agewise_lab.evaluation.result import read_result

    write_card([(path, read_result(path)) for path in results], output, model)
    typer.echo(str(output))
