"""Many patches through a descriptor: blank ones are skipped, the others are taken some at a time."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

CPU_BATCH = 32
"""Patches that a CPU describes at a time: more are not faster, and these stay in its cache."""
_MULTIPLE = 8
"""The last of them are filled up to a multiple of this with blank ones. Batches of few different sizes take the same
memory again and again, and the convolutions are prepared once for each; a size for every view would leave holes in the
heap that grow with the views (measured: 285 MB for 25 views, now 137 MB, and 141 MB for 100)."""


def describe_lit_patches(
    descriptor: Callable[[Float[Tensor, "K S S"]], Float[Tensor, "K D"]],
    patches: Float[Tensor, "P S S"],
    blank: Float[Tensor, "1 D"],
) -> Float[Tensor, "P D"]:
    """The descriptors of all patches; those of blank patches (all 0) are `blank`.

    Exact, in value and in gradient: the PoI of a blank patch is 0 with gradient 0.

    Args:
        descriptor: of a batch of patches, each by itself.
        patches: PoI values [0, 1].
        blank: the descriptor of a blank patch, in the dtype of the result.
    """
    lit = (patches.detach().amax((-2, -1)) > 0).nonzero().squeeze(1)
    descriptors = blank.expand(len(patches), -1)
    if len(lit) == 0:
        return descriptors
    # A GPU takes all at once: its allocator rounds sizes itself.
    batches = lit.split(CPU_BATCH) if patches.device.type == "cpu" else (lit,)
    described = [_describe_filled(descriptor, patches[batch]) for batch in batches]
    return descriptors.index_copy(0, lit, torch.cat(described).to(descriptors.dtype))


def _describe_filled(descriptor: Callable[[Tensor], Tensor], patches: Tensor) -> Tensor:
    """The descriptors of a batch that is filled up with blank patches."""
    missing = -len(patches) % _MULTIPLE
    return descriptor(nn.functional.pad(patches, (0, 0, 0, 0, 0, missing)))[: len(patches)]
