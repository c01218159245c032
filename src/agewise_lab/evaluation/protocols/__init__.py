"""Published ways to evaluate, one file each: which faces are tested, in which folds, what is reported of them.

A file's `PROTOCOLS` are listed here. The pictures and labels come from the readers of `agewise_lab.datasets`.
"""

from __future__ import annotations

import importlib
from collections import Counter
from pathlib import Path

from agewise.errors import unknown_name
from agewise_lab.datasets.record import Record
from agewise_lab.evaluation.protocols import (
    adience,
    afad,
    agedb,
    appa_real,
    cacd2000,
    fairface,
    fgnet,
    imdb_wiki,
    lagenda,
    megaage_asian,
    morph2,
    own,
    utkface,
)
from agewise_lab.evaluation.protocols.base import Fold, Plan, Protocol, Request
from agewise_lab.evaluation.protocols.classes import AgeClasses

__all__ = ["PROTOCOLS", "AgeClasses", "Fold", "Plan", "Protocol", "Request", "find_protocol", "make_plan", "read"]

_FILES = (
    *(utkface, adience, appa_real, fgnet, morph2, megaage_asian, imdb_wiki),
    *(agedb, cacd2000, afad, fairface, lagenda, own),
)
PROTOCOLS: dict[str, Protocol] = {protocol.name: protocol for file in _FILES for protocol in file.PROTOCOLS}


def find_protocol(name: str) -> Protocol:
    """The protocol of that name.

    Raises:
        ValueError: there is none: the nearest one and all of them.
    """
    if name not in PROTOCOLS:
        raise ValueError(unknown_name("protocol", name, PROTOCOLS))
    return PROTOCOLS[name]


def read(protocol: Protocol, root: Path) -> tuple[list[Record], dict[str, int]]:
    """The data set's records of use, and how many were left out for which reason.

    Raises:
        ValueError: this version has no reader for that data set.
        FileNotFoundError: `root` is not the folder that the reader expects.
    """
    if protocol.name == "own":
        return own.read_records(root)
    try:
        reader = importlib.import_module(f"agewise_lab.datasets.{protocol.reader}")
    except ModuleNotFoundError as error:
        if error.name != f"agewise_lab.datasets.{protocol.reader}":
            raise
        raise ValueError(
            f"there is no reader of {protocol.reader} in this version: write its labels into a table and take "
            "`--protocol own`"
        ) from error
    listing = reader.read_records(root)
    reasons = Counter(record.dropped for record in listing.records if record.dropped is not None)
    return [record for record in listing.records if record.dropped is None], dict(reasons)


def make_plan(protocol: Protocol, records: list[Record], part: str | None = None, store: Path | None = None) -> Plan:
    """The folds of a part, by default the protocol's first.

    Raises:
        ValueError: no such part, or one that has no faces here.
    """
    chosen = part or protocol.parts[0]
    if chosen not in protocol.parts:
        raise ValueError(unknown_name(f"part of {protocol.name}", chosen, protocol.parts))
    return protocol.plan(Request(records=records, part=chosen, store=store))
