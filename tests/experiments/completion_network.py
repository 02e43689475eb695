"""A compact PCN: a PointNet encoder, a coarse cloud, and a folding that puts four points around each of its points."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

CODE = 256
FOLD = 0.05
"""Half the side of the square patch that is folded around a coarse point [target diagonals], as in the paper."""


class CompactPCN(nn.Module):
    """A partial cloud in, a coarse and a fine complete cloud out.

    A quarter of the paper's width, and a grid of 2 x 2 where the paper folds 4 x 4: 256 coarse and 1,024 fine points.

    References:
        W. Yuan et al.: PCN: Point Completion Network. 3DV 2018, Sec. 4.
    """

    def __init__(self, *, coarse: int = 256, grid: int = 2, width: int = 128) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Linear(3, width // 2), nn.ReLU(), nn.Linear(width // 2, width))
        # A linear map of (own feature, global feature), as two: the global part is computed once per cloud.
        self.own = nn.Linear(width, CODE)
        self.shared = nn.Linear(width, CODE, bias=False)
        self.second = nn.Linear(CODE, CODE)
        self.coarse = nn.Sequential(
            nn.Linear(CODE, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 3 * coarse)
        )
        self.fold_place = nn.Linear(5, width)
        self.fold_code = nn.Linear(CODE, width, bias=False)
        self.fold = nn.Sequential(nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 3))
        steps = torch.linspace(-FOLD, FOLD, grid)
        self.register_buffer("grid", torch.cartesian_prod(steps, steps), persistent=False)

    def forward(self, partial: Float[Tensor, "B P 3"]) -> tuple[Float[Tensor, "B C 3"], Float[Tensor, "B F 3"]]:
        """The coarse cloud and the fine one."""
        own = self.first(partial)
        mixed = self.own(own) + self.shared(own.amax(dim=1))[:, None]
        code = self.second(mixed.relu()).amax(dim=1)
        centres = self.coarse(code).view(len(partial), -1, 3)
        patch: Tensor = self.get_buffer("grid")
        around = centres.repeat_interleave(len(patch), dim=1)
        places = torch.cat([patch.repeat(centres.shape[1], 1).expand(len(partial), -1, -1), around], dim=-1)
        return centres, around + self.fold(self.fold_place(places) + self.fold_code(code)[:, None])
