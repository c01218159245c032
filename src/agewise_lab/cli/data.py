"""`agewise-lab data`: data sets and stores."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agewise.errors import unknown_name
from agewise_lab.cli._options import Root

app = typer.Typer(no_args_is_help=True, help="Data sets and stores.")


@app.command()
def build(
    dataset: Annotated[str, typer.Argument(help="utkface")],
    root: Root,
    output: Annotated[Path, typer.Option(help="The store's folder; it must not exist yet.")],
    side: Annotated[int, typer.Option(help="Side of the stored crops, in pixels.")] = 160,
    processes: Annotated[int, typer.Option(help="Processes.")] = 2,
) -> None:
    """Read a data set, find, align and cut its faces, and store them for training."""
    from agewise_lab.datasets.utkface import read_records
    from agewise_lab.store.crops import build as build_store

    if dataset != "utkface":
        raise typer.BadParameter(unknown_name("data set", dataset, ["utkface"]))
    listing = read_records(root)
    typer.echo(f"{len(listing.records)} labelled pictures, {len(listing.dropped)} names that say nothing")
    for name in listing.dropped:
        typer.echo(f"  dropped: {name}")
    build_store(listing.records, root, output, side=side, processes=processes)
    typer.echo((output / "store.json").read_text())
