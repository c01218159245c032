"""A model card in Markdown, made of results: what a model is for, what it cannot do, and how good it was for whom.

After Mitchell et al.: «Model Cards for Model Reporting», FAT* 2019.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from agewise._files import atomic_write
from agewise.errors import unknown_name
from agewise_lab.evaluation import tables
from agewise_lab.evaluation.result import CardFacts, ModelResult, Result

_UNKNOWN = "not stated"
_USE = """\
- Counting and describing: how old the people in many pictures look, with an interval for each face.
- Research on age estimation and on its errors.
- Asking a person for a proof of age, or not: only with a challenge age whose two errors are in the tables below, with
  another way for whoever is refused, and where the law allows it.
"""
_NOT_FOR = """\
- Deciding about a person by the estimate alone; telling how old somebody is in law; identifying anybody.
- Telling what somebody's gender is. The label here is the one that a data set's makers gave a picture: **it is a label
  from pictures, not who someone is**. It says nothing of people whom such labels do not describe.
- Pictures unlike those that it was measured on: masks, drawings, thermal or infrared pictures, faces turned far away.
"""


def write_card(results: Sequence[tuple[Path, Result]], output: Path, name: str | None = None) -> None:
    """Write the card of one model from one result or more.

    Args:
        results: each with the path of its file or folder, where its plots are.
        output: the Markdown file. Plots from elsewhere are copied into a folder of its name beside it.
        name: of the model; may be left out where all results have one and the same.

    Raises:
        ValueError: no such model, or several and no name.
    """
    chosen = [(path if path.is_dir() else path.parent, result, _pick(result, name)) for path, result in results]
    names = {model.name for _, _, model in chosen}
    if len(names) > 1:
        raise ValueError(f"the results are of {', '.join(sorted(names))}: name one with --model")
    text = "\n".join(_sections(chosen, output))
    with atomic_write(output) as file:
        file.write(text.encode("utf-8", "backslashreplace"))


def _pick(result: Result, name: str | None) -> ModelResult:
    names = [model.name for model in result.models]
    if name is None and len(names) > 1:
        raise ValueError(f"the result on {result.data} has several models: name one of {', '.join(names)} with --model")
    found = next((model for model in result.models if name in (None, model.name)), None)
    if found is None:
        raise ValueError(unknown_name("model", str(name), names))
    return found


def _sections(chosen: Sequence[tuple[Path, Result, ModelResult]], output: Path) -> list[str]:
    model = chosen[0][2]
    card = next((one.card for _, _, one in chosen if one.card is not None), None)
    parts = [f"# Model card: {model.name}\n", *_about(model, card)]
    parts += ["## Intended use\n", _USE, "Not for:\n", _NOT_FOR, "## Limits\n", _limits(chosen, card)]
    parts += _training(card)
    parts.append("## Figures\n")
    parts.append(
        "Square brackets hold 95 % intervals. A star marks subsets of fewer than "
        f"{tables.FEW} faces: their figures may be chance. Both directions of an error stand side by side.\n"
    )
    for k, (folder, result, one) in enumerate(chosen, 1):
        parts += _figures(folder, result, one, output, f"{k}-" if len(chosen) > 1 else "")
    return parts


def _about(model: ModelResult, card: CardFacts | None) -> list[str]:
    stated = model.provenance
    rows = [
        ("model", stated.model or model.name),
        ("sha256 of the file", stated.model_sha256 or _UNKNOWN),
        ("licence of the code", card.licence_code if card else _UNKNOWN),
        ("licence of the weights", card.licence_weights if card else _UNKNOWN),
        ("licence of the data", card.licence_data if card else _UNKNOWN),
    ]
    lines = ["| | |", "| --- | --- |", *(f"| {key} | {value} |".replace("\n", " ") for key, value in rows)]
    summary = [f"{card.summary}\n"] if card else []
    return [*summary, "\n".join(lines) + "\n"]


_RESEARCH = ("research", "non-commercial", "noncommercial")


def _limits(chosen: Sequence[tuple[Path, Result, ModelResult]], card: CardFacts | None) -> str:
    lines = []
    if card is not None:
        low, high = card.valid_ages
        lines.append(f"Validated for ages {low:g} to {high:g}, faces of at least {card.least_face_pixels} pixels.")
        if card.note:
            lines.append(card.note)
        terms = f"{card.licence_weights} {card.licence_data}".lower()
        if any(word in terms for word in _RESEARCH):
            lines.append(
                "**The weights come from data that is for research only**: whoever uses them otherwise needs the "
                "permission of the data's owners."
            )
    for _, result, model in chosen:
        lines += [f"On {result.data}: {_worst(model)}"] if _worst(model) else []
        lines += [f"On {result.data}: {note}." for note in result.notes]
        lost = model.faces - model.found
        if lost:
            lines.append(f"On {result.data}: {lost:,} of {model.faces:,} faces were not found and count in no figure.")
    lines.append("Errors on other data than these are not known, and are larger as a rule.")
    return "\n".join(f"- {line}" for line in lines) + "\n"


def _worst(model: ModelResult) -> str:
    """The subsets of one kind with the largest and the least error, of those with enough faces."""
    found = [model.figure("mae", subset) for subset in tables.subsets_by_one(model)[1:]]
    known = sorted(
        ((figure.value, figure.name) for figure in found if figure is not None and figure.count >= tables.FEW),
    )
    if len(known) < 2:
        return ""
    (least, best), (most, worst) = known[0], known[-1]
    return f"the mean error goes from {least:.2f} years ({best}) to {most:.2f} ({worst}) among subsets of 100 or more."


def _training(card: CardFacts | None) -> list[str]:
    if card is None:
        return ["## Data\n", "What the model was trained on is not stated.\n"]
    lines = [f"Trained on: {card.training_data}", f"Recipe: {card.recipe}"]
    if card.calibration_data:
        lines.append(f"Intervals calibrated on: {card.calibration_data}")
    return ["## Data\n", "\n".join(f"- {line}" for line in lines) + "\n"]


def _figures(folder: Path, result: Result, model: ModelResult, output: Path, prefix: str) -> list[str]:
    stated = model.provenance
    head = [
        f"### {result.protocol.title}\n",
        f"{result.data}, split `{result.split}`, faces: {stated.crop or _UNKNOWN}; measured by {result.code}, "
        f"{result.made}. Protocol: {result.protocol.source}.\n",
    ]
    only = Result(**{**vars(result), "models": (model,), "comparisons": ()})
    parts = [*head, tables.as_markdown(tables.overview(only)) + "\n"]
    parts.append(tables.as_markdown(tables.by_subset(model, tables.subsets_by_one(model))) + "\n")
    block = tables.nist(only)
    if block.rows:
        parts += ["After NIST IR 8525:\n", tables.as_markdown(block) + "\n"]
    for plot in result.plots:
        # Pictures of faces have no place in a card that is passed on.
        if plot.model in ("", model.name) and not plot.file.startswith("mosaic-"):
            link = _beside(folder / f"{plot.file}.png", output, prefix)
            parts.append(f"![{plot.title}]({link.replace(' ', '%20')})\n\n*{plot.caption}*\n")
    return parts


def _beside(plot: Path, output: Path, prefix: str) -> str:
    """The link from a card to a plot: where it lies below its folder, or to a copy in a folder of the card's name.

    A card is passed on, and its plots with it.
    """
    try:
        return plot.resolve().relative_to(output.parent.resolve()).as_posix()
    except ValueError:
        pass
    copy = output.with_suffix("") / f"{prefix}{plot.name}"
    copy.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(copy) as file:
        file.write(plot.read_bytes())
    return f"{copy.parent.name}/{copy.name}"
