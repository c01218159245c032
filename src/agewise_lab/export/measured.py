"""What a card says that must be measured: intervals, temperature, verdicts, quality thresholds, figures.

The same for a network that is released and for a file that gets a new card. Tables are fitted on the validation faces.
What the intervals hold is never stated on faces that they were fitted on: on validation by repeated random halves, and
on the holdout as it is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from agewise._files import atomic_write
from agewise.calibrate import calibrate, count_verdicts, fit_sure, fit_temperature
from agewise.card import CARD_KEY, Calibration, Figure, GenderSpec, ModelCard, read_card
from agewise.decode import decode_female_probability
from agewise.detect import Detector, make_detector
from agewise.engine import OnnxEngine
from agewise.estimate import Estimator
from agewise.estimate.golden import with_golden, write_card
from agewise.quality import QualityThresholds
from agewise.store import find_model
from agewise.store.metadata import replace_metadata
from agewise.types import Detection, FloatArray, Gender, UInt8Array
from agewise_lab.datasets.record import Record
from agewise_lab.datasets.utkface import GROUPS
from agewise_lab.evaluation.calibration import identities, labelled
from agewise_lab.evaluation.degrade import run_degraded, same, spread_out
from agewise_lab.evaluation.halves import BoolArray, Held, age_groups, repeated_halves
from agewise_lab.evaluation.run import SURE_FIGURES, Results, part_of_store, run, summary
from agewise_lab.evaluation.thresholds import choose_thresholds
from agewise_lab.store.crops import open_store
from agewise_lab.store.split import hash_split

GOLDEN_SEED = 20261123
BARE, CHAIN = "bare crops", "padded, mtcnn, aligned"
_LEAST_GROUP = 100  # faces of a group whose coverage is stated by itself
_LEAST_HALF = 100  # faces a half needs, for its tables to be of any use
_DEGRADED = 120  # faces whose degraded copies choose the quality thresholds
_UNITS = {"mae": "years", "bias": "years", "width": "years", "count": "faces"}
_FITTED_THERE = ("coverage", "width", "gender_ece", *SURE_FIGURES)  # never stated on the faces that they were fitted on


@dataclass(frozen=True, kw_only=True)
class Faces:
    """Labelled faces to measure on.

    Args:
        root: of the data set.
        validation: faces that the network was not trained on, to fit on.
        holdout: faces that nothing was chosen by, for figures; may be empty.
        split: its digest, for the card.
        date: ISO 8601, for the card.
    """

    root: Path
    validation: Sequence[Record]
    holdout: Sequence[Record]
    split: str
    date: str | None = None


def figures_of(results: Results, data: str, protocol: str, *, without: Sequence[str] = ()) -> tuple[Figure, ...]:
    """The summary of a run as lines of a card."""
    return tuple(
        Figure(measure=key, value=round(value, 4), unit=_UNITS.get(key, ""), data=data, protocol=protocol)
        for key, value in summary(results).items()
        if key not in without
    )


def groups_of(runs: Sequence[Results]) -> dict[str, BoolArray]:
    """Rows of `labelled(runs)` by band of the true age, gender label and group of the data set."""
    found = [run.select(run.found) for run in runs]
    female = np.concatenate([part.is_female for part in found])
    codes = np.concatenate([part.group for part in found])
    rows = age_groups(np.concatenate([part.truth for part in found])) | {"female": female, "male": ~female}
    return rows | {group: codes == i for i, group in enumerate(GROUPS)}


def measured_card(card: ModelCard, model: bytes, faces: Faces) -> ModelCard:
    """The card with all that is measured, its golden answers too.

    Args:
        card: what it says of the network and in words stands; what it says of measurements is made anew.
        model: the file; a card in it does not count.
        faces: to measure on.

    Raises:
        ValueError: too few faces to calibrate on.
    """
    mtcnn = Remembering(make_detector("mtcnn"))
    chains: dict[str, Detector | None] = {BARE: None, CHAIN: mtcnn}
    gender = None if card.gender is None else card.gender.model_copy(update={"temperature": 1.0, "sure": None})
    blank = card.model_copy(
        update={"calibration": None, "gender": gender, "quality": None, "verification": (), "figures": ()}
    )
    estimator = _estimator(blank, model)
    runs = {name: run(faces.validation, faces.root, estimator, detector) for name, detector in chains.items()}
    fitted = _fitted(blank, runs, faces)
    judging = _estimator(fitted, model)
    fitted = fitted.model_copy(update={"quality": _quality(judging, mtcnn, faces)})
    judging = _estimator(fitted, model)
    figures = list(_coverage_figures(fitted, list(runs.values()), faces))
    for part, records in (("validation", faces.validation), ("holdout", faces.holdout)):
        for name, detector in chains.items() if records else ():
            results = run(records, faces.root, judging, detector)
            without = _FITTED_THERE if part == "validation" else ()
            figures += figures_of(results, f"UTKFace {part} (split {faces.split})", name, without=without)
    fitted = fitted.model_copy(update={"figures": tuple(figures)})
    return with_golden(fitted, model, seed=GOLDEN_SEED)


def _quality(estimator: Estimator, detector: Detector, faces: Faces) -> QualityThresholds:
    """Thresholds from degraded copies of some validation faces and from all of them as they are."""
    copies = run_degraded(spread_out(faces.validation, _DEGRADED), faces.root, estimator, detector)
    clean = run_degraded(faces.validation, faces.root, estimator, detector, {"clean": same})
    least = QualityThresholds(min_face_pixels=float(estimator.card.validity.min_face_pixels))
    return choose_thresholds(list(copies), list(clean), least)


class Remembering:
    """A detector that searches the same picture once: the search takes most of the time, and faces do not move."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self._found: dict[bytes, list[Detection]] = {}

    @property
    def name(self) -> str:
        """That of the detector behind it."""
        return self._detector.name

    def detect(self, image_rgb: UInt8Array) -> list[Detection]:
        """What the detector found in this picture, now or before."""
        key = hashlib.blake2b(np.ascontiguousarray(image_rgb), digest_size=16).digest()
        key += f"{image_rgb.shape}".encode()
        if key not in self._found:
            self._found[key] = self._detector.detect(image_rgb)
        return list(self._found[key])


