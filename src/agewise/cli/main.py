"""The entry point of `agewise`: its commands, and the one place where errors become lines and exit statuses."""

from __future__ import annotations

import sys
import traceback
import warnings
from collections.abc import Sequence
from typing import Annotated

import typer

import agewise
from agewise.cli import _streams
from agewise.cli._exits import BROKEN_PIPE, FAILED, MISTAKE, status_of
from agewise.cli._options import Debug, wants_debug
from agewise.cli.annotate import annotate
from agewise.cli.audit import audit
from agewise.cli.calibrate import calibrate
from agewise.cli.detectors import detectors
from agewise.cli.live import live
from agewise.cli.models import models
from agewise.cli.predict import predict
from agewise.cli.verify import verify
from agewise.cli.video import video
from agewise.errors import AgewiseError, OutputError

# Rich help and Rich tracebacks would cost a third of a second at each start.
app = typer.Typer(name="agewise", add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
app.command()(predict)
app.command()(verify)
app.command()(video)
app.command()(annotate)
app.command()(calibrate)
app.command()(live)
app.add_typer(models, name="models")
app.command()(detectors)
app.add_typer(audit, name="audit")


def _print_version(wanted: bool) -> None:
    if wanted:
        _streams.write_out(f"agewise {agewise.__version__}\n")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Debug = False,
) -> None:
    """Age and gender from faces, offline, each age with an interval that holds."""
    if context.invoked_subcommand is None:
        _streams.write_out(context.get_help() + "\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; gives the exit status, and raises nothing.

    Args:
        arguments: without the program's name; by default those of the process.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    _streams.prepare()
    try:
        status = _run(arguments, wants_debug(arguments))
        _streams.write_out("")  # what is still held back may fail, too
    except BrokenPipeError:
        status = BROKEN_PIPE
    except OutputError as error:
        status = FAILED
        _streams.say(str(error))
    finally:
        _streams.finish()
    return status


def _run(arguments: list[str], debug: bool) -> int:
    """The exit status; only what befalls the streams themselves is raised."""
    try:
        with warnings.catch_warnings():
            if not debug:
                warnings.simplefilter("ignore")  # of libraries, on odd pictures: nothing that a user could mend
            command = typer.main.get_command(app)
            with command.make_context("agewise", arguments) as context:
                command.invoke(context)
        return 0
    except typer.Exit as error:
        return error.exit_code
    except KeyboardInterrupt as error:
        _streams.say("stopped")
        return int(getattr(error, "exit_code", 130))
    except BrokenPipeError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and not isinstance(error, AgewiseError) and error.filename is None:
            # Of no file: Typer could not print help.
            raise OutputError(f"cannot write to standard output: {error.strerror or error}") from error
        if debug:
            traceback.print_exception(error)
        status, text = _explain(error)
        _streams.say(text)
        return status


def _explain(error: Exception) -> tuple[int, str]:
    """The exit status and the line of what ended the run: our own error, a mistake in the flags, or a fault."""
    if isinstance(error, AgewiseError):
        return status_of(error), str(error)
    # The classes of these mistakes moved between versions of Typer; what they can do did not.
    if hasattr(error, "format_message"):
        context = getattr(error, "ctx", None)
        command = "agewise" if context is None else context.command_path
        return MISTAKE, f"{' '.join(error.format_message().split())} (see {command} --help)"
    return FAILED, f"unexpected {type(error).__name__}: {error}; run it again with --debug and report what it shows"
