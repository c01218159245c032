"""`agewise video`: frames a second, where the time goes, and memory over 10,000 frames.

    python benchmarks/video.py [--frames 600] [--long 10000] [--markdown] [--keep FOLDER]

The video is made here: 1280×720, 30 frames a second, with sound; two faces, scikit-image's astronaut and her mirror
image, 1 to 0.6 in size, move over scikit-image's coffee cup. It is decoded, tracked, drawn on and encoded.

Two measures, since the machine may be busy: frames a second by the clock, end to end, with start-up left out; and the
time that the processor worked on each stage alone, with all of the stage's threads, which other processes disturb less.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import common

PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "medium")


def scene(index: int, back: Any, face: Any) -> Any:
    """A frame with two faces."""
    import cv2
    import numpy as np

    height, width = back.shape[:2]
    picture = back.copy()
    for mirrored, size in enumerate((1.0, 0.6)):
        small = cv2.resize(face, None, fx=size * height / 720, fy=size * height / 720, interpolation=cv2.INTER_AREA)
        rows, columns = small.shape[:2]
        x = int((width - columns) * (0.2 + 0.55 * mirrored + 0.15 * np.sin(index / (25 + 9 * mirrored))))
        y = int((height - rows) * (0.5 + 0.4 * np.sin(index / (31 + 7 * mirrored))))
        picture[y : y + rows, x : x + columns] = small[:, :: 1 - 2 * mirrored]
    return picture


def make_video(path: Path, frames: int, size_wh: tuple[int, int], rate: int = 30) -> None:
    """A video with sound; run in another process, so that this one's memory is agewise's."""
    import av
    import cv2
    import numpy as np
    from skimage import data

    back = cv2.resize(data.coffee(), size_wh, interpolation=cv2.INTER_LINEAR)
    face = data.astronaut()[0:360, 60:400]
    silence = np.zeros((1, 1024), np.float32)
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=rate, options={"preset": "veryfast", "crf": "20"})
        stream.width, stream.height = size_wh
        stream.pix_fmt = "yuv420p"
        sound = file.add_stream("aac", rate=44_100)
        sound.codec_context.layout = "mono"
        heard = 0
        for index in range(frames):
            frame = av.VideoFrame.from_ndarray(scene(index, back, face), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, rate)
            file.mux(stream.encode(frame))
            while heard / 44_100 < index / rate:
                samples = av.AudioFrame.from_ndarray(silence, format="fltp", layout="mono")
                samples.sample_rate, samples.pts = 44_100, heard
                heard += 1024
                file.mux(sound.encode(samples))
        file.mux(stream.encode(None))
        file.mux(sound.encode(None))


def make_apart(path: Path, frames: int, size_wh: tuple[int, int]) -> None:
    """`make_video` in a process of its own."""
    process = multiprocessing.get_context("spawn").Process(target=make_video, args=(path, frames, size_wh))
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(f"the video could not be made: exit status {process.exitcode}")


def analyzer() -> Any:
    """As the command line has it."""
    from agewise.analyzer import Analyzer

    return Analyzer()


def resident_mb() -> float:
    """Resident memory of this process, in units of 10⁶ bytes."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * PAGE / 1e6


def end_to_end(source: Path, target: Path, on_frame: Callable[..., None] | None = None) -> tuple[float, float, Any]:
    """Frames a second by the clock, seconds of the processor a frame, and the stages' busy times."""
    from agewise.track import Tracker
    from agewise.video import open_video, open_writer
    from agewise.video.pipeline import Annotation

    annotation = Annotation(tracker=Tracker(analyzer()), on_frame=on_frame)
    began, worked = time.perf_counter(), time.process_time()
    with open_video(source, on_sound=annotation.take_sound) as video, open_writer(target, video) as writer:
        annotation.writer = writer
        annotation.run(video)
        frames = writer.frames
    return frames / (time.perf_counter() - began), (time.process_time() - worked) / frames, annotation.timing


@contextmanager
def worked(into: dict[str, float], name: str, frames: int) -> Iterator[None]:
    """Milliseconds of the processor a frame, of all threads."""
    began = time.process_time()
    yield
    into[name] = (time.process_time() - began) / frames * 1e3


