"""What a track is worth: how still it holds, what it saves, whether it keeps its identity, and what its interval holds.

    python benchmarks/tracks.py --root UTKFACE_FOLDER --store CROP_STORE [--model NAME] [--people N] [--faces N]
                                [--skip-coverage]

Three tables. The first is of synthetic clips of 1280×720 at 30 frames a second with known truth (`clips.py`): faces of
UTKFace's validation part over a moving background, swaying, crossing, passing behind a pillar, coming nearer, dark and
blurred for a while. A pasted chip is no film of a head that turns: what is shown is the tracker's work, not how good it
is in the wild. The second says where a frame's time goes. The third is of the intervals: several pictures of each
validation face, shifted, turned, scaled, blurred, lit and noised at random, fused as a track fuses them.

Needs the extra `lab`, a copy of UTKFace, and the store of its crops that names the split.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import clips
import common

SIZE_WH = (1280, 720)
FRAMES = 300
PICTURES = 8


def scenes(pictures: Sequence[Any]) -> dict[str, tuple[list[clips.Actor], list[tuple[float, float]]]]:
    """Actors and pillars of each clip; two people a clip but the last two."""
    one, two = pictures

    def now_and_then(seconds: float, period: float) -> bool:
        return seconds % period > 0.7 * period

    return {
        "two faces sway": (
            [
                clips.Actor(one, clips.sway(350, 330, 250, 70)),
                clips.Actor(two, clips.sway(920, 350, 270, 90, period=5, phase=1)),
            ],
            [],
        ),
        "two faces cross": (
            [
                clips.Actor(one, clips.line((200, 320, 230), (1080, 330, 230), 9.0)),
                clips.Actor(two, clips.line((1080, 340, 260), (200, 330, 260), 9.0)),
            ],
            [],
        ),
        "behind a pillar": (
            [
                clips.Actor(one, clips.line((150, 240, 200), (1100, 260, 200), 6.0)),
                clips.Actor(two, clips.line((1130, 520, 200), (180, 500, 200), 7.0)),
            ],
            [(580, 690)],
        ),
        "comes nearer": ([clips.Actor(one, clips.line((400, 300, 90), (700, 360, 420), 8.0))], []),
        "dark and blurred at times": (
            [
                clips.Actor(
                    two,
                    clips.sway(640, 350, 260, 60),
                    blur=lambda s: 4.0 if now_and_then(s, 3.0) else 0.5,
                    gain=lambda s: 0.5 if now_and_then(s, 2.2) else 1.0,
                )
            ],
            [],
        ),
    }


class Figures:
    """What is counted over clips of one kind."""

    def __init__(self) -> None:
        self.shown = self.estimated = self.frames = self.people = self.ids = self.visible = self.found = 0
        self.settled_moves: list[float] = []
        self.raw_moves: list[float] = []
        self.tremble: list[float] = []
        self.until_settled: list[float] = []
        self.seconds: list[float] = []

    def row(self, name: str) -> tuple[str, ...]:
        """For the table."""
        import numpy as np

        def mean(values: Sequence[float]) -> str:
            return f"{np.mean(values):.2f}" if values else "–"

        return (
            name,
            f"{self.people}",
            f"{self.ids / self.people:.2f}",
            f"{100 * self.found / self.visible:.1f} %",
            mean(self.raw_moves),
            f"{np.mean(self.settled_moves):.3f}" if self.settled_moves else "–",
            mean(self.until_settled),
            f"{100 * (1 - self.estimated / self.frames):.1f} %",
            f"{100 * np.mean(self.tremble):.2f} %" if self.tremble else "–",
            f"{1e3 * np.mean(self.seconds):.1f}",
        )


HEAD = (
    "clip",
    "people",
    "ids each",
    "followed",
    "|change| of single frames",
    "of settled tracks",
    "settled after, s",
    "frames with no estimate",
    "tremble of the box",
    "ms a frame",
)


def run_clip(analyzer: Any, actors: Any, bars: Any, figures: Figures, seed: int) -> None:
    """One clip through the tracker; beside it each face that was detected is estimated by itself."""
    from agewise.track import Tracker

    tracker = Tracker(analyzer)
    ids: list[set[int]] = [set() for _ in actors]
    before: dict[int, Any] = {}
    settled_at: dict[int, float] = {}
    raw: dict[int, float] = {}
    for shot in clips.clip(actors, size_wh=SIZE_WH, frames=FRAMES, bars=bars, seed=seed):
        begin = time.perf_counter()
        faces = tracker.update(shot.image_rgb, shot.seconds)
        figures.seconds.append(time.perf_counter() - begin)
        figures.frames += 1
        figures.estimated += any(face.measured for face in faces)
        found = clips.ids_of(shot.boxes, [(face.track_id, face.detection.box_xyxy) for face in faces])
        figures.visible += sum(box is not None for box in shot.boxes)
        figures.found += sum(own is not None for own in found)
        by_id = {face.track_id: face for face in faces}
        for own, seen, box in zip(ids, found, shot.boxes, strict=True):
            if seen is None or box is None:
                continue
            own.add(seen)
            face, last = by_id[seen], before.get(seen)
            if face.settled:
                settled_at.setdefault(seen, shot.seconds)
                if last is not None and last[0].settled:
                    figures.settled_moves.append(abs(face.prediction.age_years - last[0].prediction.age_years))
            if last is not None:
                off = [a - b for a, b in zip(face.detection.box_xyxy, box, strict=True)]
                moved = sum(abs(a - b) for a, b in zip(off, last[1], strict=True)) / 4
                figures.tremble.append(moved / (box[2] - box[0]))
            before[seen] = (face, [a - b for a, b in zip(face.detection.box_xyxy, box, strict=True)])
        # what a frame-by-frame program would show: every tenth pair of frames is enough to know
        if figures.frames % 10 < 2:
            raw_ages(analyzer, shot, raw, figures, compare=figures.frames % 10 == 1)
    figures.people += len(actors)
    figures.ids += sum(len(own) for own in ids)
    figures.until_settled += list(settled_at.values())


def raw_ages(analyzer: Any, shot: Any, raw: dict[int, float], figures: Figures, *, compare: bool) -> None:
    """Ages of this frame alone, and how far they are from those of the frame before."""
    faces = analyzer.analyze(shot.image_rgb)
    found = clips.ids_of(shot.boxes, [(i, face.box_xyxy) for i, face in enumerate(faces)])
    ages = {i: faces[seen].age_years for i, seen in enumerate(found) if seen is not None}
    if compare:
        figures.raw_moves += [abs(age - raw[i]) for i, age in ages.items() if i in raw]
    raw.clear()
    raw.update(ages)


def where_time_goes(analyzer: Any, pictures: Sequence[Any]) -> str:
    """CPU time a frame, of the parts, for two swaying faces: the clock counts only this process."""
    from agewise.track import Tracker

    tracker = Tracker(analyzer)
    spent: Counter[str] = Counter()
    calls: Counter[str] = Counter()

    def timed(owner: Any, name: str, label: str) -> None:
        call: Callable[..., Any] = getattr(owner, name)

        def timed_call(*arguments: Any) -> Any:
            begin = time.process_time()
            result = call(*arguments)
            spent[label] += time.process_time() - begin
            calls[label] += 1
            return result

        setattr(owner, name, timed_call)

    actors, bars = scenes(pictures)["two faces sway"]
    timed(tracker, "_move", "optical flow and motion")
    timed(tracker, "_estimate", "estimates")
    timed(tracker, "_detect", "detector and assignment")
    timed(tracker, "update", "all")
    shots = list(clips.clip(actors, size_wh=SIZE_WH, frames=150, bars=bars))
    for shot in shots:
        tracker.update(shot.image_rgb, shot.seconds)
    rows = [
        (label, f"{1e3 * spent[label] / len(shots):.2f}", f"{1e3 * spent[label] / calls[label]:.2f}", str(calls[label]))
        for label in ("detector and assignment", "optical flow and motion", "estimates", "all")
    ]
    return common.table(("part", "CPU ms a frame", "CPU ms a call", "calls"), rows)


def jittered(image: Any, size: int, generator: Any) -> Any:
    """A crop (size, size, 3) of a whole picture: shifted, turned, scaled, blurred, lit and noised at random."""
    import cv2
    import numpy as np

    side = image.shape[0]
    turn, scale = np.radians(generator.uniform(-8, 8)), size / side * generator.uniform(0.93, 1.07)
    shift = generator.uniform(-0.05, 0.05, 2) * size + size / 2
    cosine, sine = np.cos(turn) * scale, np.sin(turn) * scale
    half = side / 2
    to_crop = np.array(
        [
            [cosine, -sine, shift[0] - (cosine - sine) * half],
            [sine, cosine, shift[1] - (sine + cosine) * half],
        ]
    )
    soft = cv2.GaussianBlur(image, (0, 0), generator.uniform(0, 1.5) + 0.3 + 0.3 * side / size)
    crop = cv2.warpAffine(soft, to_crop, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    lit = crop * generator.uniform(0.7, 1.2) + generator.normal(0, 3, crop.shape)
    return np.clip(lit, 0, 255).astype(np.uint8)


def coverage(estimator: Any, records: Sequence[Any], root: Path) -> str:
    """Errors, widths and coverage of one picture and of fused ones, and the correlation of errors."""
    import numpy as np

    from agewise.imaging import read_image
    from agewise.track import Fusion
    from agewise.types import Detection

    generator = np.random.default_rng(0)
    box = Detection((0.0, 0.0, 1.0, 1.0), 1.0)
    wanted = (1, 2, 4, PICTURES)
    held: dict[int, list[bool]] = {n: [] for n in wanted}
    widths: dict[int, list[float]] = {n: [] for n in wanted}
    off: dict[int, list[float]] = {n: [] for n in wanted}
    errors = []
    for record in records:
        image = read_image(root / record.path)
        crops = np.stack([jittered(image, estimator.card.input.size, generator) for _ in range(PICTURES)])
        predictions = estimator.predict_crops(crops)
        errors.append([prediction.age_years - record.age_years for prediction in predictions])
        fusion = Fusion(estimator)
        for n, prediction in enumerate(predictions, 1):
            fused = fusion.add(prediction, box)
            if n in wanted:
                low, high = fused.age_interval_years
                held[n].append(low <= record.age_years <= high)
                widths[n].append(high - low)
                off[n].append(abs(fused.age_years - record.age_years))
    within, total = np.var(errors, axis=1, ddof=1).mean(), np.mean(np.square(errors))
    rows = [
        (str(n), f"{np.mean(off[n]):.2f}", f"{np.mean(widths[n]):.2f}", f"{100 * np.mean(held[n]):.1f} %")
        for n in wanted
    ]
    table = common.table(("pictures", "MAE, years", "width of the 90 % interval", "holds the true age"), rows)
    return f"{table}\n\nCorrelation of the errors of two pictures of one face: {1 - within / total:.3f}."


def measure(arguments: argparse.Namespace) -> str:
    """All tables, with what was measured on."""
    import agewise
    from agewise.imaging import read_image
    from agewise_lab.evaluation.run import part_of_store

    analyzer = agewise.Analyzer(arguments.model)
    records = part_of_store(arguments.store, arguments.root, "validation")
    grown = [record for record in records if 8 <= record.age_years <= 80]
    chosen = [grown[i * len(grown) // (2 * arguments.people)] for i in range(2 * arguments.people)]
    pictures = [read_image(arguments.root / record.path) for record in chosen]
    parts = [common.machine()]
    rows: dict[str, Figures] = {}
    for i in range(arguments.people):
        for name, (actors, bars) in scenes((pictures[i], pictures[-1 - i])).items():
            run_clip(analyzer, actors, bars, rows.setdefault(name, Figures()), seed=i)
        print(f"pair {i + 1} of {arguments.people}: done", flush=True)
    card = analyzer.estimator.card
    parts.append(f"{card.name} {card.version}, mtcnn, 1280×720, clips of {FRAMES} frames, UTKFace's validation part.")
    parts.append(common.table(HEAD, [figures.row(name) for name, figures in rows.items()]))
    parts.append(where_time_goes(analyzer, pictures[:2]))
    if not arguments.skip_coverage:
        some = records[:: max(1, len(records) // arguments.faces)]
        parts.append(f"{len(some)} validation faces, {PICTURES} pictures of each:")
        parts.append(coverage(analyzer.estimator, some, arguments.root))
    return "\n\n".join(parts)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="the folder of UTKFace's pictures")
    parser.add_argument("--store", type=Path, required=True, help="the crop store made of them")
    parser.add_argument("--model", default="agewise-s", help="a model's name, or an .onnx file with a card")
    parser.add_argument("--people", type=int, default=4, metavar="N", help="how many pairs of faces")
    parser.add_argument("--faces", type=int, default=2000, metavar="N", help="at most so many for the intervals")
    parser.add_argument("--skip-coverage", action="store_true", help="leave out the table of intervals")
    arguments = parser.parse_args()
    if arguments.people < 1 or arguments.faces < 1:
        parser.error("--people and --faces must be 1 or more")
    common.use_one_thread()
    common.warn_if_busy()
    print(f"\n{measure(arguments)}")


if __name__ == "__main__":
    main()
