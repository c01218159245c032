"""The age of one released file and the gender of another, in one file, as where age and gender are two networks.

image ──age file's network, less what only its gender needs──> age outputs
    └──gender file's network, less what only its age needs───> gender output
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx.utils

from agewise._files import atomic_write
from agewise.card import ModelCard
from agewise.engine import OnnxEngine
from agewise.estimate import Estimator
from agewise.store import find_model
from agewise.types import FloatArray, UInt8Array
from agewise_lab.export.measured import faces_of, measured_file
from agewise_lab.export.onnx_model import store_as_float16, with_card
from agewise_lab.export.release import face_crops

_MOST_YEARS = 0.05  # that an age may change by, as weights become float16


def joined(age: onnx.ModelProto, gender: onnx.ModelProto, without: str | None, output: str) -> onnx.ModelProto:
    """The network of one, and the gender of another beside it, on one input.

    Args:
        age, gender: the networks.
        without: the first one's output of gender, left out with all that only it needs; None where it has none.
        output: the second one's output of gender; all else of it is left out.

    Raises:
        ValueError: the two have inputs of two names, or another output of the first is called as the second's.
    """
    (image,), (other,) = ([value.name for value in model.graph.input] for model in (age, gender))
    kept = [value.name for value in age.graph.output if value.name != without]
    if image != other or output in kept:
        raise ValueError(f"names of inputs must be one and of outputs not: {image}, {kept} and {other}, {output}")
    first = onnx.utils.Extractor(age).extract_model([image], kept)
    second = onnx.utils.Extractor(gender).extract_model([image], [output])
    _rename(second.graph, {image, output})
    for field in ("node", "initializer", "output"):
        getattr(first.graph, field).extend(getattr(second.graph, field))
    onnx.checker.check_model(first)
    return first


def _rename(graph: onnx.GraphProto, kept: set[str]) -> None:
    """Give all values of a network but some the prefix `gender_`, in place."""
    for value in graph.initializer:
        value.name = f"gender_{value.name}"
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [name if name in kept or not name else f"gender_{name}" for name in names]


def joined_card(age: ModelCard, gender: ModelCard, *, name: str, version: str) -> ModelCard:
    """What the file says before it is measured anew.

    Raises:
        ValueError: the second file has no gender, or the two do not see the same crop in the same way.
    """
    if gender.gender is None:
        raise ValueError(f"{gender.name} {gender.version} gives no gender to take")
    for what in ("input", "crop"):
        own, others = getattr(age, what), getattr(gender, what)
        if own != others:
            raise ValueError(f"the two files must have one {what}; they have {own} and {others}")
    learned = [*age.training_data.split("; "), *gender.training_data.split("; ")]
    return age.model_copy(
        update={
            "name": name,
            "version": version,
            "summary": f"Age and gender from a {age.input.size} px aligned face. Age of {age.name} {age.version}, "
            f"gender of a run of {gender.recipe}.",
            "gender": gender.gender,
            "recipe": f"{age.recipe} + {gender.recipe}",
            "training_data": "; ".join(dict.fromkeys(learned)),
        }
    )


def join(
    age: str | Path,
    gender: str | Path,
    store: Path,
    root: Path,
    output: Path,
    *,
    name: str,
    version: str,
    final: bool,
    date: str | None = None,
) -> Path:
    """Join two released files, measure the new one, and write it; gives its path.

    Args:
        age, gender: embedded models' names, or `.onnx` files with cards.
        store: the crop store whose split says which faces are validation's and holdout's.
        root: of the data set.
        output: where the new file goes.
        name, version: of the model.
        final: also measure on the holdout part.
        date: ISO 8601, for the card.

    Raises:
        ModelError: no such model, or one without a card.
        ValueError: files that cannot be joined; ages that the join has changed; a store and a folder that do not belong
            together, or too few faces.
    """
    files = [find_model(model) for model in (age, gender)]
    cards = [Estimator(engine=OnnxEngine(file.data)).card for file in files]
    card = joined_card(*cards, name=name, version=version)
    own, other = (onnx.load_from_string(file.data) for file in files)
    assert card.gender is not None
    without = None if cards[0].gender is None else cards[0].gender.output
    model = with_card(store_as_float16(joined(own, other, without, card.gender.output)), card)
    faces = faces_of(store, root, final=final, date=date)
    data = measured_file(card, model, faces)
    crops = face_crops(data, root, faces.validation)
    changed = float(np.abs(_years(data, crops) - _years(files[0].data, crops)).max())
    if changed > _MOST_YEARS:
        raise ValueError(f"joining has changed ages by up to {changed:.3f} years: the file is not written")
    with atomic_write(output) as out:
        out.write(data)
    return output


def _years(data: bytes, crops: UInt8Array) -> FloatArray:
    ages, _ = Estimator(engine=OnnxEngine(data)).run(crops)
    return ages.mean_years
