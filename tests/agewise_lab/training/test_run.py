"""Runs from end to end: repeatable, to be interrupted at no cost, and stopped where they make no sense."""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from agewise_lab.export.release import load_net
from agewise_lab.losses.label_distribution import expected_age, median_age, soft_cross_entropy
from agewise_lab.store.crops import CropStore
from agewise_lab.store.split import Split
from agewise_lab.training import data
from agewise_lab.training.augment import AugmentConfig
from agewise_lab.training.config import NetConfig, TrainConfig
from agewise_lab.training.data import Batch, PlainBatches
from agewise_lab.training.learners import Answer, CompactLearner, Mixed
from agewise_lab.training.module import AgeGenderModule
from agewise_lab.training.networks import make_network
from agewise_lab.training.run import precision_here, train

MakeConfig = Callable[..., TrainConfig]
State = dict[str, torch.Tensor]

# Lightning advises on loaders, loggers and folders; here it is known better.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:lightning")

SPLIT = Split(np.arange(32), np.arange(32, 40), np.arange(40, 44))


@pytest.fixture(scope="module")
def store(make_store: Callable[..., CropStore]) -> CropStore:
    return make_store(44)


def _train(config: TrainConfig, store: CropStore, folder: Path, split: Split = SPLIT, workers: int = 0) -> State:
    return train(config, store, split, folder, threads=1, workers=workers).state_dict()


