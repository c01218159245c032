"""FairFace: nine age classes, gender and seven groups, on the official validation part."""

from __future__ import annotations

from agewise_lab.evaluation.protocols.base import Protocol
from agewise_lab.evaluation.protocols.classes import AgeClasses
from agewise_lab.evaluation.protocols.official import official_part

CLASSES = AgeClasses(
    ((0, 2), (3, 9), (10, 19), (20, 29), (30, 39), (40, 49), (50, 59), (60, 69), (70, 120)),
)

PROTOCOLS = (
    Protocol(
        name="fairface",
        title="FairFace, official validation: nine age classes, gender, by group",
        reader="fairface",
        source="Kärkkäinen, Joo: FairFace, WACV 2021",
        plan=official_part("FairFace validation", "val", ranges=True),
        parts=("validation",),
        headline=("exact", "one_off", "gender_accuracy"),
        classes=CLASSES,
    ),
)
