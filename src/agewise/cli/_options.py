"""What several commands share."""

from __future__ import annotations

import os
from typing import Annotated, TypeAlias

import typer

Debug: TypeAlias = Annotated[bool, typer.Option("--debug", help="Show tracebacks, as AGEWISE_DEBUG=1 does.")]
"""Declared by each command so that it may stand anywhere; read by `wants_debug`, for mistakes in flags too."""

Audit: TypeAlias = Annotated[
    str | None,
    typer.Option("--audit", metavar="FILE", help="Note each face in an audit log, which is added to; no pixels."),
]


def wants_debug(arguments: list[str]) -> bool:
    """Whether the command line or the environment asks for tracebacks."""
    return "--debug" in arguments or os.environ.get("AGEWISE_DEBUG", "") not in ("", "0")
