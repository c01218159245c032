"""Models and their cards in words, and whether a file keeps what its card promises."""

from __future__ import annotations

import dataclasses
import itertools

from agewise.card import (
    AgeSpec,
    BinsAge,
    Calibration,
    DensityTable,
    ExpectationAge,
    GenderSpec,
    InputSpec,
    IntervalTable,
    ModelCard,
    OrdinalAge,
    RegressionAge,
    SureTable,
    read_card,
)
from agewise.cli._tables import paragraph
from agewise.engine import OnnxEngine
from agewise.errors import AgewiseError
from agewise.estimate import Estimator
from agewise.estimate.estimator import thresholds_of
from agewise.imaging import CropSpec
from agewise.store import ModelFile, find_model, list_models
from agewise.store.models import embedded_files, read_embedded
from agewise.verdicts import judge

_INDENT = 15

RESEARCH_ONLY = "UTKFace, which these weights were trained on, is for non-commercial research only: so are they."


def load_card(name: str) -> tuple[ModelFile, ModelCard]:
    """A model's file and card, the answers unchecked.

    Raises:
        ModelError: no such model, or no model with a card.
    """
    file = find_model(name)
    return file, read_card(OnnxEngine(file.data).metadata, file.name)


def is_for_research(card: ModelCard) -> bool:
    """Whether the weights come from a data set that may be used for research only."""
    return "utkface" in f"{card.training_data} {card.licences.data}".lower()


def list_cards() -> tuple[list[tuple[str, ...]], list[str], bool]:
    """The models on hand as rows of a table, what is wrong with others, and whether any is for research only."""
    rows: list[tuple[str, ...]] = []
    problems, research = [], False
    for name in list_models():
        try:
            file, card = load_card(name)
        except AgewiseError as error:
            problems.append(f"{name}: {error}")
            continue
        research = research or is_for_research(card)
        licence = "research only" if is_for_research(card) else card.licences.weights
        side = f"{card.input.size}×{card.input.size}"
        rows.append((name, card.version, side, _size(file), licence, card.summary))
    return rows, problems, research


def verify_file(name: str) -> str:
    """Check a model, or an embedded network of a detector, and say what was found right.

    Raises:
        AgewiseError: what is wrong.
    """
    for entry in embedded_files():
        if entry.name == name and entry.kind != "estimator":
            OnnxEngine(read_embedded(entry))
            return f"{name}: ok (checksum, loads)"
    file = find_model(name)
    card = Estimator(name).card
    checks = "card, golden check" if file.embedded is None else "checksum, card, golden check"
    return f"{name}: ok ({checks}; {card.name} {card.version}, sha256 {file.sha256[:12]})"


def describe_card(file: ModelFile, card: ModelCard) -> str:
    """A card as text to read: lines of a label and its words."""
    where = "ships with agewise" if file.embedded is not None else file.name
    lines = [
        ("Model", f"{card.name} {card.version}"),
        ("", card.summary),
        ("File", f"{where}, {_size(file)}"),
        ("SHA-256", file.sha256),
        ("Input", _input(card.input)),
        ("Crop", _crop(card.crop)),
        ("Age", _age(card.age)),
        ("Gender", _gender(card.gender)),
        *_intervals(card.calibration),
        ("Valid for", _validity(card)),
        ("Declines", _judged(card)),
        *_verification(card),
        ("Trained on", card.training_data),
        ("Recipe", card.recipe),
        ("Licences", f"code: {card.licences.code}"),
        ("", f"weights: {card.licences.weights}"),
        ("", f"data: {card.licences.data}"),
        *([("", RESEARCH_ONLY)] if is_for_research(card) else []),
        *_figures(card),
        ("Golden check", _golden(card)),
    ]
    return "".join(paragraph(label, text, _INDENT) for label, text in lines)


def _size(file: ModelFile) -> str:
    return f"{len(file.data) / 1000:,.0f} kB"


def _input(spec: InputSpec) -> str:
    scale = f"/ {1 / spec.scale:g}" if abs(1 / spec.scale - round(1 / spec.scale)) < 1e-6 else f"× {spec.scale:g}"
    text = f"{spec.size}×{spec.size} pixels, {spec.color_order}; value = pixel {scale}"
    if any(spec.mean) or set(spec.std) != {1.0}:
        text = f"{text}, less the mean {_list(spec.mean)}, by the deviation {_list(spec.std)}"
    return text


def _crop(spec: CropSpec) -> str:
    shape = "widened to a square" if spec.square else "stretched to a square"
    box = f"the face's box with a margin of {100 * spec.margin:g} % on each side, {shape}"
    if spec.kind == "box":
        return box
    points = " ".join(f"({x:.3f}, {y:.3f})" for x, y in spec.template)
    return f"five landmarks brought to {points} of the side; without landmarks {box}"


def _age(spec: AgeSpec) -> str:
    if isinstance(spec, ExpectationAge):
        ages = spec.class_ages
        return f"{spec.estimate} of a distribution over {len(ages)} ages, {min(ages):g} to {max(ages):g} years"
    if isinstance(spec, BinsAge):
        bins = ", ".join(f"{low:g}-{high:g}" for low, high in spec.bins)
        return f"mean of a distribution over {len(spec.bins)} bins: {bins} years"
    if isinstance(spec, RegressionAge):
        return f"one number: output × {spec.scale:g} + {spec.offset:g} years"
    if isinstance(spec, OrdinalAge):
        low, *_, high = spec.class_ages
        return f"{len(spec.class_ages) - 1} questions «older than …?», from {low:g} to {high:g} years"
    return f"soft stagewise regression in {len(spec.probs)} stages, 0 to {spec.age_range:g} years"


