"""`agewise audit`: whether an audit log is whole."""

from __future__ import annotations

from typing import Annotated

import typer

from agewise.cli._exits import FAILED
from agewise.cli._options import Debug
from agewise.cli._streams import one_line, say, write_out
from agewise.errors import OutputError

audit = typer.Typer(help="Verify audit logs.", rich_markup_mode=None)


@audit.callback(invoke_without_command=True)
def _audit(context: typer.Context, debug: Debug = False) -> None:
    if context.invoked_subcommand is None:
        write_out(context.get_help() + "\n")


@audit.command()
def verify(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A log that --audit wrote.", show_default=False)],
    debug: Debug = False,
) -> None:
    """Find any change, loss or re-ordering in an audit log.

    Each line holds the hash of the one before; FILE.head beside the log holds the number of lines and the last hash,
    sealed with the key. With AGEWISE_AUDIT_KEY, or AGEWISE_AUDIT_KEY_FILE, the seal is checked, too. Keep the hash
    that is printed elsewhere: it vouches for all lines up to it, even where somebody makes the whole log anew.

    Exit status: 0 the log is whole, 1 it is not: the first line that is wrong is printed.
    """
    from agewise._files import shown
    from agewise.audit import load_key
    from agewise.audit import verify as verify_log

    name = one_line(shown(file))
    try:
        found = verify_log(file, key=load_key())
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        raise OutputError(f"cannot read {name}: {error.strerror or error}") from error
    for note in found.notes:
        say(f"{name}: {note}")
    if found.problem is not None:
        write_out(f"{name}: {'' if found.line is None else f'line {found.line}: '}{found.problem}\n")
        raise typer.Exit(FAILED)
    write_out(f"{name}: ok ({found.lines} lines; the last has sha256 {found.last_sha256})\n")
