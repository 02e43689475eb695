"""Patches at several scales: small ones see how a part is shaped, large ones which parts there are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from dr_kfs.descriptors.patches import PATCH_SIZE, PATCH_STRIDE, patch_grid

__all__ = ["DEFAULT_SCALES", "PatchScales", "patch_scales"]


@dataclass(frozen=True)
class PatchScales:
    """The patches of a view at several scales, along one axis: scale after scale, each row by row.

    At scale s the view is shrunk to `image_size / s` (means of s x s pixels), so that a patch of 32 px spans 32 s px of
    the view. With 256 px, (1,) is the paper's and gives 225 patches, (2, 4) is ours and gives 49 + 9.

    Raises:
        ValueError: no scale, one twice, one below 1, or one at which patches do not tile the view.
    """

    image_size: int
    """Side of the views [px]."""
    factors: tuple[int, ...] = (1,)

    def __post_init__(self) -> None:
        factors = self.factors
        if not factors or len(set(factors)) != len(factors) or min(factors) < 1:
            raise ValueError(f"scales must be different whole numbers from 1, got {factors}.")
        for factor in factors:
            if self.image_size % factor:
                raise ValueError(f"A view of {self.image_size} px cannot be shrunk {factor} times: it does not divide.")
            patch_grid(self.image_size // factor)

    @property
    def counts(self) -> tuple[int, ...]:
        """Patches at each scale."""
        return tuple(patch_grid(self.image_size // factor) ** 2 for factor in self.factors)

    def resized(self, image_size: int) -> PatchScales:
        """The same patches in smaller or larger views: those that spanned half the view span half of it again.

        No view is enlarged: where a patch of 32 px spans more than it did, it is the smallest there is. Scales that
        become the same are one: (2, 4) of 256 px is (1, 2) of 128 px and (1,) of 64 px.

        Raises:
            ValueError: patches do not tile views of that size.
        """
        if image_size == self.image_size:
            return self
        patch_grid(image_size)
        tiling = [
            factor
            for factor in range(1, image_size // PATCH_SIZE + 1)
            if image_size % factor == 0 and (image_size // factor - PATCH_SIZE) % PATCH_STRIDE == 0
        ]

        def nearest(factor: float) -> int:
            return min(tiling, key=lambda tile: abs(math.log(tile / factor)))

        factors = (nearest(factor * image_size / self.image_size) for factor in self.factors)
        return PatchScales(image_size, tuple(dict.fromkeys(factors)))

    def shrink(self, images: Float[Tensor, "*batch H W"]) -> tuple[Float[Tensor, "*batch _ _"], ...]:
        """The images at each scale."""
        flat = images.flatten(0, -3).unsqueeze(1)
        shrunk = (flat if factor == 1 else nn.functional.avg_pool2d(flat, factor) for factor in self.factors)
        return tuple(image.view(*images.shape[:-2], *image.shape[-2:]) for image in shrunk)

    def split(self, values: Tensor, dim: int) -> tuple[Tensor, ...]:
        """What belongs to each scale, of values along the axis of all patches."""
        return values.split(self.counts, dim)


DEFAULT_SCALES = PatchScales(256, (2, 4))
"""Patches that span a quarter and a half of the view: what the audit chose (ours; the paper's span an eighth)."""


def patch_scales(image_size: int, factors: Sequence[int] | None = None) -> PatchScales:
    """The scales of these factors, or without any the default ones of views of that size."""
    return DEFAULT_SCALES.resized(image_size) if factors is None else PatchScales(image_size, tuple(factors))
