"""Backbones by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from agewise.errors import unknown_name
from agewise_lab.architectures.base import Backbone
from agewise_lab.architectures.compact import agewise_m, agewise_s

ARCHITECTURES: dict[str, Callable[..., Backbone]] = {
    "agewise-s": agewise_s,
    "agewise-m": agewise_m,
}


def build_backbone(name: str, **options: Any) -> Backbone:
    """A backbone with fresh weights.

    Args:
        name: one of `ARCHITECTURES`.
        options: what its builder there takes by name, such as `size`.

    Raises:
        ValueError: no such backbone, or no such option; the message lists them.
    """
    if name not in ARCHITECTURES:
        raise ValueError(unknown_name("backbone", name, ARCHITECTURES))
    builder = ARCHITECTURES[name]
    known = [option for option in inspect.signature(builder).parameters if option != "self"]
    for option in options:
        if option not in known:
            raise ValueError(f"{name}: " + unknown_name("option", option, known))
    return builder(**options)
