"""Heads by name, one table a task."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from torch import Tensor

from agewise.errors import unknown_name
from agewise_lab.heads.age import BinsHead, DistributionHead, GaussianHead, RegressionHead
from agewise_lab.heads.base import AgeHead, GenderHead
from agewise_lab.heads.gender import BinaryHead, NumberHead, TwoWayHead
from agewise_lab.heads.ordinal import OrdinalHead
from agewise_lab.heads.stagewise import StagewiseGenderHead, StagewiseHead
from agewise_lab.losses import classification, distribution, regression

_DISTRIBUTIONS: dict[str, Callable[..., Tensor]] = {
    "expectation": classification.cross_entropy,
    "mean-variance": classification.mean_variance,
    "dldl": distribution.dldl,
    "dldl-v2": distribution.dldl_v2,
    "sord": classification.sord,
    "unimodal": classification.unimodal_concentrated,
    "class-bce": classification.class_binary_cross_entropy,
    "agewise": distribution.growing_spread,
}
_REGRESSIONS: dict[str, Callable[..., Tensor]] = {
    "l1": regression.l1,
    "l2": regression.l2,
    "huber": regression.huber,
}

AGE_HEADS: dict[str, Callable[..., AgeHead]] = {
    **{name: partial(DistributionHead, of=of) for name, of in _DISTRIBUTIONS.items()},
    **{name: partial(RegressionHead, of=of) for name, of in _REGRESSIONS.items()},
    "gaussian": GaussianHead,
    **{kind: partial(OrdinalHead, kind=kind) for kind in ("or-cnn", "coral", "corn")},
    "bins": BinsHead,
    "soft-stagewise": StagewiseHead,
}
GENDER_HEADS: dict[str, Callable[..., GenderHead]] = {
    "two-way": TwoWayHead,
    "binary": BinaryHead,
    "number": NumberHead,
    "soft-stagewise": StagewiseGenderHead,
}


def build_age_head(name: str, features: int, **options: Any) -> AgeHead:
    """An age head by name, with fresh weights.

    Args:
        name: one of `AGE_HEADS`.
        features: how many the backbone gives.
        options: of its layers and its loss.

    Raises:
        ValueError: no such head, or no such option; the message lists them.
    """
    return _build("age head", AGE_HEADS, name, features, options)


def build_gender_head(name: str, features: int, **options: Any) -> GenderHead:
    """A gender head by name, as `build_age_head`."""
    return _build("gender head", GENDER_HEADS, name, features, options)


def options_of(name: str, builder: Callable[..., Any]) -> list[str]:
    """Names of the options that a head of `AGE_HEADS` or `GENDER_HEADS` takes, its loss's included."""
    known = inspect.signature(builder).parameters
    loss = {**_DISTRIBUTIONS, **_REGRESSIONS}.get(name)
    of_loss = inspect.signature(loss).parameters.values() if loss else ()
    return [option for option in known if option not in ("features", "of", "kind", "options")] + [
        option.name for option in of_loss if option.kind is option.KEYWORD_ONLY
    ]


def _build(
    what: str, heads: Mapping[str, Callable[..., Any]], name: str, features: int, options: dict[str, Any]
) -> Any:
    if name not in heads:
        raise ValueError(unknown_name(what, name, heads))
    known = options_of(name, heads[name])
    for option in options:
        if option not in known:
            raise ValueError(f"{name}: " + unknown_name("option", option, known))
    return heads[name](features, **options)
