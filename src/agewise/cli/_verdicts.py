"""`agewise verify` behind its flags: reads, judges and prints, one picture at a time."""

from __future__ import annotations

import json
import sys
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agewise._files import shown
from agewise.cli._audit import Auditor
from agewise.cli._exits import FAILED, NOT_PASSED
from agewise.cli._streams import one_line, say, write_out
from agewise.cli._tables import write_table
from agewise.errors import AgewiseError
from agewise.sources import Source, SourceList
from agewise.types import Face
from agewise.verdicts import Outcome, Rate, Verdict, judge

if TYPE_CHECKING:
    from agewise.analyzer import Analyzer

WARNING = "a verdict says how old a face looks, not how old someone is: do not let it decide about people"


@dataclass(frozen=True, slots=True)
class Judged:
    """One picture with the verdicts on its faces, the largest first; without a face one verdict, on nothing.

    Args:
        source: its name.
        faces: with their verdicts; None where there is no face.
        error: why the picture could not be judged, or None.
    """

    source: str
    faces: tuple[tuple[Face | None, Verdict], ...]
    error: str | None = None

    @property
    def passes(self) -> bool:
        """Whether every face passes, and there is one."""
        return all(verdict.outcome is Outcome.PASS for _, verdict in self.faces)


def run_verdicts(
    analyzer: Analyzer,
    listed: SourceList,
    over: float,
    challenge: float,
    *,
    as_json: bool,
    debug: bool,
    audit: Auditor,
) -> int:
    """Judge all pictures and print; gives the exit status: 0, 1 after an error, 3 where not all pass.

    Raises:
        OutputError: the audit log or standard output cannot be written.
    """
    for problem in listed.problems:
        say(str(problem))
    failed, all_pass = bool(listed.problems) or not listed.sources, True
    rows: list[tuple[str, ...]] = []
    for source in listed.sources:
        judged = _judge(analyzer, source, over, challenge, debug, audit)
        if judged.error is not None:
            failed = True
            say(f"{judged.source}: {judged.error}")
        all_pass = all_pass and judged.passes
        if as_json:
            write_out(json.dumps(_object(judged), ensure_ascii=False, allow_nan=False) + "\n")
        elif sys.stdout.isatty():
            rows += _rows(judged)
        else:
            write_out("".join("\t".join(map(one_line, row)) + "\n" for row in _rows(judged)))
    if rows:
        write_table(("Source", "Face", "Verdict", "Age", "From", "To", "Reason"), rows)
    if not as_json:
        for line in _rates(judge(None, (), analyzer.estimator.card.verification, over, challenge)):
            say(line)
        say(WARNING)
    return FAILED if failed else 0 if all_pass else NOT_PASSED


def _judge(analyzer: Analyzer, source: Source, over: float, challenge: float, debug: bool, audit: Auditor) -> Judged:
    name = shown(source.path)
    try:
        image_rgb = analyzer.read(sys.stdin.buffer.read() if source.is_stdin else source.path)
        faces = analyzer.analyze(image_rgb)
    except Exception as error:  # noqa: BLE001  one picture, whatever is wrong with it, never stops the others
        if debug:
            traceback.print_exception(error)
        known = isinstance(error, AgewiseError)
        text = str(error).removeprefix(f"{name}: ") if known else f"unexpected {type(error).__name__}: {error}"
        return Judged(name, (), one_line(text))
    verdicts = [face.verify(over, challenge) for face in faces]
    audit(image_rgb, faces, verdicts)
    if not faces:
        nobody = judge(None, (), analyzer.estimator.card.verification, over, challenge)
        return Judged(name, ((None, nobody),))
    return Judged(name, tuple(zip(faces, verdicts, strict=True)))


def _rows(judged: Judged) -> list[tuple[str, ...]]:
    """Source, face from 1 (0 for none), verdict, age, the interval's ends, and the reason."""
    rows = []
    for number, (face, verdict) in enumerate(judged.faces, 1):
        low, high = (face and face.age_interval_years) or (None, None)
        numbers = [None if face is None else face.age_years, low, high]
        cells = ("" if value is None else f"{value:.1f}" for value in numbers)
        rows.append((judged.source, str(0 if face is None else number), verdict.outcome, *cells, verdict.reason))
    return rows


def _rates(verdict: Verdict) -> list[str]:
    """What the card states of errors, in words."""
    over, challenge = f"{verdict.threshold:g}", f"{verdict.challenge:g}"
    wrong, missed, unsure = verdict.false_positive, verdict.false_negative, verdict.unsure_over
    if wrong is None or missed is None or unsure is None:
        return [f"this model's card states no error rates for {over} with challenge {challenge}"]
    return [
        f"of faces under {over}, {_rate(wrong)} passed; of those of {over} and more, {_rate(missed)} failed and "
        f"{_rate(unsure)} were unsure, before any were declined",
        f"measured on {verdict.data}",
    ]


def _rate(rate: Rate) -> str:
    low, high = rate.interval
    return f"{rate}, 95 % interval {100 * low:.1f} to {100 * high:.1f} %"


def _object(judged: Judged) -> dict[str, object]:
    return {
        "source": judged.source,
        "passes": judged.passes if judged.error is None else None,
        "faces": [_face_object(face, verdict) for face, verdict in judged.faces],
        "error": judged.error,
    }


def _face_object(face: Face | None, verdict: Verdict) -> dict[str, object]:
    interval = None if face is None else face.age_interval_years
    return {
        "box_xyxy": None if face is None else [round(edge, 4) for edge in face.box_xyxy],
        "verdict": verdict.outcome.value,
        "reason": verdict.reason,
        "threshold": verdict.threshold,
        "challenge": verdict.challenge,
        "age_years": None if face is None else round(face.age_years, 4),
        "age_interval_years": None if interval is None else [round(end, 4) for end in interval],
        "answered": False if face is None else face.answered,
        "reasons": [] if face is None else list(face.reasons),
        "false_positive": _rate_object(verdict.false_positive),
        "false_negative": _rate_object(verdict.false_negative),
        "unsure_over": _rate_object(verdict.unsure_over),
        "measured_on": verdict.data,
    }


def _rate_object(rate: Rate | None) -> dict[str, object] | None:
    if rate is None:
        return None
    return {
        "wrong": rate.wrong,
        "count": rate.count,
        "share": round(rate.share, 6),
        "interval": [round(end, 6) for end in rate.interval],
    }
