"""What is trained on is what is served: the same crops, the same decoding, one home for each formula.

The costliest bug of this field is a training crop or a decoding that differs a little from the served one: nothing
fails, all answers are slightly wrong. Here both sides are run and compared by value.
"""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from agewise import Analyzer, Detection, Estimator, Gender, decode, make_detector, read_image
from agewise.detect.mtcnn import MtcnnDetector
from agewise.imaging.crop import CropSpec, crop_face
from agewise.imaging.normalise import to_network_input
from agewise.types import UInt8Array
from agewise_lab.architectures.compact import CompactConfig
from agewise_lab.datasets.record import Record
from agewise_lab.datasets.utkface import read_records
from agewise_lab.evaluation.run import Results, most_central, run
from agewise_lab.export.release import About, first_card
from agewise_lab.store import faces as store_faces
from agewise_lab.store.crops import build, find_in_chip, open_store, padded
from agewise_lab.training.config import NetConfig, TrainConfig
from agewise_lab.training.data import PlainBatches
from agewise_lab.training.module import AgeGenderModule

# A stored crop is resampled twice, a served one once. This much is what a shift of a quarter of a pixel does.
MOST_GREY_LEVELS = 2.0


@pytest.fixture(scope="module")
def photo() -> UInt8Array:
    """A real photo with one face, uint8 RGB (512, 512, 3)."""
    data = pytest.importorskip("skimage.data", reason="the photo comes with scikit-image")
    return np.asarray(data.astronaut())


@pytest.fixture(scope="module")
def estimator() -> Estimator:
    return Estimator()


@pytest.fixture(scope="module")
def chips(tmp_path_factory: pytest.TempPathFactory, photo: UInt8Array) -> Path:
    """A folder of the photo's face, cut tightly and a little askew, in several sizes, some mirrored."""
    folder = tmp_path_factory.mktemp("parity")
    (face, *_) = make_detector("mtcnn").detect(photo)
    for i, (side, angle) in enumerate([(200, 0), (200, 8), (130, -6), (330, 3), (64, 0)]):
        chip = crop_face(photo, face, CropSpec(), side)
        turn = cv2.getRotationMatrix2D((side / 2, side / 2), angle, 1.05)
        chip = np.asarray(cv2.warpAffine(chip, turn, (side, side), borderMode=cv2.BORDER_REFLECT), dtype=np.uint8)
        chip = chip[:, ::-1] if i % 2 else chip
        assert cv2.imwrite(str(folder / f"41_1_0_2017000000000000{i}.jpg"), chip[:, :, ::-1])
    return folder


@pytest.fixture(params=["astronaut", "UTKFace"])
def faces(request: pytest.FixtureRequest, repository: Path, chips: Path) -> tuple[Path, tuple[Record, ...]]:
    """(folder, records) of tightly cropped faces."""
    if request.param == "astronaut":
        return chips, read_records(chips).records
    folder = repository / "../shared/data/utkface"
    if not folder.is_dir():
        pytest.skip("UTKFace is not on hand (../shared/data/utkface)")
    return folder, read_records(folder).records[::900]


def _grey_levels(a: UInt8Array, b: UInt8Array) -> float:
    return float(np.abs(a.astype(int) - b.astype(int)).mean())


def _chip_detector(image: UInt8Array) -> MtcnnDetector:
    """The detector that the store uses for a picture that its face fills."""
    return store_faces._detector(max(12, int(min(image.shape[:2]) * 0.4)))


def _moved(face: Detection, pixels: float) -> Detection:
    assert face.landmarks_xy is not None
    x0, y0, x1, y1 = (value + pixels for value in face.box_xyxy)
    return Detection((x0, y0, x1, y1), face.score, face.landmarks_xy + pixels)


# ---------------------------------------------------------------- crops


def test_training_and_serving_cut_the_same_crops(
    tmp_path: Path, faces: tuple[Path, tuple[Record, ...]], estimator: Estimator
) -> None:
    root, records = faces
    build(records, root, tmp_path / "store", processes=1)
    store = open_store(tmp_path / "store")
    batches = PlainBatches(store, np.arange(len(store)), estimator.card.input.size, 999)
    whole, aligned = (batches[i]["image"].numpy().transpose(0, 2, 3, 1) for i in range(2))
    assert store.found.sum() >= len(records) - 1, "too few faces are found for this to show anything"
    for i, record in enumerate(records):
        image = read_image(root / record.path)
        (entire,) = make_detector("none").detect(image)
        assert _grey_levels(whole[i], estimator.crop(image, entire)) <= MOST_GREY_LEVELS, record.path
        face = find_in_chip(_chip_detector(image), image)
        assert (face is not None) == store.found[i]
        if face is not None:
            photo = padded(image)
            face = _moved(face, (photo.shape[0] - image.shape[0]) / 2)
            assert _grey_levels(aligned[i], estimator.crop(photo, face)) <= MOST_GREY_LEVELS, record.path
        else:
            assert np.array_equal(aligned[i], whole[i]), record.path