def _gender(spec: GenderSpec | None) -> str:
    if spec is None:
        return "not estimated"
    text = f"probability of {' and '.join(spec.order)}, log-odds divided by {spec.temperature:g} to calibrate them"
    return text if spec.sure is None else f"{text}; {_sure(spec.sure)}"


def _sure(table: SureTable) -> str:
    starts, ends = (None, *table.edges), (*table.edges, None)
    bands = ", ".join(
        f"{_from(least)}{_at_ages(start, end)}"
        for least, start, end in zip(table.probabilities, starts, ends, strict=True)
    )
    return f"sure {bands}, where {100 * table.right:g} % or more were right"


def _from(probability: float | None) -> str:
    if probability is None:
        return "never"
    return "always" if probability == 0.5 else f"from {100 * probability:.0f} % on"


def _at_ages(start: float | None, end: float | None) -> str:
    if start is None and end is None:
        return ""
    if start is None:
        return f" under {end:g} years"
    return f" at {start:g} and more" if end is None else f" at {start:g} to {end:g}"


def _intervals(calibration: Calibration | None) -> list[tuple[str, str]]:
    if calibration is None:
        return [("Intervals", "none: the model is not calibrated")]
    lines = [_table(table) for table in calibration.intervals if table.kind == calibration.served]
    others = dict.fromkeys(table.kind for table in calibration.intervals if table.kind != calibration.served)
    lines += [_set(table) for table in calibration.sets]
    if others:
        lines.append(f"not served: {', '.join(others)} (--json shows them)")
    faces = "" if calibration.faces is None else f" ({calibration.faces} faces"
    faces += "" if not faces else ")" if calibration.date is None else f", {calibration.date})"
    lines.append(f"calibrated on {calibration.data}{faces}")
    return [("Intervals", lines[0]), *(("", line) for line in lines[1:])]


def _table(table: IntervalTable) -> str:
    by = "true" if table.kind == "label-conditional" else "estimated"
    unit = f"× spread (no less than {table.spread_floor:.3g} years)" if table.normalised else "years"
    radii = [f"±{radius:.3g}" for radius in table.radii]
    return f"{100 * table.level:g} % by {by} age, {unit}: {_in_bands(table.edges, radii)}"


def _set(table: DensityTable) -> str:
    masses = [f"{mass:.3g}" for mass in table.masses]
    return f"highest-density set, {100 * table.level:g} % by true age, mass: {_in_bands(table.edges, masses)}"


def _in_bands(edges: tuple[float, ...], values: list[str]) -> str:
    bands = ["all ages"] if not edges else [f"below {edges[0]:g}"]
    bands += [f"{low:g}-{high:g}" for low, high in itertools.pairwise(edges)]
    bands += [f"from {edges[-1]:g}"] if edges else []
    return ", ".join(f"{band}: {value}" for band, value in zip(bands, values, strict=True))


def _judged(card: ModelCard) -> str:
    """Which faces the model declines."""
    words = {
        "min_face_pixels": "smaller than {:g} px",
        "min_sharpness": "sharpness below {:g}",
        "min_brightness": "brightness below {:g}",
        "max_brightness": "brightness above {:g}",
        "max_clipped": "more than {:g} of it black or white",
        "max_yaw_degrees": "yaw beyond {:g}°",
        "max_pitch_degrees": "pitch beyond {:g}°",
        "max_roll_degrees": "roll beyond {:g}°",
        "max_cut": "more than {:g} of it beyond the picture",
        "min_detector_score": "detector score below {:g}",
        "max_interval_years": "an interval wider than {:g} years",
    }
    thresholds = dataclasses.asdict(thresholds_of(card))
    parts = [text.format(thresholds[name]) for name, text in words.items() if thresholds[name] is not None]
    source = "" if card.quality is not None else " (the library's thresholds: the card has none)"
    return f"{', '.join(parts)}, and ages it was not validated for{source}"


def _verification(card: ModelCard) -> list[tuple[str, str]]:
    lines = []
    for table in card.verification:
        verdict = judge(None, (), card.verification, table.threshold, None)
        if verdict.false_positive is None or verdict.false_negative is None:
            continue
        lines.append(
            f"over {table.threshold:g}, challenge {verdict.challenge:g}: of those under, {verdict.false_positive} pass;"
            f" of those over, {verdict.false_negative} fail, {verdict.unsure_over} are unsure"
        )
    lines = [*lines, f"measured on {card.verification[0].data}"] if lines else ["no rates stated"]
    return [("Verdicts" if i == 0 else "", line) for i, line in enumerate(lines)]


def _validity(card: ModelCard) -> str:
    low, high = card.validity.age_years
    text = f"ages {low:g} to {high:g}, faces from {card.validity.min_face_pixels} pixels"
    return f"{text}. {card.validity.note}" if card.validity.note else text


def _figures(card: ModelCard) -> list[tuple[str, str]]:
    lines = []
    for (data, protocol), figures in itertools.groupby(card.figures, lambda figure: (figure.data, figure.protocol)):
        values = ", ".join(f"{figure.measure} {figure.value:g} {figure.unit}".rstrip() for figure in figures)
        lines.append(f"{data}; {protocol}: {values}")
    return [("Figures" if i == 0 else "", line) for i, line in enumerate(lines or ["none measured"])]


def _golden(card: ModelCard) -> str:
    golden = card.golden
    gender = "" if golden.probability_female is None else f", female {golden.probability_female:g}"
    return f"crop of seed {golden.seed}: {golden.age_years:g} ± {golden.age_std_years:g} years{gender}"


def _list(values: tuple[float, ...]) -> str:
    return f"({', '.join(f'{value:g}' for value in values)})"