def _estimator(card: ModelCard, model: bytes) -> Estimator:
    golden = with_golden(card, model, seed=GOLDEN_SEED)
    return Estimator(engine=OnnxEngine(replace_metadata(model, {CARD_KEY: golden.to_json()})))


def _fitted(card: ModelCard, runs: dict[str, Results], faces: Faces) -> ModelCard:
    """The card with its tables of intervals, sets and verdicts, and its temperature."""
    rows = labelled(list(runs.values()))
    what = f"UTKFace, {len(faces.validation)} near-duplicate-free validation images (split {faces.split})"
    calibration = calibrate(rows, card.age, f"{what}, both chains", count=len(faces.validation), date=faces.date)
    through = runs[CHAIN].select(runs[CHAIN].found)
    verification = count_verdicts(through.years, through.truth, f"{what}, {CHAIN}, labels partly estimated")
    gender = card.gender
    if gender is not None:
        found = [part.select(part.found) for part in runs.values()]
        female = np.concatenate([part.female_probability for part in found])
        labels = np.concatenate([part.is_female for part in found])
        temperature = round(fit_temperature(female, labels), 4)
        years = np.concatenate([part.years for part in found])
        sure = fit_sure(_cooled(female, temperature), labels, years, f"{what}, both chains", looks=len(runs))
        gender = gender.model_copy(update={"temperature": temperature, "sure": sure})
    return card.model_copy(update={"calibration": calibration, "verification": verification, "gender": gender})


def _cooled(female_probability: FloatArray, temperature: float) -> FloatArray:
    """Probabilities of temperature 1 at another one, as `agewise.decode` gives them."""
    spec = GenderSpec(output="p", order=(Gender.MALE, Gender.FEMALE), temperature=temperature)
    return decode_female_probability({"p": female_probability}, spec)


def _coverage_figures(card: ModelCard, runs: Sequence[Results], faces: Faces) -> list[Figure]:
    """What served intervals and sets hold on halves of the validation faces, over all and in the worst group."""
    if len(faces.validation) < 2 * _LEAST_HALF:
        return []
    assert isinstance(card.calibration, Calibration)
    held = repeated_halves(
        labelled(runs), identities(runs), groups_of(runs), card.age, kinds=(card.calibration.served,)
    )
    data = f"UTKFace validation (split {faces.split})"
    protocol = "both chains, 50 random halves, calibrated on one and measured on the other"
    lines = []
    for result in held:
        name = "" if result.kind != "set" else "set_"
        for measure, value in _coverages(result).items():
            unit = "years" if measure == "width" else ""
            lines.append(
                Figure(measure=f"{name}{measure}", value=round(value, 4), unit=unit, data=data, protocol=protocol)
            )
    return lines


def _coverages(held: Held) -> dict[str, float]:
    groups = {
        name: share for name, share in held.coverage.items() if name != "all" and held.counts[name] >= _LEAST_GROUP
    }
    worst = min(groups, key=lambda name: groups[name], default=None)
    least = {} if worst is None else {f"coverage of the worst group of {_LEAST_GROUP} or more, {worst}": groups[worst]}
    return {"coverage": held.coverage["all"], "width": held.width["all"]} | least


def faces_of(store: Path, root: Path, *, final: bool, date: str | None = None) -> Faces:
    """The validation faces of a store's split, and with `final` those of the holdout.

    Raises:
        ValueError: the store and the folder do not belong together.
    """
    return Faces(
        root=root,
        validation=part_of_store(store, root, "validation"),
        holdout=part_of_store(store, root, "holdout") if final else [],
        split=hash_split(open_store(store)).digest,
        date=date,
    )


def measured_file(card: ModelCard, model: bytes, faces: Faces) -> bytes:
    """The file with that card, all that is measured in it made anew: see `measured_card`."""
    return write_card(measured_card(card, model, faces), model)


def recard(model: str | Path, store: Path, root: Path, output: Path, *, final: bool, date: str | None = None) -> Path:
    """Give a model file a card measured anew, without training; gives the new file's path.

    Args:
        model: an embedded model's name, or an `.onnx` file with a card.
        store: the crop store whose split says which faces are validation's and holdout's.
        root: of the data set.
        output: where the new file goes.
        final: also measure on the holdout part.
        date: ISO 8601, for the card.

    Raises:
        ModelError: no such model, or one without a card.
        ValueError: the store and the folder do not belong together, or there are too few faces.
    """
    file = find_model(model)
    card = read_card(OnnxEngine(file.data).metadata, file.name)
    faces = faces_of(store, root, final=final, date=date)
    data = measured_file(card, file.data, faces)
    with atomic_write(output) as out:
        out.write(data)
    return output
