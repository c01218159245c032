"""`agewise video`: a moving picture in; the same with ages on the faces, or records of them, out."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from agewise.cli._exits import UsageError
from agewise.cli._judging import AnswerAll, make_analyzer
from agewise.cli._options import Debug, Detector, MinFace, Model


class Per(StrEnum):
    """What a record is of."""

    TRACK = "track"
    FRAME = "frame"


def video(
    source: Annotated[
        str,
        typer.Argument(
            metavar="IN",
            help="A video, a GIF, a folder or pattern of pictures, or an address (rtsp://, https://).",
            show_default=False,
        ),
    ],
    output: Annotated[
        str | None, typer.Option("--output", "-o", metavar="FILE", help="Write the video here: .mp4, .m4v, .mov, .mkv.")
    ] = None,
    records: Annotated[
        str | None,
        typer.Option(
            "--records",
            "--sink",
            metavar="FILE",
            help="Write records here: .jsonl, .csv, .parquet, a database's or store's URL.",
        ),
    ] = None,
    per: Annotated[Per, typer.Option(help="One record per track, or per face and frame.")] = Per.TRACK,
    every: Annotated[
        int, typer.Option(min=1, metavar="N", help="Take only every N-th frame, and leave the others out.")
    ] = 1,
    start: Annotated[float, typer.Option("--from", min=0, metavar="SECONDS", help="Begin here.")] = 0,
    end: Annotated[float | None, typer.Option("--to", min=0, metavar="SECONDS", help="End here.")] = None,
    no_draw: Annotated[bool, typer.Option("--no-draw", help="Draw nothing on the frames.")] = False,
    model: Model = "agewise-s",
    detector: Detector = "mtcnn",
    min_face: MinFace = None,
    max_faces: Annotated[int | None, typer.Option(min=1, metavar="N", help="Follow only the N largest faces.")] = None,
    answer_all: AnswerAll = False,
    force: Annotated[bool, typer.Option("--force", help="Replace files that exist.")] = False,
    debug: Debug = False,
) -> None:
    """Follow the faces of a video; draw their ages and genders, or write records of them.

    Each face has one estimate, made of many of its frames: a pale box while it is still coming, a yellow one once
    it holds still. The new video is H.264 in MP4, with the times of the frames and the sound of the old one.

    What can be read of a damaged video is written, and what could not is told. Ctrl-C ends the new video properly
    at the frame that it has come to. Exit status: 0 all well, 1 something failed, 2 a mistake in the command.

    \b
    Examples:
      agewise video party.mp4 -o drawn.mp4
      agewise video party.mp4 --records faces.csv --per frame --every 5
      agewise video "shots/*.png" -o drawn.mp4 --from 2 --to 8
    """
    if output is None and records is None:
        raise UsageError("nothing to write: give -o FILE for a video, --records FILE for records, or both")
    if end is not None and not end > start:
        raise UsageError(f"--to {end:g} must be after --from {start:g}")
    from agewise.cli._video_run import VideoJob, check, run

    job = VideoJob(
        source=source,
        output=output,
        records=records,
        per_frame=per is Per.FRAME,
        every=every,
        start=start or None,
        end=end,
        draw=not no_draw,
        force=force,
        max_faces=max_faces,
    )
    check(job)
    analyzer = make_analyzer(model, detector, max_megapixels=100, answer_all=answer_all, changes={}, min_face=min_face)
    if status := run(analyzer, job):
        raise typer.Exit(status)
