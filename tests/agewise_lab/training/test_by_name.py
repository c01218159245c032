"""Runs of networks by name: resumed to the bit, stopped early, broken, started from others, in two processes."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from agewise import decode
from agewise_lab.architectures.base import AgeGenderNet, Apart
from agewise_lab.export.onnx_model import to_onnx
from agewise_lab.export.release import load_net
from agewise_lab.heads.ordinal import OrdinalHead
from agewise_lab.losses.ordinal import threshold_importance
from agewise_lab.store.crops import CropStore
from agewise_lab.store.split import Split
from agewise_lab.training import data
from agewise_lab.training.config import (
    HeadConfig,
    ModelConfig,
    NetConfig,
    OptimizerConfig,
    ScheduleConfig,
    TrainConfig,
)
from agewise_lab.training.data import Batch, PlainBatches
from agewise_lab.training.learners import Answer, HeadsLearner, Mixed
from agewise_lab.training.networks import StoredNetwork, make_network, start_from_file
from agewise_lab.training.run import train
from agewise_lab.training.teacher import with_teacher

MakeConfig = Callable[..., TrainConfig]

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:lightning")

SPLIT = Split(np.arange(32), np.arange(32, 40), np.arange(40, 44))


def model(age: str | None = "dldl", gender: str | None = "binary", **options: Any) -> ModelConfig:
    # Three stages: PyTorch 2.13's gradient of a bf16 convolution over a single pixel, channels last, is not defined.
    return ModelConfig(
        backbone="agewise-s",
        size=16,
        options={"stem": 4, "widths": (4, 8, 12), "depths": (1, 1, 1), **options},
        age=None if age is None else HeadConfig(name=age),
        gender=None if gender is None else HeadConfig(name=gender, weight=0.5),
    )


@pytest.fixture(scope="module")
def store(make_store: Callable[..., CropStore]) -> CropStore:
    return make_store(44)


@pytest.fixture
def run_config(make_config: MakeConfig) -> Callable[..., TrainConfig]:
    def build(of: ModelConfig | None = None, **changes: Any) -> TrainConfig:
        net = NetConfig(name="net", architecture=of or model(), learning_rate=changes.pop("learning_rate", 1e-2))
        return make_config(**({"nets": (net,), "check_every": 1, "epochs": 3} | changes))

    return build


def _train(config: TrainConfig, store: CropStore, folder: Path) -> dict[str, torch.Tensor]:
    return train(config, store, SPLIT, folder, threads=1, workers=0).state_dict()


def _metrics(folder: Path) -> list[dict[str, str]]:
    with (folder / "logs" / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


class PowerCutError(Exception):
    """What interrupts a run here."""


@pytest.mark.parametrize(
    "changes",
    [
        {
            "optimizer": OptimizerConfig(name="sgd", nesterov=True),
            "schedule": ScheduleConfig(name="plateau", patience=0, factor=0.5),
            "monitor": "net/whole_cs5",  # does not rise each time: the rate falls
            "ema": 0.0,
            "task_weights": "uncertainty",
        },
        {"optimizer": OptimizerConfig(name="adam"), "schedule": ScheduleConfig(name="step", milestones=(0.5,))},
        {"schedule": ScheduleConfig(name="cosine"), "precision": "32-true"},
    ],
    ids=["sgd-plateau", "adam-step", "adamw-cosine"],
)
def test_an_interrupted_run_ends_as_if_it_had_not_been(
    tmp_path: Path,
    store: CropStore,
    run_config: Callable[..., TrainConfig],
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Any],
) -> None:
    config = run_config(**changes)
    whole = _train(config, store, tmp_path / "whole")
    original = data.TrainBatches.__getitem__

    def broken(self: data.TrainBatches, step: int) -> Batch:
        if (self._epoch, step) == (2, 1):
            raise PowerCutError
        return original(self, step)

    with monkeypatch.context() as patch:
        patch.setattr(data.TrainBatches, "__getitem__", broken)
        with pytest.raises(PowerCutError):
            _train(config, store, tmp_path / "cut")
    resumed = _train(config, store, tmp_path / "cut")
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)
    ends = [json.loads((tmp_path / run / "run.json").read_text())["ended"] for run in ("whole", "cut")]
    assert ends[0] == ends[1]
    if config.schedule.name == "plateau":
        assert ends[0]["figures"]["net/learning_rate"] < 1e-2


def test_what_a_run_tells_of_itself(tmp_path: Path, store: CropStore, run_config: Callable[..., TrainConfig]) -> None:
    module = train(run_config(), store, SPLIT, tmp_path, threads=1, workers=0)
    about = json.loads((tmp_path / "run.json").read_text())
    assert set(about) == {"config", "split", "origins", "count", "versions", "git", "precision", "ended"}
    assert {"torch", "lightning", "numpy", "agewise", "python"} <= set(about["versions"])
    assert about["config"]["seed"] == 1
    end = about["ended"]
    assert (end["epochs"], end["monitored"]) == (3, "net/whole_mae")
    checked = [float(row["net/whole_mae"]) for row in _metrics(tmp_path) if row["net/whole_mae"]]
    assert end["best"] == pytest.approx(min(checked), abs=1e-4)
    assert end["figures"]["net/whole_mae"] == pytest.approx(checked[-1], abs=1e-4)
    # The figure is of the weights in the checkpoint, decoded as agewise decodes.
    net = module.nets["net"].eval()
    assert isinstance(net, AgeGenderNet)
    batch = PlainBatches(store, SPLIT.validation, 16, 64)[0]
    with torch.inference_mode():
        outputs = net.served(net.input.normalise(batch["image"]))
    years = decode.decode_ages({name: value.numpy() for name, value in outputs.items()}, net.age_head.decoding).years
    assert np.abs(years - batch["age"].numpy()).mean() == pytest.approx(checked[-1], rel=0.03)  # bfloat16 there
    best = torch.load(tmp_path / "best.ckpt", weights_only=True)
    assert best["epoch"] == int(np.argmin(checked))


@pytest.mark.parametrize(("figure", "choose"), [("cs5", np.argmax), ("loss", np.argmin), ("gender_error", np.argmin)])
def test_the_best_checkpoint_is_of_the_best_figure(
    tmp_path: Path,
    store: CropStore,
    run_config: Callable[..., TrainConfig],
    figure: str,
    choose: Callable[[list[float]], np.intp],
) -> None:
    train(run_config(monitor=f"net/whole_{figure}", epochs=4), store, SPLIT, tmp_path, threads=1, workers=0)
    checked = [float(row[f"net/whole_{figure}"]) for row in _metrics(tmp_path) if row[f"net/whole_{figure}"]]
    best = torch.load(tmp_path / "best.ckpt", weights_only=True)
    assert checked[best["epoch"]] == checked[choose(checked)]
    assert len(checked) == 4
    assert json.loads((tmp_path / "run.json").read_text())["ended"]["best"] == pytest.approx(checked[choose(checked)])


def test_the_validation_loss_is_the_heads_own(
    tmp_path: Path, store: CropStore, run_config: Callable[..., TrainConfig]
) -> None:
    module = train(run_config(monitor="net/whole_loss"), store, SPLIT, tmp_path, threads=1, workers=0)
    net = module.nets["net"].eval()
    assert isinstance(net, AgeGenderNet)
    batch = PlainBatches(store, SPLIT.validation, 16, 64)[0]
    with torch.inference_mode():
        features = net.backbone(net.input.normalise(batch["image"]))
        outputs = {name: value for head in net.heads for name, value in head(features).items()}
        assert net.age_head is not None
        assert net.gender_head is not None
        losses = [float(head.loss(outputs, batch).mean()) for head in (net.age_head, net.gender_head)]
    logged = [float(row["net/whole_loss"]) for row in _metrics(tmp_path) if row["net/whole_loss"]]
    assert logged[-1] == pytest.approx(losses[0] + 0.5 * losses[1], rel=0.03)  # bfloat16 there


def test_or_cnn_weighs_its_thresholds_by_the_training_ages(
    tmp_path: Path, store: CropStore, run_config: Callable[..., TrainConfig]
) -> None:
    of = dataclasses.replace(model(), age=HeadConfig(name="or-cnn"))
    module = train(run_config(of, epochs=1), store, SPLIT, tmp_path, threads=1, workers=0)
    net = module.nets["net"]
    assert isinstance(net, AgeGenderNet)
    head = net.age_head
    assert isinstance(head, OrdinalHead)
    ages = torch.from_numpy(store.age_years[SPLIT.train]).float()
    assert torch.equal(head.importance, threshold_importance(ages, torch.arange(101.0)))
    assert head.importance.min() < head.importance.max()
    assert not any("importance" in key for key in module.state_dict())


def test_a_bar_shows_the_error_as_it_goes(
    tmp_path: Path, store: CropStore, run_config: Callable[..., TrainConfig], capsys: pytest.CaptureFixture[str]
) -> None:
    train(run_config(epochs=2), store, SPLIT, tmp_path, threads=1, workers=0, progress=True)
    shown = capsys.readouterr().err
    assert "epoch 1/2" in shown
    last = shown.splitlines()[-1].split("\r")[-1]
    logged = [row for row in _metrics(tmp_path) if row["epoch"] == "1"]
    mae, checked = (
        next(float(row[f"net/{name}"]) for row in logged if row[f"net/{name}"]) for name in ("train_mae", "whole_mae")
    )
    assert f"net mae={mae:.2f}" in last
    assert f"net checked={checked:.2f}" in last
    assert "4/4" in last


def test_a_run_stops_where_nothing_gets_better(
    tmp_path: Path, store: CropStore, run_config: Callable[..., TrainConfig]
) -> None:
    config = run_config(epochs=9, patience=2, learning_rate=0.0)
    first = _train(config, store, tmp_path)
    about = json.loads((tmp_path / "run.json").read_text())
    assert about["ended"]["epochs"] == 3
    assert all(torch.equal(first[key], value) for key, value in _train(config, store, tmp_path).items())
    assert json.loads((tmp_path / "run.json").read_text()) == about


def test_a_loss_that_is_not_finite_leaves_its_batch_behind(
    tmp_path: Path, store: CropStore, run_config: Callable[..., TrainConfig]
) -> None:
    ages = store.age_years.copy()
    ages[5] = 3e18
    broken = dataclasses.replace(store, age_years=ages)
    config = run_config(model("gaussian"), balance=0.0, mixup=0.0, epochs=1)
    config.nets[0].architecture.age.options.update(most=float("inf"), scale=1e-3)  # type: ignore[union-attr]
    with pytest.raises(
        ValueError, match=r"not finite at step \d: lower the learning rate. The batch, \d+.jpg to .*npz"
    ):
        _train(config, broken, tmp_path)
    with np.load(tmp_path / "not-finite.npz") as kept:
        assert "5.jpg" in kept["name"].tolist()
        assert kept["image"].shape == (8, 3, 12, 12)
        assert kept["age"][kept["name"].tolist().index("5.jpg")] == pytest.approx(3e18)


def test_unknown_labels_and_classes_of_ages_train(
    tmp_path: Path, store: CropStore, run_config: Callable[..., TrainConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    ages, female = store.age_years.copy(), store.is_female.copy()
    ages[:16:2], female[1:16:2] = np.nan, np.nan
    partly = dataclasses.replace(store, age_years=ages, is_female=female)
    low, high = np.full((2, 44), np.nan, dtype=np.float32)
    low[:16:4], high[:16:4] = 25, 32
    partly = _WithClasses(**{**vars(partly), "age_low_years": low, "age_high_years": high})
    _train(run_config(), partly, tmp_path)
    rows = [row for row in _metrics(tmp_path) if row["net/train_loss"]]
    assert all(np.isfinite(float(row["net/train_mae"])) for row in rows)


class _WithClasses(CropStore):
    """A store that has classes of ages, too."""

    def __init__(self, **fields: Any) -> None:
        for name, value in fields.items():
            object.__setattr__(self, name, value)


@pytest.mark.parametrize(("age", "gender"), [("coral", None), (None, "two-way")])
def test_one_task_alone(
    tmp_path: Path, store: CropStore, run_config: Callable[..., TrainConfig], age: str | None, gender: str | None
) -> None:
    config = run_config(model(age, gender), epochs=1)
    _train(config, store, tmp_path)
    end = json.loads((tmp_path / "run.json").read_text())["ended"]
    assert end["monitored"] == ("net/whole_mae" if age else "net/whole_gender_error")
    assert ("net/whole_mae" in end["figures"]) == (age is not None)
    assert ("net/whole_gender" in end["figures"]) == (gender is not None)
    assert (tmp_path / "best.ckpt").is_file()


def test_a_chained_run_starts_with_the_weights_of_another(
    tmp_path: Path, store: CropStore, run_config: Callable[..., TrainConfig]
) -> None:
    before = _train(run_config(epochs=1), store, tmp_path / "first")
    # Nothing moves: what comes out is what went in, but the new head.
    config = run_config(model("corn"), epochs=1, learning_rate=0.0, start=str(tmp_path / "first"), ema=0.0)
    after = _train(config, store, tmp_path / "second")
    for key in ("nets.net.backbone.features.0.0.weight", "nets.net.gender_head.layers.weight"):
        assert torch.equal(before[key], after[key])
    strange = run_config(ModelConfig(backbone="ssrnet", size=64, age=HeadConfig(name="soft-stagewise")))
    with pytest.raises(ValueError, match="none of the weights in .* fits net: its networks are others"):
        _train(dataclasses.replace(strange, start=str(tmp_path / "first")), store, tmp_path / "third")


def test_a_mixture_costs_what_its_two_pictures_cost() -> None:
    torch.manual_seed(0)
    net = make_network(model())
    assert isinstance(net, AgeGenderNet)
    net.eval()
    image = torch.rand(4, 3, 16, 16)
    labels = {"age": torch.tensor([10.0, 30.0, 50.0, 70.0]), "is_female": torch.tensor([0.0, 1.0, 0.0, 1.0])}
    other = torch.tensor([1, 2, 3, 0])
    learner = HeadsLearner(NetConfig(name="net", architecture=model()), None)
    mixed = learner.learn(net, Mixed(image, labels, torch.tensor(0.3), other), 0.0, None)
    own = learner.learn(net, Mixed(image, labels), 0.0, None)
    theirs = learner.learn(net, Mixed(image, {k: v[other] for k, v in labels.items()}), 0.0, None)
    assert mixed.loss.item() == pytest.approx(0.3 * own.loss.item() + 0.7 * theirs.loss.item(), rel=1e-5)
    assert own.parts is not None
    assert own.loss.item() == pytest.approx((own.parts["age"] + 0.5 * own.parts["gender"]).item())


@pytest.mark.parametrize(("progress", "share"), [(0.0, 0.0), (0.05, 0.35), (0.5, 0.7)])
def test_what_a_teacher_estimates_is_a_second_label(progress: float, share: float) -> None:
    torch.manual_seed(0)
    net = make_network(model("l1"))
    assert isinstance(net, AgeGenderNet)
    net.eval()
    image = torch.rand(2, 3, 16, 16)
    labels = {"age": torch.tensor([10.0, 30.0]), "is_female": torch.tensor([0.0, 1.0])}
    ages = torch.full((2, 101), -9.0)
    ages[0, [19, 20, 40]] = torch.tensor([1.0, 1.0, 1.0])  # the median is 20, not the mean
    ages[1, 33] = 20.0
    teacher = Answer(ages, torch.tensor([[2.0, 2.0], [0.0, 1.0]]))
    taught = {"age": torch.tensor([20.0, 33.0]), "is_female": torch.sigmoid(torch.tensor([0.0, -1.0]))}
    learner = HeadsLearner(NetConfig(name="net", architecture=model("l1"), distill=0.7), None)
    both = learner.learn(net, Mixed(image, labels), progress, teacher)
    alone = [learner.learn(net, Mixed(image, of), progress, None).parts for of in (labels, taught)]
    assert both.parts is not None
    for task, part in both.parts.items():
        of_labels, of_teacher = (parts[task].item() for parts in alone if parts is not None)
        assert part.item() == pytest.approx((1 - share) * of_labels + share * of_teacher, rel=1e-5)


def test_a_teachers_answer_is_of_the_mixed_picture_and_not_mixed_again() -> None:
    torch.manual_seed(0)
    net = make_network(model("l1"))
    net.eval()
    image, labels = torch.rand(2, 3, 16, 16), {"age": torch.tensor([10.0, 30.0]), "is_female": torch.tensor([0.0, 1.0])}
    teacher = Answer(torch.randn(2, 101), torch.randn(2, 2))
    learner = HeadsLearner(NetConfig(name="net", architecture=model("l1"), distill=1.0), None)
    mixed = learner.learn(net, Mixed(image, labels, torch.tensor(0.3), torch.tensor([1, 0])), 1.0, teacher)
    assert mixed.loss.item() == pytest.approx(learner.learn(net, Mixed(image, labels), 1.0, teacher).loss.item())


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_network_by_name_is_taught_by_a_file(
    tmp_path: Path, store: CropStore, run_config: Callable[..., TrainConfig], make_config: MakeConfig
) -> None:
    """All of its loss is the teacher's: it learns other weights than from the labels."""
    train(make_config(epochs=1), store, SPLIT, tmp_path / "teacher", threads=1, workers=0)
    config = run_config(epochs=1, mixup=0.0)
    taught = _train(with_teacher(config, tmp_path / "teacher", distill=1.0), store, tmp_path / "taught")
    alone = _train(config, store, tmp_path / "alone")
    assert {name.split(".")[1] for name in taught if name.startswith("nets.")} == {"net"}, "no weights of the teacher"
    for head in ("age_head", "gender_head"):
        assert any(not torch.equal(value, alone[name]) for name, value in taught.items() if f".{head}." in name), head


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_tasks_apart_train_and_come_back(
    tmp_path: Path, store: CropStore, run_config: Callable[..., TrainConfig]
) -> None:
    shape = dataclasses.replace(model(), apart=True)
    weights = _train(run_config(shape, epochs=1, ema=0.5), store, tmp_path / "run")
    trunks = {name.split(".")[3] for name in weights if name.startswith("nets.net.backbone.")}
    assert trunks == {"age", "gender"}
    net = load_net(tmp_path / "run" / "last.ckpt", "net", shape)
    assert isinstance(net, AgeGenderNet)
    assert isinstance(net.backbone, Apart)


