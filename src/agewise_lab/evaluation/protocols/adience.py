"""Adience: eight age classes and gender, five folds without a person in two of them."""

from __future__ import annotations

import dataclasses
from collections import Counter

from agewise_lab.datasets.record import Record
from agewise_lab.evaluation.protocols.base import Fold, Plan, Protocol, Request, required, share_of
from agewise_lab.evaluation.protocols.classes import AgeClasses

CLASSES = AgeClasses(((0, 2), (4, 6), (8, 12), (15, 20), (25, 32), (38, 43), (48, 53), (60, 100)))


def class_of(record: Record) -> int:
    """The class of a record's label, -1 where it has none that is scored."""
    if record.age_range_years is not None:
        return CLASSES.of_label(*record.age_range_years)
    return -1 if record.age_years is None else CLASSES.of_label(int(record.age_years), int(record.age_years))


def _mapped(record: Record, place: int) -> Record:
    """The record with the class itself for its label."""
    first, last = CLASSES.years[place]
    return dataclasses.replace(record, age_range_years=(float(first), float(last)))


def five_folds(request: Request) -> Plan:
    """The data set's own folds; a tenth of the other four chooses the model."""
    by_fold: dict[str, list[Record]] = {}
    without: Counter[str] = Counter()
    mapped = 0
    for record in request.records:
        place = class_of(record)
        if place < 0:
            without["without a class"] += 1
            if record.gender is None:
                continue
            label = record  # its gender is scored all the same
        else:
            label = _mapped(record, place)
            mapped += label.age_range_years != record.age_range_years
        if record.split is None:
            without["without a fold"] += 1
            continue
        by_fold.setdefault(record.split, []).append(label)
    required([record for fold in by_fold.values() for record in fold], "Adience's folds", request.records)
    folds = []
    for name in sorted(by_fold):
        others = [record for other, records in by_fold.items() if other != name for record in records]
        chosen = [share_of(record.path, "adience") < 0.1 for record in others]
        folds.append(
            Fold(
                name=name,
                test=tuple(by_fold[name]),
                train=tuple(r for r, validates in zip(others, chosen, strict=True) if not validates),
                validation=tuple(r for r, validates in zip(others, chosen, strict=True) if validates),
            )
        )
    notes = [
        "labels that are no class stand for the class that holds at least half of their years (by the reader, and "
        f"{mapped} here); {without['without a class']} have none and are scored for gender only",
        "a predicted age goes to the class whose boundary, half way across the gap to the next, it lies under",
    ]
    if without["without a fold"]:
        notes.append(f"{without['without a fold']} pictures are in no fold and are left out")
    return Plan(folds=tuple(folds), notes=tuple(notes))


PROTOCOLS = (
    Protocol(
        name="adience",
        title="Adience, five subject-exclusive folds: exact, one-off, top-2, gender; mean ± deviation over folds",
        reader="adience",
        source="Levi, Hassner: Age and Gender Classification using CNNs, CVPRW 2015; Eidinger et al., IEEE TIFS 2014",
        plan=five_folds,
        headline=("exact", "one_off", "top2", "gender_accuracy"),
        classes=CLASSES,
    ),
)
