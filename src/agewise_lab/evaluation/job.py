"""One evaluation from end to end: models, programs and tables in; predictions, figures, plots and a report out."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

import agewise
from agewise.estimate import Estimator
from agewise_lab.evaluation.chain import LABELS, NONE, FaceFinder, found_faces, predict_all
from agewise_lab.evaluation.foreign import ForeignProgram, with_labels
from agewise_lab.evaluation.plots import Plot, plots_of_all, plots_of_one, stability_curves
from agewise_lab.evaluation.prediction_files import read_predictions, write_predictions
from agewise_lab.evaluation.predictions import Predictions, concatenated, duplicate_names
from agewise_lab.evaluation.protocols import Plan, Protocol, make_plan, own, read
from agewise_lab.evaluation.report import write_report
from agewise_lab.evaluation.result import (
    CardFacts,
    PlotFile,
    ProtocolUsed,
    Result,
    evaluate_tables,
    write_result,
)
from agewise_lab.evaluation.stability import StabilityPoint, stability

FOLD = "{fold}"


@dataclass(frozen=True, kw_only=True)
class Job:
    """What to evaluate.

    Args:
        protocol: how.
        part: of the protocol; None takes its default.
        root: the data set's folder; None where tables bring their own labels.
        store: a crop store, for parts that need one.
        models: names of embedded models and paths of `.onnx` files; `{fold}` in one stands for the fold's name with
            "-" for spaces: a model a fold.
        commands: templates of foreign programs.
        predictions: files of somebody's predictions.
        faces: how faces are found, see `FaceFinder`.
        level: of the models' intervals.
        runs: folders of training runs, and PNG pictures of their curves, for the report.
        stability: on how many faces it is measured how far the models' ages move when the picture changes; 0 is not.
        plots: whether plots are drawn.
        pictures: whether small pictures of the best and the worst faces are among them.
    """

    protocol: Protocol
    part: str | None = None
    root: Path | None = None
    store: Path | None = None
    models: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    predictions: tuple[Path, ...] = ()
    faces: str = NONE
    level: float = 0.9
    runs: tuple[Path, ...] = ()
    stability: int = 0
    plots: bool = True
    pictures: bool = True

    @property
    def chosen_part(self) -> str:
        """The part, by default the protocol's first; with a store, where the protocol has it, `validation`."""
        if self.part is not None:
            return self.part
        if self.store is not None and "validation" in self.protocol.parts:
            return "validation"
        return self.protocol.parts[0]


@dataclass(kw_only=True)
class _Collected:
    tables: dict[str, Predictions] = field(default_factory=dict)
    cards: dict[str, CardFacts] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    dropped: Mapping[str, int] = field(default_factory=dict)
    stability: dict[str, list[StabilityPoint]] = field(default_factory=dict)

    def free_name(self, model: str, path: Path) -> str:
        """What to call the table of a file: its model, or with the file's name where that model is there already."""
        if not model:
            return path.stem
        return f"{model}, {path.stem}" if model in self.tables else model

    def add(self, name: str, table: Predictions, card: CardFacts | None = None) -> str:
        """Keep a table under a name that no other has: numbered where it must be."""
        free, count = name, 2
        while free in self.tables:
            free, count = f"{name} ({count})", count + 1
        self.tables[free] = table
        if card is not None:
            self.cards[free] = card
        return free


