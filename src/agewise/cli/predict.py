"""`agewise predict`: pictures in, ages and genders out."""

from __future__ import annotations

from typing import Annotated

import typer

from agewise.cli._judging import (
    AnswerAll,
    MaxInterval,
    MaxYaw,
    MinSharpness,
    MinSize,
    check_megapixels,
    make_analyzer,
)
from agewise.cli._options import Audit, Debug, Detector, MaxFaces, MinFace, Model, Recursive, Threads, wants_debug


def predict(
    sources: Annotated[
        list[str],
        typer.Argument(metavar="SOURCE", help="Files, folders, patterns, or - for standard input.", show_default=False),
    ],
    recursive: Recursive = False,
    model: Model = "agewise-s",
    detector: Detector = "mtcnn",
    min_face: MinFace = None,
    max_faces: MaxFaces = None,
    threads: Threads = 1,
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
    audit: Audit = None,
    max_interval: MaxInterval = None,
    min_size: MinSize = None,
    min_sharpness: MinSharpness = None,
    max_yaw: MaxYaw = None,
    answer_all: AnswerAll = False,
    debug: Debug = False,
) -> None:
    """Find the faces in pictures; estimate their ages and genders.

    Prints a table to a terminal. Piped on, it prints a line a face with tabs between source, face, age, the
    interval's ends, gender, its probability, the box's x0, y0, x1, y1, and whether the model stands by it. Of a
    folder, the files with a picture's suffix are read.

    A face that is too small, blurred, turned away, or else unlike those that the model was validated on is
    declined: its estimate is still given, marked, but its interval promises nothing.

    A picture that cannot be read is told on standard error and stops no other. Ctrl-C keeps what was done.
    --audit needs a key in AGEWISE_AUDIT_KEY, or AGEWISE_AUDIT_KEY_FILE to name its file; a face is shown only once
    the log has it. Bytes in names that are not UTF-8 are written as \\xNN.
    Exit status: 0 all well, 1 something failed, 2 a mistake in the command.

    \b
    Examples:
      agewise predict photo.jpg
      agewise predict -r photos --output faces.csv --draw drawn
      agewise predict "scans/*.png" --json
      curl -s https://example.org/photo.jpg | agewise predict -
    """
    from agewise.cli._run import Outputs, list_and_check, run

    outputs = Outputs(
        json=json, file=output, drawings=draw, audit=audit, debug=wants_debug(["--debug"] if debug else [])
    )
    check_megapixels(max_megapixels, "predict")
    listed = list_and_check(sources, outputs, recursive=recursive)
    analyzer = make_analyzer(
        model,
        detector,
        max_megapixels=max_megapixels,
        answer_all=answer_all,
        changes={
            "max_interval_years": max_interval,
            "min_face_pixels": min_size,
            "min_sharpness": min_sharpness,
            "max_yaw_degrees": max_yaw,
        },
        min_face=min_face,
        max_faces=max_faces,
        threads=threads,
        batch=batch,
    )
    if status := run(analyzer, listed, outputs):
        raise typer.Exit(status)
