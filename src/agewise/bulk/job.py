"""What is to be done with each picture, and the work itself: some pictures in, one Parquet file out.

Every engine runs this code, so the values are the same whoever does the work.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from agewise._files import shown
from agewise.analyzer import Analyzer
from agewise.errors import AgewiseError, ModelError
from agewise.imaging import DEFAULT_MAX_PIXELS
from agewise.sinks import ImageResult
from agewise.sinks.parquet_table import ParquetSink
from agewise.store import DEFAULT_MODEL, find_model
from agewise.types import Detection, Face, UInt8Array

HELD_BYTES = 64 * 2**20
"""Pictures that wait for the faces of others are held up to here; a larger one is estimated alone."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """What decides the values of a run: two runs of equal jobs give the same rows.

    Args:
        model: an embedded model's name, or the path of an `.onnx` file.
        model_sha256: of the model's file; see `for_model`.
        detector: a detector's name.
        min_face: side in pixels of the smallest face looked for; None leaves it to the detector.
        max_faces: at most so many faces of a picture, the largest; None for all.
        answer_all: judge every face.
        max_pixels: larger pictures are refused before they are decoded.
        batch: most faces in one network call.
        folder: what relative paths start from.
    """

    model: str = DEFAULT_MODEL
    model_sha256: str = ""
    detector: str = "mtcnn"
    min_face: int | None = None
    max_faces: int | None = None
    answer_all: bool = False
    max_pixels: int = DEFAULT_MAX_PIXELS
    batch: int = 32
    folder: str = ""

    def make_analyzer(self) -> Analyzer:
        """An analyzer of one thread.

        Raises:
            ModelError: the model's file is not the one that the run began with.
            AgewiseError, ValueError: as `Analyzer`.
        """
        model = find_model(self.model)
        if self.model_sha256 and model.sha256 != self.model_sha256:
            raise ModelError(
                f"the model {self.model} is another file here (sha256 {model.sha256[:12]}…, the run began with "
                f"{self.model_sha256[:12]}…): put the same file there, or write to another folder"
            )
        return Analyzer(
            self.model,
            self.detector,
            min_face=self.min_face,
            max_faces=self.max_faces,
            threads=1,
            batch=self.batch,
            max_pixels=self.max_pixels,
            answer_all=self.answer_all,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Some neighbours of the listing.

    Args:
        index: of the part, from 0.
        paths: of its pictures, in the order of the listing.
    """

    index: int
    paths: tuple[str, ...]


@dataclass
class _Waiting:
    """A picture, read, or why it could not be; its faces are estimated with those of others."""

    name: str
    image_rgb: UInt8Array | None
    detections: list[Detection]
    width: int | None = None
    height: int | None = None
    error: str | None = None

    @cached_property
    def weight(self) -> int:
        """Bytes that are held."""
        return 0 if self.image_rgb is None else self.image_rgb.nbytes


def make_part(
    job: Job,
    analyzer: Analyzer,
    part: Part,
    *,
    skipped: Mapping[int, str] | None = None,
    on_picture: Callable[[int], None] = lambda position: None,
) -> bytes:
    """The Parquet file of a part, with the columns of `agewise.sinks`: a picture's rows follow the one's before.

    Args:
        job: what is to be done.
        analyzer: of the job.
        part: which pictures.
        skipped: positions in the part that are not touched, with the reason that becomes their error.
        on_picture: told the position of each picture before it is touched.
    """
    stream = io.BytesIO()
    sink = ParquetSink(stream)
    for result in _results(job, analyzer, part, skipped or {}, on_picture):
        sink.write(result)
    sink.finish()
    return stream.getvalue()


def _results(
    job: Job, analyzer: Analyzer, part: Part, skipped: Mapping[int, str], on_picture: Callable[[int], None]
) -> Iterator[ImageResult]:
    held: list[_Waiting] = []
    faces = weight = 0
    for position, path in enumerate(part.paths):
        if position in skipped:
            held.append(_Waiting(shown(path), None, [], error=skipped[position]))
            continue
        on_picture(position)
        picture = _read(job, analyzer, path)
        held.append(picture)
        faces, weight = faces + len(picture.detections), weight + picture.weight
        if faces >= job.batch or weight >= HELD_BYTES:
            yield from _estimated(analyzer, held)
            held, faces, weight = [], 0, 0
    yield from _estimated(analyzer, held)


def _read(job: Job, analyzer: Analyzer, path: str) -> _Waiting:
    picture = _Waiting(shown(path), None, [])
    try:
        image_rgb = analyzer.read(os.path.join(job.folder, path))
        picture.height, picture.width = image_rgb.shape[:2]
        picture.detections = analyzer.detect(image_rgb)
        picture.image_rgb = image_rgb if picture.detections else None
    except Exception as error:  # noqa: BLE001  one picture, whatever is wrong with it, never stops the others
        picture.error = reason_of(error, os.path.join(job.folder, path), path)
    return picture


def _estimated(analyzer: Analyzer, held: Sequence[_Waiting]) -> Iterator[ImageResult]:
    """What came of pictures whose faces share network calls."""
    pictures = [(one.image_rgb, one.detections) for one in held if one.image_rgb is not None]
    try:
        found = iter(analyzer.estimator.predict_pictures(pictures))
    except Exception:  # noqa: BLE001  one of them is at fault: each by itself, so that it harms no other
        for one in held:
            yield _estimated_alone(analyzer, one)
        return
    for one in held:
        predictions = [] if one.image_rgb is None else next(found)
        faces = tuple(Face(*pair) for pair in zip(one.detections, predictions, strict=True)) if predictions else ()
        yield ImageResult(one.name, one.width, one.height, faces, one.error)


def _estimated_alone(analyzer: Analyzer, one: _Waiting) -> ImageResult:
    if one.image_rgb is None:
        return ImageResult(one.name, one.width, one.height, error=one.error)
    try:
        predictions = analyzer.estimator(one.image_rgb, one.detections)
    except Exception as error:  # noqa: BLE001  as in `_read`
        return ImageResult(one.name, one.width, one.height, error=reason_of(error, one.name))
    faces = tuple(Face(*pair) for pair in zip(one.detections, predictions, strict=True))
    return ImageResult(one.name, one.width, one.height, faces)


def reason_of(error: Exception, *names: str) -> str:
    """Why there is no result, without the picture's name, which stands beside it in any case."""
    if isinstance(error, MemoryError):
        return "not enough memory for this picture"
    if not isinstance(error, AgewiseError):
        return f"unexpected {type(error).__name__}: {error}"
    text = str(error)
    for name in names:
        text = text.removeprefix(f"{shown(name)}: ").removeprefix(f"{name}: ")
    return text.encode("utf-8", "backslashreplace").decode()
