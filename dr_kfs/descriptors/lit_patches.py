"""Many patches through a descriptor: blank ones are skipped, the others are taken some at a time."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from dr_kfs._constants import TensorVersions, may_be_kept, note_kept
from dr_kfs._frozen_buffers import FrozenBuffers

CPU_BATCH = 32
"""Patches that a CPU describes at a time: more are not faster, and these stay in its cache."""
_MULTIPLE = 8
"""The last of them are filled up to a multiple of this with blank ones. Batches of few different sizes take the same
memory again and again, and the convolutions are prepared once for each; a size for every view would leave holes in the
heap that grow with the views (measured: 285 MB for 25 views, now 137 MB, and 141 MB for 100)."""


class BlankPatch:
    """The descriptor of a blank patch: computed once for a step, or for all of them while its network is frozen."""

    def __init__(self) -> None:
        self._kept: tuple[object, TensorVersions | None, Tensor] | None = None

    def start_step(self) -> None:
        """Forget what a network gave that may have learned since."""
        if self._kept is not None and self._kept[1] is None:
            self._kept = None

    def described(
        self, descriptor: Callable[[Tensor], Tensor], like: Float[Tensor, "*batch S S"]
    ) -> Float[Tensor, "1 D"]:
        """By this network, in the precision of its results; patches are `like` these."""
        key = (descriptor, like.shape[-2:], like.dtype, like.device)
        kept, frozen = self._kept, _frozen_tensors(descriptor)
        if kept is not None and kept[0] == key and (kept[1] is None or kept[1].hold(frozen or ())):
            note_kept(kept[2])
            return kept[2]
        with torch.inference_mode(False), torch.no_grad():  # what is kept may meet a gradient later
            blank = descriptor(torch.zeros(1, *like.shape[-2:], dtype=like.dtype, device=like.device))
        blank = blank.to(torch.promote_types(like.dtype, torch.float32))
        if may_be_kept():
            self._kept = key, None if frozen is None else TensorVersions(frozen), blank
        return blank

    def __getstate__(self) -> dict[str, object]:
        """Without what can be made again."""
        return {"_kept": None}


def _frozen_tensors(descriptor: Callable[[Tensor], Tensor]) -> tuple[Tensor, ...] | None:
    """All that a frozen network depends on; None for another."""
    if not isinstance(descriptor, FrozenBuffers) or next(descriptor.parameters(), None) is not None:
        return None
    return tuple(descriptor.buffers())


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
    lit = _is_lit(patches).nonzero().squeeze(1)
    descriptors = blank.expand(len(patches), -1)
    if len(lit) == 0:
        return descriptors
    # A GPU takes all at once: its allocator rounds sizes itself.
    batches = lit.split(CPU_BATCH) if patches.device.type == "cpu" else (lit,)
    described = [_describe_filled(descriptor, patches.index_select(0, batch)) for batch in batches]
    return descriptors.index_copy(0, lit, torch.cat(described).to(descriptors.dtype))


def lit_first(patches: Float[Tensor, "P S S"]) -> tuple[Int[Tensor, " P"], Int[Tensor, ""]]:
    """The patches' numbers, those of lit ones first, in their order; and how many are lit."""
    lit = _is_lit(patches).to(torch.uint8)
    return lit.sort(descending=True, stable=True).indices, lit.sum()


def describe_patches_at(
    descriptor: Callable[[Float[Tensor, "K S S"]], Float[Tensor, "K D"]],
    patches: Float[Tensor, "P S S"],
    blank: Float[Tensor, "1 D"],
    chosen: Int[Tensor, " K"],
) -> Float[Tensor, "P D"]:
    """`describe_lit_patches` where it is known which are lit: no others than the chosen ones."""
    described = descriptor(patches.index_select(0, chosen))
    return blank.expand(len(patches), -1).index_copy(0, chosen, described.to(blank.dtype))


def _is_lit(patches: Float[Tensor, "P S S"]) -> Bool[Tensor, " P"]:
    return patches.detach().amax((-2, -1)) > 0


def _describe_filled(descriptor: Callable[[Tensor], Tensor], patches: Tensor) -> Tensor:
    """The descriptors of a batch that is filled up with blank patches."""
    missing = -len(patches) % _MULTIPLE
    return descriptor(nn.functional.pad(patches, (0, 0, 0, 0, 0, missing)))[: len(patches)]
