"""What several commands share."""

from __future__ import annotations

import os
from typing import Annotated, TypeAlias

import typer

Debug: TypeAlias = Annotated[bool, typer.Option("--debug", help="Show tracebacks, as AGEWISE_DEBUG=1 does.")]
"""Declared by each command so that it may stand anywhere; read by `wants_debug`, for mistakes in flags too."""

Model: TypeAlias = Annotated[str, typer.Option("--model", metavar="NAME", help="A model's name, or an .onnx file.")]
Detector: TypeAlias = Annotated[str, typer.Option("--detector", metavar="NAME", help="What finds the faces.")]
MinFace: TypeAlias = Annotated[
    int | None, typer.Option("--min-face", min=1, metavar="PIXELS", help="Side of the smallest face to look for.")
]
MaxFaces: TypeAlias = Annotated[
    int | None,
    typer.Option("--max-faces", min=1, metavar="N", help="Take only the N largest faces of a picture."),
]
Threads: TypeAlias = Annotated[
    int, typer.Option("--threads", min=0, metavar="N", help="Threads of a network call; 0 for all cores.")
]
Recursive: TypeAlias = Annotated[bool, typer.Option("--recursive", "-r", help="Search subfolders too.")]
Audit: TypeAlias = Annotated[
    str | None,
    typer.Option("--audit", metavar="FILE", help="Note each face in an audit log, which is added to; no pixels."),
]


def wants_debug(arguments: list[str]) -> bool:
    """Whether the command line or the environment asks for tracebacks."""
    return "--debug" in arguments or os.environ.get("AGEWISE_DEBUG", "") not in ("", "0")
