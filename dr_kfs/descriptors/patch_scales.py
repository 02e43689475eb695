"""Patches at several scales: small ones see how a part is shaped, large ones which parts there are."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from dr_kfs.descriptors.patches import patch_grid

__all__ = ["PatchScales"]


@dataclass(frozen=True)
class PatchScales:
    """The patches of a view at several scales, along one axis: scale after scale, each row by row.

    At scale s the view is shrunk to `image_size / s` (means of s x s pixels), so that a patch of 32 px spans 32 s px of
    the view. (1,) is the paper's. With 256 px, (1, 2, 4) gives 225 + 49 + 9 patches.

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

    def shrink(self, images: Float[Tensor, "*batch H W"]) -> tuple[Float[Tensor, "*batch _ _"], ...]:
        """The images at each scale."""
        flat = images.flatten(0, -3).unsqueeze(1)
        shrunk = (flat if factor == 1 else nn.functional.avg_pool2d(flat, factor) for factor in self.factors)
        return tuple(image.view(*images.shape[:-2], *image.shape[-2:]) for image in shrunk)

    def split(self, values: Tensor, dim: int) -> tuple[Tensor, ...]:
        """What belongs to each scale, of values along the axis of all patches."""
        return values.split(self.counts, dim)
