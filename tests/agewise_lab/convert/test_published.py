"""Published Keras weights: the layers land where they belong, and the file serves.

The files themselves lie beside the checkout (../shared/weights) and are not committed; those tests skip without them.
Each is held against a forward pass written here in numpy from the networks' description, in Keras' own layout.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt
import pytest
import torch
from typer.testing import CliRunner

from agewise.card import ExpectationAge, synthetic_crop
from agewise.engine import OnnxEngine
from agewise.estimate import Estimator
from agewise.imaging.normalise import to_network_input
from agewise.types import Gender, UInt8Array
from agewise_lab.architectures.wideresnet import WideResNet
from agewise_lab.cli.main import app
from agewise_lab.convert.keras_h5 import KerasWeights, read_weights
from agewise_lab.convert.nets import FEMALE_MALE, MALE_FEMALE, wideresnet
from agewise_lab.convert.published import PUBLISHED, convert, find_published, read_gender_net, read_net

Array = npt.NDArray[np.float64]
Weights = dict[str, npt.NDArray[np.float32]]
WEIGHTS = Path(__file__).resolve().parents[3] / "../shared/weights"


@pytest.fixture(scope="module")
def files() -> Path:
    if not WEIGHTS.is_dir():
        pytest.skip("the published weights are not on hand (../shared/weights)")
    return WEIGHTS


@pytest.fixture(scope="module")
def both(files: Path) -> bytes:
    """SSR-Net's age and gender of WIKI in one file: the export takes seconds, so it is made once."""
    return convert(files / "ssrnet/age_wiki.h5", "ssrnet-wiki", gender=files / "ssrnet/gender_wiki.h5")


def _crops(count: int, size: int = 64) -> UInt8Array:
    return np.stack([synthetic_crop(seed, size) for seed in range(count)])


# ---------------------------------------------------------------- numpy, as Keras lays it out: (n, h, w, channels)


