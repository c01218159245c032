"""`agewise detectors`: what can find faces here."""

from __future__ import annotations

from agewise.cli._options import Debug


def detectors(debug: Debug = False) -> None:
    """List what can find faces, and what each needs to work here."""
    from agewise.cli._tables import write_table
    from agewise.detect import detector_infos

    rows = [
        (info.name, "available" if info.available else info.reason, "yes" if info.landmarks else "no", info.summary)
        for info in detector_infos()
    ]
    write_table(("Detector", "Here", "Landmarks", "What it is"), rows)
