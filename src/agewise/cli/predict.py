"""`agewise predict`: pictures in, ages and genders out."""

from __future__ import annotations

from typing import Annotated

import typer

from agewise.cli._exits import UsageError
from agewise.cli._options import Debug, wants_debug
from agewise.errors import AgewiseError


def predict(
    sources: Annotated[
        list[str],
        typer.Argument(metavar="SOURCE", help="Files, folders, patterns, or - for standard input.", show_default=False),
    ],
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="Search subfolders too.")] = False,
    model: Annotated[str, typer.Option(metavar="NAME", help="A model's name, or an .onnx file.")] = "agewise-s",
    detector: Annotated[str, typer.Option(metavar="NAME", help="What finds the faces.")] = "mtcnn",
    min_face: Annotated[
        int | None, typer.Option(min=1, metavar="PIXELS", help="Side of the smallest face to look for.")
    ] = None,
    max_faces: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Take only the N largest faces of a picture.")
    ] = None,
    threads: Annotated[int, typer.Option(min=0, metavar="N", help="Threads of a network call; 0 for all cores.")] = 1,
    batch: Annotated[int, typer.Option(min=1, metavar="N", help="Most faces in one network call.")] = 32,
    max_megapixels: Annotated[
        float, typer.Option(metavar="N", help="Refuse larger pictures before decoding them.")
    ] = 100,
    json: Annotated[bool, typer.Option("--json", help="Print JSON Lines, one object a picture.")] = False,
    output: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write a .jsonl, .csv or .parquet file instead of printing.")
    ] = None,
    draw: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Write the pictures here, with boxes and labels.")
    ] = None,
    debug: Debug = False,
) -> None:
    """Find the faces in pictures; estimate their ages and genders.

    Prints a table to a terminal. Piped on, it prints a line a face with tabs between source, face, age, the
    interval's ends, gender, its probability, and the box's x0, y0, x1, y1. Of a folder, the files with a
    picture's suffix are read.

    A picture that cannot be read is told on standard error and stops no other. Ctrl-C keeps what was done.
    Bytes in names that are not UTF-8 are written as \\xNN. Exit status: 0 all well, 1 something failed, 2 a
    mistake in the command.

    \b
    Examples:
      agewise predict photo.jpg
      agewise predict -r photos --output faces.csv --draw drawn
      agewise predict "scans/*.png" --json
      curl -s https://example.org/photo.jpg | agewise predict -
    """
    from agewise.cli._run import Outputs, list_and_check, run

    if not max_megapixels > 0:  # true of NaN, too
        raise UsageError(f"--max-megapixels must be above 0, got {max_megapixels:g} (see agewise predict --help)")
    outputs = Outputs(json=json, file=output, drawings=draw, debug=wants_debug(["--debug"] if debug else []))
    listed = list_and_check(sources, outputs, recursive=recursive)

    from agewise.analyzer import Analyzer

    try:
        analyzer = Analyzer(
            model,
            detector,
            min_face=min_face,
            max_faces=max_faces,
            threads=threads,
            batch=batch,
            max_pixels=max(1, round(min(max_megapixels, 1e9) * 1e6)),
        )
    except AgewiseError:
        raise
    except ValueError as error:  # a number that the detector or the runtime does not take
        raise UsageError(str(error)) from error
    if status := run(analyzer, listed, outputs):
        raise typer.Exit(status)
