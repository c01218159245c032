"""CACD2000: 1,800 people to learn from, 80 to choose on, 120 to test."""

from __future__ import annotations

from agewise_lab.evaluation.protocols.base import Fold, Plan, Protocol, Request, needs_age, of_split, required, share_of

_TEST, _VALIDATION = 120 / 2000, 80 / 2000


def by_person(request: Request) -> Plan:
    """The split that the reader states, else one of the same shares by a hash of the person."""
    records = required(needs_age(request.records), "CACD2000", request.records)
    stated = of_split(records, "test")
    if stated:
        fold = Fold(name="test", test=stated, validation=of_split(records, "val"), train=of_split(records, "train"))
        return Plan(folds=(fold,))
    share = [share_of(record.subject or record.path, "cacd2000") for record in records]
    pairs = list(zip(records, share, strict=True))
    fold = Fold(
        name="test",
        test=required([r for r, place in pairs if place < _TEST], "CACD2000 test", records),
        validation=tuple(r for r, place in pairs if _TEST <= place < _TEST + _VALIDATION),
        train=tuple(r for r, place in pairs if place >= _TEST + _VALIDATION),
    )
    return Plan(folds=(fold,), notes=("people by a hash of who they are: the files state no split",))


PROTOCOLS = (
    Protocol(
        name="cacd2000",
        title="CACD2000, 120 of 2,000 people tested",
        reader="cacd2000",
        source="Chen, Chen, Hsu: Cross-Age Reference Coding, ECCV 2014; shares after Shen et al., CVPR 2018",
        plan=by_person,
    ),
)
