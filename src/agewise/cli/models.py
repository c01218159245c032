"""`agewise models`: what is on hand, what a model promises, and whether it keeps it."""

from __future__ import annotations

from typing import Annotated

import typer

from agewise.cli._exits import FAILED
from agewise.cli._options import Debug
from agewise.cli._streams import say, write_out
from agewise.errors import AgewiseError

models = typer.Typer(help="List the models on hand, show what one promises, or verify it.", rich_markup_mode=None)


@models.callback(invoke_without_command=True)
def _models(context: typer.Context, debug: Debug = False) -> None:
    if context.invoked_subcommand is None:
        list_()


@models.command("list")
def list_(debug: Debug = False) -> None:
    """List the models on hand."""
    from agewise.cli._cards import RESEARCH_ONLY, list_cards
    from agewise.cli._tables import write_table

    rows, problems, for_research = list_cards()
    write_table(("Model", "Version", "Input", "Size", "Licence", "Summary"), rows)
    if for_research:
        say(RESEARCH_ONLY)
    for problem in problems:
        say(problem)
    if problems:
        raise typer.Exit(FAILED)


@models.command()
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A model's name, or an .onnx file.")] = "agewise-s",
    json: Annotated[bool, typer.Option("--json", help="Print the card as JSON.")] = False,
    debug: Debug = False,
) -> None:
    """Show a model's card: all that it takes, promises, and was measured at."""
    from agewise.cli._cards import describe_card, load_card

    file, card = load_card(name)
    write_out(card.to_json() + "\n" if json else describe_card(file, card))


@models.command()
def verify(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME", help="Models' names or .onnx files; default: all on hand.", show_default=False),
    ] = None,
    debug: Debug = False,
) -> None:
    """Hold models against their checksums, their cards, and the answers that these promise.

    Exit status 1 where one fails.
    """
    from agewise.cli._cards import verify_file
    from agewise.store.models import embedded_files

    failed = False
    for name in names or [entry.name for entry in embedded_files()]:
        try:
            found = verify_file(name)
        except AgewiseError as error:
            failed = True
            say(f"{name}: FAILED: {error}")
        else:
            write_out(f"{found}\n")
    if failed:
        raise typer.Exit(FAILED)
