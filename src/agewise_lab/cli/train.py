"""`agewise-lab recipes`, `train`, `release`: from a recipe to the file that ships."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agewise_lab.cli._options import Root, Store


def recipes() -> None:
    """List the recipes."""
    from agewise_lab.recipes import RECIPES

    for name, recipe in RECIPES.items():
        typer.echo(f"{name}\t{(recipe.__doc__ or '').splitlines()[0]}")


def train(
    recipe: Annotated[str, typer.Argument(help="A name from `agewise-lab recipes`.")],
    store: Store,
    output: Annotated[Path, typer.Option(help="Folder of checkpoints and logs; a run found there goes on.")],
    threads: Annotated[int, typer.Option(help="Threads of PyTorch.")] = 1,
    workers: Annotated[int, typer.Option(help="Processes that prepare batches.")] = 1,
    teacher: Annotated[Path | None, typer.Option(help="A finished run whose last network teaches this one.")] = None,
    distill: Annotated[float, typer.Option(help="Weight of the teacher's answers.")] = 0.5,
) -> None:
    """Train a recipe, or go on with a run that was interrupted."""
    from agewise_lab.recipes import find_recipe
    from agewise_lab.store.crops import open_store
    from agewise_lab.store.split import hash_split
    from agewise_lab.training.run import train as run_training
    from agewise_lab.training.teacher import with_teacher

    try:
        config = find_recipe(recipe)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    if teacher is not None:
        config = with_teacher(config, teacher, distill=distill)
    opened = open_store(store, in_memory=True)
    run_training(config, opened, hash_split(opened), output, threads=threads, workers=workers)


def release(
    run: Annotated[Path, typer.Argument(help="A finished run's folder.")],
    store: Store,
    root: Root,
    output: Annotated[Path, typer.Option(help="Folder for the .onnx file and its manifest.json.")],
    version: Annotated[str, typer.Option(help="Version of the model, for its card.")] = "1.0.0",
    final: Annotated[bool, typer.Option(help="Also measure on the holdout part: the last look.")] = False,
) -> None:
    """Export, calibrate and measure a trained model, and write the file that ships."""
    from agewise_lab.export.release import release_run

    path = release_run(run, store, root, output, version=version, final=final)
    typer.echo(f"{path}: {path.stat().st_size} bytes")
