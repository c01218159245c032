"""A network of a configuration, with fresh weights; and weights of another run in it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from agewise_lab.architectures.base import AgeGenderNet
from agewise_lab.architectures.compact import CompactConfig, CompactNet
from agewise_lab.architectures.stored import compact_nets_of, unfold_batch_norms
from agewise_lab.heads.build import build_net
from agewise_lab.training.config import HeadConfig, ModelConfig, NetConfig
from agewise_lab.training.teacher import averaged_weights, checkpoint_of


def make_network(architecture: CompactConfig | ModelConfig) -> nn.Module:
    """A network with fresh weights: a `CompactNet`, or an `AgeGenderNet` by name."""
    if isinstance(architecture, CompactConfig):
        return CompactNet(architecture)
    return build_net(
        architecture.backbone,
        age=_name(architecture.age),
        gender=_name(architecture.gender),
        backbone_options={**architecture.options, "size": architecture.size},
        age_options=_options(architecture.age),
        gender_options=_options(architecture.gender),
    )


def _name(head: HeadConfig | None) -> str | None:
    return None if head is None else head.name


def _options(head: HeadConfig | None) -> dict[str, object]:
    return {} if head is None else dict(head.options)


def start_from(net: nn.Module, config: NetConfig, place: str) -> list[str]:
    """Give a network the weights of another run that have its names and shapes; gives the names of all others.

    The other run's network of the same name is taken, or its last one where there is none of that name.

    Raises:
        FileNotFoundError: no such run.
        ValueError: none of its weights fits.
    """
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

    Raises:
        ValueError: the network or the file is not of the compact family, they have different shapes, or the file has
            fewer networks.
    """
    if not isinstance(config.architecture, CompactConfig):
        raise ValueError(f"{config.name}: only networks of the compact family start from a released file")
    nets = compact_nets_of(stored.file, config.architecture)
    if stored.which > len(nets):
        raise ValueError(f"{stored.file} holds {len(nets)} network(s), there is none to start from at {stored.which}")
    net.load_state_dict(unfold_batch_norms(nets[stored.which - 1], images).state_dict())


def parts_of(net: nn.Module) -> dict[str, list[nn.Module]]:
    """The modules of each part that a freezing schedule can name; one part "all" in the compact family."""
    if not isinstance(net, AgeGenderNet):
        return {"all": [net]}
    groups = net.backbone.groups()
    return {"stem": groups["stem"], "trunk": groups["trunk"], "heads": list(net.heads)}


def parameters_of(modules: list[nn.Module]) -> list[Tensor]:
    """Their parameters."""
    return [weight for module in modules for weight in module.parameters()]