def run_job(job: Job, folder: Path, progress: Callable[[int, int], None] = lambda done, whole: None) -> Result:
    """Predict, measure, draw, and write everything into `folder`, which is made where it is not there.

    Args:
        job: what.
        folder: for `result.json`, `figures.csv`, `predictions-….parquet`, plots and `report.html`.
        progress: called with how many pictures of how many are done.

    Raises:
        ValueError: nothing to evaluate, a part without faces, a table or program that cannot be used.
        AgewiseError: as `Estimator` and the detectors say.
        OSError: something cannot be read or written.
    """
    if not (job.models or job.commands or job.predictions):
        raise ValueError("name a model, a --command or a file of --predictions: there is nothing to evaluate")
    if job.root is None and (job.models or job.commands):
        raise ValueError("models and programs need the pictures: name the data set's folder with --root")
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"the output {folder} is a file: name a folder")
    found = _from_tables(job) if job.root is None else _from_pictures(job, job.root, progress)
    slugs = _write_predictions(found.tables, folder)
    used = ProtocolUsed(
        name=job.protocol.name, title=job.protocol.title, source=job.protocol.source, part=job.chosen_part
    )
    result = evaluate_tables(
        found.tables,
        used,
        measures=job.protocol.headline,
        classes=job.protocol.classes,
        cards=found.cards,
        stability=found.stability,
        notes=found.notes,
        dropped=found.dropped,
    )
    return _write(result, found.tables, slugs, job, folder)


# ---------------------------------------------------------------- predictions


def _from_tables(job: Job) -> _Collected:
    """Tables that bring their own labels."""
    found = _Collected()
    for path in job.predictions:
        table = read_predictions(path)
        if not any(np.isfinite(column).any() for column in (table.truth, table.truth_low, table.apparent)):
            raise ValueError(f"{path} holds no labels (a column truth): name the data set's folder with --root")
        twice = duplicate_names(table)
        if twice:
            raise ValueError(f"{path}: {len(twice)} faces are named twice, the first is {twice[0]}")
        stated = table.provenance
        found.add(
            found.free_name(stated.model, path),
            table.stating(
                data=stated.data or path.name,
                protocol=stated.protocol or job.protocol.name,
                split=stated.split or names_digest(table),
                code=f"agewise {agewise.__version__}",
            ),
        )
    _same_split(found)
    return found


def names_digest(table: Predictions) -> str:
    """Twelve hex digits that name which faces are in which fold, as `Plan.digest` makes them."""
    lines = sorted(f"{split}\t{name}" for split, name in zip(table.split, table.name, strict=True))
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()[:12]


def _same_split(found: _Collected) -> None:
    digests = {name: table.provenance.split for name, table in found.tables.items()}
    if len(set(digests.values())) > 1:
        listed = ", ".join(f"{name} {digest}" for name, digest in digests.items())
        found.notes.append(f"the tables are of different faces ({listed}): only comparisons are on the common ones")


def _from_pictures(job: Job, root: Path, progress: Callable[[int, int], None]) -> _Collected:
    records, dropped = read(job.protocol, root)
    plan = make_plan(job.protocol, records, job.chosen_part, job.store)
    if not plan.records:
        raise ValueError(f"{job.protocol.name} {job.chosen_part}: there are no faces to test on in {root}")
    found = _Collected(notes=list(plan.notes), dropped=dropped)
    stated = {"data": f"{job.protocol.name} {job.chosen_part}", "protocol": job.protocol.name, "split": plan.digest}
    folder = own.folder_of(root)
    if job.models:
        finder = FaceFinder(job.faces, job.protocol.tight)
        _predict(job, plan, folder, finder, found, progress)
    for template in job.commands:
        program = ForeignProgram(template)
        found.add(program.name, program(plan.records, folder, plan.fold_of.tolist()))
    for path in job.predictions:
        table = read_predictions(path)
        found.add(
            found.free_name(table.provenance.model, path), with_labels(table, plan.records, plan.fold_of.tolist())
        )
    code = f"agewise {agewise.__version__}"
    found.tables = {name: table.stating(**stated, code=code) for name, table in found.tables.items()}
    return found


