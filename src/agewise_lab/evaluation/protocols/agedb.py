"""AgeDB: five folds without a person in two of them, or all pictures for models trained elsewhere."""

from __future__ import annotations

from agewise_lab.evaluation.protocols.base import Plan, Protocol, Request, hashed_folds, needs_age
from agewise_lab.evaluation.protocols.official import every_picture


def _plan(request: Request) -> Plan:
    if request.part == "folds":
        note = "no official folds of ages are published: these are by a hash of the person"
        return Plan(folds=hashed_folds(needs_age(request.records), 5, by_subject=True, salt="agedb"), notes=(note,))
    return every_picture("AgeDB")(request)


PROTOCOLS = (
    Protocol(
        name="agedb",
        title="AgeDB, all pictures, or five folds by person (--part folds)",
        reader="agedb",
        source="Moschoglou et al.: AgeDB, CVPRW 2017; folds after the CVPR 2024 benchmark",
        plan=_plan,
        parts=("test", "folds"),
        headline=("mae", "cs5", "gender_accuracy"),
    ),
)
