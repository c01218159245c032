"""Mistakes in the command, what is missing, help, and what starting costs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import agewise
from agewise.cli import main as main_module

Cli = Callable[..., Any]
MakePicture = Callable[..., Path]


def test_version(cli: Cli) -> None:
    assert cli("--version").out == f"agewise {agewise.__version__}\n"


def test_nothing_prints_help(cli: Cli) -> None:
    done = cli()
    assert (done.status, done.err) == (0, "")
    assert done.out == cli("--help").out
    for command in ("predict", "models", "detectors"):
        assert f"\n  {command} " in done.out


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["predit"], ["predit", "see agewise --help"]),
        (["predict"], ["SOURCE", "see agewise predict --help"]),
        (["predict", "a.jpg", "--modle", "x"], ["--modle", "--model"]),
        (["predict", "a.jpg", "--threads"], ["--threads", "requires an argument"]),
        (["predict", "a.jpg", "--threads", "-1"], ["--threads"]),
        (["predict", "a.jpg", "--min-face", "0"], ["--min-face"]),
        (["predict", "a.jpg", "--min-face", "many"], ["--min-face", "integer"]),
        (["predict", "a.jpg", "--max-faces", "0"], ["--max-faces"]),
        (["predict", "a.jpg", "--batch", "0"], ["--batch"]),
        (["predict", "a.jpg", "--max-megapixels", "nan"], ["--max-megapixels", "nan"]),
        (["predict", "a.jpg", "--max-megapixels", "0"], ["--max-megapixels must be above 0, got 0"]),
        (["predict", "a.jpg", "--model", "agewise-x"], ["agewise-x", "did you mean 'agewise-s'", "path to an .onnx"]),
        (["predict", "a.jpg", "--model", "missing.onnx"], ["missing.onnx", "give a path"]),
        (["predict", "a.jpg", "--detector", "mtcn"], ["'mtcn'", "did you mean 'mtcnn'"]),
        (["predict", "a.jpg", "--min-face", "2"], ["min_face", "12"]),  # less than mtcnn can do
        (["predict", "a.jpg", "--output", "out.xlsx"], ["out.xlsx", ".jsonl, .csv, .parquet"]),
        (["models", "shw"], ["shw", "see agewise models --help"]),
        (["models", "show", "agewise-x"], ["did you mean 'agewise-s'"]),
        (["detectors", "mtcnn"], ["mtcnn", "see agewise detectors --help"]),
    ],
)
def test_mistakes_are_one_line_and_exit_2(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], parts: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    done = cli(*arguments)
    assert (done.status, done.out) == (2, "")
    (line,) = done.lines
    assert line.startswith("agewise: ")
    assert [part for part in parts if part not in line] == []
    assert os.listdir(tmp_path) == []


def test_a_damaged_model_is_refused_with_a_reason(
    cli: Cli, tmp_path: Path, make_picture: MakePicture, make_onnx: Callable[..., bytes]
) -> None:
    picture, path = make_picture("a.png"), tmp_path / "odd.onnx"
    golden = {"seed": 7, "age_years": 3.0, "age_std_years": 0.0, "probability_female": 0.5}
    for data, reason in (
        (b"no model", "not a model that ONNX Runtime"),
        (make_onnx()[:200], "not a model that ONNX Runtime"),
        (make_onnx({}), "no agewise card"),
        (make_onnx({"agewise_card": '{"card_version": 9}'}), "version 9"),
        (make_onnx(golden=golden), "does not answer as its card promises"),
    ):
        path.write_bytes(data)
        done = cli("predict", picture, "--model", path, "--output", tmp_path / "out.csv", "--draw", tmp_path / "drawn")
        assert (done.status, done.out, len(done.lines)) == (1, "", 1)
        assert reason in done.err
    assert sorted(os.listdir(tmp_path)) == ["a.png", "odd.onnx"], "nothing was begun"


def test_a_missing_extra_names_the_command(
    predict: Cli, make_picture: MakePicture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from agewise.sinks import parquet_table

    monkeypatch.setattr(parquet_table.importlib.util, "find_spec", lambda _: None)
    done = predict(make_picture("a.png"), "--output", "out.parquet")
    assert (done.status, done.out) == (1, "")
    assert done.lines == ["agewise: writing Parquet needs the extra 'parquet': pip install 'agewise[parquet]'"]


@pytest.mark.parametrize("switch", ["flag", "variable", "variable off"])
def test_debug_shows_tracebacks(predict: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, switch: str) -> None:
    if switch != "flag":
        monkeypatch.setenv("AGEWISE_DEBUG", "1" if switch == "variable" else "0")
    flags = ["--debug"] if switch == "flag" else []
    for arguments in (["missing.jpg"], ["missing.jpg", "--output", "out.xlsx"]):
        done = predict(*arguments, *flags)
        assert ("Traceback" in done.err) is (switch != "variable off")
        assert done.lines[-1].startswith("agewise: ") or done.lines[0].startswith("agewise: ")


def test_a_fault_of_our_own_is_a_line(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise KeyError("oh\nno")

    monkeypatch.setattr(main_module.typer.main, "get_command", fail)
    done = cli("detectors")
    assert (done.status, len(done.lines)) == (1, 1)
    assert "unexpected KeyError" in done.err
    assert "--debug" in done.err


def child(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(Path(agewise.__file__).resolve().parents[1])}
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment)


LOADED = """
import sys
from agewise.cli.main import main
main(sys.argv[1:])
sys.stdout.flush()
print([name for name in ("numpy", "cv2", "onnxruntime", "PIL", "pydantic", "rich", "pyarrow") if name in sys.modules])
"""


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["predict", "--help"], ["predict", "--modle", "x"]])
def test_what_needs_no_picture_loads_no_library(arguments: list[str]) -> None:
    loaded = child(LOADED, *arguments).stdout.splitlines()[-1]
    assert loaded in ("[]", "['pydantic']")  # Typer may use it for numbers


def test_a_piped_run_loads_neither_rich_nor_pyarrow(onnx_path: Path, make_picture: MakePicture) -> None:
    done = child(LOADED, "predict", str(make_picture("a.png")), "--model", str(onnx_path), "--detector", "none")
    assert done.stdout.splitlines()[-1] == "['numpy', 'cv2', 'onnxruntime', 'PIL', 'pydantic']"
