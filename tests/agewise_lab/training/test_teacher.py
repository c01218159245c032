"""A finished network as teacher: its answers, its place outside the weights, and teachers that would flatter."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import lightning
import numpy as np
import pytest
import torch

from agewise.estimate import Estimator
from agewise.estimate.golden import write_card
from agewise_lab.architectures.compact import CompactNet
from agewise_lab.architectures.recognition import RecognitionConfig
from agewise_lab.convert.dlib_net import read_trunk, recognition_file
from agewise_lab.export.ensemble import Ensemble
from agewise_lab.export.onnx_model import to_onnx
from agewise_lab.export.release import About, first_card, load_net
from agewise_lab.losses.label_distribution import soft_cross_entropy
from agewise_lab.store.crops import CropStore
from agewise_lab.store.split import Split
from agewise_lab.training.augment import AugmentConfig
from agewise_lab.training.config import NetConfig, TrainConfig
from agewise_lab.training.learners import Answer
from agewise_lab.training.module import AgeGenderModule
from agewise_lab.training.origins import origins, origins_of
from agewise_lab.training.overrides import override
from agewise_lab.training.plain import from_plain, to_plain
from agewise_lab.training.run import train
from agewise_lab.training.teacher import FrozenTeacher, at_size, with_teacher

MakeConfig = Callable[..., TrainConfig]

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:lightning")

SPLIT = Split(np.arange(32), np.arange(32, 40), np.arange(40, 44))


@pytest.fixture(scope="module")
def store(make_store: Callable[..., CropStore]) -> CropStore:
    return make_store(44)


def _big(make_config: MakeConfig) -> NetConfig:
    shape = dataclasses.replace(make_config().nets[0].architecture, stem=8, widths=(8, 16))
    return NetConfig(name="big", architecture=shape)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, store: CropStore, make_config: MakeConfig) -> Path:
    """A teacher's run of two epochs."""
    folder = tmp_path_factory.mktemp("teachers") / "big"
    train(make_config(nets=(_big(make_config),), epochs=2), store, SPLIT, folder, threads=1, workers=0)
    return folder


