"""A released file whose network also sees each face's mirror image, and gives the mean of both answers.

    image (n, 3, s, s) ──┬──────────────┬─ one batch of 2 n ─> the network ─> its outputs, the mean of both halves
                         └─> mirrored ──┘

A face and its mirror image have one age and one gender, and errors that differ: the mean of both errs less and moves
less where the crop does, for twice the time and no more bytes. Outputs are averaged as the file gives them:
probabilities, scores, or the parts of SSR-Net's stages, of which an age is made after (`agewise.decode`).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from agewise._files import atomic_write
from agewise.card import ModelCard
from agewise.engine import OnnxEngine
from agewise.estimate import Estimator
from agewise.store import find_model
from agewise_lab.export.measured import faces_of, measured_file
from agewise_lab.export.onnx_model import with_card

_BOTH = "mirrored.both"


def mirrored(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same network, asked of an image and its mirror image; weights are stored once.

    Args:
        model: with one input, images (n, channels, height, width); of opset 18 or later.

    Raises:
        ValueError: it has another input, or is asked of mirror images already; or an older opset.
    """
    opset = max(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    inputs = [(value.name, len(value.type.tensor_type.shape.dim)) for value in model.graph.input]
    if len(inputs) != 1 or inputs[0][1] != 4 or opset < 18:
        raise ValueError(f"expected one input of four dimensions and opset 18 or later, got {inputs}, opset {opset}")
    if any(_BOTH in node.output for node in model.graph.node):
        raise ValueError("this file is asked of the mirror image already: nothing to add")
    new = onnx.ModelProto()
    new.CopyFrom(model)
    graph, ((image, _),) = new.graph, inputs
    outputs = {value.name: f"{value.name}.both" for value in graph.output}
    renamed = outputs | {image: _BOTH}
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [renamed.get(name, name) for name in names]
    bounds = {"starts": -1, "ends": np.iinfo(np.int64).min, "axes": 3, "steps": -1}
    names = [f"mirrored.{name}" for name in bounds]
    for name, bound in zip(names, bounds.values(), strict=True):
        graph.initializer.append(numpy_helper.from_array(np.array([bound], np.int64), name))
    before = [
        helper.make_node("Slice", [image, *names], ["mirrored.image"]),
        helper.make_node("Concat", [image, "mirrored.image"], [_BOTH], axis=0),
    ]
    after = []
    for name, both in outputs.items():
        halves = [f"{name}.as_it_is", f"{name}.of_mirror"]
        after.append(helper.make_node("Split", [both], halves, axis=0, num_outputs=2))
        after.append(helper.make_node("Mean", halves, [name]))
    nodes = [*before, *graph.node, *after]
    del graph.node[:]
    del graph.value_info[:]  # shapes of one batch, not of two
    graph.node.extend(nodes)
    onnx.checker.check_model(new, full_check=True)
    return new


def mirrored_card(card: ModelCard, *, name: str, version: str) -> ModelCard:
    """What the file says before it is measured anew."""
    summary = f"{card.summary} The mean of the answers for a face and its mirror image."
    return card.model_copy(update={"name": name, "version": version, "summary": summary})


def mirror(
    model: str | Path,
    store: Path,
    root: Path,
    output: Path,
    *,
    name: str | None = None,
    version: str,
    final: bool,
    date: str | None = None,
) -> Path:
    """Let a released file also see mirror images, measure it, and write it; gives its path.

    Args:
        model: an embedded model's name, or an `.onnx` file with a card.
        store: the crop store whose split says which faces are validation's and holdout's.
        root: of the data set.
        output: where the new file goes.
        name: of the new model; the old one's where it is left out.
        version: of the new model.
        final: also measure on the holdout part.
        date: ISO 8601, for the card.

    Raises:
        ModelError: no such model, or one without a card.
        ValueError: a file that cannot be asked of mirror images (see `mirrored`); a store and a folder that do not
            belong together, or too few faces.
    """
    file = find_model(model)
    card = Estimator(engine=OnnxEngine(file.data)).card
    card = mirrored_card(card, name=name or card.name, version=version)
    new = with_card(mirrored(onnx.load_from_string(file.data)), card)
    data = measured_file(card, new, faces_of(store, root, final=final, date=date))
    with atomic_write(output) as out:
        out.write(data)
    return output
