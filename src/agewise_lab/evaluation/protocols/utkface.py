"""UTKFace: 80/20 by a hash of the name, five folds of 60/20/20, and ages 21 to 60 only."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from agewise_lab.datasets.record import Record
from agewise_lab.evaluation.protocols.base import Fold, Plan, Protocol, Request, hashed_folds, needs_age
from agewise_lab.store.crops import open_store
from agewise_lab.store.split import hash_split

TEST_DIGITS = (8, 9)
_OWN_PARTS = ("validation", "holdout")


def last_digit(path: str) -> int:
    """SHA-1 of the file name as a number, modulo 10: 8 and 9 are the test part.

    >>> last_digit("part1/26_1_2_20170116184024662.jpg.chip.jpg")
    4
    """
    name = path.rpartition("/")[2]
    return int(hashlib.sha1(name.encode("utf-8", "surrogateescape")).hexdigest(), 16) % 10


def _of_store(request: Request) -> Plan:
    """A part of the project's own split of the training digits, near-duplicates apart."""
    if request.store is None:
        raise ValueError(
            f"the part {request.part} leaves out pictures that have near-duplicates, which a crop store knows: "
            "name one with --store"
        )
    opened = open_store(request.store)
    split = hash_split(opened)
    by_path = {record.path: record for record in request.records}
    names = {part: opened.name[getattr(split, part)] for part in ("train", "validation", "holdout")}
    missing = [name for name in names[request.part] if name not in by_path]
    if missing:
        raise ValueError(f"{len(missing)} pictures of the store are not in the folder, the first is {missing[0]}")
    notes = (
        f"the part {request.part} of agewise's own split {split.digest} of the pictures whose names hash to 0-7, "
        "without pictures that have a near-duplicate anywhere",
    )
    if request.part == "validation":
        notes += ("models of agewise were chosen, and their intervals calibrated, on these faces or on some of them",)
    test = tuple(by_path[name] for name in names[request.part])
    train = tuple(by_path[name] for name in names["train"] if name in by_path)
    return Plan(folds=(Fold(name=request.part, test=test, train=train),), notes=notes)


def hash_test(request: Request) -> Plan:
    """The 80/20 split by the file names' SHA-1, or a part of the project's own split."""
    if request.part in _OWN_PARTS:
        return _of_store(request)
    test = tuple(record for record in request.records if last_digit(record.path) in TEST_DIGITS)
    if not test:
        raise ValueError(
            f"the test part is the pictures whose names hash to 8 or 9, and none of the {len(request.records)} here "
            "does: take `--part validation --store STORE`, the project's own split of what is here"
        )
    train = tuple(record for record in request.records if last_digit(record.path) not in TEST_DIGITS)
    return Plan(folds=(Fold(name="test", test=test, train=train),))


def adults_test(request: Request) -> Plan:
    """As `hash_test`, ages 21 to 60 only, as CORAL's and MiVOLO's authors report UTKFace."""

    def adults(records: Sequence[Record]) -> tuple[Record, ...]:
        return tuple(record for record in needs_age(records) if 21 <= (record.age_years or 0) <= 60)

    plan = hash_test(request)
    folds = tuple(Fold(name=fold.name, test=adults(fold.test), train=adults(fold.train)) for fold in plan.folds)
    note = "ages 21 to 60 as in the literature, whose own lists of 13,144 and 3,287 pictures are others than these"
    return Plan(folds=folds, notes=(*plan.notes, note))


def five_folds(request: Request) -> Plan:
    """Five folds, 60 % to learn from, 20 % to choose on, 20 % to test."""
    note = "folds by a hash of the path; those of the CVPR 2024 benchmark are drawn by its own random numbers"
    return Plan(
        folds=hashed_folds(request.records, 5, by_subject=False, salt="utkface"),
        notes=(
            note,
            "the same person, even the same photo in another size, may be in several folds",
            "figures of one model over all folds include faces that it may have been trained on: give a model a "
            "fold, with {fold} in its name",
        ),
    )


PROTOCOLS = (
    Protocol(
        name="utkface",
        title="UTKFace, 80/20 by SHA-1 of the file name modulo 10 (test: 8 and 9), or a part of our own split",
        reader="utkface",
        source="agewise's issue 5; the parts validation and holdout are of this project's own split",
        plan=hash_test,
        parts=("test", "validation", "holdout"),
        headline=("mae", "cs5", "gender_accuracy"),
        tight=True,
    ),
    Protocol(
        name="utkface-folds",
        title="UTKFace, five folds of 60/20/20",
        reader="utkface",
        source="after Paplham, Franc: A Call to Reflect on Evaluation Practices for Age Estimation, CVPR 2024",
        plan=five_folds,
        headline=("mae", "cs5", "gender_accuracy"),
        tight=True,
    ),
    Protocol(
        name="utkface-21-60",
        title="UTKFace, ages 21 to 60, on the same parts as `utkface`",
        reader="utkface",
        source="after Cao, Mirjalili, Raschka: Rank consistent ordinal regression (CORAL), Pattern Recognition 2020",
        plan=adults_test,
        parts=("test", "validation", "holdout"),
        headline=("mae", "rmse"),
        tight=True,
    ),
)
