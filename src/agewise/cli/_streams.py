"""The three standard streams, made safe: any text can be printed, and every failure has a name."""

from __future__ import annotations

import contextlib
import os
import sys
import unicodedata
from typing import TextIO

from agewise.errors import OutputError

_UNPRINTABLE = {"Cc", "Cs", "Zl", "Zp"}  # control characters, surrogates, line and paragraph separators
_BIDI_CONTROLS = {chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))}


def prepare() -> None:
    """Make both output streams take any text: what their encoding lacks is written as `\\u7167` and the like.

    A stream that was closed before we started (`>&-`) is led to nowhere, so that no file gets its number.
    """
    for name in ("stdin", "stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115  as long as the process
        elif name != "stdin" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def one_line(text: str) -> str:
    r"""Text as one harmless line: control characters, also those that turn the writing direction, as escapes.

    >>> one_line("a\nb\x1b[31m")
    'a\\nb\\x1b[31m'
    """
    return "".join(
        char.encode("unicode_escape").decode()
        if unicodedata.category(char) in _UNPRINTABLE or char in _BIDI_CONTROLS
        else char
        for char in text
    )


def say(text: str) -> None:
    """One line to standard error."""
    sys.stderr.write(f"agewise: {one_line(text)}\n")
    sys.stderr.flush()


def write_out(data: str | bytes) -> None:
    """Write to standard output, at once.

    Raises:
        BrokenPipeError: nobody reads on.
        OutputError: it cannot be written for another reason.
    """
    try:
        if isinstance(data, str):
            sys.stdout.write(data)
        elif (binary := getattr(sys.stdout, "buffer", None)) is not None:
            sys.stdout.flush()
            binary.write(data)
            binary.flush()
        else:  # a stand-in that takes text only
            sys.stdout.write(data.decode())
        sys.stdout.flush()
    except OSError as error:
        _lead_to_nowhere(sys.stdout)  # or what it still holds would raise again later
        if isinstance(error, BrokenPipeError):
            raise
        raise OutputError(f"cannot write to standard output: {error.strerror or error}") from error


def finish() -> None:
    """Write what the streams hold back; one that cannot be written to is led to nowhere, without a word.

    For the very end: else Python itself tries, and prints what went wrong.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            _lead_to_nowhere(stream)


def _lead_to_nowhere(stream: TextIO) -> None:
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
