"""Weights between those of a network and of the one that it was trained on from.

Where a run starts as a network that is finished already, what lies on the straight line between the two sets of weights
is a network too, as good as either on what the first could do and nearly as good as the second on what that learned
(Wortsman et al., «Robust fine-tuning of zero-shot models», CVPR 2022). Networks that were trained apart have nothing in
between.
"""

from __future__ import annotations

import torch

from agewise_lab.architectures.stored import fold_batch_norms
from agewise_lab.architectures.two_heads import TwoHeadNet


def between(first: TwoHeadNet, second: TwoHeadNet, share: float) -> TwoHeadNet:
    """The network whose weights are (1 − `share`) of the first's and `share` of the second's, batch norms folded.

    Args:
        first, second: of one shape; the second was trained on from the first.
        share: 0 gives the first, 1 the second.

    Raises:
        ValueError: `share` outside 0 to 1, or networks of two shapes.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"a share of the second network's weights is 0 to 1, got {share:g}")
    result, other = fold_batch_norms(first), fold_batch_norms(second)
    own, theirs = result.state_dict(), other.state_dict()
    shapes = [{name: tuple(value.shape) for name, value in state.items()} for state in (own, theirs)]
    if shapes[0] != shapes[1]:
        raise ValueError("only networks of one shape have weights between them; these two differ")
    result.load_state_dict({name: torch.lerp(value, theirs[name], share) for name, value in own.items()})
    return result
