"""The model and the detector of `agewise live`, and the next ones: loaded in the background, while frames go on."""

from __future__ import annotations

import dataclasses
import queue
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from agewise.cli._exits import UsageError
from agewise.errors import AgewiseError
from agewise.types import UInt8Array

if TYPE_CHECKING:
    from agewise.analyzer import Analyzer
    from agewise.track import Track, TrackedFace

Kind = Literal["model", "detector"]


class Brain:
    """A tracker with its model and detector; ids of its tracks begin after those of the one before.

    Args:
        analyzer: its model and detector.
        model, detector: the names by which they were asked for.
    """

    def __init__(self, analyzer: Analyzer, model: str, detector: str) -> None:
        from agewise.store import find_model
        from agewise.track import Tracker

        self.model_name = analyzer.estimator.card.name
        self.model_sha256 = find_model(model).sha256
        self.analyzer = analyzer
        self.model = model
        self.detector = detector
        self._tracker = Tracker(analyzer)
        self._before = self.last_id = 0

    def begin(self, *, after: int) -> None:
        """Let the ids of its tracks begin after this one; before its first frame."""
        self._before = self.last_id = after

    def update(self, image_rgb: UInt8Array, seconds: float) -> list[TrackedFace]:
        """See `agewise.track.Tracker.update`."""
        faces = [
            dataclasses.replace(face, track_id=face.track_id + self._before)
            for face in self._tracker.update(image_rgb, seconds)
        ]
        self.last_id = max([self.last_id, *(face.track_id for face in faces)])
        return faces

    def ended(self) -> list[Track]:
        """See `agewise.track.Tracker.ended`."""
        return self._shifted(self._tracker.ended())

    def finish(self) -> list[Track]:
        """See `agewise.track.Tracker.finish`."""
        return self._shifted(self._tracker.finish())

    def _shifted(self, tracks: Sequence[Track]) -> list[Track]:
        return [dataclasses.replace(track, track_id=track.track_id + self._before) for track in tracks]


class Choices:
    """What can be chosen, what is, and what is being loaded.

    Args:
        model, detector: the first ones.
        min_face: side in pixels of the smallest face looked for; None leaves it to the detector.
        threads: of each network call.

    Raises:
        AgewiseError: they cannot be used.
        UsageError: a `min_face` that the detector does not take.
    """

    def __init__(self, model: str, detector: str, *, min_face: int | None = None, threads: int = 1) -> None:
        from agewise.detect import detector_infos
        from agewise.store import list_models

        self.models = _with(model, list_models())
        self.detectors = _with(
            detector, [info.name for info in detector_infos() if info.available and info.name != "none"]
        )
        self._min_face, self._threads = min_face, threads
        self._loading = ""
        self._failed: dict[Kind, str] = {}  # the last that was tried in vain: the next attempt is at the one after
        self._done: queue.SimpleQueue[Brain | str] = queue.SimpleQueue()
        self._brain = self._first(model, detector)

    @property
    def brain(self) -> Brain:
        """The one in use."""
        return self._brain

    def next(self, kind: Kind) -> str:
        """Begin to load the next model or detector, if nothing is being loaded; gives what to say of it."""
        if self._loading:
            return f"still loading {self._loading} …"
        names = self.models if kind == "model" else self.detectors
        now = self._brain.model if kind == "model" else self._brain.detector
        if len(names) == 1:
            return f"{now} is the only {kind} here"
        name = names[(names.index(self._failed.get(kind, now)) + 1) % len(names)]
        if name == now:  # all others failed: from the beginning
            self._failed.pop(kind, None)
            return f"no other {kind} can be used than {now}"
        self._loading = name
        threading.Thread(target=self._load, args=(kind, name), name="agewise-load", daemon=True).start()
        return f"loading the {kind} {name} …"

    def ready(self) -> str | None:
        """Takes over what was loaded since the last call; what to say of it, None where there is nothing."""
        try:
            done = self._done.get_nowait()
        except queue.Empty:
            return None
        name, self._loading = self._loading, ""
        if isinstance(done, str):
            return f"{name} cannot be used: {done}"
        # The tracks of the old one end here: its estimates are another model's, or on other boxes.
        done.begin(after=self._brain.last_id)
        self._brain = done
        return f"model {done.model}, detector {done.detector}"

    def _first(self, model: str, detector: str) -> Brain:
        from agewise.analyzer import Analyzer

        try:
            analyzer = Analyzer(model, detector, min_face=self._min_face, threads=self._threads)
        except AgewiseError:
            raise
        except ValueError as error:  # a number that the detector or the runtime does not take
            raise UsageError(str(error)) from error
        return Brain(analyzer, model, detector)

    def _load(self, kind: Kind, name: str) -> None:
        """In a thread: only what changes is loaded anew."""
        from agewise.analyzer import Analyzer

        old = self._brain
        try:
            if kind == "model":
                brain = Brain(Analyzer(name, old.analyzer.detector, threads=self._threads), name, old.detector)
            else:
                analyzer = Analyzer(old.analyzer.estimator, name, min_face=self._min_face, threads=self._threads)
                brain = Brain(analyzer, old.model, name)
        except Exception as error:  # noqa: BLE001  whatever ails one of them, the others and the window go on
            self._failed[kind] = name
            self._done.put(str(error) or type(error).__name__)
        else:
            self._failed.pop(kind, None)
            self._done.put(brain)


def _with(name: str, names: Sequence[str]) -> list[str]:
    return list(names) if name in names else [name, *names]
