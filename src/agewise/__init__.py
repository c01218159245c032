"""Age and gender from faces, offline, each with an interval that holds.

>>> import agewise                                          # doctest: +SKIP
>>> for face in agewise.Analyzer()("photo.jpg"):            # doctest: +SKIP
...     print(face.box_xyxy, face.age_years, face.age_interval_years, face.gender, face.gender_probability)

The public names load on first touch, so that importing agewise costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agewise.analyzer import Analyzer as Analyzer
    from agewise.card import ModelCard as ModelCard
    from agewise.detect import make_detector as make_detector
    from agewise.draw import draw_faces as draw_faces
    from agewise.errors import AgewiseError as AgewiseError
    from agewise.estimate import Estimator as Estimator
    from agewise.imaging import read_image as read_image
    from agewise.quality import QualityThresholds as QualityThresholds
    from agewise.types import Detection as Detection
    from agewise.types import Face as Face
    from agewise.types import Gender as Gender
    from agewise.types import Prediction as Prediction
    from agewise.types import Quality as Quality
    from agewise.verdicts import Verdict as Verdict

__version__ = "0.1.0"

_HOMES = {
    "AgewiseError": "agewise.errors",
    "Analyzer": "agewise.analyzer",
    "Detection": "agewise.types",
    "Estimator": "agewise.estimate",
    "Face": "agewise.types",
    "Gender": "agewise.types",
    "ModelCard": "agewise.card",
    "Prediction": "agewise.types",
    "Quality": "agewise.types",
    "QualityThresholds": "agewise.quality",
    "Verdict": "agewise.verdicts",
    "draw_faces": "agewise.draw",
    "make_detector": "agewise.detect",
    "read_image": "agewise.imaging",
}

__all__ = [*_HOMES]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'agewise' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
