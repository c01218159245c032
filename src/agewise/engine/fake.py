"""A stand-in for a network: planned answers, no weights. The seam that unit tests use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from agewise.engine.session import AnyArray

Answer = Callable[[Mapping[str, AnyArray]], dict[str, AnyArray]]


class FakeEngine:
    """An engine whose answers are a function of its inputs.

    Args:
        answer: called with the named inputs, gives the named outputs.
        metadata: what a model file would hold.
    """

    def __init__(self, answer: Answer, metadata: Mapping[str, str] | None = None) -> None:
        self._answer = answer
        self._metadata = dict(metadata or {})
        self.calls: list[dict[str, tuple[int, ...]]] = []

    @property
    def metadata(self) -> Mapping[str, str]:
        """What a model file would hold."""
        return self._metadata

    def run(self, inputs: Mapping[str, AnyArray], outputs: Sequence[str] | None = None) -> dict[str, AnyArray]:
        """The planned answer; the shapes of the inputs are kept in `calls`."""
        self.calls.append({name: value.shape for name, value in inputs.items()})
        values = self._answer(inputs)
        return {name: values[name] for name in (outputs or values)}
