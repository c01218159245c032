"""AFAD: 80/20 of the pictures."""

from __future__ import annotations

from agewise_lab.evaluation.protocols.base import Plan, Protocol, Request, hashed_test, needs_age, required


def random_test(request: Request) -> Plan:
    """A fifth of the pictures."""
    records = required(needs_age(request.records), "AFAD", request.records)
    notes = (
        "80/20 by a hash of the path; the papers' own draws are not published",
        "WARNING: people cross: one profile's pictures may be on both sides",
    )
    return Plan(folds=(hashed_test(records, 20, by_subject=False, salt="afad"),), notes=notes)


PROTOCOLS = (
    Protocol(
        name="afad",
        title="AFAD, 80/20 of the pictures at random",
        reader="afad",
        source="Niu et al.: Ordinal Regression with Multiple Output CNN, CVPR 2016",
        plan=random_test,
        headline=("mae", "rmse", "gender_accuracy"),
    ),
)
