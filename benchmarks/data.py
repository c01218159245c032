"""The training database: encodings of crops, reading for training, near-duplicates at scale, a build's memory.

    python benchmarks/data.py --root UTKFACE_FOLDER --database DB [--markdown]
    python benchmarks/data.py --build 100000            # a build of made pictures: time and memory
    python benchmarks/data.py --database DB --duplicates 200000

Needs the extra `lab`, and for the first and last a database that `agewise-lab data build utkface` has made of
UTKFace. Folders for made pictures are temporary and removed. Times are CPU time of one thread where nothing else
is said: about the wall-clock time of a machine that does nothing else, and right on a busy one, too.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import itertools
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import common

HEAD = ("what", "figure", "notes")


def rate(call: Callable[[], int], seconds: float = 1.5) -> float:
    """Pictures a second of CPU time of a function that returns how many it has read; it is called once before."""
    call()
    count, begin = 0, time.process_time()
    while (took := time.process_time() - begin) < seconds:
        count += call()
    return count / took


# ---------------------------------------------------------------- encodings


def encodings() -> dict[str, Callable[[Any], bytes]]:
    """Ways to store a crop, uint8 RGB."""
    import cv2
    from PIL import Image

    def jpeg(quality: int, full_colour: bool) -> Callable[[Any], bytes]:
        options = [cv2.IMWRITE_JPEG_QUALITY, quality]
        if full_colour:
            options += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
        return lambda image: bytes(cv2.imencode(".jpg", image[:, :, ::-1], options)[1])

    def webp(**options: Any) -> Callable[[Any], bytes]:
        def encode(image: Any) -> bytes:
            stream = io.BytesIO()
            Image.fromarray(image).save(stream, "WEBP", **options)
            return stream.getvalue()

        return encode

    return {
        "JPEG 90, half colour": jpeg(90, False),
        "JPEG 95, half colour": jpeg(95, False),
        "JPEG 95, full colour (ours)": jpeg(95, True),
        "JPEG 98, full colour": jpeg(98, True),
        "PNG": lambda image: bytes(cv2.imencode(".png", image[:, :, ::-1])[1]),
        "WebP 95": webp(quality=95, method=2),
        "WebP lossless": webp(lossless=True, quality=0, method=0),
    }


def encoding_table(root: Path, count: int = 300) -> str:
    """Size, time, error, and what the error does to the embedded model's estimates."""
    import cv2
    import numpy as np

    import agewise
    from agewise.engine import EngineConfig
    from agewise.imaging import read_image
    from agewise.imaging.crop import CropSpec, crop_face
    from agewise.types import Detection

    paths = sorted(root.glob("*.jpg"))
    chosen = common.spread_out(paths, count)
    entire = Detection((0, 0, 200, 200), 1.0, is_crop=True)
    crops = np.stack([crop_face(read_image(path), entire, CropSpec(), 160) for path in chosen])
    estimator = agewise.Estimator(engine_config=EngineConfig(threads=1))
    whole = Detection((0, 0, 160, 160), 1.0, is_crop=True)

    def ages(images: Any) -> Any:
        return np.array([estimator(image, [whole])[0].age_years for image in images])

    plain, rows = ages(crops), []
    for name, encode in encodings().items():
        begin = time.process_time()
        files = [encode(image) for image in crops]
        encoding = (time.process_time() - begin) / count

        def decode(files: list[bytes] = files) -> int:
            for data in files:
                cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
            return len(files)

        speed = rate(decode, 1.0)
        images = [cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1] for data in files]
        error = np.stack(images).astype(int) - crops
        apart = np.abs(ages(np.ascontiguousarray(images)) - plain)
        rows.append(
            (
                name,
                f"{np.mean([len(data) for data in files]) / 1e3:.1f} kB",
                f"{1e3 * encoding:.2f} ms",
                f"{speed:,.0f}",
                f"{np.sqrt((error**2).mean()):.2f}",
                f"{apart.mean():.2f} ({apart.max():.2f})",
            )
        )
    head = ("160×160 crops of UTKFace", "a crop", "encoding", "decoded/s", "RMS error", "age moves: mean (most)")
    return common.table(head, rows)


# ---------------------------------------------------------------- reading


