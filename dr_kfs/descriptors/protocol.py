"""What a descriptor is: the contract that `DRKFSLoss(descriptor=...)` asks for, in two kinds.

Both kinds are frozen `nn.Module`s: no parameters, nothing in `state_dict()`, the same in `train()` and `eval()`.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor


@runtime_checkable
class PatchDescriptor(Protocol):
    """Describes PoI patches one by one: `HardNetDescriptor`, `KorniaDescriptor`, or a module of yours.

    Blank patches (all 0) share one descriptor, which is computed once.
    """

    def __call__(self, patches: Float[Tensor, "K 32 32"]) -> Float[Tensor, "K D"]:
        """Unit descriptors of PoI patches [0, 1]."""
        ...

    def settings(self) -> dict[str, object]:
        """What the result depends on, JSON-able: `"type"`, `"weights"` (a name) and their `"fingerprint"` at least."""
        ...


@runtime_checkable
class ViewDescriptor(Protocol):
    """Describes whole view images, on the grid of the patches: `BackboneDescriptor`, or a module of yours.

    A descriptor that has `describe_views` is given the rendered images instead of the PoI patches. The patches'
    weights stay what they are, the mean PoI of each patch.
    """

    def describe_views(self, images: Float[Tensor, "B V H W"]) -> Float[Tensor, "B V P D"]:
        """Unit descriptors of the P patches of each grey image [0, 1], row by row from the top left."""
        ...

    def settings(self) -> dict[str, object]:
        """As `PatchDescriptor.settings`."""
        ...
