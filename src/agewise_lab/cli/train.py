"""`agewise-lab recipes`, `train`, `plot`, `release`, `recard`, `join`, `mirror`: from a recipe to what ships."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from agewise_lab.cli._options import Root, Store

Model = Annotated[str, typer.Argument(help="An embedded model's name, or an .onnx file with a card.")]
NewFile = Annotated[Path, typer.Option("--output", help="The new .onnx file.")]
Final = Annotated[bool, typer.Option(help="Also measure on the holdout part: the last look.")]
Embed = Annotated[Path | None, typer.Option(help="Also put it into this folder and its manifest.json.")]

recipes = typer.Typer(invoke_without_command=True, help="List the recipes, or show one.")


@recipes.callback()
def _recipes(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        list_recipes()


@recipes.command("list")
def list_recipes() -> None:
    """List the recipes and studies."""
    from agewise_lab.recipes import RECIPES, STUDIES, about_recipe

    for name in [*RECIPES, *STUDIES]:
        typer.echo(f"{name}\t{about_recipe(name)}")


@recipes.command()
def show(recipe: Annotated[str, typer.Argument(help="A name from `agewise-lab recipes`.")]) -> None:
    """Show all settings of a recipe, as `agewise-lab train RECIPE key=value` takes them; of a study its recipes."""
    from agewise_lab.recipes import STUDIES, find_recipe
    from agewise_lab.training.overrides import lines_of

    try:
        lines = list(STUDIES[recipe]) if recipe in STUDIES else lines_of(find_recipe(recipe))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    typer.echo("\n".join(lines))


def train(
    recipe: Annotated[str, typer.Argument(help="A name from `agewise-lab recipes`.")],
    store: Store,
    output: Annotated[Path, typer.Option(help="Folder of checkpoints and logs; a run found there goes on.")],
    changes: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Settings to change.")] = None,
    threads: Annotated[int, typer.Option(help="Threads of PyTorch.")] = 1,
    workers: Annotated[int, typer.Option(help="Processes that prepare batches.")] = 1,
    teacher: Annotated[
        list[Path] | None,
        typer.Option(help="What teaches this one: a finished run, its last network; or a released file. Repeatable."),
    ] = None,
    distill: Annotated[float, typer.Option(help="Weight of the teacher's answers.")] = 0.5,
    one_answer: Annotated[
        bool, typer.Option("--one-answer", help="Ask one of its networks and views a batch, not all: less time.")
    ] = False,
    accelerator: Annotated[str, typer.Option(help="cpu, gpu, or auto.")] = "cpu",
    devices: Annotated[int, typer.Option(help="How many of them; each trains on its part of every batch.")] = 1,
    resume: Annotated[bool, typer.Option("--resume", help="Only go on with a run; none there is an error.")] = False,
) -> None:
    """Train a recipe, or go on with a run that was interrupted. A study trains all of its recipes."""
    from agewise_lab.recipes import find_runs
    from agewise_lab.store.crops import open_store
    from agewise_lab.training.memory import keep_freed_memory
    from agewise_lab.training.overrides import override
    from agewise_lab.training.run import train as run_training
    from agewise_lab.training.splits import split_named
    from agewise_lab.training.teacher import with_teacher

    try:
        runs = [override(config, changes or []) for config in find_runs(recipe)]
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    folders = [output / config.name if len(runs) > 1 else output for config in runs]
    if resume and not any((folder / "last.ckpt").is_file() for folder in folders):
        raise typer.BadParameter(f"{output} holds no run to go on with: leave --resume out")
    keep_freed_memory()
    opened = open_store(store, in_memory=True)
    for config, folder in zip(runs, folders, strict=True):
        taught = config
        if teacher:
            taught = with_teacher(config, *teacher, distill=distill, asked="one" if one_answer else "all")
        run_training(
            taught,
            opened,
            split_named(config.split, opened),
            folder,
            threads=threads,
            workers=workers,
            accelerator=accelerator,
            devices=devices,
            progress=sys.stderr.isatty(),
        )


def plot(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs.")],
    output: Annotated[Path, typer.Option(help="The picture, a PNG.")],
) -> None:
    """Draw the training curves of several runs in one figure."""
    from agewise_lab.training.curves import plot_runs, read_run

    plot_runs([read_run(run) for run in runs], output)
    typer.echo(str(output))


def release(
    runs: Annotated[
        list[Path], typer.Argument(help="A finished run's folder, or a released file; several answer together.")
    ],
    store: Store,
    root: Root,
    output: Annotated[Path, typer.Option(help="Folder for the .onnx file and its manifest.json.")],
    name: Annotated[str | None, typer.Option(help="Of the model; by default the first network's.")] = None,
    mirrored: Annotated[bool, typer.Option(help="See the mirror image too, at twice the time.")] = False,
    adjust: Annotated[float, typer.Option(help="Share of the training ages' frequency to take out, 0 to 1.")] = 0.0,
    base: Annotated[
        Path | None,
        typer.Option(help="A released file or a run that the run was trained on from: take weights between them."),
    ] = None,
    share: Annotated[float, typer.Option(help="The run's share of the weights between it and --base.")] = 0.5,
    version: Annotated[str, typer.Option(help="Version of the model, for its card.")] = "1.0.0",
    final: Final = False,
) -> None:
    """Export, calibrate and measure a trained model, and write the file that ships."""
    from agewise_lab.export.release import release_run

    path = release_run(
        *(runs, store, root, output),
        version=version,
        final=final,
        name=name,
        mirrored=mirrored,
        adjust=adjust,
        base=base,
        share=share,
    )
    typer.echo(f"{path}: {path.stat().st_size} bytes")


def recard(
    model: Model,
    store: Store,
    root: Root,
    output: NewFile,
    final: Final = False,
    embed: Embed = None,
) -> None:
    """Calibrate and measure a model file anew, without training: intervals, verdicts, quality, figures."""
    from agewise_lab.export.measured import recard as recard_file

    date = _today()
    _written(recard_file(model, store, root, output, final=final, date=date), embed)


def join(
    age: Annotated[str, typer.Argument(help="Whose age: an embedded model's name, or an .onnx file with a card.")],
    gender: Annotated[str, typer.Argument(help="Whose gender, likewise; it must see the same crop.")],
    store: Store,
    root: Root,
    output: NewFile,
    name: Annotated[str, typer.Option(help="Of the model.")],
    version: Annotated[str, typer.Option(help="Version of the model, for its card.")] = "1.0.0",
    final: Final = False,
    embed: Embed = None,
) -> None:
    """The age of one model and the gender of another in one file, calibrated and measured anew."""
    from agewise_lab.export.joined import join as join_files

    date = _today()
    _written(join_files(age, gender, store, root, output, name=name, version=version, final=final, date=date), embed)


def mirror(
    model: Model,
    store: Store,
    root: Root,
    output: NewFile,
    version: Annotated[str, typer.Option(help="Version of the new model, for its card.")],
    name: Annotated[str | None, typer.Option(help="Of the new model; by default the old one's.")] = None,
    final: Final = False,
    embed: Embed = None,
) -> None:
    """The mean of a model's answers for a face and its mirror image as one file, calibrated and measured anew.

    It errs less, and moves less where the crop does; a face takes twice the time.
    """
    from agewise_lab.export.mirrored import mirror as mirror_file

    date = _today()
    _written(mirror_file(model, store, root, output, name=name, version=version, final=final, date=date), embed)


def _today() -> str:
    """ISO 8601, for a card."""
    import datetime

    return datetime.datetime.now(datetime.UTC).date().isoformat()


def _written(path: Path, embed: Path | None) -> None:
    """Say what was written, and put it among the embedded files if asked to."""
    from agewise.estimate import Estimator
    from agewise_lab.export.release import write_embedded

    if embed is not None:
        write_embedded(path.read_bytes(), Estimator(path).card, embed)
    typer.echo(f"{path}: {path.stat().st_size} bytes")
