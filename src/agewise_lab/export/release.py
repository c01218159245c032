"""From a finished run to the file that ships: exported, calibrated, measured, with its card and its golden check."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from agewise.card import (
    Calibration,
    Figure,
    Golden,
    Licences,
    ModelCard,
    Validity,
    synthetic_crop,
)
from agewise.detect import make_detector
from agewise.engine import OnnxEngine
from agewise.estimate import Estimator
from agewise.imaging.crop import CropSpec
from agewise.store.models import EmbeddedFile
from agewise_lab.architectures.base import AgeGenderNet
from agewise_lab.architectures.compact import CompactConfig, CompactNet
from agewise_lab.datasets.record import Record
from agewise_lab.evaluation.calibration import calibrate_intervals, fit_temperature, pooled
from agewise_lab.evaluation.run import Results, part_of_store, run, summary
from agewise_lab.export.manifest import embed
from agewise_lab.export.onnx_model import store_as_int8, to_onnx, with_card
from agewise_lab.export.promises import promises_of, years_in_torch
from agewise_lab.recipes import find_recipe
from agewise_lab.store.crops import open_store
from agewise_lab.store.split import Split, hash_split
from agewise_lab.training.config import ModelConfig, TrainConfig
from agewise_lab.training.networks import make_network
from agewise_lab.training.teacher import averaged_weights

_GOLDEN_SEED = 20261123
_UNITS = {"mae": "years", "bias": "years", "width": "years", "count": "faces"}


@dataclass(frozen=True, kw_only=True)
class About:
    """What a card says that no measurement can."""

    name: str
    version: str
    summary: str
    recipe: str
    training_data: str
    split: str


def load_net(checkpoint: Path, name: str, architecture: CompactConfig | ModelConfig) -> CompactNet | AgeGenderNet:
    """A network with the averaged weights of a Lightning checkpoint, in evaluation mode."""
    net = make_network(architecture)
    assert isinstance(net, CompactNet | AgeGenderNet)
    net.load_state_dict(averaged_weights(checkpoint, name))
    return net.eval()


def first_card(net: CompactNet | AgeGenderNet, about: About) -> ModelCard:
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
        golden=Golden(seed=_GOLDEN_SEED, age_years=0.0, age_std_years=0.0, probability_female=female, tolerance=1e9),
    )


def _calibration(runs: Sequence[Results], data: str) -> tuple[Calibration, float]:
    found = [r.select(r.found) for r in runs]
    years, spreads, truths = (pooled(*(getattr(r, key) for r in found)) for key in ("years", "std_years", "truth"))
    female = pooled(*(r.female_probability for r in found))
    labels: npt.NDArray[np.bool_] = np.concatenate([r.is_female for r in found])
    return calibrate_intervals(years, spreads, truths, data), fit_temperature(female, labels)


def figures_of(results: Results, data: str, protocol: str) -> tuple[Figure, ...]:
    """The summary of a run as lines of a card."""
    return tuple(
        Figure(measure=key, value=round(value, 4), unit=_UNITS.get(key, ""), data=data, protocol=protocol)
        for key, value in summary(results).items()
    )


def with_golden(card: ModelCard, bytes_without: bytes) -> ModelCard:
    """The card with the answers that the file gives to its synthetic crop."""
    estimator = Estimator(engine=OnnxEngine(bytes_without))
    ages, female = estimator.run(synthetic_crop(_GOLDEN_SEED, card.input.size)[None])
    golden = Golden(
        seed=_GOLDEN_SEED,
        age_years=round(float(ages.years[0]), 4),
        age_std_years=round(float(ages.std_years[0]), 4),
        probability_female=None if female is None else round(float(female[0]), 4),
    )
    return card.model_copy(update={"golden": golden})


def largest_difference(net: CompactNet | AgeGenderNet, data: bytes, count: int = 32) -> float:
    """Largest difference in years between the file in ONNX Runtime and the float32 network in PyTorch."""
    size = promises_of(net).input.size
    crops = np.stack([synthetic_crop(seed, size) for seed in range(count)])
    ages, _ = Estimator(engine=OnnxEngine(data)).run(crops)
    return float(np.abs(years_in_torch(net, crops) - ages.years).max())


def release(
    net: CompactNet | AgeGenderNet, about: About, root: Path, validation: Sequence[Record], holdout: Sequence[Record]
) -> bytes:
    """The finished file.

    Args:
        net: the trained network.
        about: what the card says in words.
        root: of the data set.
        validation: faces to calibrate on, that the network was not trained on.
        holdout: faces for the figures, that nothing was chosen by; may be empty.
    """
    model = store_as_int8(to_onnx(net))
    card = first_card(net, about)
    chains = {"bare crops": None, "padded, mtcnn, aligned": make_detector("mtcnn")}

    def measured(records: Sequence[Record]) -> dict[str, Results]:
        estimator = Estimator(engine=OnnxEngine(with_card(model, card)))
        return {name: run(records, root, estimator, detector) for name, detector in chains.items()}

    data = f"UTKFace, {len(validation)} near-duplicate-free validation images (split {about.split}), both chains"
    calibration, temperature = _calibration(list(measured(validation).values()), data)
    assert card.gender is not None
    gender = card.gender.model_copy(update={"temperature": round(temperature, 4)})
    card = card.model_copy(update={"calibration": calibration, "gender": gender})
    figures: list[Figure] = []
    for part, records in (("validation", validation), ("holdout", holdout)):
        for chain, results in measured(records).items() if records else ():
            figures += figures_of(results, f"UTKFace {part} (split {about.split})", chain)
    card = card.model_copy(update={"figures": tuple(figures)})
    return with_card(model, with_golden(card, with_card(model, card)))


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
    config = find_recipe(about["config"]["name"])
    if about["split"] != split.digest:
        raise ValueError(
            f"the run in {run} was trained with the split {about['split']}, the store has {split.digest}: "
            "it may have learned from the faces that it would be measured on; name the store that it was trained on"
        )
    ended = int(torch.load(run / "last.ckpt", map_location="cpu", weights_only=True)["epoch"]) + 1
    if ended < config.epochs:
        raise ValueError(
            f"the run in {run} stopped after {ended} of {config.epochs} epochs: go on with `agewise-lab train` first"
        )
    return config


def release_run(run: Path, store: Path, root: Path, output: Path, *, version: str, final: bool) -> Path:
    """Release the last network of a run that `agewise_lab.training.run.train` finished; gives the file's path.

    Raises:
        FileNotFoundError: no run, no checkpoint, or no store.
        ValueError: the run is not finished, or was made with another split of the data; or the file differs
            from the network in PyTorch by more than a quarter of a year.
    """
    split = hash_split(open_store(store))
    config = _finished_run(run, split)
    chosen = config.nets[-1]
    about = About(
        name=chosen.name,
        version=version,
        summary=f"Age distribution over 0-100 and gender from a {chosen.architecture.size} px aligned face.",
        recipe=config.name,
        training_data=f"UTKFace, {len(split.train)} images of its open part (split {split.digest})",
        split=split.digest,
    )
    net = load_net(run / "last.ckpt", chosen.name, chosen.architecture)
    validation = part_of_store(store, root, "validation")
    data = release(net, about, root, validation, part_of_store(store, root, "holdout") if final else [])
    difference = largest_difference(net, data)
    if difference > 0.25:
        raise ValueError(f"the file differs from the network by {difference:.3f} years: it is not released")
    output.mkdir(parents=True, exist_ok=True)
    card = Estimator(engine=OnnxEngine(data)).card
    write_embedded(data, card, output)
    return output / f"{card.name}.onnx"
