"""A finished network as teacher: its answers on the very crops that the student sees (Hinton et al. 2015).

The answers are soft labels for the augmented crop, not for the stored one, and so cannot be worked out
beforehand (Beyer et al., «Knowledge distillation: A good teacher is patient and consistent», CVPR 2022).
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from agewise_lab.architectures.compact import CompactConfig, CompactNet
from agewise_lab.training.config import NetConfig, TrainConfig
from agewise_lab.training.plain import from_plain


class FrozenTeacher:
    """A network of another run in evaluation mode: never trained, not part of any module's weights."""

    def __init__(self, config: NetConfig) -> None:
        assert config.frozen is not None
        self._mirrored = config.mirrored
        assert isinstance(config.architecture, CompactConfig), "held by TrainConfig"
        self._net = CompactNet(config.architecture).eval().requires_grad_(False)
        self._net.load_state_dict(averaged_weights(checkpoint_of(config.frozen), config.name))
        self._net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @torch.no_grad()
    def __call__(self, image_B3HW: Tensor) -> tuple[Tensor, Tensor]:
        """Logits over ages (n, ages) and genders (n, 2) whose softmax is the teacher's answer."""
        self._net.to(image_B3HW.device)
        logits = [x.float() for x in self._net(image_B3HW)]
        if self._mirrored:
            mirrored = [x.float() for x in self._net(image_B3HW.flip(3))]
            logits = [_mean_of_two(a, b) for a, b in zip(logits, mirrored, strict=True)]
        age, gender = logits
        return age, gender


def _mean_of_two(a: Tensor, b: Tensor) -> Tensor:
    """Logarithm of the mean of two distributions given as logits.

    >>> _mean_of_two(torch.tensor([[0.0, 0.0]]), torch.tensor([[50.0, 0.0]])).exp().tolist()
    [[0.75, 0.25]]
    """
    return torch.logaddexp(torch.log_softmax(a, dim=1), torch.log_softmax(b, dim=1)) - torch.log(torch.tensor(2.0))


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


def with_teacher(config: TrainConfig, run: Path, *, distill: float = 0.5, mirrored: bool = True) -> TrainConfig:
    """The same run, its networks taught by the last one of a finished run.

    Args:
        config: the students' run.
        run: the teacher's folder.
        distill: weight of its answers.
        mirrored: see `NetConfig.mirrored`.

    Raises:
        FileNotFoundError: no run is there.
    """
    taught = from_plain(TrainConfig, _about(run)["config"]).nets[-1]
    teacher = NetConfig(
        name=taught.name, architecture=taught.architecture, frozen=str(run.resolve()), mirrored=mirrored
    )
    students = tuple(
        dataclasses.replace(net, teacher=teacher.name, distill=distill) for net in config.nets if net.frozen is None
    )
    return dataclasses.replace(config, nets=(teacher, *students))


def check_teachers(config: TrainConfig, split: str) -> None:
    """Hold that no teacher learned from the faces that this run is measured on, nor is half trained.

    Only runs given by their folder can be held to it.

    Raises:
        ValueError: another split, or an unfinished run.
    """
    for net in config.nets:
        if net.frozen is None:
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