DDP = """
import sys, warnings
from pathlib import Path
warnings.simplefilter("ignore")
import numpy as np
from agewise_lab.store.crops import CropStore
from agewise_lab.store.split import Split
from agewise_lab.training.config import TrainConfig
from agewise_lab.training.plain import from_plain
from agewise_lab.training.run import train
from agewise_lab.training.teacher import with_teacher
import json
from torch import nn

if __name__ == "__main__":
    nn.Dropout.forward = lambda self, x: x
    folder, devices = Path(sys.argv[1]), int(sys.argv[2])
    fields = dict(np.load(folder / "store.npz"))
    config = from_plain(TrainConfig, json.loads((folder / "config.json").read_text()))
    split = Split(np.arange(32), np.arange(32, 40), np.arange(40, 44))
    train(config, CropStore(**fields), split, folder / f"run-{devices}", threads=1, workers=0, devices=devices)
"""


@pytest.mark.slow
def test_two_processes_give_the_figures_of_one(
    tmp_path: Path, store: CropStore, run_config: Callable[..., TrainConfig]
) -> None:
    """On gloo, each with half of every batch; without what each draws for itself: augmentation, dropout."""
    from agewise_lab.training.augment import NO_AUGMENTATION
    from agewise_lab.training.plain import to_plain

    lmtcnn_like = ModelConfig(
        backbone="levi-hassner",
        size=64,
        options={"hidden": 16},
        age=HeadConfig(name="dldl"),
        gender=HeadConfig(name="two-way"),
    )
    config = run_config(
        lmtcnn_like,
        epochs=2,
        augment=NO_AUGMENTATION,
        calm=0.0,
        mixup=0.0,
        views="whole",
        precision="32-true",
        learning_rate=1e-3,
        sizes=((1.0, 64),),
        clip=0.0,
    )
    np.savez(tmp_path / "store.npz", **vars(store))
    (tmp_path / "config.json").write_text(json.dumps(to_plain(config)))
    script = tmp_path / "ddp.py"
    script.write_text(DDP)
    figures = []
    for devices in (1, 2):
        command = [sys.executable, str(script), str(tmp_path), str(devices)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "MASTER_ADDR": "127.0.0.1"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        figures.append(json.loads((tmp_path / f"run-{devices}" / "run.json").read_text())["ended"]["figures"])
    assert figures[0].keys() == figures[1].keys()
    assert figures[1] == pytest.approx(figures[0], rel=1e-3, abs=1e-4)


def test_a_network_by_name_starts_from_its_file_awake_and_in_training_mode(tmp_path: Path) -> None:
    architecture = ModelConfig(
        backbone="ssrnet", size=64, age=HeadConfig(name="soft-stagewise"), gender=HeadConfig(name="two-way")
    )
    torch.manual_seed(1)
    images = [torch.rand(40, 3, 64, 64) for _ in range(2)]  # RGB 0..1
    old, fresh = make_network(architecture), make_network(architecture)
    assert isinstance(old, AgeGenderNet)
    assert isinstance(fresh, AgeGenderNet)
    fed = old.input.normalise(images[0] * 255)
    with torch.no_grad():
        for _ in range(20):
            old.train()(fed)
        for layer in (old.age_head.layers.s_mix[1], old.age_head.layers.x_mix[1]):
            layer.weight.mul_(0.01)
            layer.bias.sub_(1.0)  # the second stage sleeps
    onnx.save(to_onnx(old.eval()), tmp_path / "old.onnx")
    config = NetConfig(name="net", architecture=architecture)
    start_from_file(fresh, config, StoredNetwork(tmp_path / "old.onnx"), images)
    assert all(module.training for module in fresh.modules())
    with torch.no_grad():
        was, now = old.served(fed), fresh.eval().served(fed)
    assert was["age_probs_2"].std(dim=0).max() == 0
    assert now["age_probs_2"].std(dim=0).max() > 0
    for name in ("age_delta_1", "age_delta_2", "age_delta_3", "gender_logits"):
        torch.testing.assert_close(now[name], was[name], atol=1e-3, rtol=1e-3)
    with pytest.raises(ValueError, match="there is none to start from at 2"):
        start_from_file(fresh, config, StoredNetwork(tmp_path / "old.onnx", 2), images)
