"""A network of a configuration, with fresh weights; and weights of another run in it."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor, nn

from agewise_lab.architectures.base import AgeGenderNet
from agewise_lab.architectures.compact import CompactConfig
from agewise_lab.architectures.recognition import RecognitionConfig, RecognitionNet
from agewise_lab.architectures.ssrnet import StagewiseLayers
from agewise_lab.architectures.stored import fresh_net, stored_net_of, stored_nets_of, unfold_batch_norms, unfold_into
from agewise_lab.convert.dlib_net import read_trunk, recognition_file
from agewise_lab.heads.build import build_net
from agewise_lab.training.config import HeadConfig, ModelConfig, NetConfig
from agewise_lab.training.teacher import averaged_weights, checkpoint_of


def make_network(architecture: CompactConfig | RecognitionConfig | ModelConfig) -> nn.Module:
    """A network with fresh weights: a `CompactNet`, a `RecognitionNet`, or an `AgeGenderNet` by name."""
    if not isinstance(architecture, ModelConfig):
        return fresh_net(architecture)
    return build_net(
        architecture.backbone,
        age=_name(architecture.age),
        gender=_name(architecture.gender),
        apart=architecture.apart,
        backbone_options={**architecture.options, "size": architecture.size},
        age_options=_options(architecture.age),
        gender_options=_options(architecture.gender),
    )


def _name(head: HeadConfig | None) -> str | None:
    return None if head is None else head.name


def _options(head: HeadConfig | None) -> dict[str, object]:
    return {} if head is None else dict(head.options)


def is_dlibs(start: str | None) -> bool:
    """Whether `TrainConfig.start` means dlib's recognition network."""
    return start is not None and (start == "dlib" or start.endswith(".dat"))


def start_from(net: nn.Module, config: NetConfig, place: str) -> list[str]:
    """Give a network the weights of another run that have its names and shapes; gives the names of all others.

    The other run's network of the same name is taken, or its last one where there is none of that name. Of "dlib", or a
    path that ends in `.dat`, dlib's recognition network.

    Raises:
        FileNotFoundError: no such run.
        ValueError: none of its weights fits.
    """
    if is_dlibs(place):
        trunk, _ = read_trunk(recognition_file() if place == "dlib" else Path(place))
        weights = {f"trunk.{name}": value for name, value in trunk.state_dict().items()}
    else:
        weights = averaged_weights(checkpoint_of(place), config.name, or_last=True)
    own = net.state_dict()
    fitting = {key: value for key, value in weights.items() if key in own and own[key].shape == value.shape}
    if not any(key in fitting for key, _ in net.named_parameters()):
        raise ValueError(f"none of the weights in {place} fits {config.name}: its networks are others")
    net.load_state_dict(own | fitting)
    return sorted(own.keys() - fitting.keys())


@dataclass(frozen=True)
class StoredNetwork:
    """One of the networks in a released file.

    Attributes:
        file: the released file.
        which: its place in the file, from 1.
    """

    file: Path
    which: int = 1


def stored_network(start: str | None) -> StoredNetwork | None:
    """What `TrainConfig.start` means where it names a released file; nothing where it names a run or none.

    >>> stored_network("agewise-m.onnx#2")
    StoredNetwork(file=PosixPath('agewise-m.onnx'), which=2)
    """
    found = re.fullmatch(r"(.*\.onnx)(?:#([1-9]\d*))?", start or "")
    return None if found is None else StoredNetwork(Path(found[1]), int(found[2] or 1))


def start_from_file(net: nn.Module, config: NetConfig, stored: StoredNetwork, images: Iterable[Tensor]) -> None:
    """Make a network that of a released file, with batch norms that fit `images`.

    Args:
        net: changed in place.
        config: of the network.
        stored: which network of which file.
        images: batches of float RGB 0..1 (n, 3, s, s), of the pictures that will be trained on.

    Raises:
        ValueError: it and the file's have different shapes, or the file has fewer networks.
    """
    shape = config.architecture
    nets = [stored_net_of(stored.file, net)] if isinstance(shape, ModelConfig) else stored_nets_of(stored.file, shape)
    if stored.which > len(nets):
        raise ValueError(f"{stored.file} holds {len(nets)} network(s), there is none to start from at {stored.which}")
    folded = nets[stored.which - 1]
    started = _awake(net, folded, images) if isinstance(net, AgeGenderNet) else unfold_batch_norms(folded, images)
    net.load_state_dict(started.state_dict())  # `net` stays in the mode that it is in: Lightning leaves it so, too


def _awake(net: AgeGenderNet, folded: AgeGenderNet, images: Iterable[Tensor]) -> AgeGenderNet:
    """A copy of `net` that answers as `folded`, but for units that were asleep: `StagewiseLayers.wake`."""
    fed = [net.input.normalise(image * 255) for image in images]
    started = unfold_into(copy.deepcopy(net), folded, fed)
    with torch.no_grad():
        features = started.backbone.for_tasks(torch.cat(fed))
    for head, seen in zip((started.age_head, started.gender_head), features, strict=True):
        layers = getattr(head, "layers", None)
        if isinstance(layers, StagewiseLayers) and (count := layers.wake(seen)):
            rank_zero_info(f"{type(head).__name__}: {count} units gave every face the same, and begin anew")
    return started


def parts_of(net: nn.Module) -> dict[str, list[nn.Module]]:
    """The modules of each part that has a learning rate of its own; one part "all" in the compact family."""
    if isinstance(net, RecognitionNet):
        hidden = [] if net.hidden is None else [net.hidden]
        return {"trunk": [net.trunk], "heads": [*hidden, net.age, net.gender]}
    if not isinstance(net, AgeGenderNet):
        return {"all": [net]}
    groups = net.backbone.groups()
    return {"stem": groups["stem"], "trunk": groups["trunk"], "heads": list(net.heads)}


def parameters_of(modules: list[nn.Module]) -> list[Tensor]:
    """Their parameters."""
    return [weight for module in modules for weight in module.parameters()]