def test_served_landmarks_do_not_lie_elsewhere_than_those_trained_on(faces: tuple[Path, tuple[Record, ...]]) -> None:
    """The store tells its detector how large the faces are; serving does not know. Both align alike on average."""
    root, records = faces
    shifts = []
    for record in records:
        image = read_image(root / record.path)
        photo = padded(image)
        trained = find_in_chip(_chip_detector(image), image)
        served = most_central(photo, make_detector("mtcnn").detect(photo))
        if trained is None or served is None:
            continue
        trained = _moved(trained, (photo.shape[0] - image.shape[0]) / 2)
        assert served.landmarks_xy is not None
        assert trained.landmarks_xy is not None
        shifts.append((served.landmarks_xy - trained.landmarks_xy) / image.shape[0])
    assert len(shifts) >= len(records) - 1
    assert np.abs(np.mean(shifts, axis=(0, 1))).max() < 0.015  # of the crop's side
    assert np.abs(shifts).max() < 0.1


def test_what_the_tolerance_is_worth(chips: Path, estimator: Estimator) -> None:
    image = read_image(sorted(chips.iterdir())[0])
    side = image.shape[0]
    half_a_pixel = 0.5 * side / estimator.card.input.size
    crop, shifted = (
        estimator.crop(image, Detection((x, 0, side + x, side), 1.0, is_crop=True)) for x in (0, half_a_pixel)
    )
    assert _grey_levels(crop, shifted) > MOST_GREY_LEVELS


# ---------------------------------------------------------------- values and labels


@pytest.fixture(scope="module")
def module() -> AgeGenderModule:
    architecture = CompactConfig(size=16, stem=4, widths=(4,), depths=(1,))
    return AgeGenderModule(TrainConfig(name="tiny", nets=(NetConfig(name="tiny", architecture=architecture),)), 10)


def test_training_and_serving_scale_pixels_alike(module: AgeGenderModule) -> None:
    about = About(name="tiny", version="0", summary="", recipe="", training_data="", split="")
    spec = first_card(module.nets["tiny"], about).input  # type: ignore[arg-type]
    pixels = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)
    trained = module._images({"image": torch.from_numpy(pixels.transpose(0, 3, 1, 2).copy())})
    served = to_network_input(pixels, color_order=spec.color_order, scale=spec.scale, mean=spec.mean, std=spec.std)
    assert np.abs(trained.numpy() - served).max() < 1e-6


@pytest.mark.parametrize(("is_female", "gender"), [(1.0, Gender.FEMALE), (0.0, Gender.MALE)])
def test_training_and_serving_order_genders_alike(
    module: AgeGenderModule, monkeypatch: pytest.MonkeyPatch, is_female: float, gender: Gender
) -> None:
    about = About(name="tiny", version="0", summary="", recipe="", training_data="", split="")
    card = first_card(module.nets["tiny"], about)  # type: ignore[arg-type]
    assert card.gender is not None
    monkeypatch.setattr(module, "_log", lambda *_: None)
    batch = {
        "image": torch.zeros(4, 3, 16, 16, dtype=torch.uint8),
        "age": torch.full((4,), 30.0),
        "is_female": torch.full((4,), is_female),
    }
    module.zero_grad()
    module.training_step(batch, 0).backward()
    bias = module.get_parameter("nets.tiny.gender.bias")
    assert bias.grad is not None
    step = -bias.grad.numpy()[None].astype(np.float64)
    (female,) = decode.decode_female_probability(
        {"gender_probs": step}, card.gender.model_copy(update={"activation": "softmax"})
    )
    assert decode.likelier_gender(float(female))[0] is gender


# ---------------------------------------------------------------- the whole chain


def _row(results: Results) -> list[float]:
    values = (results.years, results.std_years, results.low, results.high, results.female_probability)
    return [float(value[0]) for value in values]


