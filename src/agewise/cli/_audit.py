"""`--audit FILE`: each picture's faces go into an audit log before they are shown."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeAlias

from agewise.types import Face, UInt8Array
from agewise.verdicts import Verdict

if TYPE_CHECKING:
    from agewise.analyzer import Analyzer

Auditor: TypeAlias = Callable[..., None]
"""Called with the picture, its faces and perhaps their verdicts."""


@contextlib.contextmanager
def auditing(path: str | None, analyzer: Analyzer) -> Iterator[Auditor]:
    """Yields what notes a picture in the log at `path`; without a path, what does nothing.

    Raises:
        OutputError: no key, or the log cannot be written or is not whole.
    """
    if path is None:
        yield _note_nothing
        return
    from agewise.audit import AuditedModel, AuditLog, preprocessing_sha256
    from agewise.store import find_model

    estimator = analyzer.estimator
    model = AuditedModel(
        name=estimator.card.name,
        sha256=find_model(estimator.name).sha256,
        preprocessing_sha256=preprocessing_sha256(estimator.card),
    )
    with AuditLog(path) as log:

        def note(image_rgb: UInt8Array, faces: Sequence[Face], verdicts: Sequence[Verdict] | None = None) -> None:
            log.write(image_rgb, faces, model, verdicts=verdicts)

        yield note


def _note_nothing(image_rgb: UInt8Array, faces: Sequence[Face], verdicts: Sequence[Verdict] | None = None) -> None:
    """No log was asked for."""
