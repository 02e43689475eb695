"""What a term of a hybrid loss takes, and a wrapper for losses that do not say so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, get_args

from torch import Tensor, nn

__all__ = ["LossTerm", "Takes", "takes_of"]

Takes = Literal["shapes", "points", "mesh"]
"""`"shapes"`: called with the prediction as a `Meshes` and the target as a `Meshes` or a `ShapeCode`; `"points"`: with
two `PointSets` of as many items; `"mesh"`: with the prediction as a `Meshes`, alone."""


class LossTerm(nn.Module):
    """Any loss as a term of a `HybridLoss`.

    >>> LossTerm(lambda ours, theirs: my_distance(ours.points, theirs.points), takes="points")

    Args:
        loss: called as `takes` says; returns a scalar. A module's parameters are this module's.
        takes: see `Takes`. Losses of this library say it by an attribute of that name and need no wrapper.

    Raises:
        ValueError: an unknown `takes`.
    """

    def __init__(self, loss: Callable[..., Tensor], *, takes: Takes) -> None:
        super().__init__()
        self.loss = loss
        self.takes = takes
        takes_of(self)

    def forward(self, *inputs: Any) -> Tensor:
        """The loss of what it takes."""
        return self.loss(*inputs)


def takes_of(term: object) -> Takes:
    """What a term takes, by its attribute `takes`.

    Raises:
        TypeError: it does not say.
        ValueError: it says something else.
    """
    takes = getattr(term, "takes", None)
    if takes is None:
        raise TypeError(
            f'{type(term).__name__} does not say what it takes: pass LossTerm(loss, takes=...) with "shapes", "points" '
            'or "mesh".'
        )
    if takes not in get_args(Takes):
        raise ValueError(f'takes must be "shapes", "points" or "mesh", got {takes!r}.')
    return takes
