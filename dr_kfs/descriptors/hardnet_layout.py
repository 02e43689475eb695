"""HardNet's seven convolutions: their shapes, the names of their tensors, and folding batch normalisation into them."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from dr_kfs.descriptors.checkpoints import check_layout

STRIDES = (1, 1, 2, 1, 2, 1, 1)
PADDINGS = (1, 1, 1, 1, 1, 1, 0)
KERNELS = (3, 3, 3, 3, 3, 3, 8)
CHANNELS = (1, 32, 32, 64, 64, 128, 128, 128)
BATCH_NORM_EPS = 1e-5
# kornia's (and the authors') Sequential: conv, BN, ReLU, repeated; a dropout stands before the last convolution.
CONVOLUTIONS = tuple(3 * layer + (layer == len(STRIDES) - 1) for layer in range(len(STRIDES)))


def hardnet_shapes() -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors of `kornia.feature.HardNet`, counters left out."""
    shapes: dict[str, tuple[int, ...]] = {}
    for layer, index in enumerate(CONVOLUTIONS):
        into, out_of, side = CHANNELS[layer], CHANNELS[layer + 1], KERNELS[layer]
        shapes[f"features.{index}.weight"] = (out_of, into, side, side)
        shapes[f"features.{index + 1}.running_mean"] = (out_of,)
        shapes[f"features.{index + 1}.running_var"] = (out_of,)
    return shapes


def fold_batch_norm(tensors: Mapping[str, Tensor], *, name: str) -> list[tuple[Tensor, Tensor]]:
    """(kernel, bias) of the seven convolutions of a kornia-layout HardNet, batch normalisation folded in.

    `BN(W * x) = (W / sqrt(var + eps)) * x - mean / sqrt(var + eps)`: HardNet's batch normalisation has no learned
    scale or shift, and its convolutions no bias.

    Args:
        tensors: by kornia's names.
        name: of the weights, for errors.

    Raises:
        ValueError: tensors that are not HardNet's.
    """
    tensors = check_layout(tensors, hardnet_shapes(), weights=name, network="HardNet")
    folded = []
    for index in CONVOLUTIONS:
        kernel = tensors[f"features.{index}.weight"]
        inverse = (tensors[f"features.{index + 1}.running_var"] + BATCH_NORM_EPS).rsqrt()
        folded.append((kernel * inverse[:, None, None, None], -tensors[f"features.{index + 1}.running_mean"] * inverse))
    return folded
