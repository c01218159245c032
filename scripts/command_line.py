"""Prints every command, argument and option of a command line, one a line, sorted.

    python scripts/command_line.py agewise.cli.main > tests/contracts/command_line.txt

The argument is the module whose `app` is the Typer application. Help texts are left out: they may change freely.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from typing import Any

import typer.main


def describe(command: Any, path: str) -> Iterator[str]:
    """One line for the command itself, one for each parameter, then those of its subcommands.

    Args:
        command: a click command; typed as Any because Typer's home for its classes has moved between versions.
        path: the words typed to reach it.
    """
    yield path
    for parameter in command.params:
        # An argument has no dashes: its name is for Python only, so its metavar stands for it.
        is_option = parameter.opts[0].startswith("-")
        many = "" if parameter.nargs == 1 else "..."
        names = "/".join([*parameter.opts, *parameter.secondary_opts]) if is_option else f"{parameter.metavar}{many}"
        value = f" {parameter.metavar or 'VALUE'}" if is_option and not parameter.is_flag else ""
        need = "" if is_option and not parameter.required else " (required)" if parameter.required else " (optional)"
        yield f"{path} {names}{value}{need}"
    for name, subcommand in getattr(command, "commands", {}).items():
        yield from describe(subcommand, f"{path} {name}")


def command_line(module: str) -> list[str]:
    """The whole command line of the Typer application `app` in `module`, sorted."""
    app = importlib.import_module(module).app
    return sorted(describe(typer.main.get_command(app), module.partition(".")[0].replace("_", "-")))


if __name__ == "__main__":
    print("\n".join(command_line(sys.argv[1])))
