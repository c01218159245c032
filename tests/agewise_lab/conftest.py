"""What the laboratory's tests share: pictures, a store of them, tiny networks, and UTKFace where it is on hand."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import TypeAlias

import cv2
import numpy as np
import pytest
import torch

from agewise.detect import make_detector
from agewise.imaging.crop import CropSpec, crop_face
from agewise.types import UInt8Array
from agewise_lab.architectures.compact import CompactConfig, CompactNet
from agewise_lab.datasets.record import Record
from agewise_lab.datasets.utkface import read_records
from agewise_lab.store.crops import CropStore, build
from agewise_lab.training.augment import AugmentConfig
from agewise_lab.training.config import NetConfig, TrainConfig

SHARED = Path(__file__).resolve().parents[2] / "../shared"

MakeStore: TypeAlias = Callable[..., CropStore]
MakeConfig: TypeAlias = Callable[..., TrainConfig]


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Tests run side by side, and sums on one thread are the same each time."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)


# ---------------------------------------------------------------- pictures


def clouds(seed: int, side: int = 64) -> UInt8Array:
    """A smooth picture of its own, uint8 RGB (side, side, 3): two of other seeds look nothing like each other."""
    noise = np.random.default_rng(seed).random((side, side, 3), dtype=np.float32)
    smooth = np.asarray(cv2.GaussianBlur(noise, (0, 0), side / 12))
    smooth -= smooth.min()
    return np.asarray(smooth / smooth.max() * 255, dtype=np.uint8)


@pytest.fixture(scope="session", name="clouds")
def clouds_fixture() -> Callable[..., UInt8Array]:
    """`clouds(seed, side=64)`: a smooth random picture."""
    return clouds


@pytest.fixture(scope="session")
def photo() -> UInt8Array:
    """A real photo with one face, uint8 RGB (512, 512, 3)."""
    data = pytest.importorskip("skimage.data", reason="the photo comes with scikit-image")
    return np.asarray(data.astronaut())


@pytest.fixture(scope="session")
def chip(photo: UInt8Array) -> UInt8Array:
    """The photo's face as UTKFace would have it, uint8 RGB (200, 200, 3)."""
    (face, *_) = make_detector("mtcnn").detect(photo)
    return crop_face(photo, face, CropSpec(), 200)


def write_jpeg(path: Path, image_rgb: UInt8Array, quality: int = 92) -> None:
    """Write a picture."""
    assert cv2.imwrite(str(path), image_rgb[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])


@pytest.fixture(scope="session", name="write_jpeg")
def write_jpeg_fixture() -> Callable[..., None]:
    """`write_jpeg(path, image_rgb, quality=92)`."""
    return write_jpeg


def _name(age: int, gender: int, bucket: range) -> str:
    """A name as UTKFace has them whose hash falls into the wanted hundredths, so that the test knows its part."""
    for i in range(100_000):
        name = f"{age}_{gender}_{i % 5}_{20170000000000000 + i}.jpg.chip.jpg"
        if int(hashlib.sha1(f"agewise:{name}".encode()).hexdigest(), 16) % 100 in bucket:
            return name
    raise AssertionError("no such name")


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory, chip: UInt8Array) -> SimpleNamespace:
    """52 pictures in a folder: clouds, one face, and two near-duplicates whose names would make them validation.

    `root`; the names that `train`, those of `validation` and `holdout`; the `twins`, and the one with the `face`.
    """
    root = tmp_path_factory.mktemp("pictures")
    named = {
        "validation": [_name(3 * i, i % 2, range(7)) for i in range(24)],
        "holdout": [_name(3 * i, i % 2, range(7, 14)) for i in range(5)],
        "train": [_name(4 * i, i % 2, range(14, 100)) for i in range(20)],
    }
    for seed, name in enumerate(itertools.chain.from_iterable(named.values())):
        write_jpeg(root / name, clouds(seed))
    twins = [_name(80, 1, range(7)), _name(90, 0, range(7))]
    write_jpeg(root / twins[0], clouds(1000), 95)
    write_jpeg(root / twins[1], np.ascontiguousarray(clouds(1000)[:, ::-1]), 60)
    face = _name(41, 1, range(7))
    write_jpeg(root / face, chip)
    return SimpleNamespace(
        root=root,
        train=named["train"] + twins,
        validation=[*named["validation"], face],
        holdout=named["holdout"],
        twins=twins,
        face=face,
    )


