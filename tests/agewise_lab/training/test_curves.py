"""Training curves: read over all parts of a run, and drawn."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from agewise_lab.training.curves import Curves, plot_runs, read_run


def _log(folder: Path, name: str, rows: list[str]) -> None:
    (folder / name).mkdir(parents=True)
    (folder / name / "metrics.csv").write_text("\n".join(["epoch,step,net/whole_mae,net/train_loss", *rows]) + "\n")


def test_a_run_is_read_over_its_parts_and_the_later_one_counts(tmp_path: Path) -> None:
    run = tmp_path / "mine"
    _log(run, "logs", ["0,4,,9.0", "0,4,20.0,", "1,8,,8.0"])
    _log(run, "logs-2", ["1,8,,7.5", "1,8,15.0,"])
    _log(run, "logs-10", ["2,12,12.0,"])
    curves = read_run(run)
    assert curves.name == "mine"
    assert curves.values == {
        "net/whole_mae": [(1, 20.0), (2, 15.0), (3, 12.0)],
        "net/train_loss": [(1, 9.0), (2, 7.5)],
    }


def test_a_folder_without_logs(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="holds no logs of a run"):
        read_run(tmp_path)


def _panels(path: Path) -> int:
    image = cv2.imread(str(path))
    assert image is not None
    assert len(np.unique(image.reshape(-1, 3), axis=0)) > 20
    return round(image.shape[1] / (5.6 * 110))


def test_pictures_have_a_panel_for_what_there_is(tmp_path: Path) -> None:
    age = {"a/whole_mae": [(1, 9.0), (2, 7.0)], "a/train_mae": [(1, 8.0), (2, 6.0)]}
    gender = {"b/whole_gender": [(1, 0.8), (2, 0.9)]}
    plot_runs([Curves("a", age)], tmp_path / "one.png")  # type: ignore[arg-type]
    assert _panels(tmp_path / "one.png") == 1
    plot_runs([Curves("a", age), Curves("b", gender)], tmp_path / "two.png")  # type: ignore[arg-type]
    assert _panels(tmp_path / "two.png") == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.png", "two.png"]


def test_losses_of_several_runs_are_not_set_side_by_side(tmp_path: Path) -> None:
    run = Curves("a", {"a/whole_mae": [(1, 9.0), (2, 7.0)], "a/train_loss": [(1, 3.0), (2, 2.0)]})
    plot_runs([run], tmp_path / "one.png")
    plot_runs([run, run], tmp_path / "two.png")
    plot_runs([Curves("b", {"b/train_loss": [(1, 3.0)]})] * 2, tmp_path / "losses.png")
    assert [_panels(tmp_path / f"{name}.png") for name in ("one", "two", "losses")] == [2, 1, 1]


def test_nothing_to_draw(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nothing to draw"):
        plot_runs([Curves("a", {})], tmp_path / "none.png")
    assert list(tmp_path.iterdir()) == []
