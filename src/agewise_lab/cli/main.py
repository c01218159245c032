"""`agewise-lab`: build a store, train a recipe, release a model, measure it."""

from __future__ import annotations

import sys

import typer

from agewise.errors import AgewiseError, MissingExtraError
from agewise_lab.cli import convert, data, evaluate, gate, train

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
app.add_typer(data.app, name="data")
app.add_typer(train.recipes, name="recipes")
app.command()(train.train)
app.command()(train.plot)
app.command()(train.release)
app.command()(train.recard)
app.command()(train.join)
app.command()(train.mirror)
app.command()(evaluate.evaluate)
app.command()(evaluate.protocols)
app.command()(evaluate.card)
app.command()(gate.gate)
app.command()(convert.convert)


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
