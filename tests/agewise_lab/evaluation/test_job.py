"""An evaluation from end to end on a dozen pictures, and what lies in its folder afterwards."""

from __future__ import annotations

import csv
import dataclasses
import html.parser
import json
import re
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from agewise.estimate import Estimator
from agewise.store import find_model
from agewise_lab.evaluation import tables
from agewise_lab.evaluation.job import Job, run_job, slug
from agewise_lab.evaluation.model_card import write_card
from agewise_lab.evaluation.perturbations import FAMILIES
from agewise_lab.evaluation.prediction_files import read_predictions, write_predictions
from agewise_lab.evaluation.predictions import Predictions, Provenance
from agewise_lab.evaluation.protocols import find_protocol
from agewise_lab.evaluation.result import Result, read_result, write_result

MODEL = f"agewise-s {Estimator('agewise-s').card.version}"  # as results name it
FILE = MODEL.replace(" ", "-")

PEER = """
import csv, sys
with open(sys.argv[2], "w") as file:
    file.write("path,age_years\\n")
    for row in list(csv.DictReader(open(sys.argv[1])))[2:]:
        file.write(f"{row['path']},33\\n")
"""


@pytest.fixture(scope="module")
def evaluated(
    tmp_path_factory: pytest.TempPathFactory, pictures: SimpleNamespace, store_folder: Path
) -> tuple[Result, Path]:
    """The embedded model and a program that says 33 of all but two faces, on 25 validation pictures."""
    folder = tmp_path_factory.mktemp("job")
    (folder / "peer.py").write_text(PEER)
    (folder / "curves.png").write_bytes(b"curves")
    job = Job(
        protocol=find_protocol("utkface"),
        root=pictures.root,
        store=store_folder,
        models=("agewise-s",),
        commands=(f"<peer>={sys.executable} {folder / 'peer.py'} {{input}} {{output}}",),
        runs=(folder, folder / "curves.png"),
        stability=3,
    )
    steps: list[tuple[int, int]] = []
    result = run_job(job, folder / "out", lambda done, whole: steps.append((done, whole)))
    assert steps == [(i, 25) for i in range(1, 26)]
    return result, folder / "out"


def test_what_the_result_says(evaluated: tuple[Result, Path], pictures: SimpleNamespace) -> None:
    result, folder = evaluated
    ours, peer = result.models
    assert (ours.name, peer.name) == (MODEL, "<peer>")
    assert (ours.faces, ours.found, peer.faces, peer.found, result.common) == (25, 25, 25, 23, 23)
    assert (result.protocol.name, result.protocol.part, result.data) == ("utkface", "validation", "utkface validation")
    assert len(result.split) == 12
    assert ours.provenance.crop == "the picture is the crop"
    assert ours.card is not None
    assert peer.card is None
    table = read_predictions(folder / f"predictions-{FILE}.parquet")
    assert set(table.name) == set(pictures.validation)
    assert table.provenance == ours.provenance
    mae = ours.figure("mae")
    assert mae is not None
    assert mae.value == pytest.approx(np.abs(table.years - table.truth).mean())
    assert len(ours.stability) == sum(len(family.levels) for family in FAMILIES)
    assert {point.count for point in ours.stability} == {3}
    assert peer.stability == ()
    (pair,) = result.comparisons
    known = np.isin(table.name, read_predictions(folder / "predictions-peer.parquet").name[2:])
    assert (pair.test.count, int(known.sum())) == (23, 23)
    assert pair.test.mae_b == pytest.approx(np.abs(33 - table.truth[known]).mean())


def test_what_lies_in_the_folder(evaluated: tuple[Result, Path]) -> None:
    result, folder = evaluated
    names = {path.name for path in folder.iterdir()}
    assert {"result.json", "figures.csv", "report.html", "predictions-peer.parquet"} <= names
    assert not [name for name in names if name.startswith(".")]
    for plot in result.plots:
        assert f"{plot.file}.png" in names
        assert (f"{plot.file}.svg" in names) == (not plot.file.startswith("mosaic"))
    assert {f"density-{FILE}", "mosaic-peer", "error-by-age", "stability"} <= {plot.file for plot in result.plots}
    rows = list(csv.DictReader((folder / "figures.csv").read_text().splitlines()))
    assert len(rows) == sum(len(model.figures) for model in result.models)
    first = next(row for row in rows if row["model"] == "<peer>" and row["measure"] == "found")
    assert (first["value"], first["count"], first["unit"]) == ("0.92", "25", "share")


