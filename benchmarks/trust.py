"""docs/trust.md's tables of a model: what its intervals hold, what degraded pictures do to it, thresholds, verdicts.

    python benchmarks/trust.py --root UTKFACE_FOLDER --store CROP_STORE [--model agewise-s] [--copies 300]

Intervals on validation faces are calibrated on one random half and measured on the other, 50 times; on the holdout they
are those of the card. Needs the extra `lab`, a copy of UTKFace, and the store of its crops that names the split.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import common

LEVEL = 0.9
KINDS = ("plain", "normalised", "mondrian", "label-conditional")
THRESHOLDS = (13, 16, 18, 21, 25)
"""Of the verdicts; the challenge age lies as far above them as where none is named."""


def percent(share: float) -> str:
    """A share as a percentage without its sign, bold where under 85; a dash for nothing."""
    if math.isnan(share):
        return "–"
    text = f"{100 * share:.1f}"
    return f"**{text}**" if share < 0.85 else text


def share(holds: Any) -> float:
    """Of true values; NaN of none."""
    return float(holds.mean()) if len(holds) else math.nan


def halves(runs: Sequence[Any], spec: Any) -> str:
    """What each kind of interval holds on the half that it was not calibrated on."""
    from agewise_lab.evaluation.calibration import identities, labelled
    from agewise_lab.evaluation.halves import repeated_halves
    from agewise_lab.export.measured import groups_of

    held = repeated_halves(labelled(runs), identities(runs), groups_of(runs), spec, kinds=KINDS, level=LEVEL)
    rows = [
        (f"{name} ({count:,})", *(percent(kind.coverage.get(name, math.nan)) for kind in held))
        for name, count in held[0].counts.items()
    ]
    rows.append(("mean width, years", *(f"{kind.width['all']:.1f}" for kind in held)))
    rows.append(("deviation of a half, points", *(f"{100 * kind.deviation:.1f}" for kind in held)))
    return common.table(("faces (count)", *(kind.kind for kind in held)), rows)


def served(runs: Sequence[Any], card: Any) -> str:
    """What the card's intervals and sets hold on faces that nothing was chosen on: bare crops, and the whole chain."""
    from agewise_lab.evaluation.calibration import labelled
    from agewise_lab.evaluation.halves import inside_of
    from agewise_lab.export.measured import groups_of

    columns: dict[str, list[Any]] = {}
    widths: dict[str, list[float]] = {}
    for run in runs:
        inside = inside_of(labelled([run]), card.calibration, card.age, LEVEL, (card.calibration.served, "mondrian"))
        for kind, (holds, width) in inside.items():
            columns.setdefault(kind, []).append(holds)
            widths.setdefault(kind, []).append(float(width.mean()))
    groups = [groups_of([run]) for run in runs]
    rows = [
        (
            f"{name} ({int(chosen.sum())})",
            *(
                ", ".join(percent(share(holds[group[name]])) for holds, group in zip(column, groups, strict=True))
                for column in columns.values()
            ),
        )
        for name, chosen in groups[0].items()
    ]
    rows.append(("mean width, years", *(", ".join(f"{width:.1f}" for width in kind) for kind in widths.values())))
    return common.table(("faces (count)", *columns), rows)


def degraded(records: Sequence[Any], root: Path, estimator: Any, detector: Any) -> str:
    """Errors, intervals and what is answered of degraded copies, beside the same faces as they are."""
    import numpy as np

    from agewise_lab.evaluation.degrade import DEGRADATIONS, run_degraded

    copies = list(run_degraded(records, root, estimator, detector))
    by_name = {name: copies[k :: len(DEGRADATIONS)] for k, name in enumerate(DEGRADATIONS)}
    rows = []
    for name, made in by_name.items():
        found = [k for k, copy in enumerate(made) if copy.found]
        both = [k for k in found if by_name["clean"][k].found]
        if not found:
            rows.append((name, "0 %", *["–"] * 5))
            continue
        rows.append(
            (
                name,
                f"{100 * len(found) / len(made):.0f} %",
                f"{np.mean([made[k].error for k in found]):.1f}",
                f"{np.mean([by_name['clean'][k].error for k in both]):.1f}",
                f"{100 * np.mean([made[k].covered for k in found]):.0f} %",
                f"{np.mean([made[k].width for k in found]):.1f}",
                f"{100 * np.mean([made[k].answered for k in found]):.0f} %",
            )
        )
    head = ("copy", "found", "error, years", "undegraded", "90 % interval held", "its width", "answered")
    return common.table(head, rows)


def verdicts(card: Any) -> str:
    """How the card's verdicts came out."""
    from agewise.verdicts import DEFAULT_BUFFER, judge

    rows = []
    for threshold in THRESHOLDS:
        verdict = judge(None, (), card.verification, threshold, None)
        rates = verdict.false_positive, verdict.false_negative, verdict.unsure_over
        rows.append((f"{threshold}, {threshold + DEFAULT_BUFFER:g}", *(str(rate) for rate in rates)))
    return common.table(
        ("over, challenge", "passed, of those under", "failed, of those over", "unsure, of those over"), rows
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--model", default="agewise-s")
    parser.add_argument("--limit", type=int, help="faces of each part")
    parser.add_argument("--copies", type=int, default=0, help="validation faces to degrade; a minute for 40 of them")
    arguments = parser.parse_args()
    common.use_one_thread()
    import agewise
    from agewise.engine import EngineConfig
    from agewise_lab.evaluation.degrade import spread_out
    from agewise_lab.evaluation.run import part_of_store, run

    estimator = agewise.Estimator(arguments.model, engine_config=EngineConfig(threads=1))
    card = estimator.card
    detector = agewise.make_detector("mtcnn", engine_config=EngineConfig(threads=1))
    parts = {}
    for part in ("validation", "holdout"):
        records = common.spread_out(part_of_store(arguments.store, arguments.root, part), arguments.limit)
        parts[part] = [run(records, arguments.root, estimator, found) for found in (None, detector)]
        print(f"{part}: done", flush=True)
    print(
        f"\n{common.machine()}\n\n{card.name} {card.version}, level {100 * LEVEL:g} %, bare crops and padded + mtcnn\n"
    )
    print(f"Random halves of the validation faces\n\n{halves(parts['validation'], card.age)}\n")
    print(f"The holdout, by the card\n\n{served(parts['holdout'], card)}\n")
    for name, runs in parts.items():
        print(f"{name}: answered", ", ".join(f"{100 * run.answered.mean():.1f} %" for run in runs))
    print(f"\n{card.quality}\n\n{verdicts(card)}\n")
    if arguments.copies:
        records = spread_out(part_of_store(arguments.store, arguments.root, "validation"), arguments.copies)
        print(degraded(records, arguments.root, estimator, detector))


if __name__ == "__main__":
    main()
