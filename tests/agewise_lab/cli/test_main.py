"""The laboratory's commands, from data to figures, and what they say when something is wrong."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner, Result

from agewise.estimate import Estimator
from agewise_lab import recipes
from agewise_lab.cli.main import app, main
from agewise_lab.export import measured as measured_module
from agewise_lab.export import release as release_module
from agewise_lab.training.config import TrainConfig

MODEL = f"agewise-s {Estimator('agewise-s').card.version}"  # as results name it

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:lightning")


def _run(*words: object) -> Result:
    return CliRunner().invoke(
        app, [str(word) for word in words], env={"NO_COLOR": "1", "COLUMNS": "200", "TERM": "dumb"}
    )


def _main(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    """The exit status of the entry point itself."""
    monkeypatch.setattr(sys, "argv", ["agewise-lab", *map(str, words)])
    with pytest.raises(SystemExit) as done:
        main()
    assert isinstance(done.value.code, int)
    return done.value.code


@pytest.fixture(autouse=True)
def few_degraded_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    """A release tries degraded copies of many faces; one face is enough here."""
    monkeypatch.setattr(measured_module, "_DEGRADED", 1)


@pytest.fixture
def tiny_recipe(monkeypatch: pytest.MonkeyPatch, make_config: Callable[..., TrainConfig]) -> None:
    def recipe() -> TrainConfig:
        """A recipe of seconds.

        It is for tests.
        """
        return make_config(epochs=1)

    monkeypatch.setitem(recipes.RECIPES, "tiny", recipe)


@pytest.mark.parametrize("words", [("recipes",), ("recipes", "list")])
def test_recipes_are_listed_with_what_they_are(words: tuple[str, ...]) -> None:
    result = _run(*words)
    assert result.exit_code == 0
    lines = dict(line.split("\t") for line in result.stdout.splitlines())
    assert set(lines) == {*recipes.RECIPES, *recipes.STUDIES}
    assert lines["agewise-s"].startswith("The run that made agewise-s 1")
    assert lines["ssrnet-sweep"].startswith("A study of 25 runs")


def test_a_recipe_is_shown_as_the_settings_that_train_takes() -> None:
    lines = _run("recipes", "show", "ssrnet-imdb").stdout.splitlines()
    assert 'nets.0.architecture.backbone="ssrnet"' in lines
    assert "epochs=90" in lines
    assert _run("recipes", "show", "lmtcnn-2-1-adience").stdout.splitlines() == [
        f"lmtcnn-2-1-fold-{k}" for k in range(5)
    ]


@pytest.mark.usefixtures("tiny_recipe")
def test_settings_can_be_changed_and_a_run_be_drawn(tmp_path: Path, store_folder: Path) -> None:
    run = tmp_path / "run"
    words = ("train", "tiny", "batch=4", "nets.tiny.learning_rate=0.01", "augment.flip=0")
    result = _run(*words, "--store", store_folder, "--output", run, "--workers", 0)
    assert result.exit_code == 0, result.output
    config = json.loads((run / "run.json").read_text())["config"]
    assert (config["batch"], config["nets"][0]["learning_rate"], config["augment"]["flip"]) == (4, 0.01, 0.0)
    result = _run("plot", run, run, "--output", tmp_path / "both.png")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "both.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.usefixtures("tiny_recipe")
def test_train_then_release(
    tmp_path: Path, store_folder: Path, pictures: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    result = _run("train", "tiny", "--store", store_folder, "--output", run, "--workers", 0)
    assert result.exit_code == 0, result.output
    assert (run / "last.ckpt").is_file()

    card = Estimator().card.model_copy(update={"name": "x"})

    def fake(net: object, *_: object) -> bytes:  # the real one is shown in test_release
        return recipes.find_recipe("tiny").name.encode()

    monkeypatch.setattr(release_module, "release", fake)
    monkeypatch.setattr(release_module, "face_crops", lambda *_: None)
    monkeypatch.setattr(release_module, "largest_difference", lambda *_: 0.0)
    monkeypatch.setattr(release_module, "OnnxEngine", lambda data: None)
    monkeypatch.setattr(release_module, "Estimator", lambda engine: SimpleNamespace(card=card))
    result = _run("release", run, "--store", store_folder, "--root", pictures.root, "--output", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert f"{tmp_path / 'out' / 'x.onnx'}: 4 bytes" in result.stdout


def test_evaluate(tmp_path: Path, store_folder: Path, pictures: SimpleNamespace) -> None:
    output = tmp_path / "figures"
    result = _run(
        *("evaluate", "agewise-s", "--root", pictures.root, "--store", store_folder),
        *("--part", "holdout", "--output", output, "--no-plots"),
    )
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("utkface holdout, split ")
    (first,) = [line.split() for line in result.stdout.splitlines() if line.startswith(f"{MODEL}  ")]
    assert first[2:4] == ["5", "5"]
    stated = json.loads((output / "result.json").read_text())
    (model,) = stated["models"]
    (mae,) = [one for one in model["headlines"] if one["measure"] == "mae"]
    assert mae["value"] == pytest.approx(float(first[5]), abs=0.006)
    assert result.stdout.splitlines()[-1] == str(output / "report.html")
    assert [path.name for path in tmp_path.iterdir()] == ["figures"]

    card = tmp_path / "MODEL_CARD.md"
    result = _run("card", output, "--output", card)
    assert (result.exit_code, result.stdout) == (0, f"{card}\n")
    assert card.read_text().startswith(f"# Model card: {MODEL}\n")


def test_evaluate_through_a_detector(store_folder: Path, pictures: SimpleNamespace) -> None:
    result = _run("evaluate", "agewise-s", "--root", pictures.root, "--store", store_folder, "--detector", "mtcnn")
    assert result.exit_code == 0, result.output
    # Of the 25 pictures one is of a face.
    (first,) = [line.split() for line in result.stdout.splitlines() if line.startswith(f"{MODEL}  ")]
    assert first[2:4] == ["25", "1"]


def test_evaluate_what_somebody_has_predicted(tmp_path: Path) -> None:
    (tmp_path / "theirs.csv").write_text("path,age,predicted_age\na.jpg,20,23\nb.jpg,30,29\n")
    result = _run("evaluate", "--protocol", "own", "--predictions", tmp_path / "theirs.csv")
    assert result.exit_code == 0, result.output
    (first,) = [line.split() for line in result.stdout.splitlines() if line.startswith("theirs  ")]
    assert first[1:5] == ["2", "2", "0", "2.00"]
    assert [path.name for path in tmp_path.iterdir()] == ["theirs.csv"]


def test_protocols_are_listed_with_their_parts() -> None:
    lines = [line.split("\t") for line in _run("protocols").stdout.splitlines()]
    assert lines[0][:2] == ["utkface", "test, validation, holdout"]
    assert len(lines) >= 15


# ---------------------------------------------------------------- what is wrong


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("train", "agewise-z", "--store", "x", "--output", "y"),
            "unknown recipe 'agewise-z': did you mean 'agewise-s'?",
        ),
        (("train", "agewise-s"), "Missing option '--store'"),
        (("evaluate", "agewise-s", "--protocol", "adiense"), "unknown protocol 'adiense': did you mean 'adience'?"),
        (
            ("train", "agewise-s", "epoch=3", "--store", "x", "--output", "y"),
            "unknown setting 'epoch': did you mean 'epochs'? Known: name, nets.0.name",
        ),
        (("train", "agewise-s", "--resume", "--store", "x", "--output", "y"), "y holds no run to go on with"),
        (("recipes", "show", "agewise-z"), "unknown recipe 'agewise-z': did you mean 'agewise-s'?"),
        (("fly",), "No such command 'fly'"),
    ],
)
def test_what_is_typed_wrong_is_a_matter_of_usage(words: tuple[str, ...], message: str) -> None:
    result = _run(*words)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split()).replace(" │ │ ", " ")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("train", "agewise-s", "--store", "none", "--output", "run"), "none is no crop store: make one with"),
        (("plot", "none", "--output", "f.png"), "none holds no logs of a run"),
        (("release", "none", "--store", "STORE", "--root", "ROOT", "--output", "out"), "none holds no run"),
        (("evaluate", "agewise-z", "--root", "ROOT", "--store", "STORE"), "unknown model 'agewise-z': did you mean"),
        (
            ("evaluate", "agewise-s", "--root", "ROOT", "--store", "STORE", "--part", "train"),
            "unknown part of utkface 'train': Known: test, validation, holdout",
        ),
        (
            ("evaluate", "agewise-s", "--root", "ROOT", "--store", "STORE", "--detector", "mtcn"),
            "unknown detector 'mtcn': did you mean 'mtcnn'?",
        ),
        (("evaluate", "agewise-s", "--root", "ROOT", "--part", "holdout"), "name one with --store"),
        (("evaluate", "--root", "ROOT"), "there is nothing to evaluate"),
        (("evaluate", "--protocol", "own", "--predictions", "gone.csv"), "gone.csv"),
        (("card", "none", "--output", "card.md"), "No such file"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    words: tuple[str, ...],
    message: str,
    tmp_path: Path,
    store_folder: Path,
    pictures: SimpleNamespace,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    places = {"STORE": str(store_folder), "ROOT": str(pictures.root)}
    assert _main(monkeypatch, *(places.get(word, word) for word in words)) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("agewise-lab: ")
    assert message in line
    assert list(tmp_path.iterdir()) == []


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name in [name for name in sys.modules if name.startswith("agewise_lab.training.run")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "lightning", None)  # importing it fails as if it were not installed
    assert _main(monkeypatch, "train", "agewise-s", "--store", "none", "--output", "run") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "agewise-lab: this command uses lightning, which needs the extra 'lab': pip install 'agewise[lab]'"


def test_a_fault_of_our_own_is_not_called_a_missing_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise ModuleNotFoundError("No module named 'agewise_lab.gone'", name="agewise_lab.gone")

    monkeypatch.setattr("agewise_lab.cli.main.app", broken)
    with pytest.raises(ModuleNotFoundError):
        main()