def _predict(
    job: Job, plan: Plan, folder: Path, finder: FaceFinder, found: _Collected, progress: Callable[[int, int], None]
) -> None:
    """The tables of all models; those with a file a fold after the others."""
    whole = [name for name in job.models if FOLD not in name]
    folded = [name for name in job.models if FOLD in name]
    total = len(plan.records) * (bool(whole) + len(folded))
    if whole:
        estimators = [Estimator(name, level=job.level) for name in whole]
        tables = predict_all(
            plan.records,
            folder,
            estimators,
            finder,
            splits=plan.fold_of.tolist(),
            level=job.level,
            progress=lambda done: progress(done, total),
        )
        for estimator, table in zip(estimators, tables, strict=True):
            name = found.add(table.provenance.model, table, CardFacts.of(estimator.card))
            if job.stability:
                found.stability[name] = _stability(job, plan, folder, finder, estimator)
    for place, name in enumerate(folded):
        before = len(plan.records) * (bool(whole) + place)
        parts = []
        for fold in plan.folds:
            estimator = Estimator(name.replace(FOLD, fold.name.replace(" ", "-")), level=job.level)
            start = before + sum(map(len, parts))
            parts += predict_all(
                fold.test,
                folder,
                [estimator],
                finder,
                splits=[fold.name] * len(fold.test),
                level=job.level,
                progress=lambda done, start=start: progress(start + done, total),
            )
        table = concatenated(parts).stating(model=Path(name).name, notes=("a model a fold",))
        found.add(Path(name).name, table)


def _stability(job: Job, plan: Plan, folder: Path, finder: FaceFinder, estimator: Estimator) -> list[StabilityPoint]:
    """The curves of one model, on faces that have an age."""
    aged = [record for record in plan.records if record.age_years is not None]
    faces = list(found_faces(aged, folder, finder, job.stability))
    truths = np.array([record.age_years for record, _, _ in faces], dtype=np.float64)
    return stability(estimator, ((image, face) for _, image, face in faces), truths) if faces else []


# ---------------------------------------------------------------- files


def slug(name: str) -> str:
    """A name for a file.

    >>> slug("agewise-s 1.0.0"), slug("../ä b")
    ('agewise-s-1.0.0', 'b')
    """
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "model"


def _write_predictions(tables: Mapping[str, Predictions], folder: Path) -> dict[str, str]:
    """Write the tables before anything is made of them; gives the end of each one's file name."""
    folder.mkdir(parents=True, exist_ok=True)
    slugs: dict[str, str] = {}
    for place, name in enumerate(tables):
        file = slug(name)
        slugs[name] = file if file not in slugs.values() else f"{file}-{place}"
        write_predictions(tables[name], folder / f"predictions-{slugs[name]}.parquet")
    return slugs


def _write(
    result: Result, tables: Mapping[str, Predictions], slugs: Mapping[str, str], job: Job, folder: Path
) -> Result:
    plots = _draw(result, tables, slugs, job) if job.plots else {}
    for parts in plots.values():
        for plot in parts:
            plot.save(folder)
    files = [
        PlotFile(file=plot.name, title=plot.title, caption=plot.caption, model=model)
        for model, parts in plots.items()
        for plot in parts
    ]
    whole = dataclasses.replace(result, plots=tuple(files))
    write_result(whole, folder)
    write_report(whole, plots, folder / "report.html", job.runs)
    return whole


def _draw(
    result: Result, tables: Mapping[str, Predictions], slugs: Mapping[str, str], job: Job
) -> dict[str, Sequence[Plot]]:
    """The plots by model name; those of all models under ""."""
    root = own.folder_of(job.root) if job.root is not None and job.pictures else None
    curves = stability_curves({model.name: model.stability for model in result.models})
    plots: dict[str, Sequence[Plot]] = {"": [*plots_of_all(tables), *([curves] if curves else [])]}
    for place, (name, table) in enumerate(tables.items()):
        drawn = plots_of_one(name, table, place, classes=job.protocol.classes, root=root)
        plots[name] = [dataclasses.replace(plot, name=f"{_kind(plot)}-{slugs[name]}") for plot in drawn]
    return plots


def _kind(plot: Plot) -> str:
    """ "density-0" → "density": the place is the slug's now."""
    return plot.name.rpartition("-")[0]


__all__ = ["FOLD", "LABELS", "NONE", "Job", "names_digest", "run_job", "slug"]