def _image() -> torch.Tensor:
    return torch.rand(5, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def test_it_answers_with_the_averaged_weights_of_its_run(finished: Path, make_config: MakeConfig) -> None:
    config = dataclasses.replace(_big(make_config), frozen=str(finished), mirrored=False)
    net = load_net(finished / "last.ckpt", "big", config.architecture)
    with torch.inference_mode():
        expected = net(_image())
    for answer, wanted in zip(FrozenTeacher(config)(_image())[:2], expected, strict=True):
        assert torch.allclose(answer, wanted, atol=1e-5)
        assert not answer.requires_grad


def test_mirrored_answers_are_the_mean_of_both_sides(finished: Path, make_config: MakeConfig) -> None:
    config = dataclasses.replace(_big(make_config), frozen=str(finished), mirrored=True)
    net = load_net(finished / "last.ckpt", "big", config.architecture)
    with torch.inference_mode():
        sides = [[torch.softmax(x, 1) for x in net(image)] for image in (_image(), _image().flip(3))]
    for answer, one, other in zip(FrozenTeacher(config)(_image())[:2], *sides, strict=True):
        assert torch.allclose(torch.softmax(answer, 1), (one + other) / 2, atol=1e-6)


def test_a_student_learns_from_it_and_its_checkpoint_holds_the_student_alone(
    tmp_path: Path, finished: Path, store: CropStore, make_config: MakeConfig
) -> None:
    config = with_teacher(make_config(epochs=2), finished, distill=0.9)
    assert [net.name for net in config.nets] == ["big", "tiny"]
    assert (config.nets[1].teacher, config.nets[1].distill) == ("big", 0.9)
    assert config.nets[0].architecture == _big(make_config).architecture
    taught = train(config, store, SPLIT, tmp_path / "taught", threads=1, workers=0).state_dict()
    alone = train(make_config(epochs=2), store, SPLIT, tmp_path / "alone", threads=1, workers=0).state_dict()
    assert taught.keys() == alone.keys()
    assert not torch.equal(taught["nets.tiny.age.weight"], alone["nets.tiny.age.weight"])
    stored = json.loads((tmp_path / "taught" / "run.json").read_text())
    assert stored["config"]["nets"][0]["frozen"] == str(finished)
    # It goes on where it ended, that is, it is over.
    assert torch.equal(
        train(config, store, SPLIT, tmp_path / "taught", threads=1, workers=0).state_dict()["nets.tiny.age.weight"],
        taught["nets.tiny.age.weight"],
    )


def test_the_loss_is_against_the_teachers_answers_on_the_same_crops(
    finished: Path, make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = with_teacher(make_config(expectation_weight=0.0, gender_weight=0.0, mixup=0.0), finished, distill=1.0)
    module = AgeGenderModule(config, steps=10)
    monkeypatch.setattr(AgeGenderModule, "global_step", 10)
    monkeypatch.setattr(AgeGenderModule, "_log", lambda *_, **__: None)
    image = torch.randint(0, 256, (4, 3, 16, 16), dtype=torch.uint8)
    batch = {"image": image, "age": torch.full((4,), 30.0), "is_female": torch.ones(4)}
    loss = module.eval().training_step(batch, 0)
    age, _ = module.nets["tiny"](image.float() / 255)
    answer, *_ = FrozenTeacher(config.nets[0])(image.float() / 255)
    assert loss.item() == pytest.approx(2 * soft_cross_entropy(age, torch.softmax(answer, 1)).mean().item(), rel=1e-4)


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory, make_config: MakeConfig) -> tuple[Path, list[CompactNet]]:
    """A file of two networks of the students' shape, and the two, batch norms folded."""
    torch.manual_seed(0)
    shape = make_config().nets[0].architecture
    nets = [CompactNet(shape).eval() for _ in range(2)]
    for net in nets:
        for value in net.parameters():
            torch.nn.init.normal_(value, 0.1, 0.1)
    both = Ensemble(nets).eval()
    words = {"summary": "a test", "recipe": "agewise-s + agewise-s", "split": SPLIT.digest}
    card = first_card(both, About(name="both", version="1", training_data=f"a test ({SPLIT.digest})", **words))
    path = tmp_path_factory.mktemp("released") / "both.onnx"
    path.write_bytes(write_card(card, to_onnx(both).SerializeToString(), renew_golden=True))
    return path, nets


def _of_its_shape(monkeypatch: pytest.MonkeyPatch, make_config: MakeConfig) -> None:
    """The recipe that the file names gives the shape of this test's networks."""
    monkeypatch.setattr("agewise_lab.training.teacher.find_recipe", lambda name: {"agewise-s": make_config()}[name])


def test_the_networks_of_a_released_file_teach_together(
    released: tuple[Path, list[CompactNet]], make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    _of_its_shape(monkeypatch, make_config)
    path, nets = released
    config = with_teacher(make_config(), path, mirrored=False)
    assert (config.nets[0].name, config.nets[1].teacher) == ("both", "both")
    with torch.inference_mode():
        each = [[torch.softmax(x, 1) for x in net(_image())] for net in nets]
    for answer, one, other in zip(FrozenTeacher(config.nets[0])(_image())[:2], *each, strict=True):
        assert torch.allclose(torch.softmax(answer, 1), (one + other) / 2, atol=1e-5)
        assert not answer.requires_grad


def test_one_answer_a_batch_is_each_in_turn_by_chance(
    released: tuple[Path, list[CompactNet]], make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    _of_its_shape(monkeypatch, make_config)
    path, nets = released
    teacher = FrozenTeacher(with_teacher(make_config(), path, asked="one").nets[0])
    with torch.inference_mode():
        possible = torch.stack(
            [torch.softmax(net(view)[0], 1) for net in nets for view in (_image(), _image().flip(3))]
        )
    torch.manual_seed(1)
    seen = []
    for _ in range(40):
        answer = torch.softmax(teacher(_image())[0], 1)
        distance = (possible - answer).abs().amax(dim=(1, 2))
        assert distance.min() < 1e-5
        seen.append(int(distance.argmin()))
    assert set(seen) == {0, 1, 2, 3}


@pytest.mark.parametrize(("which", "suffix"), [(0, ""), (0, "#1"), (1, "#2")])
def test_a_run_starts_as_a_network_of_a_released_file(
    tmp_path: Path,
    released: tuple[Path, list[CompactNet]],
    store: CropStore,
    make_config: MakeConfig,
    monkeypatch: pytest.MonkeyPatch,
    which: int,
    suffix: str,
) -> None:
    path, nets = released
    started: list[AgeGenderModule] = []
    monkeypatch.setattr(lightning.Trainer, "fit", lambda _self, module, *_, **__: started.append(module) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        train(make_config(start=f"{path}{suffix}"), store, SPLIT, tmp_path / "run", threads=1, workers=0)
    with torch.inference_mode():
        for ours, theirs in zip(started[0].nets["tiny"].eval()(_image()), nets[which](_image()), strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=1e-3)


def test_a_file_has_no_third_network_to_start_from(
    tmp_path: Path, released: tuple[Path, list[CompactNet]], store: CropStore, make_config: MakeConfig
) -> None:
    with pytest.raises(ValueError, match=r"both\.onnx holds 2 network\(s\), there is none to start from at 3"):
        train(make_config(start=f"{released[0]}#3"), store, SPLIT, tmp_path / "run", threads=1, workers=0)


@pytest.mark.parametrize("use", ["teacher", "start"])
def test_a_file_that_learned_from_other_faces(
    tmp_path: Path,
    released: tuple[Path, list[CompactNet]],
    store: CropStore,
    make_config: MakeConfig,
    monkeypatch: pytest.MonkeyPatch,
    use: str,
) -> None:
    _of_its_shape(monkeypatch, make_config)
    path, _ = released
    config = with_teacher(make_config(), path) if use == "teacher" else make_config(start=str(path))
    other = Split(np.arange(31), np.arange(32, 40), np.arange(40, 44))
    with pytest.raises(ValueError, match="it may have learned from the faces that this run is measured on"):
        train(config, store, other, tmp_path / "run", threads=1, workers=0)


@pytest.mark.parametrize(
    ("damage", "error", "message"),
    [
        (lambda run: shutil.rmtree(run), FileNotFoundError, "neither a run's folder nor a checkpoint"),
        (lambda run: _change(run, split="0123"), ValueError, "trained with the split 0123, this run has"),
        (lambda run: _change(run, epochs=3), ValueError, "stopped after 2 of 3 epochs"),
        (lambda run: _change(run, name="other"), ValueError, "holds no network 'other'; it holds big"),
    ],
)
def test_teachers_that_cannot_teach(
    tmp_path: Path,
    finished: Path,
    store: CropStore,
    make_config: MakeConfig,
    damage: Callable[[Path], object],
    error: type[Exception],
    message: str,
) -> None:
    run = tmp_path / "teacher"
    shutil.copytree(finished, run)
    config = with_teacher(make_config(), run)
    damage(run)
    if (run / "run.json").exists():
        config = with_teacher(make_config(), run)
    with pytest.raises(error, match=message):
        train(config, store, SPLIT, tmp_path / "student", threads=1, workers=0)
    assert not (tmp_path / "student" / "last.ckpt").exists()


def _change(run: Path, split: str | None = None, epochs: int | None = None, name: str | None = None) -> None:
    about = json.loads((run / "run.json").read_text())
    about["split"] = split or about["split"]
    about["config"]["epochs"] = epochs or about["config"]["epochs"]
    about["config"]["nets"][0]["name"] = name or about["config"]["nets"][0]["name"]
    (run / "run.json").write_text(json.dumps(about))


def test_of_several_teachers_one_is_drawn_for_each_batch(
    finished: Path,
    released: tuple[Path, list[CompactNet]],
    make_config: MakeConfig,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _of_its_shape(monkeypatch, make_config)
    config = with_teacher(make_config(mixup=0.0), finished, released[0])
    assert config.nets[-1].teachers == tuple(net.name for net in config.nets[:-1])
    assert from_plain(TrainConfig, to_plain(config)) == config
    asked: list[str] = []
    answer = FrozenTeacher.__call__

    def note(teacher: FrozenTeacher, image: torch.Tensor) -> Answer:
        asked.append(teacher._config.name)
        return answer(teacher, image)

    monkeypatch.setattr(FrozenTeacher, "__call__", note)
    module = AgeGenderModule(config, steps=10)
    monkeypatch.setattr(AgeGenderModule, "global_step", 10)
    monkeypatch.setattr(AgeGenderModule, "_log", lambda *_, **__: None)
    image = torch.randint(0, 256, (4, 3, 16, 16), dtype=torch.uint8)
    batch = {"image": image, "age": torch.full((4,), 30.0), "is_female": torch.ones(4)}
    torch.manual_seed(3)
    for step in range(20):
        module.training_step(batch, step)
    assert len(asked) == 20
    assert set(asked) == set(config.nets[-1].teachers)


@pytest.mark.parametrize(("second_taught", "crops"), [("first", 4), ("own", 8)])
def test_which_crops_a_teacher_is_asked_for(
    finished: Path, make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch, second_taught: str, crops: int
) -> None:
    changes = {"mixup": 0.0, "second": AugmentConfig(), "second_taught": second_taught}
    config = with_teacher(make_config(**changes), finished, distill=0.5, asked="one")
    config = dataclasses.replace(config, nets=(config.nets[0], dataclasses.replace(config.nets[1], hint=1.0)))
    asked: list[torch.Tensor] = []
    answer = FrozenTeacher.__call__

    def note(teacher: FrozenTeacher, image: torch.Tensor) -> Answer:
        asked.append(image)
        return answer(teacher, image)

    monkeypatch.setattr(FrozenTeacher, "__call__", note)
    module = AgeGenderModule(config, steps=10)
    monkeypatch.setattr(AgeGenderModule, "global_step", 10)
    monkeypatch.setattr(AgeGenderModule, "_log", lambda *_, **__: None)
    image, second = torch.randint(0, 256, (2, 4, 3, 16, 16), dtype=torch.uint8)
    batch = {"image": image, "second": second, "age": torch.full((4,), 30.0), "is_female": torch.ones(4)}
    module.training_step(batch, 0).backward()
    (seen,) = asked
    assert torch.equal(seen, torch.cat([image, second])[:crops].float() / 255)


def test_teachers_of_one_name_and_a_student_of_it(finished: Path, tmp_path: Path, make_config: MakeConfig) -> None:
    other = tmp_path / "again"
    shutil.copytree(finished, other)
    config = with_teacher(make_config(nets=(_big(make_config),)), finished, other)
    assert [(net.name, net.held) for net in config.nets] == [("big-2", "big"), ("big-3", "big"), ("big", "")]
    assert config.nets[-1].teachers == ("big-2", "big-3")
    weights = [FrozenTeacher(net)._nets[0].age.weight for net in config.nets[:2]]
    assert torch.equal(*weights)


def test_a_compact_network_has_no_trunk_rate(make_config: MakeConfig) -> None:
    with pytest.raises(ValueError, match=r"no parts that could learn at 0\.1 of its rate: leave trunk_rate out"):
        override(make_config(), ["nets.0.trunk_rate=0.1"])


def test_a_teacher_sees_crops_at_its_own_size() -> None:
    image = torch.rand(2, 3, 16, 16)
    assert at_size(image, 16) is image
    assert at_size(image, 24).shape == (2, 3, 24, 24)
    torch.testing.assert_close(at_size(image, 4).mean((2, 3)), image.mean((2, 3)), atol=0.05, rtol=0)


def test_a_network_starts_as_dlibs(make_config: MakeConfig) -> None:
    try:
        trunk, _ = read_trunk(recognition_file())
    except FileNotFoundError as error:
        pytest.skip(str(error))
    shape = RecognitionConfig(size=112, blocks=8, ages=21)
    net = NetConfig(name="large", architecture=shape)
    module = AgeGenderModule(make_config(nets=(net,), start="dlib"), steps=10)
    ours = module.nets["large"].trunk.state_dict()
    assert len(ours) == 2 * 17
    for name, value in ours.items():
        assert torch.equal(value, trunk.state_dict()[name]), name
    with pytest.raises(ValueError, match="none of the weights in dlib fits tiny: its networks are others"):
        AgeGenderModule(make_config(start="dlib"), steps=10)


def test_a_run_writes_down_what_comes_from_other_data(
    tmp_path: Path, released: tuple[Path, list[CompactNet]], make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    _of_its_shape(monkeypatch, make_config)
    assert origins(make_config()) == ()
    begun = origins(make_config(start="dlib"))
    assert begun == (
        "begun as dlib's face recognition network, which learned identities from 3 million pictures, and no ages",
    )
    run = tmp_path / "run"
    run.mkdir()
    config = to_plain(make_config(nets=(_big(make_config),)))
    (run / "run.json").write_text(json.dumps({"config": config, "origins": list(begun)}))
    (run / "last.ckpt").touch()
    assert origins_of(run) == begun
    assert origins(make_config(start=str(run))) == begun
    assert origins(with_teacher(make_config(), run, released[0])) == (f"taught by a network {begun[0]}",)
    estimator = Estimator(released[0])
    card = estimator.card.model_copy(update={"training_data": f"a test ({SPLIT.digest}); {begun[0]}"})
    other = tmp_path / "other.onnx"
    other.write_bytes(write_card(card, to_onnx(Ensemble(released[1])).SerializeToString(), renew_golden=True))
    assert origins(make_config(start=f"{other}#2")) == begun


def test_a_hint_draws_the_students_features_to_the_teachers(
    finished: Path, make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def taught(**changes: object) -> AgeGenderModule:
        torch.manual_seed(0)
        config = with_teacher(make_config(mixup=0.0), finished, distill=0.0, asked="one")
        teacher, student = config.nets
        nets = (dataclasses.replace(teacher, mirrored=False), dataclasses.replace(student, **changes))
        return AgeGenderModule(dataclasses.replace(config, nets=nets), steps=10).eval()

    monkeypatch.setattr(AgeGenderModule, "global_step", 10)
    monkeypatch.setattr(AgeGenderModule, "_log", lambda *_, **__: None)
    image = torch.randint(0, 256, (6, 3, 16, 16), dtype=torch.uint8)
    batch = {"image": image, "age": torch.full((6,), 30.0), "is_female": torch.ones(6)}
    without, module = taught(), taught(hint=2.0)
    assert len(without.hints) == 0
    (layer,) = module.hints.values()
    own = module.nets["tiny"].pooled(image.float() / 255)
    theirs = module._frozen["big"](image.float() / 255).pooled
    assert (layer.in_features, layer.out_features) == (own.shape[1], theirs.shape[1])
    distance = (layer(own) - (theirs - theirs.mean(0)) / theirs.std(0)).square().mean()
    expected = without.training_step(batch, 0) + 2 * distance
    assert module.training_step(batch, 0).item() == pytest.approx(expected.item(), rel=1e-4)
    module.training_step(batch, 0).backward()
    assert layer.weight.grad.abs().sum() > 0
    (optimizer,) = [module.configure_optimizers()["optimizer"]]
    assert any(layer.weight is weight for group in optimizer.param_groups for weight in group["params"])
    assert not any("hint" in name for name in module.nets.state_dict())


def test_hints_that_cannot_be(
    make_config: MakeConfig, released: tuple[Path, list[CompactNet]], monkeypatch: pytest.MonkeyPatch
) -> None:
    _of_its_shape(monkeypatch, make_config)
    (student,) = make_config().nets
    with pytest.raises(ValueError, match=r"a hint's weight is 0 or more, got -1\.0"):
        dataclasses.replace(student, hint=-1.0)
    # Settings come before teachers on the command line.
    config = with_teacher(override(make_config(), ["nets.0.hint=1.5"]), released[0])
    assert (config.nets[-1].hint, len(AgeGenderModule(config, steps=10).hints)) == (1.5, 0)
    several = NetConfig(name="both", architecture=student.architecture, frozen=str(released[0]), asked="one")
    assert FrozenTeacher(several).feature_count is None  # two networks have no features in common
    assert FrozenTeacher(several)(_image()).pooled is None