def reading_rows(root: Path, database: Path, batch: int = 64) -> Iterator[tuple[str, str, str]]:
    """Pictures a second, for batches of training."""
    import cv2
    import numpy as np

    from agewise.imaging import read_image
    from agewise_lab.store.crops import open_store
    from agewise_lab.store.database import read_pictures
    from agewise_lab.store.schema import decode

    store = open_store(database)
    names = [str(root / name) for name in store.name]
    rng = np.random.default_rng(0)
    order = rng.permutation(len(store))[:4096]
    batches = [np.sort(order[i : i + batch]) for i in range(0, len(order), batch)]

    def small(image: Any, side: int) -> Any:
        return cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)

    def cached(crops: Any) -> Callable[[], int]:
        def read() -> int:
            for rows in batches:
                np.ascontiguousarray(crops[rows])
            return len(order)

        return read

    def shrunk() -> int:
        for rows in batches:
            np.stack([small(store.whole[i], 64) for i in rows])
        return len(order)

    def parquet() -> int:
        rows = itertools.islice(read_pictures(database, ["whole"]), 2048)
        return len([decode(row["whole"] or b"") for row in rows])

    def files() -> int:
        return len([small(cv2.imread(names[i])[:, :, ::-1], 160) for i in order[:1024]])

    def ours() -> int:
        return len([small(read_image(names[i]), 160) for i in order[:1024]])

    cached(store.whole)()  # the pages are in memory, as in every epoch but the first
    yield "cache, batches of 64 in random order, 160 px", f"{rate(cached(store.whole)):,.0f}", "what training reads"
    yield "the same, each shrunk to 64 px", f"{rate(shrunk):,.0f}", "what SSR-Net reads"
    yield "Parquet, in order, decoded", f"{rate(parquet):,.0f}", "makes the cache, once"
    yield "folder of files, cv2.imread, to 160 px", f"{rate(files):,.0f}", "200 px JPEG, random order"
    yield "folder of files, agewise's reader", f"{rate(ours):,.0f}", "refuses cut files, turns by EXIF"


# ---------------------------------------------------------------- near-duplicates


def made_thumbnails(database: Path, count: int, copies: int) -> tuple[Any, Any]:
    """uint8 (count, 32, 32) with UTKFace's mean and covariance; the last `copies` are changed copies of the first."""
    import cv2
    import numpy as np

    from agewise_lab.store.database import read_thumbnails

    rng = np.random.default_rng(0)
    real = read_thumbnails(database).reshape(-1, 1024).astype(np.float32)
    mean = real.mean(axis=0)
    root = np.linalg.cholesky(np.cov(real.T) + 1e-2 * np.eye(1024)).astype(np.float32)
    out = np.empty((count, 32, 32), dtype=np.uint8)
    for start in range(0, count - copies, 1 << 14):
        end = min(start + (1 << 14), count - copies)
        faces = mean + rng.standard_normal((end - start, 1024), dtype=np.float32) @ root.T
        out[start:end] = np.clip(faces, 0, 255).reshape(-1, 32, 32)
    for i in range(copies):
        picture = cv2.resize(out[i], (200, 200), interpolation=cv2.INTER_CUBIC)
        dx, dy, zoom = rng.uniform(-3, 3), rng.uniform(-3, 3), rng.uniform(0.97, 1.03)
        matrix = np.array([[zoom, 0, dx + 100 * (1 - zoom)], [0, zoom, dy + 100 * (1 - zoom)]])
        picture = cv2.warpAffine(picture, matrix, (200, 200), borderMode=cv2.BORDER_REPLICATE)
        picture = cv2.imdecode(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 60])[1], cv2.IMREAD_GRAYSCALE)
        small = cv2.resize(picture, (32, 32), interpolation=cv2.INTER_AREA)
        out[count - copies + i] = small[:, ::-1] if i % 2 else small
    return out, np.stack([np.arange(copies), np.arange(count - copies, count)])