def stages(source: Path, folder: Path, count: int) -> tuple[dict[str, float], list[tuple[str, float, int]]]:
    """Each stage alone, in milliseconds of the processor a frame; and x264's presets, with the size of the file."""
    from agewise.track import Tracker
    from agewise.video import open_video, open_writer, writer
    from agewise.video.overlay import draw_tracked

    took: dict[str, float] = {}
    tracker = Tracker(analyzer())
    with open_video(source) as video, worked(took, "decode, to RGB", count):
        frames = [frame for frame, _ in zip(video, range(count), strict=False)]
    with worked(took, "track (detect every 5th, estimate)", count):
        faces = [tracker.update(frame.image_rgb, frame.seconds) for frame in frames]
    with worked(took, "draw", count):
        for frame, found in zip(frames, faces, strict=True):
            draw_tracked(frame.image_rgb, found, in_place=True)
    presets = []
    chosen = writer.PRESET
    for preset in PRESETS:
        writer.PRESET = preset
        target = folder / f"{preset}.mp4"
        with open_video(source) as video, worked(took, preset, count), open_writer(target, video, sound=False) as out:
            for frame in frames:
                out.write(frame)
        presets.append((preset, took.pop(preset), target.stat().st_size))
    writer.PRESET = chosen
    took[f"encode ({chosen})"] = next(cost for preset, cost, _ in presets if preset == chosen)
    return took, presets


def memory(source: Path, target: Path, frames: int) -> list[tuple[int, float]]:
    """Resident memory after so many frames."""
    points: list[tuple[int, float]] = []
    wanted = [round(frames * share) for share in (0.05, 0.1, 0.25, 0.5, 0.75, 1.0)]

    def look(frame: Any, faces: Sequence[Any]) -> None:
        if frame.index + 1 in wanted:
            points.append((frame.index + 1, resident_mb()))

    end_to_end(source, target, look)
    return points


def report(folder: Path, frames: int, long: int) -> str:
    """All figures, as Markdown."""
    make_apart(folder / "two.mp4", frames, (1280, 720))
    took, presets = stages(folder / "two.mp4", folder, min(frames, 120))
    load = os.getloadavg()[0]
    runs = [end_to_end(folder / "two.mp4", folder / "out.mp4") for _ in range(2)]
    total = sum(took.values())
    parts = [common.machine("av")]
    clock, work = max(run[0] for run in runs), 1e3 * min(run[1] for run in runs)
    parts.append(
        f"{frames} frames of 1280×720 with two faces, end to end: {clock:.0f} frames a second by the clock (the better "
        f"of two runs; load {load:.1f} before them), {work:.1f} ms of the processor a frame. Stages alone add up to "
        f"{total:.1f} ms: two free cores do at most {2e3 / total:.0f} frames a second, and the tracking thread alone "
        f"{1e3 / max(took.values()):.0f}."
    )
    parts.append(common.table(("stage alone", "ms of CPU a frame"), [(name, f"{ms:.2f}") for name, ms in took.items()]))
    rows = [(name, f"{ms:.2f}", f"{size / 1e3:.0f}") for name, ms, size in presets]
    parts.append(common.table(("x264, CRF 21", "ms of CPU a frame", "kB"), rows))
    if long:
        make_apart(folder / "long.mp4", long, (320, 180))
        points = memory(folder / "long.mp4", folder / "long_out.mp4", long)
        parts.append(common.table(("frames of 320×180", "resident, MB"), [(f"{n:,}", f"{mb:.0f}") for n, mb in points]))
    return "\n\n".join(parts)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Frames a second of agewise video, and where the time goes.")
    parser.add_argument("--frames", type=int, default=600, help="of 1280×720")
    parser.add_argument("--long", type=int, default=10_000, help="frames for the memory; 0 leaves it out")
    parser.add_argument("--markdown", action="store_true", help="write into benchmarks/README.md")
    parser.add_argument("--keep", type=Path, help="a folder for the videos, to look at them")
    arguments = parser.parse_args()
    common.warn_if_busy()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        text = report(folder, arguments.frames, arguments.long)
    print(text)
    if arguments.markdown:
        common.write_section("video", text)


if __name__ == "__main__":
    main()
