"""LAGENDA: all faces of the benchmark."""

from __future__ import annotations

from agewise_lab.evaluation.protocols.base import Protocol
from agewise_lab.evaluation.protocols.official import every_picture

PROTOCOLS = (
    Protocol(
        name="lagenda",
        title="LAGENDA, all faces that have an age",
        reader="lagenda",
        source="Kuprashevich, Tolstykh: MiVOLO, AIST 2023",
        plan=every_picture("LAGENDA", "ages are the votes of several people, not documents"),
        headline=("mae", "cs5", "gender_accuracy"),
    ),
)