def duplicate_rows(database: Path, counts: list[int]) -> Iterator[tuple[str, str, str]]:
    """Time of the search without all pairs, and what it finds of planted copies."""
    from agewise_lab.store.database import read_thumbnails
    from agewise_lab.store.duplicates import (
        MIN_CORRELATION,
        _correlations,
        banded_pairs,
        duplicate_groups,
        signatures_of,
        similar_pairs,
    )

    real = read_thumbnails(database)
    begin = time.process_time()
    expected = {(i, j) for i, j, _ in similar_pairs(signatures_of(real), MIN_CORRELATION)}
    all_pairs = time.process_time() - begin
    begin = time.process_time()
    i, j, _ = banded_pairs(real)
    took = time.process_time() - begin
    shared = len(expected & set(zip(i.tolist(), j.tolist(), strict=True)))
    yield f"UTKFace, {len(real):,}: all pairs", f"{all_pairs:.1f} s", f"{len(expected)} pairs"
    yield f"UTKFace, {len(real):,}: banded", f"{took:.1f} s", f"{shared} of these ({shared / len(expected):.1%})"
    for count in counts:
        made, pairs = made_thumbnails(database, count, count // 20)
        similar = _correlations(made, *pairs) >= MIN_CORRELATION
        begin = time.process_time()
        groups = duplicate_groups(made)
        took = time.process_time() - begin
        found = (groups[pairs[0]] == groups[pairs[1]])[similar].mean()
        notes = f"finds {found:.2%} of {similar.sum():,} planted copies; {1e6 * took / count:.0f} µs a picture"
        yield f"made, {count:,}: banded", f"{took:.1f} s", notes


# ---------------------------------------------------------------- a build


def _memory_of_tree(pid: int) -> int:
    """Resident bytes of a process and its descendants, shared pages once (PSS); 0 for one that has just ended."""
    total = 0
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):
                total += sum(_memory_of_tree(int(child)) for child in (task / "children").read_text().split())
    return total


def _cpu_seconds() -> float:
    """Of this process and of its children that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def build_rows(count: int, processes: int, crops: str) -> Iterator[tuple[str, str, str]]:
    """A build of made pictures of 64 px: time, and the most memory at any time of all its processes together."""
    import cv2
    import numpy as np

    from agewise_lab.datasets.record import Record
    from agewise_lab.store.build import build

    with tempfile.TemporaryDirectory() as name:
        root, database = Path(name) / "pictures", Path(name) / "db"
        rng = np.random.default_rng(0)
        records = []
        for i in range(count):
            path = root / f"{i // 1000:04d}" / f"{i:07d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            grid = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            cv2.imwrite(str(path), cv2.resize(grid, (64, 64), interpolation=cv2.INTER_CUBIC))
            records.append(Record(str(path.relative_to(root)), float(i % 100), None))
        most, done = [0], threading.Event()

        def watch() -> None:
            while not done.wait(0.2):
                most[0] = max(most[0], _memory_of_tree(os.getpid()))

        before = _memory_of_tree(os.getpid())
        watcher = threading.Thread(target=watch)
        watcher.start()
        begin, cpu = time.perf_counter(), _cpu_seconds()
        report = build(records, root, database, dataset="made", crops=crops, side=64, processes=processes)  # type: ignore[arg-type]
        took, cpu = time.perf_counter() - begin, _cpu_seconds() - cpu
        done.set()
        watcher.join()
        size = sum(path.stat().st_size for path in database.rglob("*.parquet"))
        assert report.manifest.rows == count
        yield (
            f"build of {count:,} made pictures, {processes} processes",
            f"{took:.0f} s",
            f"{count / took:,.0f} a second",
        )
        yield "– most memory, all processes", f"{most[0] / 1e6:,.0f} MB", f"{before / 1e6:,.0f} MB before it"
        yield "– on disk", f"{size / 1e6:,.0f} MB", f"crops {crops}, 64 px"


def main() -> None:
    """Measure, print, and on demand write into README.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, help="the folder of UTKFace's pictures")
    parser.add_argument("--database", type=Path, help="the database made of them")
    parser.add_argument("--duplicates", type=int, nargs="*", metavar="N", help="also N made thumbnails")
    parser.add_argument("--build", type=int, metavar="N", help="build a database of N made pictures")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--crops", default="as-is", choices=("both", "as-is"))
    parser.add_argument("--markdown", action="store_true", help="also write the tables into benchmarks/README.md")
    arguments = parser.parse_args()
    common.use_one_thread()
    parts: dict[str, str] = {}
    if arguments.root is not None and arguments.database is not None:
        parts["data-encodings"] = encoding_table(arguments.root)
        parts["data-reading"] = common.table(HEAD, list(reading_rows(arguments.root, arguments.database)))
    if arguments.duplicates is not None and arguments.database is not None:
        rows = list(duplicate_rows(arguments.database, arguments.duplicates))
        parts["data-duplicates"] = common.table(HEAD, rows)
    if arguments.build is not None:
        parts["data-build"] = common.table(
            HEAD, list(build_rows(arguments.build, arguments.processes, arguments.crops))
        )
    if not parts:
        parser.error("say what to measure: --root and --database, --duplicates, or --build")
    for name, table in parts.items():
        text = f"{common.machine('pyarrow')}\n\n{table}"
        print(f"\n{text}", flush=True)
        if arguments.markdown:
            common.write_section(name, text)


if __name__ == "__main__":
    main()
