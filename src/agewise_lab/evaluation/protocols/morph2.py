"""MORPH album 2: 80/20 of the pictures, as most papers report it, and the same of the people."""

from __future__ import annotations

from agewise_lab.evaluation.protocols.base import Plan, Protocol, Request, hashed_folds, hashed_test, needs_age

_CROSSING = (
    "WARNING: people cross: {shared} of the {people} people of the test part are in the training part too, so that a "
    "model trained on it may know them; morph2-subjects keeps them apart"
)


def random_test(request: Request) -> Plan:
    """A fifth of the pictures; the warning counts the people who are on both sides."""
    fold = hashed_test(needs_age(request.records), 20, by_subject=False, salt="morph2")
    tested = {record.subject for record in fold.test if record.subject is not None}
    shared = tested & {record.subject for record in fold.train}
    return Plan(
        folds=(fold,),
        notes=(
            _CROSSING.format(shared=len(shared), people=len(tested)),
            "80/20 by a hash of the path; the papers' own draws are not published",
        ),
    )


def subject_folds(request: Request) -> Plan:
    """Five folds of the people."""
    return Plan(folds=hashed_folds(needs_age(request.records), 5, by_subject=True, salt="morph2"))


PROTOCOLS = (
    Protocol(
        name="morph2",
        title="MORPH album 2, 80/20 of the pictures at random; PEOPLE CROSS",
        reader="morph2",
        source="Yang et al.: SSR-Net, IJCAI 2018, and many others",
        plan=random_test,
    ),
    Protocol(
        name="morph2-subjects",
        title="MORPH album 2, five folds without a person in two of them",
        reader="morph2",
        source="after Paplham, Franc: A Call to Reflect on Evaluation Practices for Age Estimation, CVPR 2024",
        plan=subject_folds,
    ),
)
