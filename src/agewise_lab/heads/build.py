"""A whole network by name: any backbone, any head, one task or both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agewise_lab.architectures.base import AgeGenderNet, Apart, Backbone
from agewise_lab.architectures.registry import build_backbone
from agewise_lab.heads.registry import build_age_head, build_gender_head

Options = Mapping[str, Any]


def build_net(
    backbone: str,
    *,
    age: str | None = None,
    gender: str | None = None,
    apart: bool = False,
    backbone_options: Options | None = None,
    age_options: Options | None = None,
    gender_options: Options | None = None,
) -> AgeGenderNet:
    """A network with fresh weights.

    Args:
        backbone: a name from `agewise_lab.architectures.registry`.
        age: a name from `agewise_lab.heads.registry.AGE_HEADS`, or None for a network of gender alone.
        gender: one from `GENDER_HEADS`, or None.
        apart: each task has a backbone of its own.
        backbone_options, age_options, gender_options: what each takes.

    Raises:
        ValueError: an unknown name or option, or no head at all; the message lists what there is. Or one task `apart`.
    """
    if apart and (age is None or gender is None):
        raise ValueError(f"{backbone}: tasks are kept apart where there are two; this network has one")
    trunks = tuple(build_backbone(backbone, **(backbone_options or {})) for _ in range(1 + apart))
    body = Apart(trunks) if apart else trunks[0]
    age_head = None if age is None else build_age_head(age, body.feature_count, **_fit(age, body, age_options))
    gender_head = (
        None if gender is None else build_gender_head(gender, body.feature_count, **_fit(gender, body, gender_options))
    )
    return AgeGenderNet(body, age_head, gender_head)


def _fit(head: str, backbone: Backbone, options: Options | None) -> dict[str, Any]:
    """The options, and for stagewise heads on a network of stages where its stages lie."""
    pairs = getattr(backbone, "feature_pairs", None)
    fitted = {"feature_pairs": pairs} if head == "soft-stagewise" and pairs is not None else {}
    return fitted | dict(options or {})
