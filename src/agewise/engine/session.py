"""The one wrapper over ONNX Runtime: a model file in, named arrays in, named arrays out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from agewise.errors import ModelError

AnyArray = npt.NDArray[np.generic]


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineConfig:
    """How networks run, the same object for detectors and estimators.

    Args:
        threads: threads inside one network call; 0 leaves the choice to ONNX Runtime (all cores).
        providers: ONNX Runtime execution providers, in order of preference.

    Raises:
        ValueError: a negative number of threads, or a provider that this ONNX Runtime lacks.
    """

    threads: int = 1
    providers: tuple[str, ...] = ("CPUExecutionProvider",)

    def __post_init__(self) -> None:
        if self.threads < 0:
            raise ValueError(f"threads must be 0 (all cores) or more, got {self.threads}")
        missing = [name for name in self.providers if name not in ort.get_available_providers()]
        if missing:
            known = ", ".join(ort.get_available_providers())
            raise ValueError(f"ONNX Runtime here has no provider {missing[0]!r}. Known: {known}")


class Engine(Protocol):
    """What a network must offer to the rest of agewise."""

    @property
    def metadata(self) -> Mapping[str, str]:
        """The key-value pairs stored in the model file."""
        ...

    def run(self, inputs: Mapping[str, AnyArray], outputs: Sequence[str] | None = None) -> dict[str, AnyArray]:
        """Run on named inputs; gives the named outputs (all of them by default)."""
        ...


class OnnxEngine:
    """A network in ONNX Runtime.

    Args:
        model: path of an `.onnx` file, or its bytes.
        config: threads and providers.
        name: what messages call the model; the path by default.

    Raises:
        ModelError: the file is missing, empty, not ONNX, or uses what this runtime lacks.
    """

    def __init__(self, model: Path | bytes, config: EngineConfig | None = None, *, name: str | None = None) -> None:
        config = config or EngineConfig()
        options = ort.SessionOptions()
        options.intra_op_num_threads = config.threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 4  # failures come as exceptions; the log would only repeat them
        # Without these two, the arena keeps the largest batch's memory for ever, and a memory plan is kept for each
        # input shape that ever came: P-Net gets new shapes with each size of picture. Neither made a run slower.
        options.enable_cpu_mem_arena = False
        options.enable_mem_pattern = False
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        name = name or (str(model) if isinstance(model, Path) else "the model given as bytes")
        try:
            data = model.read_bytes() if isinstance(model, Path) else model
        except OSError as error:
            raise ModelError(f"cannot read the model file {name}: {error.strerror}") from error
        try:
            self._session = ort.InferenceSession(data, options, providers=list(config.providers))
        except Exception as error:  # ONNX Runtime's exceptions have no common public class
            raise ModelError(
                f"{name} is not a model that ONNX Runtime {ort.__version__} can load ({len(data)} bytes): "
                f"{_one_line(error)}"
            ) from error
        self._metadata: Mapping[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)
        self._outputs = tuple(item.name for item in self._session.get_outputs())

    @property
    def metadata(self) -> Mapping[str, str]:
        """The key-value pairs stored in the model file."""
        return self._metadata

    @property
    def input_names(self) -> tuple[str, ...]:
        """The network's inputs, in order."""
        return tuple(item.name for item in self._session.get_inputs())

    @property
    def output_names(self) -> tuple[str, ...]:
        """The network's outputs, in order."""
        return self._outputs

    def run(self, inputs: Mapping[str, AnyArray], outputs: Sequence[str] | None = None) -> dict[str, AnyArray]:
        """Run on named inputs; gives the named outputs (all of them by default).

        Raises:
            ModelError: an unknown name, or an input of the wrong shape or type.
        """
        names = tuple(outputs or self._outputs)
        try:
            values = self._session.run(list(names), dict(inputs))
        except Exception as error:  # as above
            shapes = {name: (value.shape, str(value.dtype)) for name, value in inputs.items()}
            raise ModelError(f"the network refused {shapes}: {_one_line(error)}") from error
        return dict(zip(names, values, strict=True))


def _one_line(error: Exception) -> str:
    """ONNX Runtime's message whole: which dimension is wrong comes on its second line."""
    return " ".join(str(error).split()) or type(error).__name__
