"""FG-NET: one fold a person, or all pictures for models that were trained elsewhere."""

from __future__ import annotations

from agewise_lab.evaluation.protocols.base import Fold, Plan, Protocol, Request, needs_age, required


def all_pictures(request: Request) -> Plan:
    """Every picture."""
    test = required(needs_age(request.records), "FG-NET", request.records)
    return Plan(folds=(Fold(name="test", test=test),), notes=("for models that were not trained on FG-NET",))


def leave_one_person_out(request: Request) -> Plan:
    """As many folds as people: each is tested by a model that learnt from all others."""
    records = required(
        tuple(record for record in needs_age(request.records) if record.subject is not None),
        "FG-NET, people",
        request.records,
    )
    people = sorted({record.subject for record in records if record.subject is not None})
    folds = [
        Fold(
            name=person,
            test=tuple(record for record in records if record.subject == person),
            train=tuple(record for record in records if record.subject != person),
        )
        for person in people
    ]
    note = "a single model over all folds is the plain test; leaving one person out takes a model a fold, with {fold}"
    return Plan(folds=tuple(folds), notes=(note,))


_SOURCE = "Panis et al.: Overview of research on facial ageing using the FG-NET ageing database, IET Biometrics 2016"
PROTOCOLS = (
    Protocol(
        name="fgnet",
        title="FG-NET, all pictures, for models trained elsewhere",
        reader="fgnet",
        source=_SOURCE,
        plan=all_pictures,
    ),
    Protocol(
        name="fgnet-lopo",
        title="FG-NET, leave one person out: a fold a person",
        reader="fgnet",
        source=_SOURCE,
        plan=leave_one_person_out,
    ),
)
