"""What `predict` and `verify` share: the flags that choose which faces are judged, and the analyzer of all flags."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from agewise.cli._exits import UsageError
from agewise.errors import AgewiseError

if TYPE_CHECKING:
    from agewise.analyzer import Analyzer

MaxInterval: TypeAlias = Annotated[
    float | None,
    typer.Option("--max-interval", metavar="YEARS", help="Decline faces whose interval is wider."),
]
MinSize: TypeAlias = Annotated[
    float | None,
    typer.Option("--min-size", metavar="PIXELS", help="Decline smaller faces; 0 declines none for its size."),
]
MinSharpness: TypeAlias = Annotated[
    float | None,
    typer.Option("--min-sharpness", metavar="X", help="Decline faces less sharp than this; 0 declines none for blur."),
]
MaxYaw: TypeAlias = Annotated[
    float | None,
    typer.Option("--max-yaw", metavar="DEGREES", help="Decline faces turned further to a side."),
]
AnswerAll: TypeAlias = Annotated[bool, typer.Option("--answer-all", help="Judge every face, decline none.")]


def check_megapixels(max_megapixels: float, command: str) -> None:
    """Refuse a limit that lets no picture pass.

    Raises:
        UsageError: the limit is not above 0.
    """
    if not max_megapixels > 0:  # true of NaN, too
        raise UsageError(f"--max-megapixels must be above 0, got {max_megapixels:g} (see agewise {command} --help)")


def make_analyzer(
    model: str,
    detector: str,
    *,
    max_megapixels: float,
    answer_all: bool,
    changes: dict[str, float | None],
    **settings: Any,
) -> Analyzer:
    """An analyzer by the flags of a command.

    Args:
        model, detector: their names.
        max_megapixels: largest picture.
        answer_all: decline nothing.
        changes: thresholds of quality by name; None leaves the card's.
        settings: further arguments of `Analyzer`.

    Raises:
        UsageError: a number that makes no sense.
        AgewiseError: the model or the detector cannot be used.
    """
    given = {name: value for name, value in changes.items() if value is not None}
    from agewise.analyzer import Analyzer

    try:
        analyzer = Analyzer(model, detector, max_pixels=max(1, round(min(max_megapixels, 1e9) * 1e6)), **settings)
        estimator = analyzer.estimator
        estimator.quality = dataclasses.replace(estimator.quality, **given)
    except AgewiseError:
        raise
    except ValueError as error:  # a number that the detector, the runtime or a threshold does not take
        raise UsageError(str(error)) from error
    estimator.answer_all = answer_all
    return analyzer
