"""dlib's recognition network: its shape, its sums, its batch norm there and back, and dlib's own numbers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from agewise_lab.architectures.recognition import RecognitionConfig, RecognitionNet, RecognitionTrunk
from agewise_lab.architectures.stored import fold_batch_norms, stored_nets_of
from agewise_lab.convert.dlib_net import read_trunk, recognition_file
from agewise_lab.export.ensemble import Ensemble
from agewise_lab.export.onnx_model import store_as_int8, to_onnx

SMALL = RecognitionConfig(size=60, blocks=8, ages=7)


@pytest.fixture(scope="module", params=[0, 9], ids=["pooled", "hidden"])
def net(request: pytest.FixtureRequest) -> RecognitionNet:
    """As after training: statistics are not those of a fresh norm."""
    torch.manual_seed(2)
    net = RecognitionNet(replace(SMALL, hidden=request.param))
    with torch.no_grad():
        for _ in range(5):
            net.train()(torch.rand(8, 3, 60, 60))
    return net.eval()


def _images(count: int = 4) -> torch.Tensor:
    return torch.rand(count, 3, 60, 60, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize(("blocks", "size", "count"), [(14, 150, 64 + 128 + 256 + 256), (12, 112, 64 + 128 + 256)])
def test_logits_and_features(blocks: int, size: int, count: int) -> None:
    net = RecognitionNet(RecognitionConfig(size=size, blocks=blocks)).eval()
    age, gender = net(torch.rand(2, 3, size, size))
    assert (age.shape, gender.shape, net.trunk.feature_count) == ((2, 101), (2, 2), count)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": 102}, "nothing is left for the last of 14 blocks at 102 pixels"),
        ({"size": 112, "blocks": 15}, "blocks are 8 to 14, got 15"),
        ({"size": 112, "blocks": 7}, "blocks are 8 to 14, got 7"),
        ({"still": 14}, "of 14 blocks 0 to 13 can stand still, got 14"),
    ],
)
def test_shapes_that_cannot_be(settings: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RecognitionConfig(**settings)


@pytest.mark.parametrize("size", [103, 104, 150])
def test_the_least_size_is_enough(size: int) -> None:
    assert RecognitionTrunk()(torch.zeros(1, 3, size, size))[-1].shape == (1, 256)


def test_a_block_with_a_step_keeps_its_input_in_the_first_channels() -> None:
    trunk = RecognitionTrunk(8)
    block = trunk.blocks[3]
    for conv in (block.first, block.second):
        nn.init.zeros_(conv.weight)
        nn.init.constant_(conv.bias, 2.0)
    out = block(torch.full((1, 32, 26, 26), 5.0))
    assert out.shape == (1, 64, 13, 13)  # the convolutions give 12×12, the pool 13×13
    assert out[0, 0, 3, 3] == 7.0
    assert out[0, 0, 12, 12] == 5.0
    assert out[0, 40, 3, 3] == 2.0
    assert out[0, 40, 12, 12] == 0.0


def test_blocks_that_stand_still_get_no_gradients() -> None:
    torch.manual_seed(0)
    moving, still = (RecognitionNet(RecognitionConfig(size=60, blocks=8, still=count, ages=7)) for count in (0, 3))
    still.load_state_dict(moving.state_dict())
    gradients = []
    for net in (moving, still):
        net.eval()(_images())[0].square().sum().backward()
        gradients.append({name: weight.grad for name, weight in net.named_parameters() if weight.grad is not None})
    stood = {name for name in gradients[0] if name not in gradients[1]}
    assert stood == {
        name for name in gradients[0] if name.startswith(("trunk.stem", *(f"trunk.blocks.{k}." for k in range(3))))
    }
    assert len(stood) == 2 * 7
    for name, gradient in gradients[1].items():
        torch.testing.assert_close(gradient, gradients[0][name], msg=name)


def test_the_norm_is_folded_and_comes_back(net: RecognitionNet) -> None:
    folded = fold_batch_norms(net)
    assert isinstance(folded.norm, nn.Identity)
    again = fold_batch_norms(folded)
    assert all(torch.equal(a, b) for a, b in zip(again.parameters(), folded.parameters(), strict=True))
    assert isinstance(net.norm, nn.BatchNorm1d)
    with torch.no_grad():
        expected = net(_images())
        for ours, theirs in zip(folded(_images()), expected, strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)
        folded.unfold_norm([_images(), _images(2) / 2])
        for ours, theirs in zip(folded(_images()), expected, strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)
        features = torch.cat(folded.trunk(torch.cat([_images(), _images(2) / 2])), dim=1)
        assert folded.norm(features).mean(0).abs().max() < 1e-3  # of the pictures that it was given


def test_out_of_a_file_alone_and_beside_others(net: RecognitionNet) -> None:
    with torch.no_grad():
        for model, off in ((store_as_int8(to_onnx(net)), 0.15), (to_onnx(Ensemble([net, net])), 1e-3)):
            for back in stored_nets_of(model, net.config):
                for ours, theirs in zip(back(_images()), net(_images()), strict=True):
                    torch.testing.assert_close(ours, theirs, atol=off, rtol=0)


def test_it_can_learn() -> None:
    torch.manual_seed(0)
    net = RecognitionNet(RecognitionConfig(size=60, blocks=8, ages=2, dropout=0.0))
    image, label = torch.rand(16, 3, 60, 60), torch.arange(16) % 2
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3)
    for _ in range(30):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(image)[0], label)
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1


@pytest.fixture(scope="module")
def weights() -> Path:
    try:
        return recognition_file()
    except FileNotFoundError as error:
        pytest.skip(str(error))


def test_dlibs_weights_give_dlibs_descriptor(weights: Path) -> None:
    dlib = pytest.importorskip("dlib")
    data = pytest.importorskip("skimage.data")
    chip = np.ascontiguousarray(data.astronaut()[30:180, 150:300])  # RGB (150, 150, 3), a face
    trunk, matrix = read_trunk(weights)
    with torch.no_grad():
        pooled = trunk(torch.from_numpy(chip).permute(2, 0, 1)[None].float() / 255)[-1]
    expected = np.array(dlib.face_recognition_model_v1(str(weights)).compute_face_descriptor(chip))
    np.testing.assert_allclose(pooled[0].numpy() @ matrix, expected, atol=1e-5)
    assert np.abs(expected).max() > 0.1


def test_other_files_are_no_recognition_network(weights: Path, tmp_path: Path) -> None:
    short = tmp_path / "short.dat"
    short.write_bytes(weights.read_bytes()[:2_000_000])
    with pytest.raises(ValueError, match="expected 59 tensors of its sizes, found"):
        read_trunk(short)
    with pytest.raises(FileNotFoundError, match="no file at"):
        read_trunk(tmp_path / "none.dat")


def test_it_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agewise_lab.convert.dlib_net._STEM", "another")
    with pytest.raises(FileNotFoundError, match=r"pip install 'agewise\[dlib\]' brings it"):
        recognition_file()
