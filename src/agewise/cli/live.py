"""`agewise live`: a camera's faces as they come, in a window or without one."""

from __future__ import annotations

from typing import Annotated

import typer

from agewise.cli._options import Debug, Detector, MinFace, Model, Threads


def live(
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="SOURCE",
            help="Instead of --camera: an address (rtsp://…, http://…), a device, or a video file.",
            show_default=False,
        ),
    ] = None,
    camera: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="The camera's number; 0, the first, by default.")
    ] = None,
    model: Model = "agewise-s",
    detector: Detector = "mtcnn",
    min_face: MinFace = None,
    threads: Threads = 1,
    sink: Annotated[
        str | None,
        typer.Option(metavar="TARGET", help="Where records go; in a window agewise-records.jsonl by default."),
    ] = None,
    seconds: Annotated[float | None, typer.Option(metavar="S", help="Stop by itself after so many seconds.")] = None,
    headless: Annotated[
        bool, typer.Option("--headless", help="No window: a record of each face once it has left the picture.")
    ] = False,
    keep_picture: Annotated[
        str | None,
        typer.Option(metavar="FOLDER", help="Write the picture of each capture here, too. Else none is kept."),
    ] = None,
    debug: Debug = False,
) -> None:
    """Show a camera's faces with their ages as they come.

    The newest frame is always the one that is shown; what this machine cannot keep up with is left out. Each face
    is followed, and its estimate is fused from its frames. A camera that goes away is waited for.

    Keys in the window: Space captures a record of each face in sight, d takes the next detector, m the next model, q
    or Esc quits. A record holds no picture; --keep-picture FOLDER writes the camera's picture beside it, at each
    Space.

    Without a window (--headless) each face gets its record when it leaves the picture, or when the run ends: to
    --sink, or as JSON Lines to standard output. Ctrl-C ends it, and keeps what was recorded.

    Exit status: 0 all well, 1 something failed or not one frame came, 2 a mistake in the command, 130 Ctrl-C.

    \b
    Examples:
      agewise live
      agewise live --camera 1 --sink captures.jsonl
      agewise live rtsp://192.168.1.20/stream --headless --sink faces.jsonl
    """
    from agewise.cli._live import LiveOptions, run_live

    options = LiveOptions(
        source=source,
        camera=camera,
        model=model,
        detector=detector,
        min_face=min_face,
        threads=threads,
        sink=sink,
        seconds=seconds,
        headless=headless,
        keep_picture=keep_picture,
    )
    if status := run_live(options):
        raise typer.Exit(status)
