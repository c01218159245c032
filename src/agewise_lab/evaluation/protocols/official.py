"""Data sets with an official test part, or whose pictures are all tested on by models trained elsewhere."""

from __future__ import annotations

from agewise_lab.datasets.record import Record
from agewise_lab.evaluation.protocols.base import Fold, Plan, Planner, Request, needs_age, of_split, required


def official_part(title: str, *words: str, ranges: bool = False) -> Planner:
    """A planner of the part whose split begins with one of `words`; of ages, or with `ranges` of age classes."""

    def plan(request: Request) -> Plan:
        records = request.records if ranges else needs_age(request.records)
        test = required(of_split(records, *words), title, request.records)
        return Plan(folds=(Fold(name="test", test=test, train=of_split(records, "train")),))

    return plan


def every_picture(title: str, *notes: str) -> Planner:
    """A planner of all pictures that have an age."""

    def plan(request: Request) -> Plan:
        test: tuple[Record, ...] = required(needs_age(request.records), title, request.records)
        return Plan(folds=(Fold(name="test", test=test),), notes=notes)

    return plan
