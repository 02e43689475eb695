"""A GHH detector while it learns: its network, and how often its points are found again on validation families."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from rich.console import Console
from torch import Tensor, nn

from dr_kfs.datasets.splits import VALIDATION_FAMILIES, VALIDATION_SEEDS
from dr_kfs.keypoints.ghh import blank_response, ghh_response, group_signs, sees_light
from dr_kfs.training.repeatability import Change, ViewPair, baselines, fewest_points, repeatability, view_pairs

CHECKED: tuple[Change, ...] = ("view", "triangles")
"""What changes between the two images of a pair that is checked."""
FIRST_CHECKED = VALIDATION_SEEDS.start + 700
"""First seed of the shapes of the checks; `evaluate_detector` has others."""


class GHHNetwork(nn.Module):
    """Eq. 1 with weights that learn, their average over the last steps, and the best that this has been.

    What is measured and kept is the average; it is the weights themselves until `average` is called.
    """

    mean_filters: Tensor
    mean_biases: Tensor
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
        for kind in ("mean", "best"):
            self.register_buffer(f"{kind}_filters", self.filters.detach().clone())
            self.register_buffer(f"{kind}_biases", self.biases.detach().clone())

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
        self.average(0.0)

    @property
    def side(self) -> int:
        """Of the filters [px]."""
        return self.filters.shape[-1]

    def forward(self, images: Tensor) -> Tensor:
        """`f(I)` as `ghh_response` gives it, by a convolution: with its gradient, twice as fast as by FFT on a CPU.

        Of rows, whose channels are the columns under a filter, filled up to a multiple of eight.
        """
        groups, members, side, _ = self.filters.shape
        half, filled = side // 2, -side % 8
        columns = nn.functional.pad(images, (half, half + filled)).unfold(-1, side + filled, 1).permute(0, 3, 1, 2)
        kernel = nn.functional.pad(self.filters, (0, filled)).flatten(0, 1).transpose(1, 2).unsqueeze(-1)
        columns = columns.contiguous(memory_format=torch.channels_last)
        correlated = nn.functional.conv2d(columns, kernel, self.biases.flatten(), padding=(half, 0))
        hinges = correlated.permute(0, 2, 3, 1).unflatten(-1, (groups, members)).amax(-1)
        response = hinges @ group_signs(groups, hinges)
        return torch.where(sees_light(images, side), response, blank_response(self.biases))

    def average(self, decay: float) -> None:
        """`mean = decay mean + (1 - decay) weights`; with 0 the mean is the weights."""
        with torch.no_grad():  # what is averaged is no step of the training
            self.mean_filters.lerp_(self.filters, 1.0 - decay)
            self.mean_biases.lerp_(self.biases, 1.0 - decay)

    def above_blank(self, images: Tensor) -> Tensor:
        """The map whose maxima are the averaged weights' keypoints, as `repeatability.above_blank` makes it."""
        response = ghh_response(images.to(self.mean_filters.device), self.mean_filters, self.mean_biases)
        return (response - blank_response(self.mean_biases)).clamp_min(0.0)

    def keep_best(self, share: float) -> None:
        """Keep the averaged weights if no check before found a larger share again."""
        if share > self.best_share.item():
            self.best_share.fill_(share)
            self.best_filters.copy_(self.mean_filters)
            self.best_biases.copy_(self.mean_biases)


@dataclass(frozen=True)
class Check:
    """How often the points of a network are found again, of as many points as hand-made detectors have."""

    pairs: Mapping[Change, Sequence[ViewPair]]
    numbers: Mapping[Change, Sequence[int]]
    """Points that each pair asks for, see `repeatability`. They do not change from check to check."""

    @classmethod
    def drawn(cls, count: int, *, console: Console) -> Check:
        """On `count` pairs of views of validation families for each change; the same for every training."""
        drawn: dict[Change, list[ViewPair]] = {}
        for change in CHECKED:
            label = f"rendering pairs to check: {change}"
            families = VALIDATION_FAMILIES
            drawn[change] = view_pairs(families, FIRST_CHECKED, change, count, seed=0, label=label, console=console)
        return cls.on(drawn)

    @classmethod
    def on(cls, pairs: Mapping[Change, Sequence[ViewPair]]) -> Check:
        """On these pairs of views."""
        return cls(pairs, {change: fewest_points(baselines(), of_one) for change, of_one in pairs.items()})

    def shares(self, network: GHHNetwork) -> dict[Change, float]:
        """What `repeatability` gives for the network."""
        detectors = {"network": network.above_blank}
        return {
            change: repeatability(detectors, of_one, self.numbers[change])["network"]
            for change, of_one in self.pairs.items()
        }
