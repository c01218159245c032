"""What every network here is made of: a backbone, and a head for each task.

    crop uint8 RGB ──InputFormat──> image_B3HW ──Backbone──> features_BF ──Head (age)────> named outputs
                                                                       └──Head (gender)─> named outputs

A backbone says what it must be fed (`input`) and how many features it gives (`feature_count`). A head turns
features into named outputs, knows the loss of those outputs, and knows how agewise decodes them. So any
backbone goes with any head, for one task or both, and the card of the exported file follows from the parts.

Letters in tensor names: B batch, F features, H height, W width, 3 colours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from agewise.card import AgeSpec, GenderSpec, InputSpec

Triple = tuple[float, float, float]
Outputs = dict[str, Tensor]
Targets = Mapping[str, Tensor]

IMAGENET_MEAN: Triple = (0.485, 0.456, 0.406)
IMAGENET_STD: Triple = (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True, kw_only=True)
class InputFormat:
    """What a backbone is fed: (n, 3, size, size), value = (pixel · scale − mean) / std, pixel 0 to 255.

    Args:
        size: side in pixels.
        color_order: which channel comes first.
        scale: factor of the pixel.
        mean, std: in the order of `color_order`, in units of pixel · scale.
        standardise: the network itself then standardises each image (see `standardised`); nothing to do outside.
    """

    size: int = 64
    color_order: Literal["RGB", "BGR"] = "RGB"
    scale: float = 1 / 255
    mean: Triple = (0.0, 0.0, 0.0)
    std: Triple = (1.0, 1.0, 1.0)
    standardise: bool = False

    def spec(self, name: str = "image") -> InputSpec:
        """The same, as the card of an exported file has it."""
        return InputSpec(
            name=name, size=self.size, color_order=self.color_order, scale=self.scale, mean=self.mean, std=self.std
        )

    def normalise(self, image_rgb_B3HW: Tensor) -> Tensor:
        """RGB 0..255 of any type → what the network takes, float32. The twin of `agewise.imaging.to_network_input`."""
        image = image_rgb_B3HW.to(torch.float32)
        if self.color_order == "BGR":
            image = image.flip(1)
        mean, std = (image.new_tensor(values).view(1, 3, 1, 1) for values in (self.mean, self.std))
        return image * (self.scale / std) - mean / std


def standardised(image_B3HW: Tensor) -> Tensor:
    """Each image less its mean, over its standard deviation or 1/√count, whichever is larger: as TensorFlow does it."""
    count = image_B3HW[0].numel()
    mean = image_B3HW.mean(dim=(1, 2, 3), keepdim=True)
    centred = image_B3HW - mean
    std = (centred * centred).mean(dim=(1, 2, 3), keepdim=True).sqrt()
    return centred / std.clamp_min(count**-0.5)


class Backbone(nn.Module):
    """A network up to its features.

    A subclass sets `input`, `feature_count` and `stem_names`, and its `forward` maps an image that `input`
    describes, already normalised, float (n, 3, size, size), to features (n, feature_count).
    """

    input: InputFormat
    feature_count: int
    stem_names: tuple[str, ...] = ()
    """Names of the children that make up the stem: the first, most general layers. The rest is the trunk."""

    def forward(self, image_B3HW: Tensor) -> Tensor:
        raise NotImplementedError

    def for_tasks(self, image_B3HW: Tensor) -> tuple[Tensor, Tensor]:
        """The features that the heads of age and of gender see, each (n, feature_count): the same ones."""
        features = self(image_B3HW)
        return features, features

    def groups(self) -> dict[str, list[nn.Module]]:
        """The children in the order of their definition, as "stem" and "trunk": what freezing schedules name."""
        children = list(self.named_children())
        return {
            "stem": [child for name, child in children if name in self.stem_names],
            "trunk": [child for name, child in children if name not in self.stem_names],
        }

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """The parameters of "stem" and "trunk"; each parameter of the backbone is in exactly one."""
        return {
            group: [weight for module in modules for weight in module.parameters()]
            for group, modules in self.groups().items()
        }


class Apart(Backbone):
    """A trunk for each task, as where age and gender are two networks; of one shape, in one file.

    Its features are the age's trunk's, and then the gender's; each head sees its own. `feature_count`, and what else a
    head is built by (SSR-Net's `feature_pairs`), is that of one trunk.

    Args:
        trunks: for the age and for gender, two of one kind.
    """

    def __init__(self, trunks: tuple[Backbone, Backbone]) -> None:
        super().__init__()
        self.age, self.gender = trunks
        self.input, self.feature_count = self.age.input, self.age.feature_count
        if hasattr(self.age, "feature_pairs"):
            self.feature_pairs = self.age.feature_pairs

    def forward(self, image_B3HW: Tensor) -> Tensor:
        return torch.cat(self.for_tasks(image_B3HW), dim=1)

    def for_tasks(self, image_B3HW: Tensor) -> tuple[Tensor, Tensor]:
        return self.age(image_B3HW), self.gender(image_B3HW)

    def groups(self) -> dict[str, list[nn.Module]]:
        age, gender = self.age.groups(), self.gender.groups()
        return {name: [*modules, *gender[name]] for name, modules in age.items()}


@runtime_checkable
class Head(Protocol):
    """Features → named outputs, with their loss and their decoding. Every head is an `nn.Module` too.

    Its constructor takes the number of features first. Heads of one network have outputs of different names,
    which begin with the task: `age_…` or `gender_…`.
    """

    @property
    def decoding(self) -> AgeSpec | GenderSpec:
        """How agewise decodes what `served` gives; names its outputs."""
        ...

    def __call__(self, features_BF: Tensor) -> Outputs:
        """Named outputs for the loss: logits and the like, batch first."""
        ...

    def served(self, outputs: Outputs) -> Outputs:
        """What the exported file gives, exactly the outputs that `decoding` names: of logits mostly themselves."""
        ...

    def loss(self, outputs: Outputs, targets: Targets) -> Tensor:
        """The loss of a batch, one number a face or their mean, as `agewise_lab.heads` says."""
        ...


class AgeGenderNet(nn.Module):
    """A backbone with a head for age, for gender, or for both.

    Args:
        backbone: gives the features.
        age_head: None for a network of gender alone.
        gender_head: None for a network of age alone.

    Raises:
        ValueError: no head at all.
    """

    def __init__(self, backbone: Backbone, age_head: Any = None, gender_head: Any = None) -> None:
        super().__init__()
        if age_head is None and gender_head is None:
            raise ValueError("a network needs an age head, a gender head, or both; got none")
        self.backbone = backbone
        self.age_head = age_head
        self.gender_head = gender_head

    @property
    def input(self) -> InputFormat:
        """What it must be fed."""
        return self.backbone.input

    @property
    def heads(self) -> tuple[Any, ...]:
        """The heads that are there, age first."""
        return tuple(head for head in (self.age_head, self.gender_head) if head is not None)

    def forward(self, image_B3HW: Tensor) -> Outputs:
        """Normalised images → the outputs of all heads by name."""
        return self.answers(*self.backbone.for_tasks(image_B3HW))

    def answers(self, age_BF: Tensor, gender_BF: Tensor) -> Outputs:
        """What each head sees → the outputs of all heads by name."""
        outputs: Outputs = {}
        for head, features in ((self.age_head, age_BF), (self.gender_head, gender_BF)):
            if head is not None:
                given = head(features)
                assert not outputs.keys() & given.keys(), "two heads give outputs of one name"
                outputs |= given
        return outputs

    def served(self, image_B3HW: Tensor) -> Outputs:
        """What the exported file gives: the outputs that the decodings name."""
        outputs = self(image_B3HW)
        return {name: value for head in self.heads for name, value in head.served(outputs).items()}
