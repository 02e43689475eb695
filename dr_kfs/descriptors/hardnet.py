"""HardNet: a 32x32 patch to a 128-D unit descriptor."""

from __future__ import annotations

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dr_kfs._frozen_buffers import FrozenBuffers
from dr_kfs.descriptors.hardnet_layout import PADDINGS, STRIDES, fold_batch_norm
from dr_kfs.descriptors.patches import normalize_patches
from dr_kfs.descriptors.precision import Precision, warn_of_slow_bfloat16
from dr_kfs.descriptors.published import PUBLISHED, load_published
from dr_kfs.weights import PICKLES, SUFFIX, available_weights, load_weights, weights_entry, weights_fingerprint

DEFAULT_DESCRIPTOR = "hardnet-structure"


class HardNetDescriptor(FrozenBuffers):
    """HardNet in evaluation mode, frozen, with batch normalisation folded into the convolutions.

    Seven convolutions (32, 32, 64/2, 64, 128/2, 128 of 3x3, then 128 of 8x8), ReLU between them, and L2
    normalisation; 39.1 MMAC per patch. Weights are stored in the layout of kornia's `HardNet` (`features.*`), trained
    there and folded here. They are buffers that are neither parameters nor in `state_dict()`, and the module behaves
    the same in `train()` and `eval()`.

    `"hardnet-liberty"` and `"hardnet++"` are the published weights, trained on photographs. They are read from the
    cache that `fetch_published` fills, never downloaded here:

        >>> fetch_published("hardnet-liberty")  # once
        >>> descriptor = HardNetDescriptor("hardnet-liberty")

    Args:
        weights: a registered name, a published one, or the path of a `.safetensors` file in kornia's layout.
        floor: of the patch normalisation, see `normalize_patches`; not used with `kornia_compat`.
        kornia_compat: normalise patches as kornia does, see `normalize_patches`. None: True for published weights,
            False for others. A published name thus gives the published values, of patches as the network was trained
            on. Its gradient then takes mean and deviation as constants: it is not the gradient of the value, and is
            up to 3e5 on faint patches. With False it is exact, and the values are another metric's.
        precision: of the convolutions. `"bfloat16"` rounds each activation to 8 bits and is faster on most machines
            that have units for it (AVX-512, AMX, tensor cores); where there are none a warning says so, since it is
            some ten times slower there. On 11 pairs of procedural shapes, the metric came out within 0.4 % of float32
            where it is above 0.01, and within 2e-5 where it is below 0.003. Codes of different precisions are refused.

    Raises:
        ValueError: unknown, missing or altered weights, published ones that were not fetched, or tensors that are
            not HardNet's.

    References:
        Mishchuk et al., "Working hard to know your neighbor's margins", NeurIPS 2017. The published weights were
        trained on photographs (UBC PhotoTour); ours on PoI maps of rendered shapes.
    """

    def __init__(
        self,
        weights: str = DEFAULT_DESCRIPTOR,
        *,
        floor: float = 1e-2,
        kornia_compat: bool | None = None,
        precision: Precision = "float32",
    ) -> None:
        super().__init__()
        if precision not in ("float32", "bfloat16"):
            raise ValueError(f'precision must be "float32" or "bfloat16", got {precision!r}.')
        self.precision: Precision = precision
        self.weights = weights
        with torch.inference_mode(False):  # a descriptor that is made there may serve a training later
            tensors, self.fingerprint = _read_weights(weights)
            self._register(tensors)
        self.floor = floor
        self.kornia_compat = weights in PUBLISHED if kornia_compat is None else kornia_compat

    def _register(self, tensors: dict[str, Tensor]) -> None:
        """The folded convolutions as buffers."""
        for layer, (kernel, bias) in enumerate(fold_batch_norm(tensors, name=self.weights)):
            if layer == 0:  # a second, empty channel; see `forward`
                kernel = nn.functional.pad(kernel, (0, 0, 0, 0, 0, 1))
            if self.precision == "bfloat16":
                kernel, bias = kernel.bfloat16(), bias.bfloat16()
            kernel = kernel.contiguous(memory_format=torch.channels_last)
            self.register_buffer(f"kernel_{layer}", kernel, persistent=False)
            self.register_buffer(f"bias_{layer}", bias, persistent=False)

    def forward(self, patches: Float[Tensor, "K 32 32"]) -> Float[Tensor, "K 128"]:
        """Unit descriptors of PoI patches."""
        x = normalize_patches(patches, floor=self.floor, kornia_compat=self.kornia_compat)
        if self.precision == "bfloat16":
            warn_of_slow_bfloat16(x.device)
            x = x.bfloat16()
        # With one channel, channels-last is no order of memory, and every later layer would be copied into it.
        x = nn.functional.pad(x.unsqueeze(-1), (0, 1)).movedim(-1, 1)
        last = len(STRIDES) - 1
        for layer, (stride, padding) in enumerate(zip(STRIDES, PADDINGS, strict=True)):
            kernel, bias = getattr(self, f"kernel_{layer}"), getattr(self, f"bias_{layer}")
            x = nn.functional.conv2d(x, kernel.to(x.dtype), bias.to(x.dtype), stride=stride, padding=padding)
            if layer < last:
                x = nn.functional.relu(x, inplace=True)  # the convolution needs its input only, not its output
        if x.dtype in (torch.bfloat16, torch.float16):
            x = x.float()
        return nn.functional.normalize(x.flatten(1), dim=1, eps=1e-8)

    def settings(self) -> dict[str, object]:
        """What the result depends on, JSON-able."""
        return {
            "type": "HardNetDescriptor",
            "weights": Path(self.weights).name,  # where a file lies does not matter, its fingerprint does
            "fingerprint": self.fingerprint,
            "floor": self.floor,
            "kornia_compat": self.kornia_compat,
            "precision": self.precision,
        }


def _read_weights(weights: str) -> tuple[dict[str, Tensor], str]:
    """Tensors and fingerprint of registered or published weights, or of a file."""
    if weights in PUBLISHED:
        return load_published(weights), PUBLISHED[weights].fingerprint
    if not weights.endswith((SUFFIX, *PICKLES)) and weights not in available_weights():
        registered = [name for name in available_weights() if weights_entry(name).kind == "descriptor"]
        raise ValueError(
            f'Unknown weights "{weights}": expected {", ".join(registered)}, {", ".join(sorted(PUBLISHED))}, or the '
            f"path of a {SUFFIX} file."
        )
    return load_weights(weights), weights_fingerprint(weights)
