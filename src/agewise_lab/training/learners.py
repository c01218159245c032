"""What one network does with a batch: its loss, and what it estimates. One class a kind of network.

`CompactLearner` is that of the embedded models: fixed heads, label distributions, a teacher. `HeadsLearner` is that of
networks by name, whose heads bring their losses along.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from agewise_lab.architectures.base import AgeGenderNet, Outputs
from agewise_lab.architectures.two_heads import TwoHeadNet
from agewise_lab.losses.label_distribution import (
    expected_age,
    gender_weight,
    label_distribution,
    median_age,
    soft_cross_entropy,
)
from agewise_lab.losses.targets import age_target, beyond
from agewise_lab.losses.tasks import UncertaintyWeights, weighted
from agewise_lab.training.config import ModelConfig, NetConfig, TrainConfig

# Dimension letters: B batch, A age classes, G genders.

Labels = dict[str, Tensor]


class Answer(NamedTuple):
    """What a network says of a batch, for its students: of n crops, or of n and the n second crops after them.

    Args:
        age: logits (n, ages).
        gender: logits over (female, male) (n, 2).
        pooled: the features that it saw them by (n, features); None where several networks or views answer together.
    """

    age: Tensor
    gender: Tensor
    pooled: Tensor | None = None

    def of(self, which: int, count: int) -> Answer:
        """Of the first (0) or the second (1) `count` crops; of the first where it was asked for them alone."""
        start = which * count if len(self.age) > count else 0
        rows = slice(start, start + count)
        return Answer(self.age[rows], self.gender[rows], None if self.pooled is None else self.pooled[rows])


@dataclass(frozen=True, slots=True)
class Mixed:
    """A batch, mixed with itself in another order, or not.

    Args:
        image: float RGB 0..1 (n, 3, s, s), mixed.
        labels: of the batch, not mixed.
        share: of each picture in its mixture; 1 where nothing is mixed.
        other: the order of the other pictures, or None.
        second: other crops of the same faces, mixed alike, or None.
    """

    image: Tensor
    labels: Labels
    share: Tensor | float = 1.0
    other: Tensor | None = None
    second: Tensor | None = None

    @property
    def crops(self) -> Tensor:
        """The crops, (n, 3, s, s), and after them the second ones, where there are any."""
        return self.image if self.second is None else torch.cat([self.image, self.second])

    def mix(self, values: Tensor) -> Tensor:
        """Numbers of faces, mixed as their pictures are."""
        return values if self.other is None else self.share * values + (1 - self.share) * values[self.other]


@dataclass(frozen=True, slots=True)
class Learned:
    """What a network made of a batch.

    Args:
        loss: to go down.
        error: mean distance of its ages from the labels in years, or None without an age.
        answer: for its students, where it can teach.
        apart: mean distance in years between its ages of a face's two crops, where there are two.
        parts: the loss of each task, for the logs.
    """

    loss: Tensor
    error: Tensor | None
    answer: Answer | None = None
    apart: Tensor | None = None
    parts: dict[str, Tensor] | None = None


class Learner(Protocol):
    """One network's part in a run."""

    def learn(self, net: nn.Module, mixed: Mixed, progress: float, teacher: Answer | None) -> Learned:
        """The loss of a batch, `progress` (0 to 1) into the run."""
        ...

    def estimate(self, net: nn.Module, image: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Ages in years (B,) and probabilities of female (B,) for RGB 0..1; None for a task that it has not."""
        ...


def age_error(years_B: Tensor, labels: Labels) -> Tensor:
    """|estimate − label| in years, for a class of ages the distance from it, (B,); NaN where nothing is known."""
    target = age_target(labels["age"], labels.get("age_low"), labels.get("age_high"), most=float("inf"))
    return beyond(years_B, target).abs()


def mean_of_known(values_B: Tensor) -> Tensor:
    """The mean of numbers that are not NaN; 0 where there are none."""
    known = ~values_B.isnan()
    return torch.where(known, values_B, 0.0).sum() / known.sum().clamp(min=1)


def _share(distill: float, progress: float) -> float:
    """The weight of a teacher's answers: ever more in the first tenth of the run."""
    return distill * min(1.0, progress / 0.1)


def _estimated(answer: Answer) -> Labels:
    """What a teacher's answer says, as labels: the medians of its ages, its probabilities of female."""
    ages = torch.arange(answer.age.shape[1], dtype=torch.float32, device=answer.age.device)
    return {"age": median_age(answer.age.detach(), ages), "is_female": torch.softmax(answer.gender.detach(), 1)[:, 0]}


class CompactLearner:
    """Networks with agewise's two heads: label distributions, the expectation, and a teacher's answers."""

    def __init__(self, net: NetConfig, config: TrainConfig) -> None:
        assert not isinstance(net.architecture, ModelConfig)
        self._net, self._config = net, config
        self._class_ages = torch.arange(net.architecture.ages, dtype=torch.float32)

    def learn(self, net: nn.Module, mixed: Mixed, progress: float, teacher: Answer | None) -> Learned:
        assert isinstance(net, TwoHeadNet)
        pooled = net.pooled(mixed.crops.contiguous(memory_format=torch.channels_last)).float()
        count = len(mixed.image)
        ages, genders = (x.float().split(count) for x in net.heads(pooled))
        age, gender, pooled_BF = ages[0], genders[0], pooled[:count]
        years_B, female_B = mixed.labels["age"], mixed.labels["is_female"]
        known = {"age": ~years_B.isnan(), "gender": ~female_B.isnan()}
        if not bool(known["age"].all() and known["gender"].all()):
            raise ValueError(
                "networks of agewise-s and agewise-m learn from exact ages and known genders: take one by name"
            )
        self._class_ages = self._class_ages.to(age.device)
        age_BA = mixed.mix(label_distribution(years_B, self._class_ages))
        gender_BG = torch.stack([mixed.mix(female_B), 1 - mixed.mix(female_B)], dim=1)
        labels = age_BA, mixed.mix(years_B), gender_BG, gender_weight(years_B)
        losses = [
            self.loss(logits, *labels, progress=progress, teacher=None if teacher is None else teacher.of(which, count))
            for which, logits in enumerate(zip(ages, genders, strict=True))
        ]
        loss, apart = torch.stack(losses).mean(), None
        if mixed.second is not None:
            first, second = (expected_age(x, self._class_ages) for x in ages)
            # The second is drawn to the first, never the other way: it may be too dark or blurred to say as much.
            apart = (first.detach() - second).abs().mean()
            loss = loss + self._config.consistency_weight * apart
        with torch.no_grad():
            error = (expected_age(age, self._class_ages) - mixed.mix(years_B)).abs().mean()
        answer = Answer(age, gender, pooled_BF)
        return Learned(loss, error, answer, None if apart is None else apart.detach())

    def loss(
        self,
        logits: tuple[Tensor, Tensor],
        age_BA: Tensor,
        age_B: Tensor,
        gender_BG: Tensor,
        weight_B: Tensor,
        *,
        progress: float,
        teacher: Answer | None,
    ) -> Tensor:
        """Divergence, expectation and gender, of the labels and, ever more in the first tenth, of the teacher."""
        age, gender = logits
        divergence = soft_cross_entropy(age, age_BA).mean()
        gender_loss = (weight_B * soft_cross_entropy(gender, gender_BG)).mean()
        far = (expected_age(age, self._class_ages) - age_B.clamp(max=float(self._class_ages[-1]))).abs().mean()
        if teacher is not None:
            share = _share(self._net.distill, progress)
            of_age, of_gender = (torch.softmax(x.detach(), dim=1) for x in teacher[:2])
            divergence = (1 - share) * divergence + share * 2 * soft_cross_entropy(age, of_age).mean()
            gender_loss = (1 - share) * gender_loss + share * soft_cross_entropy(gender, of_gender).mean()
        return divergence + self._config.expectation_weight * far + self._config.gender_weight * gender_loss

    def estimate(self, net: nn.Module, image: Tensor) -> tuple[Tensor | None, Tensor | None]:
        age, gender = (x.float() for x in net(image))
        self._class_ages = self._class_ages.to(age.device)
        # The difference decides, not the rounded probability: 0.5 goes to male, as the larger logit does.
        return median_age(age, self._class_ages), torch.sigmoid((gender[:, 0] - gender[:, 1]).double())


class HeadsLearner:
    """Networks by name: each head has its loss, and a mixture costs what its two pictures cost.

    What a teacher estimates is a second label of each picture, as exact as a head's loss takes it: an age in years and
    a probability of «female».
    """

    def __init__(self, net: NetConfig, uncertainty: UncertaintyWeights | None) -> None:
        assert isinstance(net.architecture, ModelConfig)
        heads = {"age": net.architecture.age, "gender": net.architecture.gender}
        self._weights = {task: head.weight for task, head in heads.items() if head is not None}
        self._distill, self._uncertainty = net.distill, uncertainty

    def learn(self, net: nn.Module, mixed: Mixed, progress: float, teacher: Answer | None) -> Learned:
        assert isinstance(net, AgeGenderNet)
        outputs = _outputs(net, mixed.image)
        parts = {task: self._of_task(head, outputs, mixed) for task, head in _heads(net).items()}
        if teacher is not None:
            share, taught = _share(self._distill, progress), _estimated(teacher)
            parts = {
                task: (1 - share) * parts[task] + share * head.loss(outputs, taught).mean()  # type: ignore[operator]
                for task, head in _heads(net).items()
            }
        loss = weighted(parts, self._weights) if self._uncertainty is None else self._uncertainty(parts)
        error = None
        if net.age_head is not None:
            with torch.no_grad():
                error = mean_of_known(mixed.mix(age_error(net.age_head.years(outputs), mixed.labels)))
        return Learned(loss, error, parts={task: part.detach() for task, part in parts.items()})

    @staticmethod
    def _of_task(head: nn.Module, outputs: Outputs, mixed: Mixed) -> Tensor:
        loss_B: Tensor = head.loss(outputs, mixed.labels)  # type: ignore[operator]
        if mixed.other is None:
            return loss_B.mean()
        others = {name: value[mixed.other] for name, value in mixed.labels.items()}
        other_B: Tensor = head.loss(outputs, others)  # type: ignore[operator]
        return (mixed.share * loss_B + (1 - mixed.share) * other_B).mean()

    def estimate(self, net: nn.Module, image: Tensor) -> tuple[Tensor | None, Tensor | None]:
        assert isinstance(net, AgeGenderNet)
        outputs = _outputs(net, image)
        years = None if net.age_head is None else net.age_head.years(outputs)
        return years, None if net.gender_head is None else net.gender_head.female(outputs)


def _outputs(net: AgeGenderNet, image: Tensor) -> Outputs:
    """All heads' outputs. The heads work in float32 whatever the run's precision: three digits are no age."""
    crops = net.input.normalise(image * 255).contiguous(memory_format=torch.channels_last)
    age, gender = net.backbone.for_tasks(crops)
    with torch.autocast(image.device.type, enabled=False):
        return net.answers(age.float(), gender.float())


def _heads(net: AgeGenderNet) -> dict[str, nn.Module]:
    heads = {"age": net.age_head, "gender": net.gender_head}
    return {task: head for task, head in heads.items() if head is not None}


def learner_of(net: NetConfig, config: TrainConfig, uncertainty: UncertaintyWeights | None) -> Learner:
    """The learner of a network; with learned weights of its tasks where the run asks for them."""
    if not isinstance(net.architecture, ModelConfig):
        return CompactLearner(net, config)
    return HeadsLearner(net, uncertainty)
