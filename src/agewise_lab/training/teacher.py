"""A finished network as teacher: its answers on the very crops that the student sees (Hinton et al. 2015).

The answers are soft labels for the augmented crop, not for the stored one, and so cannot be worked out
beforehand (Beyer et al., «Knowledge distillation: A good teacher is patient and consistent», CVPR 2022).
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional

from agewise.estimate import Estimator
from agewise_lab.architectures.compact import CompactConfig
from agewise_lab.architectures.recognition import RecognitionConfig
from agewise_lab.architectures.stored import fresh_net, stored_nets_of
from agewise_lab.architectures.two_heads import TwoHeadNet
from agewise_lab.recipes import find_recipe
from agewise_lab.training.config import ModelConfig, NetConfig, TrainConfig
from agewise_lab.training.learners import Answer
from agewise_lab.training.plain import from_plain


class FrozenTeacher:
    """A network of another run, or the networks of a released file, in evaluation mode: never trained, not part of
    any module's weights.
    """

    def __init__(self, config: NetConfig) -> None:
        assert config.frozen is not None
        assert not isinstance(config.architecture, ModelConfig), "held by TrainConfig"
        self._config = config
        self._size = config.architecture.size
        self._nets = _networks(Path(config.frozen), config.held or config.name, config.architecture)
        for net in self._nets:
            net.eval().requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @torch.no_grad()
    def __call__(self, image_B3HW: Tensor) -> Answer:
        """Logits whose softmax is the teacher's answer. It sees the crops at its own size, whatever the student's."""
        image_B3HW = at_size(image_B3HW, self._size)
        views = [image_B3HW, image_B3HW.flip(3)] if self._config.mirrored else [image_B3HW]
        asked = [(net, view) for net in self._nets for view in views]
        if self._config.asked == "one":
            asked = [asked[int(torch.randint(len(asked), ()))]]
        pooled = [net.to(view.device).pooled(view).float() for net, view in asked]
        answers = [net.heads(features) for (net, _), features in zip(asked, pooled, strict=True)]
        age, gender = (_mean_of([answer[k].float() for answer in answers]) for k in (0, 1))
        return Answer(age, gender, None if self.feature_count is None else pooled[0])

    @property
    def feature_count(self) -> int | None:
        """How many features its answers hold, or nothing where they hold none."""
        alone = len(self._nets) == 1 and (self._config.asked == "one" or not self._config.mirrored)
        return self._nets[0].age.in_features if alone else None


def _networks(place: Path, name: str, architecture: CompactConfig | RecognitionConfig) -> Sequence[TwoHeadNet]:
    if place.suffix == ".onnx":
        return stored_nets_of(place, architecture)
    net = fresh_net(architecture)
    net.load_state_dict(averaged_weights(checkpoint_of(place), name))
    return [net]


def at_size(image_B3HW: Tensor, size: int) -> Tensor:
    """Square pictures scaled to another side, smoothed where they shrink; as they are where they have it."""
    if image_B3HW.shape[2] == size:
        return image_B3HW
    scaled = functional.interpolate(image_B3HW, (size, size), mode="bilinear", align_corners=False, antialias=True)
    return scaled.contiguous(memory_format=torch.channels_last)


def _mean_of(logits: list[Tensor]) -> Tensor:
    """Logarithm of the mean of distributions given as logits.

    >>> _mean_of([torch.tensor([[0.0, 0.0]]), torch.tensor([[50.0, 0.0]])]).exp().tolist()
    [[0.75, 0.25]]
    """
    if len(logits) == 1:
        return logits[0]
    stacked = torch.stack([torch.log_softmax(x, dim=1) for x in logits])
    return torch.logsumexp(stacked, dim=0) - torch.log(torch.tensor(float(len(logits))))


def checkpoint_of(place: str | Path) -> Path:
    """The last checkpoint of a finished run, given its folder; or the checkpoint itself.

    Raises:
        FileNotFoundError: there is none.
    """
    path = Path(place)
    path = path / "last.ckpt" if path.is_dir() else path
    if not path.is_file():
        raise FileNotFoundError(f"{place} is neither a run's folder nor a checkpoint; `agewise-lab train` makes one")
    return path


def averaged_weights(checkpoint: Path, name: str, *, or_last: bool = False) -> dict[str, Tensor]:
    """The averaged weights of the network `name` in a checkpoint; with `or_last` of its last one, if it has none such.

    Raises:
        ValueError: no network of that name is in it; the message lists those that are.
    """
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]
    known = list(dict.fromkeys(key.split(".")[1] for key in state if key.startswith("nets.")))
    if or_last and known and name not in known:
        name = known[-1]
    prefix = f"nets.{name}."
    weights = {key[len(prefix) :]: value for key, value in state.items() if key.startswith(prefix)}
    if not weights:
        raise ValueError(f"{checkpoint} holds no network {name!r}; it holds {', '.join(known)}")
    return weights


def _about(run: Path) -> dict[str, Any]:
    path = run / "run.json"
    if not path.is_file():
        raise FileNotFoundError(f"{run} holds no run: make one with `agewise-lab train`")
    about: dict[str, Any] = json.loads(path.read_text())
    return about


def with_teacher(
    config: TrainConfig,
    *places: Path,
    distill: float = 0.5,
    mirrored: bool = True,
    asked: Literal["all", "one"] = "all",
) -> TrainConfig:
    """The same run, its networks taught by the last one of a finished run, or by a released file; or by several.

    Args:
        config: the students' run.
        places: the teachers' folders, or `.onnx` files of agewise-s or agewise-m.
        distill: weight of their answers.
        mirrored, asked: see `NetConfig`.

    Raises:
        FileNotFoundError: no run is there.
        ValueError: the file is of another family.
    """
    names = [net.name for net in config.nets]
    teachers: list[NetConfig] = []
    for place in places:
        net = _taught_by(place)
        name = _another(net.name, names)
        held = net.name if name != net.name and place.suffix != ".onnx" else ""
        teachers.append(
            dataclasses.replace(net, name=name, held=held, frozen=str(place.resolve()), mirrored=mirrored, asked=asked)
        )
        names.append(name)
    taught_by = tuple(teacher.name for teacher in teachers)
    students = tuple(
        dataclasses.replace(net, teacher=taught_by[0] if len(taught_by) == 1 else taught_by, distill=distill)
        for net in config.nets
        if net.frozen is None
    )
    return dataclasses.replace(config, nets=(*teachers, *students))


def _taught_by(place: Path) -> NetConfig:
    """Name and shape of the network that teaches."""
    if place.suffix == ".onnx":
        return NetConfig(name=place.stem.replace(".", "_"), architecture=shape_of(place))
    taught = from_plain(TrainConfig, _about(place)["config"]).nets[-1]
    return NetConfig(name=taught.name, architecture=taught.architecture)


def _another(name: str, taken: Sequence[str]) -> str:
    """A name that is not taken yet, the name itself if it can be.

    >>> _another("big", ["small"]), _another("big", ["big", "big-2"])
    ('big', 'big-3')
    """
    return next(other for k in range(1, len(taken) + 2) if (other := name if k == 1 else f"{name}-{k}") not in taken)


def shape_of(released: str | Path) -> CompactConfig | RecognitionConfig:
    """The shape of each network in a released file, or an embedded model, by the recipe that its card names.

    Raises:
        ValueError: its networks have not agewise's own two heads.
    """
    recipe = Estimator(released).card.recipe.split(" + ")[0]
    shape = find_recipe(recipe).nets[-1].architecture
    if isinstance(shape, ModelConfig):
        raise ValueError(f"{released}: only files of agewise-s and agewise-m can answer with others, or teach")
    return shape


def check_teachers(config: TrainConfig, split: str) -> None:
    """Hold that no teacher learned from the faces that this run is measured on, nor is half trained.

    Only runs given by their folder, and released files, can be held to it.

    Raises:
        ValueError: another split, or an unfinished run.
    """
    for net in config.nets:
        if net.frozen is None:
            continue
        if net.frozen.endswith(".onnx"):
            check_file(Path(net.frozen), split)
            continue
        checkpoint = checkpoint_of(net.frozen)
        if checkpoint == Path(net.frozen):
            continue
        about = _about(Path(net.frozen))
        if about["split"] != split:
            raise ValueError(
                f"the teacher in {net.frozen} was trained with the split {about['split']}, this run has {split}: "
                "it may have learned from the faces that its student is measured on"
            )
        ended = int(torch.load(checkpoint, map_location="cpu", weights_only=True)["epoch"]) + 1
        if ended < about["config"]["epochs"]:
            raise ValueError(
                f"the teacher in {net.frozen} stopped after {ended} of {about['config']['epochs']} epochs: "
                "let that run end, or name its checkpoint instead of its folder"
            )


def check_file(released: Path, split: str) -> None:
    """Hold that a released file's networks did not learn from the faces that this run is measured on.

    Raises:
        ValueError: its card names another split.
    """
    learned = Estimator(released).card.training_data
    if split not in learned:
        raise ValueError(
            f"{released} was trained on {learned}, this run has the split {split}: "
            "it may have learned from the faces that this run is measured on"
        )
