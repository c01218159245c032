"""`agewise calibrate`: a model's intervals made anew on one's own labelled photos."""

from __future__ import annotations

import datetime
import os
from pathlib import Path
from typing import Annotated

import typer

from agewise.cli._exits import UsageError
from agewise.cli._options import Debug, Detector, Threads
from agewise.cli._streams import write_out
from agewise.errors import AgewiseError


def calibrate(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A model's name, or an .onnx file.", show_default=False)
    ],
    data: Annotated[
        str,
        typer.Option(
            metavar="FOLDER_OR_CSV",
            help="Labelled photos: a table with the columns path, age and perhaps gender, or a folder of pictures "
            "named AGE_… or AGE_GENDER_… (0 male, 1 female).",
            show_default=False,
        ),
    ],
    output: Annotated[str, typer.Option(metavar="FILE", help="The new .onnx file.", show_default=False)],
    detector: Detector = "mtcnn",
    threads: Threads = 1,
    debug: Debug = False,
) -> None:
    """Make a model's intervals hold for photos like yours: measure its errors on at least 100 of them.

    Each photo should show one face that the model did not learn from. The whole chain runs as `agewise predict` would;
    photos with no face, several faces, or one that the model declines are left out. The new file has its own tables
    of intervals, and where at least 100 genders are labelled, its own gender probabilities; estimates stay the same.

    \b
    Examples:
      agewise calibrate agewise-s --data photos.csv --output mine.onnx
      agewise predict photo.jpg --model mine.onnx
    """
    from agewise._files import atomic_write, shown
    from agewise.analyzer import Analyzer
    from agewise.cli._progress import reporting
    from agewise.labels import read_labels
    from agewise.recalibrate import recalibrate
    from agewise.store import find_model

    if Path(output).suffix.lower() != ".onnx":
        raise UsageError(f"--output must end in .onnx, got {shown(output)} (see agewise calibrate --help)")
    if not os.path.isdir(os.path.dirname(os.path.abspath(output))):
        raise UsageError(f"--output: the folder of {shown(output)} does not exist; create it first")
    photos = read_labels(data)
    file = find_model(model)
    try:
        analyzer = Analyzer(model, detector, threads=threads)
    except AgewiseError:
        raise
    except ValueError as error:  # a number that the detector or the runtime does not take
        raise UsageError(str(error)) from error
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    with reporting(len(photos), lines_follow=False) as reporter:
        done = recalibrate(
            file.data,
            analyzer,
            photos,
            name=os.path.basename(os.path.abspath(data)),
            date=today,
            advance=reporter.advance,
        )
    with atomic_write(output) as target:
        target.write(done.model)
    lines = [
        f"{shown(output)}: {done.card.name} {done.card.version}, calibrated on {done.faces} of {len(photos)} photos"
    ]
    lines += [f"left out: {count} {reason}" for reason, count in done.skipped.items()]
    if done.held_before is not None and done.width_before is not None:
        lines.append(
            f"the old intervals held {100 * done.held_before:.1f} % of these ages, {done.width_before:.1f} years wide"
        )
    lines.append(f"the new ones are {done.width_after:.1f} years wide on average")
    lines.append(f"gender probabilities: {'fitted anew' if done.new_gender else 'as before'} ({done.genders} labels)")
    write_out("\n".join(lines) + "\n")
