"""`agewise verify`: does each face look over an age, and how often is such a verdict wrong."""

from __future__ import annotations

from typing import Annotated

import typer

from agewise.cli._exits import UsageError
from agewise.cli._judging import (
    AnswerAll,
    MaxInterval,
    MaxYaw,
    MinSharpness,
    MinSize,
    check_megapixels,
    make_analyzer,
)
from agewise.cli._options import Audit, Debug, Detector, MinFace, Model, Recursive, Threads, wants_debug


def verify(
    sources: Annotated[
        list[str],
        typer.Argument(metavar="SOURCE", help="Files, folders, patterns, or - for standard input.", show_default=False),
    ],
    over: Annotated[float, typer.Option(metavar="YEARS", help="The age to be over.")] = 18.0,
    challenge: Annotated[
        float | None,
        typer.Option(metavar="YEARS", help="Who looks younger than this does not pass; default: 7 more than --over."),
    ] = None,
    recursive: Recursive = False,
    model: Model = "agewise-s",
    detector: Detector = "mtcnn",
    min_face: MinFace = None,
    threads: Threads = 1,
    max_megapixels: Annotated[
        float, typer.Option(metavar="N", help="Refuse larger pictures before decoding them.")
    ] = 100,
    json: Annotated[bool, typer.Option("--json", help="Print JSON Lines, one object a picture.")] = False,
    audit: Audit = None,
    max_interval: MaxInterval = None,
    min_size: MinSize = None,
    min_sharpness: MinSharpness = None,
    max_yaw: MaxYaw = None,
    answer_all: AnswerAll = False,
    debug: Debug = False,
) -> None:
    """Say of each face whether it looks over an age: pass, fail or unsure.

    Who looks --challenge years or older passes, who looks younger than --over fails, all between are unsure, and so
    are faces that the model declines and pictures without a face. How often that was wrong is said beside it, where
    the model's card has counted it. Piped on, it prints a line a face with tabs between source, face, verdict, age,
    the interval's ends, and the reason.

    This is about how old a face looks, for study. Do not let it decide about people.

    --audit needs a key in AGEWISE_AUDIT_KEY, or AGEWISE_AUDIT_KEY_FILE to name its file.
    Exit status: 0 all pass, 1 an error, 2 a mistake in the command, 3 a face failed or is unsure.

    \\b
    Examples:
      agewise verify photo.jpg
      agewise verify -r photos --over 18 --challenge 25 --json
    """
    from agewise.cli._audit import auditing
    from agewise.cli._verdicts import run_verdicts
    from agewise.sources import list_sources
    from agewise.verdicts import challenge_age

    try:
        limit = challenge_age(over, challenge)
    except ValueError as error:
        raise UsageError(f"--over and --challenge: {error} (see agewise verify --help)") from error
    check_megapixels(max_megapixels, "verify")
    listed = list_sources(sources, recursive=recursive)
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
        threads=threads,
    )
    with auditing(audit, analyzer) as auditor:
        traces = wants_debug(["--debug"] if debug else [])
        status = run_verdicts(analyzer, listed, over, limit, as_json=json, debug=traces, audit=auditor)
    if status:
        raise typer.Exit(status)
