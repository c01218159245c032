"""`agewise-lab`: build a store, train a recipe, release a model, measure it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from agewise._files import atomic_write
from agewise.errors import AgewiseError, MissingExtraError, unknown_name

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
data_app = typer.Typer(no_args_is_help=True, help="Data sets and stores.")
app.add_typer(data_app, name="data")

Store = Annotated[Path, typer.Option(help="A crop store, made by `agewise-lab data build`.")]
Root = Annotated[Path, typer.Option(help="The folder of the data set's pictures.")]


@data_app.command("build")
def data_build(
    dataset: Annotated[str, typer.Argument(help="utkface")],
    root: Root,
    output: Annotated[Path, typer.Option(help="The store's folder; it must not exist yet.")],
    side: Annotated[int, typer.Option(help="Side of the stored crops, in pixels.")] = 160,
    processes: Annotated[int, typer.Option(help="Processes.")] = 2,
) -> None:
    """Read a data set, find, align and cut its faces, and store them for training."""
    from agewise_lab.datasets.utkface import read_records
    from agewise_lab.store.crops import build

    if dataset != "utkface":
        raise typer.BadParameter(unknown_name("data set", dataset, ["utkface"]))
    listing = read_records(root)
    typer.echo(f"{len(listing.records)} labelled pictures, {len(listing.dropped)} names that say nothing")
    for name in listing.dropped:
        typer.echo(f"  dropped: {name}")
    build(listing.records, root, output, side=side, processes=processes)
    typer.echo((output / "store.json").read_text())


@app.command()
def recipes() -> None:
    """List the recipes."""
    from agewise_lab.recipes import RECIPES

    for name, recipe in RECIPES.items():
        typer.echo(f"{name}\t{(recipe.__doc__ or '').splitlines()[0]}")


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(help="A name from `agewise-lab recipes`.")],
    store: Store,
    output: Annotated[Path, typer.Option(help="Folder of checkpoints and logs; a run found there goes on.")],
    threads: Annotated[int, typer.Option(help="Threads of PyTorch.")] = 1,
    workers: Annotated[int, typer.Option(help="Processes that prepare batches.")] = 1,
) -> None:
    """Train a recipe, or go on with a run that was interrupted."""
    from agewise_lab.recipes import find_recipe
    from agewise_lab.store.crops import open_store
    from agewise_lab.store.split import hash_split
    from agewise_lab.training.run import train as run_training

    try:
        config = find_recipe(recipe)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    opened = open_store(store, in_memory=True)
    run_training(config, opened, hash_split(opened), output, threads=threads, workers=workers)


@app.command()
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


@app.command()
def evaluate(
    model: Annotated[str, typer.Argument(help="An embedded model's name, or an .onnx file with a card.")],
    root: Root,
    store: Store,
    part: Annotated[str, typer.Option(help="validation or holdout")] = "validation",
    detector: Annotated[str, typer.Option(help="none takes the pictures as crops.")] = "none",
    output: Annotated[Path | None, typer.Option(help="Write the figures there too, as JSON.")] = None,
) -> None:
    """Measure a model on a part of UTKFace, by age band, gender label and group."""
    from agewise.detect import make_detector
    from agewise.estimate import Estimator
    from agewise_lab.evaluation.run import by_group, part_of_store, run

    records = part_of_store(store, root, part)
    found = run(records, root, Estimator(model), None if detector == "none" else make_detector(detector))
    rows = by_group(found)
    keys = ["count", "found", "mae", "bias", "cs5", "gender", "gender_ece", "coverage", "width"]
    typer.echo("\t".join(["faces", *keys]))
    for name, row in rows.items():
        typer.echo("\t".join([name, *(f"{row[key]:.4g}" if key in row else "" for key in keys)]))
    if output is not None:
        with atomic_write(output) as file:
            file.write((json.dumps(rows, indent=2) + "\n").encode())


def main() -> None:
    """The entry point."""
    try:
        app()
    except ModuleNotFoundError as error:
        if (error.name or "agewise").startswith("agewise"):
            raise
        typer.echo(f"agewise-lab: {MissingExtraError(f'this command uses {error.name}, which', 'lab')}", err=True)
        sys.exit(1)
    except (AgewiseError, OSError, ValueError) as error:
        typer.echo(f"agewise-lab: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
