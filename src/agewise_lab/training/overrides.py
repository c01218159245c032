"""Changes of a configuration from the command line: `epochs=30`, `augment.flip=0`, `nets.0.learning_rate=1e-3`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from agewise.errors import unknown_name
from agewise_lab.training.config import TrainConfig
from agewise_lab.training.plain import from_plain, to_plain


def override(config: TrainConfig, changes: Sequence[str]) -> TrainConfig:
    """A run with some settings changed.

    Args:
        config: the run.
        changes: "key=value" each. A key goes down by dots; a network is named by its number or its name. A value is
            JSON, or else a word. The options of a backbone or a head may be new names; all other keys are there.

    Raises:
        ValueError: no "=", an unknown key (the message has the nearest one and the list), or a value that does not fit.
    """
    plain = to_plain(config)
    for change in changes:
        key, equals, text = change.partition("=")
        if not equals or not key:
            raise ValueError(
                f"expected key=value, got {change!r}; `agewise-lab recipes show {config.name}` has the keys"
            )
        _set(plain, key, _value(text))
    try:
        return from_plain(TrainConfig, plain)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{' '.join(changes)}: {error}") from error


def keys_of(plain: Any, before: str = "") -> list[str]:
    """All keys of plain data, by dots, that have a value of their own."""
    if isinstance(plain, dict) and plain:
        return [key for name, part in plain.items() for key in keys_of(part, f"{before}{name}.")]
    if isinstance(plain, list) and any(isinstance(part, dict) for part in plain):
        return [key for i, part in enumerate(plain) for key in keys_of(part, f"{before}{i}.")]
    return [before[:-1]]


def lines_of(config: TrainConfig) -> list[str]:
    """A configuration as lines "key=value", which `override` reads."""
    plain = to_plain(config)
    return [f"{key}={json.dumps(_get(plain, key.split('.')))}" for key in keys_of(plain)]


def _get(plain: Any, parts: list[str]) -> Any:
    for part in parts:
        plain = plain[int(part)] if isinstance(plain, list) else plain[part]
    return plain


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _set(plain: dict[str, Any], key: str, value: Any) -> None:
    place: Any = plain
    *way, last = key.split(".")
    for i, part in enumerate(way):
        place = _step(plain, place, part, key)
        if not isinstance(place, dict | list):
            raise ValueError(f"{key}: {'.'.join(way[: i + 1])} is one value, not a group of settings")
    if isinstance(place, list):
        place[_number(plain, place, last, key)] = value
    elif last in place or (way and way[-1] == "options"):
        place[last] = value
    else:
        raise _unknown(plain, key)


def _step(plain: dict[str, Any], place: Any, part: str, key: str) -> Any:
    if isinstance(place, list):
        return place[_number(plain, place, part, key)]
    if part not in place:
        raise _unknown(plain, key)
    return place[part]


def _number(plain: dict[str, Any], place: list[Any], part: str, key: str) -> int:
    """Which element of a list a word names: by its number, or a network by its name."""
    named = [i for i, one in enumerate(place) if isinstance(one, dict) and one.get("name") == part]
    if named:
        return named[0]
    if part.isdigit() and int(part) < len(place):
        return int(part)
    raise _unknown(plain, key)


def _unknown(plain: dict[str, Any], key: str) -> ValueError:
    return ValueError(unknown_name("setting", key, keys_of(plain)))
