"""Networks that answer together."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
import torch

from agewise.engine import OnnxEngine
from agewise_lab.architectures.compact import CompactConfig, CompactNet
from agewise_lab.export.ensemble import Ensemble, compact_net_of
from agewise_lab.export.onnx_model import ServedNet, store_as_int8, to_onnx

TINY = CompactConfig(size=16, stem=4, widths=(4, 6), depths=(1, 1))


def _net(seed: int, config: CompactConfig = TINY) -> CompactNet:
    torch.manual_seed(seed)
    return CompactNet(config).eval()


def test_the_mean_of_the_members() -> None:
    image = torch.rand(3, 3, 16, 16)
    both = Ensemble([_net(1), _net(2)]).eval().served(image)
    for k, name in enumerate(("age_probs", "gender_probs")):
        expected = (torch.softmax(_net(1)(image)[k], 1) + torch.softmax(_net(2)(image)[k], 1)) / 2
        torch.testing.assert_close(both[name], expected)
        torch.testing.assert_close(both[name].sum(1), torch.ones(3))


def test_a_mirrored_ensemble_does_not_know_left_from_right() -> None:
    image = torch.rand(2, 3, 16, 16)
    mirrored, plain = Ensemble([_net(1)], mirrored=True).eval(), Ensemble([_net(1)]).eval()
    torch.testing.assert_close(mirrored.served(image)["age_probs"], mirrored.served(image.flip(3))["age_probs"])
    assert not torch.allclose(plain.served(image)["age_probs"], plain.served(image.flip(3))["age_probs"])


@pytest.mark.parametrize(
    "members", [[], [_net(1), _net(2, CompactConfig(size=32, stem=4, widths=(4, 6), depths=(1, 1)))]]
)
def test_members_that_do_not_fit(members: list[CompactNet]) -> None:
    with pytest.raises(ValueError, match="members of one input size"):
        Ensemble(members)


@pytest.mark.parametrize("store", [lambda model: model, store_as_int8], ids=["float32", "int8"])
def test_a_released_file_gives_its_network_back(store: Callable[[onnx.ModelProto], onnx.ModelProto]) -> None:
    config = CompactConfig(size=16, stem=4, widths=(16, 24), depths=(1, 1))  # large enough for weights in int8
    image = torch.rand(3, 3, 16, 16)
    net = _net(1, config)
    for value in net.parameters():  # as after training: the exporter leaves out what is zero
        torch.nn.init.normal_(value, 0.1, 0.1)
    model = store(to_onnx(net))
    expected = OnnxEngine(model.SerializeToString()).run({"image": image.numpy()})
    with torch.inference_mode():
        age, gender = ServedNet(compact_net_of(model, config))(image)
    np.testing.assert_allclose(age.numpy(), expected["age_probs"], atol=1e-6)
    np.testing.assert_allclose(gender.numpy(), expected["gender_probs"], atol=1e-6)


def test_a_file_of_another_shape() -> None:
    with pytest.raises(ValueError, match="not those of a compact network of this shape"):
        compact_net_of(to_onnx(_net(1)), CompactConfig(size=16, stem=8, widths=(4, 6), depths=(1, 1)))
