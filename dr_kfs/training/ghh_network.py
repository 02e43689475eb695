"""A GHH detector while it learns: its network, and how often its points are found again on validation families."""

from __future__ import annotations

import torch
from rich.console import Console
from torch import Tensor, nn

from dr_kfs.datasets.splits import VALIDATION_FAMILIES, VALIDATION_SEEDS
from dr_kfs.keypoints.ghh import blank_response, ghh_response
from dr_kfs.training.repeatability import ViewPair, baselines, repeatability, view_pairs

FIRST_CHECKED = VALIDATION_SEEDS.start + 700
"""First seed of the shapes of the checks; `evaluate_detector` has others."""


class GHHNetwork(nn.Module):
    """Eq. 1 with weights that learn, and the best that they have been."""

    best_share: Tensor
    best_filters: Tensor
    best_biases: Tensor

    def __init__(self, groups: int, members: int, side: int) -> None:
        super().__init__()
        place = torch.arange(side).float() - side // 2
        window = torch.exp(-(place[:, None].square() + place.square()) / (2.0 * (side / 4.5) ** 2))
        self.filters = nn.Parameter(0.15 * torch.randn(groups, members, side, side) * window)
        self.biases = nn.Parameter(torch.zeros(groups, members))
        # As buffers they are part of what a checkpoint keeps.
        self.register_buffer("best_share", torch.tensor(-1.0))
        self.register_buffer("best_filters", self.filters.detach().clone())
        self.register_buffer("best_biases", self.biases.detach().clone())

    def take(self, weights: dict[str, Tensor]) -> None:
        """Start from a detector's weights.

        Raises:
            ValueError: they are of other sizes.
        """
        if weights["filters"].shape != self.filters.shape:
            sizes = tuple(weights["filters"].shape), tuple(self.filters.shape)
            raise ValueError(f"--start has filters of {sizes[0]}, --groups, --members and --side say {sizes[1]}.")
        with torch.no_grad():
            self.filters.copy_(weights["filters"])
            self.biases.copy_(weights["biases"])

    def forward(self, images: Tensor) -> Tensor:
        """`f(I)`."""
        return ghh_response(images, self.filters, self.biases)

    def above_blank(self, images: Tensor) -> Tensor:
        """The map whose maxima are the keypoints, as `repeatability.above_blank` makes it."""
        response = self(images.to(self.filters.device)) - blank_response(self.biases)
        return response.clamp_min(0.0).cpu()

    def keep_best(self, share: float) -> None:
        """Keep the weights if no check before found a larger share again."""
        if share > self.best_share.item():
            self.best_share.fill_(share)
            self.best_filters.copy_(self.filters.detach())  # what is kept is no step of the training
            self.best_biases.copy_(self.biases.detach())


def pairs_to_check(count: int, *, seed: int, console: Console) -> list[ViewPair]:
    """Pairs of views of validation families, in turn."""
    label = "rendering pairs to check"
    return view_pairs(VALIDATION_FAMILIES, FIRST_CHECKED, "view", count, seed=seed, label=label, console=console)


def checked(network: GHHNetwork, pairs: list[ViewPair]) -> float:
    """The share of the network's points that is found again, as many points as Shi-Tomasi and Harris have."""
    rivals = {name: respond for name, respond in baselines().items() if name in ("harris", "shi_tomasi")}
    return repeatability({"network": network.above_blank, **rivals}, pairs)["network"]
