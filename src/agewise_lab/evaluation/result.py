"""What an evaluation found, as one object: written as `result.json`, and read again by the card and the gate.

The JSON object has `agewise_result` (1), `protocol`, `data`, `split`, `code`, `made`, `notes`, `dropped`, `common`,
`models`, `comparisons` and `plots`. Each of `models` has `name`, `provenance`, `faces`, `found`, `declined`,
`headlines`, `nist`, `figures` (the long table: band, sex, group, measure, count, subjects, value, low, high, method;
null where there is none), `stability` (a list of points, empty where it was not measured) and `card` (what the model's
own card says, or null).
"""

from __future__ import annotations

import csv
import dataclasses
import datetime
import functools
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agewise._files import atomic_write
from agewise.card import ModelCard
from agewise_lab.evaluation.measures import MEASURES, Figure, PairedTest
from agewise_lab.evaluation.nist import NistFigure, nist_figures
from agewise_lab.evaluation.predictions import Predictions, Provenance, on_common_faces
from agewise_lab.evaluation.protocols.classes import AgeClasses
from agewise_lab.evaluation.scoring import (
    Comparison,
    Headline,
    comparisons,
    faces_of,
    figures_of,
    headlines,
)
from agewise_lab.evaluation.stability import StabilityPoint

VERSION = 1
TITLES = {measure.name: measure.title for measure in MEASURES}
UNITS = {measure.name: measure.unit for measure in MEASURES}


@dataclass(frozen=True, kw_only=True)
class ProtocolUsed:
    """Which way of evaluating this was."""

    name: str
    title: str
    source: str
    part: str


@dataclass(frozen=True, kw_only=True)
class CardFacts:
    """What a model's own card says of it, for people."""

    name: str
    version: str
    summary: str
    training_data: str
    recipe: str
    valid_ages: tuple[float, float]
    least_face_pixels: int
    note: str
    licence_code: str
    licence_weights: str
    licence_data: str
    calibration_data: str

    @classmethod
    def of(cls, card: ModelCard) -> CardFacts:
        """The facts of a card."""
        return cls(
            name=card.name,
            version=card.version,
            summary=card.summary,
            training_data=card.training_data,
            recipe=card.recipe,
            valid_ages=card.validity.age_years,
            least_face_pixels=card.validity.min_face_pixels,
            note=card.validity.note,
            licence_code=card.licences.code,
            licence_weights=card.licences.weights,
            licence_data=card.licences.data,
            calibration_data="" if card.calibration is None else card.calibration.data,
        )


@dataclass(frozen=True, kw_only=True)
class ModelResult:
    """All figures of one model."""

    name: str
    provenance: Provenance
    faces: int
    found: int
    declined: int
    headlines: tuple[Headline, ...]
    nist: tuple[NistFigure, ...]
    figures: tuple[Figure, ...]
    card: CardFacts | None = None
    stability: tuple[StabilityPoint, ...] = ()

    def figure(self, measure: str, subset: str = "all") -> Figure | None:
        """One figure of the table by the name of its subset, or None where there is none."""
        return self.by_place.get((subset, measure))

    @functools.cached_property
    def by_place(self) -> Mapping[tuple[str, str], Figure]:
        """The figures by subset and measure."""
        return {(figure.name, figure.measure): figure for figure in self.figures}


@dataclass(frozen=True, kw_only=True)
class PlotFile:
    """A plot that lies beside the result: `file`.png, and .svg but for pictures of faces; `model` '' holds all."""

    file: str
    title: str
    caption: str
    model: str = ""


@dataclass(frozen=True, kw_only=True)
class Result:
    """An evaluation of one or more models on the same faces.

    Args:
        protocol: how.
        data: the data set and its part.
        split: a digest of which faces.
        code: the version that measured.
        made: the day, UTC.
        notes: what a reader has to know.
        dropped: how many records the reader left out, by reason.
        common: the faces that all models found, which comparisons are made on.
        models: in the order that they were named in.
        comparisons: of every pair.
        plots: the files beside.
    """

    protocol: ProtocolUsed
    data: str
    split: str
    code: str
    made: str
    notes: tuple[str, ...]
    dropped: Mapping[str, int]
    common: int
    models: tuple[ModelResult, ...]
    comparisons: tuple[Comparison, ...]
    plots: tuple[PlotFile, ...] = ()