@pytest.mark.parametrize("detector", ["none", "mtcnn"])
def test_evaluation_and_analyzer_say_the_same(
    tmp_path: Path, photo: UInt8Array, estimator: Estimator, detector: str
) -> None:
    path = tmp_path / "astronaut.png"
    assert cv2.imwrite(str(path), photo[:, :, ::-1])
    record = Record(path.name, 41.0, Gender.FEMALE, None)
    evaluated = run([record], tmp_path, estimator, None if detector == "none" else make_detector(detector))

    analyzer = Analyzer(detector=detector)
    found = analyzer(path) if detector == "none" else analyzer(padded(photo), color_order="RGB")
    chosen = most_central(photo if detector == "none" else padded(photo), [face.detection for face in found])
    (face,) = [face for face in found if face.detection is chosen]
    assert face.age_interval_years is not None
    assert face.gender_probability is not None
    female = face.gender_probability if face.gender is Gender.FEMALE else 1 - face.gender_probability
    assert _row(evaluated) == [face.age_years, face.age_std_years, *face.age_interval_years, female]


def test_evaluation_decodes_by_agewise(chips: Path, estimator: Estimator, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change of a formula in `agewise.decode` changes the figures by as much."""
    records = read_records(chips).records[:1]
    before = _row(run(records, chips, estimator))
    expectation, median, female = decode.expectation, decode.median, decode.decode_female_probability
    monkeypatch.setattr(decode, "expectation", lambda *args: (expectation(*args)[0] + 7, expectation(*args)[1] * 4))
    monkeypatch.setattr(decode, "median", lambda *args: median(*args) + 7)
    monkeypatch.setattr(decode, "interval", lambda years, *_: (years - 1, years + 2))
    monkeypatch.setattr(decode, "decode_female_probability", lambda *args: female(*args) * 0.5)
    after = _row(run(records, chips, estimator))
    assert after == pytest.approx([before[0] + 7, before[1] * 2, before[0] + 6, before[0] + 9, before[4] / 2])


# ---------------------------------------------------------------- one home for each formula


@pytest.mark.parametrize(
    ("what", "pattern", "homes"),
    [
        (
            "cutting a crop",
            r"\bwarp(Affine|Perspective)\(|\bremap\(|getRectSubPix\(",
            {
                "agewise/imaging/crop.py",
                "agewise/detect/pyramid.py",  # cuts MTCNN's candidates, no crop
                "agewise_lab/evaluation/perturbations.py",  # turns whole pictures, to see what that does
            },
        ),
        (
            "aligning by landmarks",
            r"estimateAffine|getAffineTransform|def similarity_transform",
            {"agewise/imaging/crop.py"},
        ),
        ("the landmark template", r"\b59\.1\b|\b138\.3\b|\b0\.2955\b", {"agewise/imaging/crop.py"}),
        ("softmax in numpy", r"def softmax\(logits|\bexp\(\w*logits", {"agewise/decode.py"}),
        (
            "softmax in torch",
            r"torch\.softmax\(",
            {
                "agewise_lab/export/onnx_model.py",  # inside the served network
                # the twins of decode, held to it by tests of heads and losses
                "agewise_lab/heads/age.py",
                "agewise_lab/heads/gender.py",
                "agewise_lab/losses/classification.py",
                "agewise_lab/losses/distribution.py",
                "agewise_lab/losses/label_distribution.py",
                "agewise_lab/training/learners.py",  # a teacher's answers
            },
        ),
        (
            "the mean of a distribution",
            r"probs\w*(\.double\(\))? @ ",
            {
                "agewise/decode.py",
                "agewise_lab/heads/ordinal.py",  # the twin of decode, held to it by a test
                "agewise_lab/losses/classification.py",
            },
        ),
        ("intervals", r"\bradii\[", {"agewise/decode.py"}),
    ],
)
def test_each_formula_has_one_home(
    source_files: list[Path], repository: Path, what: str, pattern: str, homes: set[str]
) -> None:
    found = {
        file.relative_to(repository / "src").as_posix()
        for file in source_files
        if re.search(pattern, file.read_text(encoding="utf-8"))
    }
    assert found == homes, what


def test_evaluation_has_no_decoding_of_its_own(repository: Path) -> None:
    """Tables carry the distributions that agewise decoded, and sum them by class; nothing makes years of them."""
    own = (
        r"softmax|expectation\(|decode_\w+\(|class_bins\(|probs_over_ages *(@|\*|\.arg|\.sum|\.mean)"
        r"|\btorch\b|onnxruntime"
    )
    for file in (repository / "src" / "agewise_lab" / "evaluation").rglob("*.py"):
        assert not re.search(own, file.read_text(encoding="utf-8")), file.name
