"""HardNet: a 32x32 patch to a 128-D unit descriptor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dr_kfs.descriptors.patches import normalize_patches
from dr_kfs.weights import load_weights, weights_fingerprint

DEFAULT_DESCRIPTOR = "hardnet-shapes"
Precision = Literal["float32", "bfloat16"]
STRIDES = (1, 1, 2, 1, 2, 1, 1)
PADDINGS = (1, 1, 1, 1, 1, 1, 0)
BATCH_NORM_EPS = 1e-5


class HardNetDescriptor(nn.Module):
    """HardNet in evaluation mode, frozen, with batch normalisation folded into the convolutions.

    Seven convolutions (32, 32, 64/2, 64, 128/2, 128 of 3x3, then 128 of 8x8), ReLU between them, and L2
    normalisation; 39.1 MMAC per patch. Weights are stored in the layout of kornia's `HardNet` (`features.*`), trained
    there and folded here. They are buffers that are neither parameters nor in `state_dict()`, and the module behaves
    the same in `train()` and `eval()`.

    Args:
        weights: a registered name or the path of a `.safetensors` file in kornia's layout.
        floor: of the patch normalisation, see `normalize_patches`.
        kornia_compat: normalise patches as kornia does, see `normalize_patches`.
        precision: of the convolutions. `"bfloat16"` is faster where the machine has units for it (AVX-512 BF16, AMX,
            tensor cores) and rounds each activation to 8 bits; codes of different precisions are not comparable.

    Raises:
        ValueError: unknown, missing or altered weights, or tensors that are not HardNet's.

    References:
        Mishchuk et al., "Working hard to know your neighbor's margins", NeurIPS 2017. The paper's weights were trained
        on photographs (UBC PhotoTour); ours on PoI maps of rendered shapes.
    """

    def __init__(
        self,
        weights: str = DEFAULT_DESCRIPTOR,
        *,
        floor: float = 1e-2,
        kornia_compat: bool = False,
        precision: Precision = "float32",
    ) -> None:
        super().__init__()
        if precision not in ("float32", "bfloat16"):
            raise ValueError(f'precision must be "float32" or "bfloat16", got {precision!r}.')
        self.precision: Precision = precision
        self.weights = weights
        self.fingerprint = weights_fingerprint(weights)
        self.floor = floor
        self.kornia_compat = kornia_compat
        for layer, (kernel, bias) in enumerate(fold_batch_norm(load_weights(weights), name=weights)):
            kernel = kernel.contiguous(memory_format=torch.channels_last)
            self.register_buffer(f"kernel_{layer}", kernel, persistent=False)
            self.register_buffer(f"bias_{layer}", bias, persistent=False)

    def forward(self, patches: Float[Tensor, "K 32 32"]) -> Float[Tensor, "K 128"]:
        """Unit descriptors of PoI patches."""
        x = normalize_patches(patches, floor=self.floor, kornia_compat=self.kornia_compat)
        x = x.unsqueeze(1).contiguous(memory_format=torch.channels_last)
        if self.precision == "bfloat16":
            x = x.bfloat16()
        last = len(STRIDES) - 1
        for layer, (stride, padding) in enumerate(zip(STRIDES, PADDINGS, strict=True)):
            kernel, bias = getattr(self, f"kernel_{layer}"), getattr(self, f"bias_{layer}")
            x = nn.functional.conv2d(x, kernel.to(x.dtype), bias.to(x.dtype), stride=stride, padding=padding)
            if layer < last:
                x = nn.functional.relu(x)
        if x.dtype in (torch.bfloat16, torch.float16):
            x = x.float()
        return nn.functional.normalize(x.flatten(1), dim=1, eps=1e-8)

    def settings(self) -> dict[str, object]:
        """What the result depends on, JSON-able."""
        return {
            "type": "HardNetDescriptor",
            "weights": self.weights,
            "fingerprint": self.fingerprint,
            "floor": self.floor,
            "kornia_compat": self.kornia_compat,
            "precision": self.precision,
        }


def fold_batch_norm(tensors: Mapping[str, Tensor], *, name: str) -> list[tuple[Tensor, Tensor]]:
    """(kernel, bias) of the seven convolutions of a kornia-layout HardNet, batch normalisation folded in.

    `BN(W * x) = (W / sqrt(var + eps)) * x - mean / sqrt(var + eps)`: HardNet's batch normalisation has no learned
    scale or shift, and its convolutions no bias.
    """
    folded = []
    for layer in range(len(STRIDES)):
        # kornia's Sequential: conv, BN, ReLU, repeated; a dropout stands before the last convolution.
        index = 3 * layer + (1 if layer == len(STRIDES) - 1 else 0)
        try:
            kernel = tensors[f"features.{index}.weight"].float()
            mean = tensors[f"features.{index + 1}.running_mean"].float()
            variance = tensors[f"features.{index + 1}.running_var"].float()
        except KeyError as missing:
            raise ValueError(f'The weights "{name}" are not HardNet\'s: {missing.args[0]!r} is missing.') from None
        inverse = (variance + BATCH_NORM_EPS).rsqrt()
        folded.append((kernel * inverse[:, None, None, None], -mean * inverse))
    return folded