def conv(x: Array, kernel: Array, bias: Array | float = 0.0, *, stride: int = 1, same: bool = False) -> Array:
    """A convolution; "same" as TensorFlow pads."""
    high, wide = kernel.shape[:2]
    if same:
        pads = []
        for side, k in zip(x.shape[1:3], (high, wide), strict=True):
            total = max((-(-side // stride) - 1) * stride + k - side, 0)
            pads.append((total // 2, total - total // 2))
        x = np.pad(x, [(0, 0), *pads, (0, 0)])
    windows = np.lib.stride_tricks.sliding_window_view(x, (high, wide), axis=(1, 2))[:, ::stride, ::stride]
    return np.einsum("nijchw,hwco->nijo", windows, kernel, optimize=True) + bias


def pool(x: Array, size: int, how: Callable[..., Array]) -> Array:
    n, high, wide, channels = x.shape
    high, wide = high // size, wide // size
    cut = x[:, : high * size, : wide * size].reshape(n, high, size, wide, size, channels)
    return how(cut, axis=(2, 4))


def norm(x: Array, w: Weights, name: str, epsilon: float = 1e-3) -> Array:
    scale = w[f"{name}/gamma"] / np.sqrt(w[f"{name}/moving_variance"].astype(float) + epsilon)
    return (x - w[f"{name}/moving_mean"]) * scale + w[f"{name}/beta"]


def relu(x: Array) -> Array:
    return np.maximum(x, 0)


def dense(x: Array, w: Weights, name: str) -> Array:
    return x @ w[f"{name}/kernel"].astype(float) + w.get(f"{name}/bias", np.float32(0))


def ssrnet_in_numpy(image: Array, w: Weights, age_range: float, prefix: str) -> Array:
    """systems.md, section 1."""

    def stream(name: int, activation: Callable[[Array], Array], how: Callable[..., Array]) -> list[Array]:
        x, after = image, []
        for i in range(4):
            x = conv(x, w[f"conv2d_{name + i}/kernel"], w[f"conv2d_{name + i}/bias"])
            x = activation(norm(x, w, f"batch_normalization_{name + i}"))
            if i < 3:
                x = pool(x, 2, how)
            after.append(x)
        return after

    x, s = stream(1, relu, np.mean), stream(5, np.tanh, np.max)
    total, width = np.zeros(len(image)), np.ones(len(image))
    for k, (level, size) in enumerate(((3, 1), (1, 4), (0, 8))):
        maps = []
        for offset, ends, how in ((0, s, np.max), (1, x, np.mean)):
            c = f"conv2d_{9 + 2 * k + offset}"
            maps.append(pool(relu(conv(ends[level], w[f"{c}/kernel"], w[f"{c}/bias"])), size, how))
        flat_s, flat_x = (m.reshape(len(image), -1) for m in maps)
        delta = np.tanh(dense(flat_s * flat_x, w, f"delta_s{k + 1}"))[:, 0]
        mixed = relu(dense(flat_s, w, f"dense_{3 * k + 1}")) * relu(dense(flat_x, w, f"dense_{3 * k + 2}"))
        joint = relu(dense(mixed, w, f"dense_{3 * k + 3}"))
        probs = relu(dense(joint, w, f"{prefix}{k + 1}"))
        eta = np.tanh(dense(joint, w, f"local_delta_stage{k + 1}"))
        width = width * 3 * (1 + delta)
        total += ((np.arange(3) + eta) * probs).sum(axis=1) / width
    return age_range * total


def mobilenet_in_numpy(image: Array, w: Weights) -> Array:
    def step(x: Array, name: str, kernel: Array, stride: int = 1) -> Array:
        return np.clip(norm(conv(x, kernel, stride=stride, same=True), w, f"{name}_bn"), 0, 6)

    x = step(image, "conv1", w["conv1/kernel"], 2)
    for i, stride in enumerate((1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1), start=1):
        depthwise = w[f"conv_dw_{i}/depthwise_kernel"][..., 0]
        x = step(x, f"conv_dw_{i}", depthwise[..., None] * np.eye(depthwise.shape[2]), stride)
        x = step(x, f"conv_pw_{i}", w[f"conv_pw_{i}/kernel"])
    x = relu(conv(x, w["conv2d_1/kernel"], w["conv2d_1/bias"])).reshape(len(image), -1)
    return dense(relu(dense(x, w, "feat_a")), w, "pred_a")[:, 0]


def densenet_in_numpy(image: Array, w: Weights, layers: int) -> Array:
    def active(x: Array, i: int) -> Array:
        return relu(norm(x, w, f"batch_normalization_{i}", 1.1e-5))

    x, c, b = conv(image, w["conv2d_1/kernel"], same=True), 2, 1
    for block in range(3):
        for _ in range(layers):
            x = np.concatenate([x, conv(active(x, b), w[f"conv2d_{c}/kernel"], same=True)], axis=3)
            b, c = b + 1, c + 1
        x, b = active(x, b), b + 1
        if block < 2:
            x, c = pool(conv(x, w[f"conv2d_{c}/kernel"]), 2, np.mean), c + 1
    x = relu(dense(x.mean(axis=(1, 2)), w, "dense_1"))
    return dense(relu(dense(x, w, "feat_a")), w, "pred_a")[:, 0]


def _images(count: int = 2) -> Array:
    """BGR 0..255, as Keras takes it."""
    return _crops(count)[..., ::-1].astype(float)


def _in_torch(image: Array) -> torch.Tensor:
    return torch.from_numpy(image.transpose(0, 3, 1, 2).astype(np.float32))


@pytest.mark.parametrize("data", ["imdb", "wiki", "morph2", "megaage_asian"])
def test_ssrnet_gives_the_ages_of_its_description(files: Path, data: str) -> None:
    path = files / f"ssrnet/age_{data}.h5"
    net = read_net(path, f"ssrnet-{data.replace('_', '-')}")
    image = _images(3)
    expected = ssrnet_in_numpy(image, read_weights(path), 101.0, "pred_age_stage")
    with torch.inference_mode():
        got = net.age_head.years(net(_in_torch(image)))
    assert np.ptp(expected) > 1
    assert got.numpy() == pytest.approx(expected, abs=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("data", ["imdb", "wiki", "morph2"])
def test_ssrnet_gives_the_genders_of_its_description(files: Path, data: str) -> None:
    path = files / f"ssrnet/gender_{data}.h5"
    net = read_gender_net(path)
    image = _images(3)
    expected = ssrnet_in_numpy(image, read_weights(path), 1.0, "pred_stage")
    with torch.inference_mode():
        got = net.served(_in_torch(image))["gender_value"][:, 0]
    assert got.numpy() == pytest.approx(expected, abs=1e-4)
    second = Gender.FEMALE if data == "morph2" else Gender.MALE
    assert net.gender_head.decoding.order[1] is second


@pytest.mark.parametrize("alpha", ["0.25", "0.5"])
def test_a_mobilenet_baseline(files: Path, alpha: str) -> None:
    path = files / f"baselines/mobilenet_reg_{alpha}_64_wiki.h5"
    net = read_net(path, f"mobilenet-{alpha}-wiki")
    expected = mobilenet_in_numpy(_images(), read_weights(path))
    with torch.inference_mode():
        got = net.age_head.years(net(_in_torch(_images())))
    assert got.numpy() == pytest.approx(expected, abs=5e-3)


@pytest.mark.parametrize("depth", [13, 19])
def test_a_densenet_baseline(files: Path, depth: int) -> None:
    path = files / f"baselines/densenet_reg_{depth}_64_imdb.h5"
    net = read_net(path, f"densenet-{depth}-imdb")
    expected = densenet_in_numpy(_images(), read_weights(path), (depth - 4) // 3)
    with torch.inference_mode():
        got = net.age_head.years(net(_in_torch(_images())))
    assert got.numpy() == pytest.approx(expected, abs=5e-3)


# ---------------------------------------------------------------- yu4u's network, in files of its layout


def _wide_weights(depth: int, width: int, side: int, seed: int = 0) -> Weights:
    """Weights under the names that Keras gives the layers of yu4u's network; `side` of the pooled map."""
    rng = np.random.default_rng(seed)
    weights: Weights = {}
    counts = {"conv2d": 0, "batch_normalization": 0}

    def add(kind: str, **arrays: npt.NDArray[np.float64]) -> None:
        counts[kind] += 1
        for part, array in arrays.items():
            weights[f"{kind}_{counts[kind]}/{part}"] = array.astype(np.float32)

    def add_conv(k: int, inputs: int, outputs: int) -> None:
        add("conv2d", kernel=rng.normal(0, 1 / np.sqrt(k * k * inputs), (k, k, inputs, outputs)))

    def add_norm(channels: int) -> None:
        add(
            "batch_normalization",
            gamma=rng.uniform(0.5, 1.5, channels),
            beta=rng.normal(0, 0.3, channels),
            moving_mean=rng.normal(0, 0.3, channels),
            moving_variance=rng.uniform(0.5, 1.5, channels),
        )

    add_conv(3, 3, 16)
    planes = 16
    for outputs in (16 * width, 32 * width, 64 * width):
        for _ in range((depth - 4) // 6):
            add_norm(planes)
            add_conv(3, planes, outputs)
            add_norm(outputs)
            add_conv(3, outputs, outputs)
            if planes != outputs:
                add_conv(1, planes, outputs)
            planes = outputs
    add_norm(planes)
    features = planes * side * side
    weights["pred_gender/kernel"] = rng.normal(0, 1 / np.sqrt(features), (features, 2)).astype(np.float32)
    weights["pred_age/kernel"] = rng.normal(0, 3 / np.sqrt(features), (features, 101)).astype(np.float32)
    return weights


def _wide_in_numpy(image: Array, w: Weights, depth: int, how: str) -> tuple[Array, Array]:
    """Ages and the shares of the second gender: systems.md, section 2."""
    c, b = 2, 1
    x = conv(image, w["conv2d_1/kernel"], same=True)
    for stage in range(3):
        for i in range((depth - 4) // 6):
            stride = 2 if stage and not i else 1
            active, b = relu(norm(x, w, f"batch_normalization_{b}")), b + 1
            y, c = conv(active, w[f"conv2d_{c}/kernel"], stride=stride, same=True), c + 1
            y, b = relu(norm(y, w, f"batch_normalization_{b}")), b + 1
            y, c = conv(y, w[f"conv2d_{c}/kernel"], same=True), c + 1
            if not i:
                x, c = conv(active, w[f"conv2d_{c}/kernel"], stride=stride, same=True), c + 1
            x = x + y
    x = relu(norm(x, w, f"batch_normalization_{b}"))
    if how == "apart":
        x = pool(x, 8, np.mean)
    else:  # windows of 8 by 8 around each position, cut at the border
        side = x.shape[1]
        spans = [slice(max(i - 3, 0), min(i + 5, side)) for i in range(side)]
        x = np.stack([np.stack([x[:, r, q].mean(axis=(1, 2)) for q in spans], 1) for r in spans], 1)
    flat = x.reshape(len(image), -1)

    def softmax(z: Array) -> Array:
        e = np.exp(z - z.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    return softmax(dense(flat, w, "pred_age")) @ np.arange(101), softmax(dense(flat, w, "pred_gender"))[:, 1]


def _write(path: Path, weights: Weights, *, whole_model: bool, first: int = 1, suffix: str = ":0") -> None:
    """A file as Keras writes it; layers without weights are listed too, and the order is not that of making."""
    with h5py.File(path, "w") as file:
        root = file.create_group("model_weights") if whole_model else file
        if whole_model:
            file.attrs["model_config"] = b"{}"
            file.create_group("optimizer_weights").create_dataset("iterations:0", data=np.zeros(1))
        layers: dict[str, list[str]] = {"input_1": []}
        for name in sorted(weights, reverse=True):
            layers.setdefault(name.split("/")[0], []).append(name)
        renamed = {layer: _from(layer, first) for layer in layers}
        root.attrs["layer_names"] = [renamed[layer].encode() for layer in layers]
        for layer, names in layers.items():
            group = root.create_group(renamed[layer])
            full = [f"{renamed[layer]}/{name.split('/')[1]}{suffix}" for name in names]
            group.attrs["weight_names"] = [name.encode() for name in full]
            for name, own in zip(full, names, strict=True):
                group.create_dataset(name, data=weights[own])


def _from(layer: str, first: int) -> str:
    """TensorFlow's Keras counts from `conv2d`, `conv2d_1`; Keras itself from `conv2d_1`."""
    kind, _, number = layer.rpartition("_")
    if first == 1 or kind not in ("conv2d", "batch_normalization"):
        return layer
    return kind if number == "1" else f"{kind}_{int(number) - 1}"


@pytest.mark.parametrize(
    ("whole_model", "first", "side", "how"),
    [(True, 1, 2, "apart"), (False, 1, 16, "same"), (False, 0, 2, "apart")],
)
def test_a_wide_residual_network(tmp_path: Path, whole_model: bool, first: int, side: int, how: str) -> None:
    weights = _wide_weights(10, 2, side)
    path = tmp_path / "weights.28-3.73.hdf5"
    _write(path, weights, whole_model=whole_model, first=first)
    net = wideresnet(KerasWeights(read_weights(path), "it"), FEMALE_MALE)
    assert isinstance(net.backbone, WideResNet)
    assert net.backbone.means.kind == how
    image = _images(2) / 50
    years, male = _wide_in_numpy(image, weights, 10, how)
    with torch.inference_mode():
        outputs = net(_in_torch(image))
        assert net.age_head.years(outputs).numpy() == pytest.approx(years, abs=1e-2)
        assert net.gender_head.female(outputs).numpy() == pytest.approx(1 - male, abs=1e-4)
        other = wideresnet(KerasWeights(read_weights(path), "it"), MALE_FEMALE)
        assert other.gender_head.female(other(_in_torch(image))).numpy() == pytest.approx(male, abs=1e-4)
    assert np.ptp(male) > 1e-3


def test_the_full_size_of_yu4us_network_is_recognised(tmp_path: Path) -> None:
    path = tmp_path / "w.hdf5"
    _write(path, _wide_weights(16, 2, 2), whole_model=False)
    net = read_net(path, "wideresnet-16-8-imdb-wiki")
    assert len(net.backbone.stage1) == 2
    assert net.backbone.feature_count == 64 * 2 * 4


# ---------------------------------------------------------------- the file that serves


def test_age_and_gender_in_one_small_file(both: bytes, files: Path) -> None:
    assert len(both) < 350_000
    estimator = Estimator(engine=OnnxEngine(both))
    card = estimator.card
    assert (card.input.color_order, card.input.scale, card.input.size) == ("BGR", 1.0, 64)
    assert (card.crop.kind, card.crop.margin, card.crop.square) == ("box", 0.4, False)
    crops = _crops(3)
    ages, female = estimator.run(crops)
    image = crops[..., ::-1].astype(float)
    years = ssrnet_in_numpy(image, read_weights(files / "ssrnet/age_wiki.h5"), 101.0, "pred_age_stage")
    male = ssrnet_in_numpy(image, read_weights(files / "ssrnet/gender_wiki.h5"), 1.0, "pred_stage")
    assert ages.years == pytest.approx(years, abs=0.01)
    assert female == pytest.approx(1 - np.clip(male, 1e-6, 1 - 1e-6), abs=1e-3)


@pytest.mark.parametrize("count", [1, 5, 32])
def test_the_file_gives_what_pytorch_gives(both: bytes, files: Path, count: int) -> None:
    net = read_net(files / "ssrnet/age_wiki.h5", "ssrnet-wiki")
    values = to_network_input(_crops(count), color_order="BGR", scale=1.0, mean=(0, 0, 0), std=(1, 1, 1))
    with torch.inference_mode():
        expected = net.served(torch.from_numpy(values))
    got = OnnxEngine(both).run({"image": values})
    for name, value in expected.items():
        assert got[name].shape == value.shape
        assert got[name] == pytest.approx(value.numpy(), abs=1e-3)


def test_predict_with_a_converted_file(both: bytes, tmp_path: Path, photo: UInt8Array) -> None:
    import agewise

    path = tmp_path / "ssrnet-wiki.onnx"
    path.write_bytes(both)
    (face,) = agewise.Analyzer(path)(photo, color_order="RGB")
    assert face.gender is Gender.FEMALE
    assert face.age_years == pytest.approx(25.84, abs=0.5)


def test_the_command_converts_and_says_what_it_cannot(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(
        app,
        ["convert", str(files / "baselines/mobilenet_reg_0.25_64_imdb.h5"), "--as", "mobilenet-0.25-imdb", "--int8"],
    )
    assert result.exit_code == 0, result.output
    data = (tmp_path / "mobilenet-0.25-imdb.onnx").read_bytes()
    assert len(data) < 400_000  # 0.9 MB as float32
    estimator = Estimator(engine=OnnxEngine(data))
    assert estimator.card.gender is None
    net = read_net(files / "baselines/mobilenet_reg_0.25_64_imdb.h5", "mobilenet-0.25-imdb")
    with torch.inference_mode():
        expected = net.age_head.years(net(_in_torch(_images(4))))
    assert estimator.run(_crops(4))[0].years == pytest.approx(expected.numpy(), abs=2.0)


def test_a_gender_file_alone_is_refused(files: Path) -> None:
    with pytest.raises(ValueError, match=r"gender alone.*convert an age file, and add this one by --gender"):
        read_net(files / "ssrnet/gender_wiki.h5", "ssrnet-wiki")
    with pytest.raises(ValueError, match=r"is no gender file of SSR-Net"):
        read_gender_net(files / "ssrnet/age_wiki.h5")
    with pytest.raises(ValueError, match=r"only SSR-Net has its gender in a file of its own"):
        convert(
            files / "baselines/mobilenet_reg_0.5_64_wiki.h5",
            "mobilenet-0.5-wiki",
            gender=files / "ssrnet/gender_wiki.h5",
        )


def test_another_networks_file_is_refused(files: Path) -> None:
    with pytest.raises(ValueError, match=r"SSR-Net of three stages has 14 convolutions.*this file has 1, 0 and 0"):
        read_net(files / "baselines/mobilenet_reg_0.5_64_wiki.h5", "ssrnet-wiki")
    with pytest.raises(ValueError, match=r"shape \(3, 3, 3, 16\), this network needs \(3, 3, 3, 8\)"):
        read_net(files / "baselines/mobilenet_reg_0.5_64_wiki.h5", "mobilenet-0.25-wiki")
    with pytest.raises(ValueError, match=r"is it this network's"):
        read_net(files / "ssrnet/age_wiki.h5", "mobilenet-0.25-wiki")


def test_what_is_no_keras_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no file at"):
        read_weights(tmp_path / "none.h5")
    (tmp_path / "text.h5").write_text("no HDF5")
    with pytest.raises(ValueError, match=r"is no HDF5 file"):
        read_weights(tmp_path / "text.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file.create_dataset("x", data=np.zeros(3))
    with pytest.raises(ValueError, match=r"no weights as Keras saves them"):
        read_weights(tmp_path / "other.h5")


def test_a_file_that_holds_more_is_refused(tmp_path: Path) -> None:
    weights = _wide_weights(10, 2, 2) | {"extra/kernel": np.zeros((1, 1), np.float32)}
    _write(tmp_path / "w.h5", weights, whole_model=True)
    with pytest.raises(ValueError, match=r"holds more than this network: extra/kernel \(1 weights\)"):
        read_net(tmp_path / "w.h5", "wideresnet-16-8-imdb-wiki")


def test_an_unknown_gender_file_must_say_what_its_labels_mean(files: Path, tmp_path: Path) -> None:
    copy = tmp_path / "mine.h5"
    copy.write_bytes((files / "ssrnet/gender_wiki.h5").read_bytes())
    with h5py.File(copy, "r+") as file:
        file.attrs["mine"] = 1
    with pytest.raises(ValueError, match=r"say it by --gender-data imdb or wiki or morph2"):
        read_gender_net(copy)
    assert read_gender_net(copy, "morph2").gender_head.decoding.order[1] is Gender.FEMALE
    with pytest.raises(ValueError, match=r"unknown gender data 'wikii': did you mean 'wiki'"):
        read_gender_net(copy, "wikii")


def test_an_unknown_name_lists_what_can_be_converted() -> None:
    with pytest.raises(ValueError, match=r"unknown published network 'ssrnet-wikki': did you mean 'ssrnet-wiki'"):
        find_published("ssrnet-wikki")
    assert len(PUBLISHED) == 4 + 12 + 2


def test_the_wide_network_keeps_its_decoding(tmp_path: Path) -> None:
    _write(tmp_path / "w.h5", _wide_weights(10, 2, 2), whole_model=False)
    net = read_net(tmp_path / "w.h5", "wideresnet-16-8-utkface")
    assert isinstance(net.age_head.decoding, ExpectationAge)
    assert len(net.age_head.decoding.class_ages) == 101