def test_a_result_is_read_as_it_was_written(evaluated: tuple[Result, Path], tmp_path: Path) -> None:
    result, folder = evaluated
    again = read_result(folder)
    assert repr(again) == repr(result)  # NaN is never equal to itself
    assert repr(read_result(folder / "result.json")) == repr(result)
    stated = json.loads((folder / "result.json").read_text())
    assert stated["agewise_result"] == 1
    for text, message in (
        ("{}", "is no result of `agewise-lab evaluate`"),
        ("[]", "is no result"),
        ("x", "is no result"),
        (json.dumps(stated | {"agewise_result": 2}), "of version 2, expected 1"),
        (json.dumps({key: value for key, value in stated.items() if key != "notes"}), "is damaged"),
    ):
        (tmp_path / "result.json").write_text(text)
        with pytest.raises(ValueError, match=message):
            read_result(tmp_path)


class _Page(html.parser.HTMLParser):
    """Which tags a page has, what it loads, and its text; open tags must be closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.sources: list[str] = []
        self.tags: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.sources += [value or "" for key, value in attrs if key in ("src", "href")]
        if tag not in ("meta", "img", "br", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_report_stands_alone(evaluated: tuple[Result, Path]) -> None:
    result, folder = evaluated
    text = (folder / "report.html").read_text(encoding="utf-8")
    page = _Page()
    page.feed(text)
    assert page.open == []
    assert not page.tags & {"script", "link", "iframe"}
    assert "url(" not in text
    assert "@import" not in text
    for source in page.sources:
        assert source.startswith(("data:image/png;base64,", "#", "file://")), source[:60]
    # The picture of the curves is in the run's folder, and was named itself.
    assert len([s for s in page.sources if s.startswith("data:")]) == len(result.plots) + 2
    assert text.count("data:image/png;base64,Y3VydmVz") == 2
    ids = set(re.findall(r'id="([^"]+)"', text))
    assert {source[1:] for source in page.sources if source.startswith("#")} <= ids
    assert '<meta name="viewport"' in text
    # The program's name is a tag if it is not escaped.
    assert "<peer>" in page.text
    assert "&lt;peer&gt;" in text
    for words in ("utkface validation", result.split, "14-17 taken for 18+", "JPEG of quality 60", "not who"):
        assert words in page.text, words
    assert "<peer>: 2 of 25 faces were not found" in page.text
    assert "Challenge 25" in page.text or "Over 18" in page.text


def test_the_card(evaluated: tuple[Result, Path], tmp_path: Path) -> None:
    result, folder = evaluated
    output = tmp_path / "MODEL_CARD.md"
    write_card([(folder, result)], output, MODEL)
    text = output.read_text(encoding="utf-8")
    for heading in (f"# Model card: {MODEL}", "## Intended use", "## Limits", "## Data", "## Figures"):
        assert f"\n{heading}\n" in "\n" + text
    assert "a label\n  from pictures, not who someone is" in text
    assert "research only" in text
    card = result.models[0].card
    assert card is not None
    assert card.licence_weights in text
    assert result.models[0].provenance.model_sha256 in text
    links = re.findall(r"!\[[^]]*\]\(([^)]+)\)", text)
    assert links
    assert all(link.startswith("MODEL_CARD/") and (tmp_path / link).is_file() for link in links)
    assert not any("mosaic" in link or "peer" in link for link in links)
    with pytest.raises(ValueError, match=f"has several models: name one of {MODEL}, <peer> with --model"):
        write_card([(folder, result)], output)
    with pytest.raises(ValueError, match=f"unknown model 'agewise-s': did you mean '{MODEL}'"):
        write_card([(folder, result)], output, "agewise-s")


def test_plots_below_the_cards_folder_are_linked_and_those_of_two_results_kept_apart(
    evaluated: tuple[Result, Path], tmp_path: Path
) -> None:
    result, folder = evaluated
    shutil.copytree(folder, tmp_path / "there")
    write_card([(tmp_path / "there", result)], tmp_path / "card.md", MODEL)
    assert "](there/" in (tmp_path / "card.md").read_text()
    assert not (tmp_path / "card").exists()
    (tmp_path / "other").mkdir()
    write_card([(folder, result), (folder, result)], tmp_path / "other" / "card.md", MODEL)
    links = re.findall(r"!\[[^]]*\]\(([^)]+)\)", (tmp_path / "other" / "card.md").read_text())
    assert len(set(links)) == len(links)
    assert all((tmp_path / "other" / link).is_file() for link in links)


def test_a_card_of_two_results_needs_one_model(evaluated: tuple[Result, Path], tmp_path: Path) -> None:
    result, folder = evaluated
    first, second = (dataclasses.replace(result, models=(model,)) for model in result.models)
    with pytest.raises(ValueError, match=f"the results are of <peer>, {MODEL}: name one"):
        write_card([(folder, first), (folder, second)], tmp_path / "card.md")
    write_card([(folder, second)], tmp_path / "card.md")
    assert "What the model was trained on is not stated" in (tmp_path / "card.md").read_text()


# ---------------------------------------------------------------- other ways in


def _table(**changes: object) -> Predictions:
    rng = np.random.default_rng(0)
    truth = rng.integers(10, 60, 40).astype(float)
    columns: dict[str, object] = {
        "name": [f"{i}.jpg" for i in range(40)],
        "truth": truth,
        "years": truth + rng.normal(0, 3, 40),
    }
    return Predictions.of(columns | changes, provenance=Provenance(model="m"))  # type: ignore[arg-type]


def test_tables_with_their_own_labels(tmp_path: Path) -> None:
    write_predictions(_table(), tmp_path / "one.parquet")
    write_predictions(_table(), tmp_path / "two.parquet")
    both = (tmp_path / "one.parquet", tmp_path / "two.parquet")
    job = Job(protocol=find_protocol("own"), predictions=both, plots=False)
    result = run_job(job, tmp_path / "out")
    assert [model.name for model in result.models] == ["m", "m, two"]
    assert result.comparisons[0].test.difference == 0
    assert result.data == "one.parquet"
    assert result.plots == ()
    assert {path.suffix for path in (tmp_path / "out").iterdir()} == {".parquet", ".json", ".csv", ".html"}
    assert result.notes == ()


def test_tables_of_different_faces_are_told(tmp_path: Path) -> None:
    write_predictions(_table(), tmp_path / "one.parquet")
    write_predictions(_table().select(np.arange(30)), tmp_path / "two.parquet")
    both = (tmp_path / "one.parquet", tmp_path / "two.parquet")
    job = Job(protocol=find_protocol("own"), predictions=both, plots=False)
    result = run_job(job, tmp_path / "out")
    assert result.common == 30
    assert result.notes[0].startswith("the tables are of different faces (m ")


def test_labels_from_the_data_set_and_ages_from_a_csv(
    tmp_path: Path, pictures: SimpleNamespace, store_folder: Path
) -> None:
    lines = ["file,predicted_age", *(f"{name},30" for name in pictures.holdout)]
    (tmp_path / "theirs.csv").write_text("\n".join(lines) + "\n")
    job = Job(
        protocol=find_protocol("utkface"),
        part="holdout",
        root=pictures.root,
        store=store_folder,
        predictions=(tmp_path / "theirs.csv",),
        plots=False,
    )
    (model,) = run_job(job, tmp_path / "out").models
    truths = np.array([float(name.split("_")[0]) for name in pictures.holdout])
    mae = model.figure("mae")
    assert mae is not None
    assert (model.name, mae.count, mae.value) == ("theirs", 5, pytest.approx(np.abs(truths - 30).mean()))


def test_a_model_a_fold(tmp_path: Path, pictures: SimpleNamespace) -> None:
    for name in pictures.train[:6]:
        (tmp_path / "root").mkdir(exist_ok=True)
        (tmp_path / "root" / name).write_bytes((pictures.root / name).read_bytes())
    for k in range(5):
        (tmp_path / f"m-fold-{k}.onnx").write_bytes(find_model("agewise-s").data)
    job = Job(
        protocol=find_protocol("utkface-folds"),
        root=tmp_path / "root",
        models=(str(tmp_path / "m-{fold}.onnx"), "agewise-s"),
        plots=False,
    )
    result = run_job(job, tmp_path / "out")
    by_name = {model.name: model for model in result.models}
    folded, whole = by_name["m-{fold}.onnx"], by_name[MODEL]
    assert folded.figure("mae") == whole.figure("mae")
    assert folded.provenance.notes == ("a model a fold",)
    assert folded.headlines[0].folds > 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "name a model, a --command or a file of --predictions"),
        ({"models": ("agewise-s",)}, "name the data set's folder with --root"),
        ({"predictions": ("bare.csv",)}, "holds no labels"),
        ({"predictions": ("nan.csv",)}, "bare of labels|holds no labels"),
        ({"predictions": ("twice.parquet",)}, "2 faces are named twice|1 faces are named twice"),
    ],
)
def test_what_cannot_be_evaluated(tmp_path: Path, changes: dict[str, tuple[str, ...]], message: str) -> None:
    (tmp_path / "bare.csv").write_text("name,years\na,3\n")
    (tmp_path / "nan.csv").write_text("name,years,truth\na,3,nan\nb,nan,\n")
    write_predictions(_table().select(np.array([0, 0])), tmp_path / "twice.parquet")
    fields = {
        key: tuple(tmp_path / v for v in values) if key == "predictions" else values for key, values in changes.items()
    }
    with pytest.raises(ValueError, match=message):
        run_job(Job(protocol=find_protocol("own"), **fields), tmp_path / "out")  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


def test_an_output_that_is_a_file(tmp_path: Path) -> None:
    write_predictions(_table(), tmp_path / "one.parquet")
    job = Job(protocol=find_protocol("own"), predictions=(tmp_path / "one.parquet",), plots=False)
    with pytest.raises(ValueError, match="is a file: name a folder"):
        run_job(job, tmp_path / "one.parquet")


def test_pictures_without_a_face_are_counted(tmp_path: Path, pictures: SimpleNamespace) -> None:
    for name in pictures.train[:4]:
        (tmp_path / "root").mkdir(exist_ok=True)
        (tmp_path / "root" / name).write_bytes((pictures.root / name).read_bytes())
    job = Job(protocol=find_protocol("own"), root=tmp_path / "root", models=("agewise-s",), faces="mtcnn")
    result = run_job(job, tmp_path / "out")
    (model,) = result.models
    assert (model.faces, model.found, result.common) == (4, 0, 0)
    assert "4 of 4 faces were not found" in (tmp_path / "out" / "report.html").read_text()
    write_result(result, tmp_path)
    assert repr(read_result(tmp_path)) == repr(result)


def test_names_of_files() -> None:
    assert [slug(name) for name in ("a b/c", "..", "ä", "x_1.0")] == ["a-b-c", "model", "model", "x_1.0"]


# ---------------------------------------------------------------- tables as words


def test_tables_show_intervals_and_mark_few_faces(evaluated: tuple[Result, Path]) -> None:
    result, _ = evaluated
    table = tables.by_subset(result.models[0], ["all", "female", "no such"])
    assert [row[:2] for row in table.rows] == [("all", "25"), ("female", "13")] or table.rows[0][1] == "25"
    assert table.weak == (True, True)
    assert re.fullmatch(r"\d+\.\d\d \[\d+\.\d\d to \d+\.\d\d\]", table.rows[0][2])
    text = tables.as_text(table)
    assert all(line.endswith(" *") for line in text.splitlines()[-2:])
    markdown = tables.as_markdown(table)
    assert markdown.splitlines()[2].startswith("| all * | 25 | ")
    assert len({line.count("|") for line in markdown.splitlines()}) == 1


def test_text_tables_are_aligned() -> None:
    table = tables.Table(heading=("a", "a long heading"), rows=(("日本", "1"), ("x", "22")), weak=(False, True))
    assert tables.as_text(table, heading_width=7).splitlines() == [
        "       a long",
        "a     heading",
        "日本        1",
        "x          22 *",
    ]
