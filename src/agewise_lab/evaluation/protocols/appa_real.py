"""APPA-REAL: real ages and people's guesses of the same faces, official train, validation and test."""

from __future__ import annotations

from agewise_lab.evaluation.protocols.base import Fold, Plan, Protocol, Request, of_split, required

_WORDS = {"validation": ("val",), "test": ("test",)}


def official(request: Request) -> Plan:
    """One official part."""
    test = required(of_split(request.records, *_WORDS[request.part]), f"APPA-REAL {request.part}", request.records)
    train = of_split(request.records, "train")
    return Plan(folds=(Fold(name=request.part, test=test, train=train),))


PROTOCOLS = (
    Protocol(
        name="appa-real",
        title="APPA-REAL, validation or test: mean error against apparent and real age, ε-error",
        reader="appa_real",
        source="Agustsson et al.: Apparent and Real Age Estimation in Still Images, FG 2017",
        plan=official,
        parts=("validation", "test"),
        headline=("mae_apparent", "mae", "epsilon_error"),
    ),
)