def evaluate_tables(
    tables: Mapping[str, Predictions],
    protocol: ProtocolUsed,
    *,
    measures: Sequence[str],
    classes: AgeClasses | None = None,
    cards: Mapping[str, CardFacts] | None = None,
    stability: Mapping[str, Sequence[StabilityPoint]] | None = None,
    notes: Sequence[str] = (),
    dropped: Mapping[str, int] | None = None,
) -> Result:
    """Measure tables of predictions of the same records, by the names of their models.

    Raises:
        ValueError: no tables, or not a single face.
    """
    if not tables or not all(len(table) for table in tables.values()):
        raise ValueError("there are no faces to measure")
    first = next(iter(tables.values())).provenance
    return Result(
        protocol=protocol,
        data=first.data,
        split=first.split,
        code=first.code,
        made=datetime.datetime.now(datetime.UTC).date().isoformat(),
        notes=tuple(notes),
        dropped=dict(dropped or {}),
        common=len(on_common_faces(list(tables.values()))[0]),
        models=tuple(
            dataclasses.replace(
                _model(name, table, measures, classes),
                card=(cards or {}).get(name),
                stability=tuple((stability or {}).get(name, ())),
            )
            for name, table in tables.items()
        ),
        comparisons=tuple(comparisons(tables)),
    )


def _model(name: str, table: Predictions, measures: Sequence[str], classes: AgeClasses | None) -> ModelResult:
    figures = figures_of(table, classes)
    return ModelResult(
        name=name,
        provenance=table.provenance,
        faces=len(table),
        found=int(table.found.sum()),
        declined=int((table.found & ~table.answered).sum()),
        headlines=tuple(headlines(faces_of(table, classes), table.split.tolist(), figures, measures)),
        nist=tuple(nist_figures(table)),
        figures=figures,
    )


# ---------------------------------------------------------------- files


def write_result(result: Result, folder: Path) -> None:
    """Write `result.json` and `figures.csv` into a folder, each whole or not at all."""
    stated = {"agewise_result": VERSION} | _plain(dataclasses.asdict(result))
    with atomic_write(folder / "result.json") as file:
        file.write((json.dumps(stated, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode())
    with atomic_write(folder / "figures.csv") as file:
        file.write(figures_csv(result).encode())


def figures_csv(result: Result) -> str:
    """The long table of all models as CSV; an empty field means that there is none."""
    text = io.StringIO(newline="")
    rows = csv.writer(text, lineterminator="\n")
    names = [field.name for field in dataclasses.fields(Figure)]
    rows.writerow(["model", *names, "unit"])
    for model in result.models:
        for figure in model.figures:
            values = [getattr(figure, name) for name in names]
            kept = ["" if v is None or v != v else f"{v:.6g}" if isinstance(v, float) else v for v in values]
            rows.writerow([model.name, *kept, UNITS[figure.measure]])
    return text.getvalue()


def read_result(path: Path) -> Result:
    """Read `result.json`, by its path or that of its folder.

    Raises:
        ValueError: it is no result, or one of another version.
        OSError: it cannot be read.
    """
    file = path / "result.json" if path.is_dir() else path
    try:
        stated = json.loads(file.read_text(encoding="utf-8"))
        version = stated.pop("agewise_result")
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise ValueError(f"{file} is no result of `agewise-lab evaluate`") from error
    if version != VERSION:
        raise ValueError(f"{file} is a result of version {version}, expected {VERSION}: evaluate again")
    try:
        return Result(
            **stated
            | {
                "protocol": ProtocolUsed(**stated["protocol"]),
                "notes": tuple(stated["notes"]),
                "models": tuple(_model_again(model) for model in stated["models"]),
                "comparisons": tuple(
                    Comparison(**pair | {"test": PairedTest(**_numbers(pair["test"]))})
                    for pair in stated["comparisons"]
                ),
                "plots": tuple(PlotFile(**plot) for plot in stated["plots"]),
            }
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"{file} is damaged: {error}; evaluate again") from error


def _model_again(stated: Mapping[str, Any]) -> ModelResult:
    provenance = stated["provenance"]
    card = stated["card"]
    return ModelResult(
        **stated
        | {
            "provenance": Provenance(**provenance | {"notes": tuple(provenance["notes"])}),
            "headlines": tuple(Headline(**_numbers(one)) for one in stated["headlines"]),
            "nist": tuple(NistFigure(**_numbers(one)) for one in stated["nist"]),
            "figures": tuple(Figure(**_numbers(one)) for one in stated["figures"]),
            "stability": tuple(StabilityPoint(**_numbers(one)) for one in stated.get("stability", ())),
            "card": None if card is None else CardFacts(**card | {"valid_ages": tuple(card["valid_ages"])}),
        }
    )


def _comparison_again(stated: Mapping[str, Any]) -> Comparison:
    return Comparison(**stated | {"test": PairedTest(**_numbers(stated["test"]))})


_TEXTS = ("band", "sex", "group")


def _numbers(stated: Mapping[str, Any]) -> dict[str, Any]:
    """The fields as they were: a null is NaN, but for words that are not there."""
    return {key: math.nan if value is None and key not in _TEXTS else value for key, value in stated.items()}


def _plain(value: Any) -> Any:
    """A value as JSON can hold it: NaN is null."""
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, float):
        return None if math.isnan(value) else value
    return value