def _same(a: State, b: State) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def _metrics(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def whole_run(
    tmp_path_factory: pytest.TempPathFactory, store: CropStore, make_config: MakeConfig
) -> tuple[Path, State]:
    """Four epochs in one go."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    return folder, _train(make_config(), store, folder)


class PowerCutError(Exception):
    """What interrupts a run here."""


@pytest.fixture
def cut_power(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, int], None]:
    """`cut_power(epoch, step)`: from then on the data break off there."""
    original = data.TrainBatches.__getitem__

    def cut(epoch: int, at_step: int) -> None:
        def broken(self: data.TrainBatches, step: int) -> Batch:
            if (self._epoch, step) == (epoch, at_step):
                raise PowerCutError
            return original(self, step)

        monkeypatch.setattr(data.TrainBatches, "__getitem__", broken)

    return cut


# ---------------------------------------------------------------- once through


def test_a_run_leaves_its_description_its_metrics_and_averaged_weights(
    whole_run: tuple[Path, State], make_config: MakeConfig
) -> None:
    folder, state = whole_run
    assert sorted(path.name for path in folder.iterdir()) == [
        "best.ckpt",
        "curves.png",
        "last.ckpt",
        "logs",
        "run.json",
    ]
    assert sorted(path.name.split(".")[0] for path in (folder / "logs").iterdir()) == ["events", "hparams", "metrics"]
    about = json.loads((folder / "run.json").read_text())
    assert about["config"] == json.loads(json.dumps(dataclasses.asdict(make_config())))
    assert about["split"] == SPLIT.digest
    assert about["count"] == [32, 8, 4]
    rows = _metrics(folder / "logs")
    assert [row["epoch"] for row in rows if row["tiny/train_mae"]] == ["0", "1", "2", "3"]
    assert [row["epoch"] for row in rows if row["tiny/whole_mae"]] == ["1", "3"]
    checkpoint = torch.load(folder / "last.ckpt", weights_only=True)
    assert (checkpoint["epoch"], checkpoint["global_step"]) == (3, 16)
    assert _same(state, checkpoint["state_dict"])
    assert not _same(state, checkpoint["current_model_state"])


def test_the_logged_figures_are_those_of_the_averaged_weights(
    whole_run: tuple[Path, State], store: CropStore, make_config: MakeConfig
) -> None:
    folder, _ = whole_run
    net = load_net(folder / "last.ckpt", "tiny", make_config().nets[0].architecture)
    batches = PlainBatches(store, SPLIT.validation, 16, 256)
    (logged,) = [row for row in _metrics(folder / "logs") if row["epoch"] == "3" and row["tiny/whole_mae"]]
    for i, kind in enumerate(("whole", "aligned")):
        batch = batches[i]
        with torch.inference_mode():
            age, gender = net(batch["image"].float() / 255)
        error = (median_age(age, torch.arange(101.0)) - batch["age"]).abs()
        assert float(logged[f"tiny/{kind}_mae"]) == pytest.approx(float(error.mean()), rel=0.02)  # bfloat16 there
        right = (gender[:, 0] > gender[:, 1]).float() == batch["is_female"]
        assert float(logged[f"tiny/{kind}_gender"]) == pytest.approx(float(right.float().mean()), abs=0.13)


def test_a_run_can_be_repeated_to_the_bit(
    tmp_path: Path, whole_run: tuple[Path, State], store: CropStore, make_config: MakeConfig
) -> None:
    assert _same(_train(make_config(), store, tmp_path), whole_run[1])


def test_the_seed_matters(
    tmp_path: Path, whole_run: tuple[Path, State], store: CropStore, make_config: MakeConfig
) -> None:
    assert not _same(_train(make_config(seed=2), store, tmp_path), whole_run[1])


# ---------------------------------------------------------------- interrupted


@pytest.mark.parametrize(("epoch", "step", "workers"), [(2, 0, 0), (2, 3, 1), (1, 2, 0)])
def test_an_interrupted_run_ends_as_if_it_had_not_been(
    tmp_path: Path,
    whole_run: tuple[Path, State],
    store: CropStore,
    make_config: MakeConfig,
    cut_power: Callable[[int, int], None],
    epoch: int,
    step: int,
    workers: int,
) -> None:
    cut_power(epoch, step)
    with pytest.raises(PowerCutError):
        _train(make_config(), store, tmp_path, workers=workers)
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["epoch"] == epoch - 1
    cut_power(99, 0)
    assert _same(_train(make_config(), store, tmp_path, workers=workers), whole_run[1])
    # The first part's metrics are still there.
    assert [row["epoch"] for row in _metrics(tmp_path / "logs") if row["tiny/train_mae"]] == list("0123")[:epoch]
    rest = [row for row in _metrics(tmp_path / "logs-2") if row["tiny/train_mae"]]
    assert [row["epoch"] for row in rest] == list("0123")[epoch:]
    whole = [row for row in _metrics(whole_run[0] / "logs") if row["tiny/train_mae"]]
    assert [row["tiny/train_mae"] for row in rest] == [row["tiny/train_mae"] for row in whole][epoch:]


def test_a_run_that_was_interrupted_before_its_first_checkpoint_starts_again(
    tmp_path: Path,
    whole_run: tuple[Path, State],
    store: CropStore,
    make_config: MakeConfig,
    cut_power: Callable[[int, int], None],
) -> None:
    cut_power(0, 2)
    with pytest.raises(PowerCutError):
        _train(make_config(), store, tmp_path)
    cut_power(99, 0)
    assert _same(_train(make_config(), store, tmp_path), whole_run[1])


def test_a_checkpoint_from_before_random_states_were_kept_still_loads(
    tmp_path: Path, store: CropStore, make_config: MakeConfig, cut_power: Callable[[int, int], None]
) -> None:
    cut_power(2, 0)
    with pytest.raises(PowerCutError):
        _train(make_config(), store, tmp_path)
    cut_power(99, 0)
    checkpoint = torch.load(tmp_path / "last.ckpt", weights_only=True)
    del checkpoint["callbacks"]["SameDraws"]
    torch.save(checkpoint, tmp_path / "last.ckpt")
    _train(make_config(), store, tmp_path)
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["global_step"] == 16


def test_a_finished_run_is_given_back_as_it_is(
    whole_run: tuple[Path, State], store: CropStore, make_config: MakeConfig
) -> None:
    folder, state = whole_run
    before = (folder / "last.ckpt").read_bytes()
    assert _same(_train(make_config(), store, folder), state)
    assert (folder / "last.ckpt").read_bytes() == before


@pytest.mark.parametrize(
    ("changes", "split", "key"),
    [({"epochs": 5}, SPLIT, "config"), ({}, Split(np.arange(1, 33), *[np.arange(33, 40)] * 2), "split")],
)
def test_another_run_in_the_same_folder_is_refused(
    whole_run: tuple[Path, State],
    store: CropStore,
    make_config: MakeConfig,
    changes: dict[str, object],
    split: Split,
    key: str,
) -> None:
    folder, _ = whole_run
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(ValueError, match=f"holds a run with another {key}: .*name another folder"):
        _train(make_config(**changes), store, folder, split)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


# ---------------------------------------------------------------- what it trains


def test_teacher_and_student(tmp_path: Path, store: CropStore, make_config: MakeConfig) -> None:
    big = dataclasses.replace(make_config().nets[0].architecture, stem=8, widths=(8, 16))
    nets = (
        NetConfig(name="big", architecture=big),
        NetConfig(name="small", architecture=make_config().nets[0].architecture, teacher="big", distill=0.7),
    )
    _train(make_config(nets=nets, epochs=2), store, tmp_path)
    (last,) = [row for row in _metrics(tmp_path / "logs") if row["epoch"] == "1" and row["big/whole_mae"]]
    for key in ("whole_mae", "aligned_mae", "whole_cs5", "whole_gender"):
        assert np.isfinite(float(last[f"small/{key}"]))
    for net in nets:
        age, _ = load_net(tmp_path / "last.ckpt", net.name, net.architecture)(torch.rand(1, 3, 16, 16))
        assert age.shape == (1, 101)


@pytest.mark.parametrize(("step", "share"), [(0, 0.0), (5, 0.4), (10, 0.8), (60, 0.8)])
def test_a_students_loss_moves_from_the_labels_to_its_teacher(make_config: MakeConfig, step: int, share: float) -> None:
    architecture = make_config().nets[0].architecture
    teacher = NetConfig(name="teacher", architecture=architecture)
    student = NetConfig(name="student", architecture=architecture, teacher="teacher", distill=0.8)
    config = make_config(nets=(teacher, student), expectation_weight=0.0, gender_weight=1.0)
    logits = torch.randn(4, 101, requires_grad=True), torch.randn(4, 2, requires_grad=True)
    answers = Answer(torch.randn(4, 101, requires_grad=True), torch.randn(4, 2, requires_grad=True))
    labels = torch.full((4, 101), 1 / 101), torch.full((4,), 50.0), torch.full((4, 2), 0.5), torch.ones(4)
    loss = CompactLearner(student, config).loss(logits, *labels, progress=step / 100, teacher=answers)
    loss.backward()
    assert answers[0].grad is None
    assert logits[0].grad is not None

    def divergence(i: int, target: torch.Tensor) -> torch.Tensor:
        return soft_cross_entropy(logits[i], target).mean()

    of_labels = divergence(0, labels[0]) + divergence(1, labels[2])
    of_teacher = 2 * divergence(0, torch.softmax(answers[0], 1)) + divergence(1, torch.softmax(answers[1], 1))
    assert loss.item() == pytest.approx(((1 - share) * of_labels + share * of_teacher).item(), rel=1e-5)


def test_two_crops_of_a_face_are_both_learned_from_and_drawn_together(make_config: MakeConfig) -> None:
    config = make_config(second=AugmentConfig(), consistency_weight=0.3)
    (of,) = config.nets
    net = make_network(of.architecture).eval()
    learner, labels = CompactLearner(of, config), {"age": torch.tensor([20.0, 60.0]), "is_female": torch.ones(2)}
    first, second = torch.rand(2, 2, 3, 16, 16)
    teacher = Answer(torch.randn(2, 101), torch.randn(2, 2))
    both = learner.learn(net, Mixed(first, labels, second=second), 0.5, teacher)
    alone = [learner.learn(net, Mixed(image, labels), 0.5, teacher) for image in (first, second)]
    years = [expected_age(net(image)[0], torch.arange(101.0)) for image in (first, second)]
    apart = (years[0] - years[1]).abs().mean().item()
    assert apart > 0
    assert both.apart is not None
    assert both.apart.item() == pytest.approx(apart, rel=1e-4)
    assert all(one.apart is None for one in alone)
    expected = (alone[0].loss.item() + alone[1].loss.item()) / 2 + 0.3 * apart
    assert both.loss.item() == pytest.approx(expected, rel=1e-5)
    assert both.answer is not None
    assert alone[0].answer is not None
    assert torch.allclose(both.answer.age, alone[0].answer.age, atol=1e-5)
    assert both.answer.pooled is not None
    assert len(both.answer.pooled) == 2


def test_a_teacher_may_answer_for_each_of_two_crops_itself(make_config: MakeConfig) -> None:
    config = make_config(second=AugmentConfig(), second_taught="own")
    (of,) = config.nets
    net = make_network(of.architecture).eval()
    learner, labels = CompactLearner(of, config), {"age": torch.tensor([20.0, 60.0]), "is_female": torch.ones(2)}
    first, second = torch.rand(2, 2, 3, 16, 16)
    teachers = [Answer(torch.randn(2, 101), torch.randn(2, 2)) for _ in range(2)]
    together = Answer(*(torch.cat([teacher[k] for teacher in teachers]) for k in (0, 1)))
    both = learner.learn(net, Mixed(first, labels, second=second), 0.5, together)
    alone = [
        learner.learn(net, Mixed(image, labels), 0.5, teacher).loss.item()
        for image, teacher in zip((first, second), teachers, strict=True)
    ]
    assert both.loss.item() == pytest.approx(sum(alone) / 2, rel=1e-5)


def test_the_second_crop_is_drawn_to_the_first_and_not_the_other_way(make_config: MakeConfig) -> None:
    config = make_config(second=AugmentConfig(), consistency_weight=50.0)
    (of,) = config.nets
    net = make_network(of.architecture).eval()
    learner, labels = CompactLearner(of, config), {"age": torch.tensor([20.0, 60.0]), "is_female": torch.ones(2)}
    first, second = (torch.rand(2, 3, 16, 16, requires_grad=True) for _ in range(2))
    learner.learn(net, Mixed(first, labels, second=second), 0.5, None).loss.backward()
    of_both = [image.grad for image in (first, second)]
    for image, gradient, is_first in zip((first, second), of_both, (True, False), strict=True):
        alone = torch.autograd.grad(learner.learn(net, Mixed(image, labels), 0.5, None).loss / 2, image)[0]
        assert gradient is not None
        assert torch.allclose(gradient, alone, atol=1e-6) == is_first


def test_second_crops_are_mixed_as_the_first_are(make_config: MakeConfig) -> None:
    torch.manual_seed(0)
    config = make_config(mixup=1.0, second=AugmentConfig())
    mixed = AgeGenderModule(config, steps=10).mixed(_batch() | {"second": _batch()["image"] * 2})
    assert mixed.second is not None
    assert "second" not in mixed.labels
    assert torch.allclose(mixed.second, 2 * mixed.image)


def test_a_run_with_second_crops_says_how_far_they_are_apart(
    tmp_path: Path, store: CropStore, make_config: MakeConfig
) -> None:
    config = make_config(epochs=1, second=AugmentConfig(flip=0.0), consistency_weight=0.1)
    _train(config, store, tmp_path)
    (apart,) = [float(row[key]) for row in _metrics(tmp_path / "logs") for key in row if "apart" in key and row[key]]
    assert apart > 0


def _batch(count: int = 8) -> Batch:
    value = torch.arange(float(count))
    return {"image": value[:, None, None, None].expand(count, 3, 4, 4), "age": value, "is_female": value}


def test_mixup_mixes_pictures_and_labels_alike(make_config: MakeConfig) -> None:
    torch.manual_seed(0)
    mixed = AgeGenderModule(make_config(mixup=1.0), steps=10).mixed(_batch())
    age = mixed.mix(mixed.labels["age"])
    assert mixed.other is not None
    assert not torch.equal(age, mixed.labels["age"])
    assert torch.allclose(mixed.image[:, 0, 0, 0] * 255, age, atol=1e-5)
    assert float(age.sum()) == pytest.approx(28, abs=1e-4)
    assert torch.equal(mixed.labels["age"], torch.arange(8.0))


@pytest.mark.parametrize("mixup", [0.0, 0.5])
def test_mixup_happens_as_often_as_it_should(make_config: MakeConfig, mixup: float) -> None:
    torch.manual_seed(0)
    module = AgeGenderModule(make_config(mixup=mixup), steps=10)
    happened = sum(module.mixed(_batch()).other is not None for _ in range(400)) / 400
    assert happened == pytest.approx(mixup, abs=0.1)


def test_weights_decay_but_not_biases_and_norms(make_config: MakeConfig) -> None:
    module = AgeGenderModule(make_config(weight_decay=0.1), steps=10)
    groups = module.configure_optimizers()["optimizer"].param_groups
    assert [group["weight_decay"] for group in groups] == [0.1, 0.0]
    assert {weight.ndim for weight in groups[0]["params"]} == {2, 4}
    assert {weight.ndim for weight in groups[1]["params"]} == {1}
    assert sum(len(group["params"]) for group in groups) == len(list(module.parameters()))


# ---------------------------------------------------------------- what cannot be trained


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path: Path, store: CropStore, make_config: MakeConfig) -> None:
    wild = dataclasses.replace(make_config().nets[0], learning_rate=1e30)
    with pytest.raises(ValueError, match=r"the loss is not finite at step \d+: lower the learning rate"):
        _train(make_config(nets=(wild,)), store, tmp_path)


def test_too_few_pictures_for_a_batch(tmp_path: Path, store: CropStore, make_config: MakeConfig) -> None:
    few = Split(np.arange(7), np.arange(8, 12), np.arange(0))
    with pytest.raises(ValueError, match="7 pictures to train on are fewer than a batch of 8"):
        _train(make_config(), store, tmp_path / "run", few)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("asked", "accelerator", "supported", "given"),
    [
        ("bf16-mixed", "cpu", True, "bf16-mixed"),
        ("bf16-mixed", "cpu", False, "32-true"),
        ("bf16-mixed", "gpu", False, "bf16-mixed"),
        ("16-mixed", "gpu", False, "16-mixed"),
        ("32-true", "cpu", True, "32-true"),
    ],
)
def test_bfloat16_is_not_emulated(
    monkeypatch: pytest.MonkeyPatch, asked: str, accelerator: str, supported: bool, given: str
) -> None:
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: supported)
    assert precision_here(asked, accelerator) == given
