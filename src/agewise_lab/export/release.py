"""From a finished run to the file that ships: exported, calibrated, measured, with its card and its golden check."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch

from agewise.card import (
    Golden,
    Licences,
    ModelCard,
    Validity,
)
from agewise.detect.none import WholePicture
from agewise.engine import OnnxEngine
from agewise.estimate import Estimator
from agewise.imaging.crop import CropSpec
from agewise.imaging.read import read_image
from agewise.store.models import EmbeddedFile
from agewise.types import UInt8Array
from agewise_lab.architectures.base import AgeGenderNet
from agewise_lab.architectures.compact import CompactConfig
from agewise_lab.architectures.recognition import RecognitionConfig, RecognitionNet
from agewise_lab.architectures.stored import stored_nets_of
from agewise_lab.architectures.two_heads import TwoHeadNet
from agewise_lab.datasets.record import Record
from agewise_lab.evaluation.run import part_of_store
from agewise_lab.export.adjust import adjusted
from agewise_lab.export.between import between
from agewise_lab.export.ensemble import Ensemble
from agewise_lab.export.manifest import embed
from agewise_lab.export.measured import GOLDEN_SEED, Faces, measured_file
from agewise_lab.export.onnx_model import store_as_float16, store_as_int8, to_onnx, with_card
from agewise_lab.export.promises import Network, promises_of, years_in_torch
from agewise_lab.store.crops import CropStore, open_store
from agewise_lab.store.split import Split, agreed_ages, hash_split
from agewise_lab.training.config import ModelConfig, TrainConfig
from agewise_lab.training.networks import make_network
from agewise_lab.training.origins import origins_of
from agewise_lab.training.plain import from_plain
from agewise_lab.training.teacher import averaged_weights, check_file, shape_of

_INT8_FROM_BYTES = 500_000  # of float32; smaller ones are stored as float16: SSR-Net is .35 years off at worst as int8
_HALF_BELOW = 40_000  # of a recognition network: the kernels of its first stages, which int8 hurts (docs/research/0007)
_HALF_BELOW_COMPACT = 10_000  # 22 KB of agewise-s, for a third of its rounding's error (docs/research/0012)


@dataclass(frozen=True, kw_only=True)
class About:
    """What a card says that no measurement can."""

    name: str
    version: str
    summary: str
    recipe: str
    training_data: str
    split: str


def load_net(
    checkpoint: Path, name: str, architecture: CompactConfig | RecognitionConfig | ModelConfig
) -> TwoHeadNet | AgeGenderNet:
    """A network with the averaged weights of a Lightning checkpoint, in evaluation mode."""
    net = make_network(architecture)
    assert isinstance(net, TwoHeadNet | AgeGenderNet)
    net.load_state_dict(averaged_weights(checkpoint, name))
    return net.eval()


def first_card(net: Network, about: About) -> ModelCard:
    """The card before anything was measured: no calibration, no figures, a golden check that lets all pass."""
    promises = promises_of(net)
    female = None if promises.gender is None else 0.5
    return ModelCard(
        name=about.name,
        version=about.version,
        summary=about.summary,
        input=promises.input,
        crop=CropSpec(),
        age=promises.age,
        gender=promises.gender,
        calibration=None,
        validity=Validity(
            age_years=promises.age_years,
            min_face_pixels=24,
            note="Validated on UTKFace only: mostly frontal faces from the web, labels partly estimated.",
        ),
        training_data=about.training_data,
        recipe=about.recipe,
        licences=Licences(
            code="Apache-2.0",
            weights="for non-commercial research only, as the training data ask",
            data="UTKFace: non-commercial research purposes only",
        ),
        golden=Golden(seed=GOLDEN_SEED, age_years=0.0, age_std_years=0.0, probability_female=female, tolerance=1e9),
    )


def face_crops(data: bytes, root: Path, records: Sequence[Record], count: int = 64) -> UInt8Array:
    """Crops of at most `count` labelled faces, evenly over the records, as the file's card has them cut."""
    estimator, whole = Estimator(engine=OnnxEngine(data)), WholePicture()
    count = min(count, len(records))
    pictures = [read_image(root / records[i * len(records) // count].path) for i in range(count)]
    return np.stack([estimator.crop(picture, whole.detect(picture)[0]) for picture in pictures])


def largest_difference(net: Network, data: bytes, crops: UInt8Array) -> float:
    """Largest difference in years between the file in ONNX Runtime and the float32 network in PyTorch, on faces.

    On faces, not on synthetic pictures: far from what a network has learned from, its ages swing widely, and the
    rounding of its weights with them.
    """
    ages, _ = Estimator(engine=OnnxEngine(data)).run(crops)
    return float(np.abs(years_in_torch(net, crops) - ages.mean_years).max())


def _stored(net: Network) -> onnx.ModelProto:
    """The network as it ships: weights as int8, or as float16 where int8 costs more than it saves."""
    model = to_onnx(net)
    if model.ByteSize() < _INT8_FROM_BYTES:
        return store_as_float16(model)
    is_deep = any(isinstance(module, RecognitionNet) for module in net.modules())
    return store_as_int8(model, half_below=_HALF_BELOW if is_deep else _HALF_BELOW_COMPACT)


def release(
    net: Network,
    about: About,
    root: Path,
    validation: Sequence[Record],
    holdout: Sequence[Record],
    date: str | None = None,
) -> bytes:
    """The finished file.

    Args:
        net: the trained network.
        about: what the card says in words.
        root: of the data set.
        validation: faces to calibrate on, that the network was not trained on.
        holdout: faces for the figures, that nothing was chosen by; may be empty.
        date: ISO 8601, for the card.
    """
    card = first_card(net, about)
    # What a reader of the file sees first is its card, so the version and summary beside it are the card's too.
    model = with_card(_stored(net), card)
    faces = Faces(root=root, validation=validation, holdout=holdout, split=about.split, date=date)
    return measured_file(card, model, faces)


def write_embedded(data: bytes, card: ModelCard, weights: Path) -> None:
    """Put a finished file among the embedded ones and note it in their manifest."""
    embed(
        data,
        EmbeddedFile(
            name=card.name,
            file=f"{card.name}.onnx",
            kind="estimator",
            sha256=hashlib.sha256(data).hexdigest(),
            licence=card.licences.weights,
            source=f"agewise_lab recipe {card.recipe}",
        ),
        weights,
    )


def _finished_run(run: Path, split: Split) -> TrainConfig:
    """The configuration of a run that has ended, and that learned from no face that it will be measured on."""
    if not (run / "run.json").is_file():
        raise FileNotFoundError(f"{run} holds no run: make one with `agewise-lab train`")
    about = json.loads((run / "run.json").read_text())
    config = from_plain(TrainConfig, about["config"])
    if about["split"] != split.digest:
        raise ValueError(
            f"the run in {run} was trained with the split {about['split']}, the store has {split.digest}: "
            "it may have learned from the faces that it would be measured on; name the store that it was trained on"
        )
    ended = int(torch.load(run / "last.ckpt", map_location="cpu", weights_only=True)["epoch"]) + 1
    stopped_early = about.get("ended") is not None and about["ended"]["epochs"] == ended
    if ended < config.epochs and not stopped_early:
        raise ValueError(
            f"the run in {run} stopped after {ended} of {config.epochs} epochs: go on with `agewise-lab train` first"
        )
    return config


@dataclass(frozen=True, kw_only=True)
class _Member:
    """A trained network, and what a card says of it in words."""

    net: TwoHeadNet | AgeGenderNet
    name: str
    called: str
    recipe: str
    origins: tuple[str, ...]


def _members(source: Path, split: Split) -> list[_Member]:
    """The last network of a finished run, or the networks of a released file."""
    if source.suffix == ".onnx":
        check_file(source, split.digest)
        card = Estimator(source).card
        nets = stored_nets_of(source, shape_of(source))
        recipes = card.recipe.split(" + ")
        recipes = recipes if len(recipes) == len(nets) else [card.recipe] * len(nets)
        return [
            _Member(
                net=net,
                name=card.name,
                called=f"{card.name} {card.version}",
                recipe=recipe,
                origins=origins_of(source),
            )
            for net, recipe in zip(nets, recipes, strict=True)
        ]
    config = _finished_run(source, split)
    chosen = config.nets[-1]
    net = load_net(source / "last.ckpt", chosen.name, chosen.architecture)
    called = f"a run of {config.name}"
    return [_Member(net=net, name=chosen.name, called=called, recipe=config.name, origins=origins_of(source))]


def _together(members: Sequence[_Member], *, mirrored: bool) -> Network:
    """One network; several, or with the mirror image, as an ensemble."""
    nets = [member.net for member in members]
    if len(nets) == 1 and not mirrored:
        return nets[0]
    own = [net for net in nets if isinstance(net, TwoHeadNet)]
    if len(own) != len(nets):
        raise ValueError("only networks of agewise-s and agewise-m, not those by name, can answer together")
    return Ensemble(own, mirrored=mirrored).eval()


def _from(members: Sequence[_Member], base: Path, split: Split, share: float) -> tuple[list[_Member], str]:
    """Networks between that of a released file, or of a run, which they were trained on from, and their own; and what
    the first is called.
    """
    other, *more = _members(base, split)
    results = []
    for member in members:
        if more or not isinstance(other.net, TwoHeadNet) or not isinstance(member.net, TwoHeadNet):
            raise ValueError(f"{base}: weights are taken between one network of agewise-s or agewise-m and another")
        net = between(other.net, member.net, share)
        results.append(dataclasses.replace(member, net=net, origins=(*other.origins, *member.origins)))
    return results, other.called


def _less_of_the_prior(members: Sequence[_Member], store: CropStore, split: Split, tau: float) -> list[_Member]:
    ages = agreed_ages(store)[split.train].astype(np.float64)
    others = []
    for member in members:
        if not isinstance(member.net, TwoHeadNet):
            raise ValueError("only networks of agewise-s and agewise-m, not those by name, can be adjusted")
        others.append(dataclasses.replace(member, net=adjusted(member.net, ages, tau)))
    return others


def _what(net: Network) -> str:
    """What a network estimates, in words."""
    promises = promises_of(net)
    low, high = promises.age_years
    age = f"Age distribution over {low:g}-{high:g}" if promises.age.kind == "expectation" else "Age"
    return age if promises.gender is None else f"{age} and gender"


def release_run(
    runs: Sequence[Path],
    store: Path,
    root: Path,
    output: Path,
    *,
    version: str,
    final: bool,
    name: str | None = None,
    mirrored: bool = False,
    adjust: float = 0.0,
    base: Path | None = None,
    share: float = 0.5,
) -> Path:
    """Release the last network of a run that `agewise_lab.training.run.train` finished; gives the file's path.

    Args:
        runs: folder of one run, or of several whose networks are to answer together (see `Ensemble`); a released
            `.onnx` file of agewise-s or agewise-m can stand for runs that are gone, with all networks that it holds.
        store: the crop store that they were trained on.
        root: of the data set.
        output: folder for the file and its manifest.
        version: of the model, for its card.
        final: also measure on the holdout part.
        name: of the model; by default that of the first run's network.
        mirrored: the networks also see the crop's mirror image, at twice the time.
        adjust: share of the training ages' frequency that is taken out of the answers, see `adjust.py`.
        base: a released file, or a run, that each run was trained on from: the weights are then taken between its and
            the run's.
        share: the run's share of them, see `between.py`.

    Raises:
        FileNotFoundError: no run, no checkpoint, or no store.
        ValueError: a run is not finished, or was made with another split of the data; networks that cannot answer
            together or be adjusted; or the file differs from the network in PyTorch by more than a quarter of a year.
    """
    opened = open_store(store)
    split = hash_split(opened)
    members = [member for run in runs for member in _members(run, split)]
    weights = ""
    if base is not None:
        members, called = _from(members, base, split, share)
        weights = f" Weights: {share:g} of the run's, {1 - share:g} of {called}'s."
    if adjust:
        members = _less_of_the_prior(members, opened, split, adjust)
    net = _together(members, mirrored=mirrored)
    name = name or members[0].name
    size = promises_of(net).input.size
    origins = dict.fromkeys(origin for member in members for origin in member.origins)
    about = About(
        name=name,
        version=version,
        summary=f"{_what(net)} from a {size} px aligned face."
        + weights
        + (f" Adjusted: ages count by their frequency in training to the power of {-adjust:g}." if adjust else ""),
        recipe=" + ".join(member.recipe for member in members),
        training_data="; ".join(
            [f"UTKFace, {len(split.train)} images of its open part (split {split.digest})", *origins]
        ),
        split=split.digest,
    )
    validation = part_of_store(store, root, "validation")
    holdout = part_of_store(store, root, "holdout") if final else []
    data = release(net, about, root, validation, holdout, datetime.datetime.now(datetime.UTC).date().isoformat())
    difference = largest_difference(net, data, face_crops(data, root, validation))
    if difference > 0.25:
        raise ValueError(f"the file differs from the network by {difference:.3f} years: it is not released")
    output.mkdir(parents=True, exist_ok=True)
    card = Estimator(engine=OnnxEngine(data)).card
    write_embedded(data, card, output)
    return output / f"{card.name}.onnx"
