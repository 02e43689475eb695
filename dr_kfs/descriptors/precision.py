"""Which precision a network's convolutions have, and whether a device is fast at it."""

from __future__ import annotations

import functools
import warnings
from typing import Any, Literal

import torch

__all__ = ["Precision", "has_bfloat16_units", "warn_of_slow_bfloat16"]

Precision = Literal["float32", "bfloat16"]


@functools.cache
def has_bfloat16_units(device: torch.device) -> bool:
    """Whether convolutions in bfloat16 are not slower there than in float32.

    On a CPU that is what oneDNN says (AVX-512, AMX, or ARM's BF16); without it each convolution is computed by a
    reference loop, 12 times slower than in float32 (measured on AVX2). On CUDA: compute capability 8.0 and newer.
    """
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type != "cpu":
        return True  # not known
    mkldnn: Any = torch.ops.mkldnn
    try:
        return bool(mkldnn._is_mkldnn_bf16_supported())
    except AttributeError:  # a build without oneDNN
        return False


def warn_of_slow_bfloat16(device: torch.device) -> None:
    """Warn where bfloat16 is slower than float32; it is computed all the same, since values depend on it."""
    if not has_bfloat16_units(device):
        warnings.warn(
            f'precision="bfloat16" is slow on this device ({device}), which has no units for it: some ten times slower '
            'than precision="float32".',
            stacklevel=3,
        )
