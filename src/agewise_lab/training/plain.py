"""Configurations to and from plain data: what `run.json` holds, read back as typed objects."""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from typing import Any, TypeVar

from agewise_lab.training.config import TrainConfig

_T = TypeVar("_T")


def to_plain(config: Any) -> dict[str, Any]:
    """A configuration as it reads from a JSON file: lists for tuples."""
    plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(config)))
    return plain


def from_plain(kind: type[_T], value: Any) -> _T:
    """The configuration of type `kind` that `to_plain` was given; settings that are missing have their defaults.

    Raises:
        ValueError: a setting that `kind` does not have, or a value that does not fit.
    """
    made: _T = _read(kind, value, "config")
    return made


def _read(kind: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(kind):
        return _read_fields(kind, value, where)
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return _read_one_of(parts, value, where)
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise ValueError(f"{where}: expected a list, got {value!r}")
        kinds = [parts[0]] * len(value) if len(parts) == 2 and parts[1] is ... else list(parts)
        if len(kinds) != len(value):
            raise ValueError(f"{where}: expected {len(kinds)} values, got {len(value)}")
        return tuple(_read(k, v, f"{where}.{i}") for i, (k, v) in enumerate(zip(kinds, value, strict=True)))
    if origin is typing.Literal:
        if value not in parts:
            raise ValueError(f"{where}: expected one of {', '.join(map(str, parts))}, got {value!r}")
        return value
    if origin is dict:
        if not isinstance(value, dict):
            raise ValueError(f"{where}: expected names with values, got {value!r}")
        return {name: _frozen(part) for name, part in value.items()}
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, kind) and not (kind is int and isinstance(value, bool)):
        return value
    raise ValueError(f"{where}: expected {kind.__name__}, got {value!r}")


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list | tuple) else value


def _read_fields(kind: Any, value: Any, where: str) -> Any:
    hints = typing.get_type_hints(kind)
    names = [field.name for field in dataclasses.fields(kind)]
    if not isinstance(value, dict) or not set(value) <= set(names):
        raise ValueError(f"{where}: expected settings of {', '.join(names)}, got {value!r}")
    return kind(**{name: _read(hints[name], part, f"{where}.{name}") for name, part in value.items()})


def _read_one_of(kinds: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and type(None) in kinds:
        return None
    problems = []
    for kind in kinds:
        if kind is type(None):
            continue
        try:
            return _read(kind, value, where)
        except (TypeError, ValueError) as problem:  # TypeError: a setting without a default is missing
            problems.append(str(problem))
    raise ValueError("; or ".join(problems))


def with_defaults(plain: dict[str, Any]) -> dict[str, Any]:
    """A run's stored configuration with the settings that it was written before, at their defaults."""
    return to_plain(from_plain(TrainConfig, plain))