@pytest.fixture(scope="session")
def store_folder(tmp_path_factory: pytest.TempPathFactory, pictures: SimpleNamespace) -> Path:
    """The store of `pictures`, as `build` writes it, crops of 40 pixels."""
    folder = tmp_path_factory.mktemp("stores") / "store"
    build(read_records(pictures.root).records, pictures.root, folder, side=40, processes=1)
    return folder


# ---------------------------------------------------------------- stores and runs without files


def make_store(count: int, side: int = 24, seed: int = 0) -> CropStore:
    """A store in memory: whole and aligned crops differ, all pictures stand alone."""
    rng = np.random.default_rng(seed)
    whole = np.stack([clouds(100 * seed + i, side) for i in range(count)])
    return CropStore(
        whole=whole,
        aligned=np.ascontiguousarray(255 - whole),
        age_years=rng.integers(0, 100, count).astype(np.float32),
        is_female=(rng.random(count) < 0.5).astype(np.float32),
        group=np.zeros(count, dtype=np.int64),
        found=np.ones(count, dtype=bool),
        score=np.ones(count, dtype=np.float32),
        duplicate_group=np.arange(count),
        name=np.array([f"{i}.jpg" for i in range(count)]),
    )


@pytest.fixture(scope="session", name="make_store")
def make_store_fixture() -> MakeStore:
    """`make_store(count, side=24, seed=0)`."""
    return make_store


TINY = CompactConfig(size=16, stem=4, widths=(4, 8), depths=(1, 1), dropout=0.2)


def make_config(**changes: object) -> TrainConfig:
    """A run of seconds: one tiny network, 4 epochs of 8 crops a step, with mixup and dropout."""
    fields = {
        "name": "tiny",
        "nets": (NetConfig(name="tiny", architecture=TINY, learning_rate=3e-3),),
        "epochs": 4,
        "batch": 8,
        "sizes": ((0.5, 12), (1.0, 16)),
        "mixup": 0.5,
        "ema": 0.9,
        "augment": AugmentConfig(),
    }
    return TrainConfig(**(fields | changes))  # type: ignore[arg-type]


@pytest.fixture(scope="session", name="make_config")
def make_config_fixture() -> MakeConfig:
    """`make_config(**changes)`: a tiny run."""
    return make_config


@pytest.fixture(scope="session")
def tiny() -> CompactConfig:
    """The shape of a tiny network."""
    return TINY


def make_net(config: CompactConfig = TINY, seed: int = 3) -> CompactNet:
    """A network of random weights whose batch norms and last layers all matter, in evaluation mode."""
    torch.manual_seed(seed)
    net = CompactNet(config)
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(0, 0.1)
                assert module.running_mean is not None
                assert module.running_var is not None
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 1.5)
        net.age.weight.mul_(10)
        net.gender.weight.mul_(10)
    return net.eval()


@pytest.fixture(scope="session", name="make_net")
def make_net_fixture() -> Callable[..., CompactNet]:
    """`make_net(config=TINY, seed=3)`: a network of random weights."""
    return make_net


# ---------------------------------------------------------------- real data, where they are on hand


@pytest.fixture(scope="session")
def utkface() -> Path:
    """The folder of UTKFace's aligned, cropped pictures; it lies beside the checkout and is never committed."""
    folder = SHARED / "data" / "utkface"
    if not folder.is_dir():
        pytest.skip("UTKFace is not on hand (../shared/data/utkface)")
    return folder


@pytest.fixture(scope="session")
def real_records(utkface: Path) -> tuple[Record, ...]:
    """Every 450th record of UTKFace: 43 of all ages."""
    return read_records(utkface).records[::450]
