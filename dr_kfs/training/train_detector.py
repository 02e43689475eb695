"""Train the GHH keypoint detector on renders of procedural shapes.

    python -m dr_kfs.training.train_detector --shapes 600 --steps 6000 --seed 0

Labelled points come from `detector_data`. The score `f(I)` of Eq. 1 is trained as a logit (binary cross-entropy with
balanced classes, windows flipped and turned at random), then calibrated by Platt scaling on held-out shapes. The
command writes `weights/<name>.safetensors` and its entry in `weights/registry.json`, with the figures.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.progress import track
from safetensors.torch import save_file
from torch import Tensor

from dr_kfs.datasets import generate
from dr_kfs.keypoints.ghh import GHHDetector, group_signs
from dr_kfs.training.detector_data import FIELD, LabelledPatches, label_shape
from dr_kfs.training.repeatability import above_blank, baselines, fewest_points, repeatability, view_pairs
from dr_kfs.training.scores import average_precision
from dr_kfs.weights import register_weights

FIRST_FAMILIES = ("chair", "table", "lamp", "airplane", "car")
"""What this detector, and the first stage of the descriptor, are trained on and scored with."""
CALIBRATION_SEED, TEST_SEED = 1_000_000, 2_000_000
"""First seeds of shapes that are held out."""


@dataclass
class GHHParameters:
    """What is learned: N M filters and biases."""

    filters: Tensor
    biases: Tensor

    @classmethod
    def initial(cls, generator: torch.Generator, *, groups: int = 4, members: int = 4) -> GHHParameters:
        """Small random filters."""
        filters = 0.05 * torch.randn(groups, members, FIELD, FIELD, generator=generator)
        return cls(filters.requires_grad_(), torch.zeros(groups, members).requires_grad_())

    def score(self, windows: Tensor) -> Tensor:
        """Eq. 1 at the centre of each window: what a convolution gives there, as one matrix product."""
        groups, members = self.biases.shape
        hinges = windows.flatten(1) @ self.filters.flatten(2).flatten(0, 1).T + self.biases.flatten()
        return (hinges.view(-1, groups, members).amax(-1) * group_signs(groups, hinges)).sum(-1)


def collect(first_seed: int, count: int, *, seed: int, label: str, console: Console) -> LabelledPatches:
    """Labelled windows of `count` shapes, families in turn."""
    generator = torch.Generator().manual_seed(seed)
    parts = [
        label_shape(
            generate(FIRST_FAMILIES[index % len(FIRST_FAMILIES)], first_seed + index).to_meshes(), generator=generator
        )
        for index in track(range(count), description=label, console=console)
    ]
    return LabelledPatches.cat(parts)


def random_symmetry(windows: Tensor, generator: torch.Generator) -> Tensor:
    """One of the eight flips and quarter turns, for the whole batch."""
    turns, flip = torch.randint(8, (1,), generator=generator).item() % 4, torch.rand(1, generator=generator).item()
    windows = windows.rot90(int(turns), (1, 2))
    return windows.flip(2) if flip < 0.5 else windows


def fit(
    data: LabelledPatches, *, steps: int, batch: int, generator: torch.Generator, console: Console
) -> GHHParameters:
    """Minimise the balanced logistic loss with Adam and a cosine schedule."""
    parameters = GHHParameters.initial(generator)
    optimizer = torch.optim.AdamW([parameters.filters, parameters.biases], lr=3e-3, weight_decay=2e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    positive = data.is_keypoint.nonzero().squeeze(1)
    negative = (~data.is_keypoint).nonzero().squeeze(1)
    target = torch.cat([torch.ones(batch // 2), torch.zeros(batch // 2)])
    for _ in track(range(steps), description="training", console=console):
        chosen = torch.cat(
            [pool[torch.randint(len(pool), (batch // 2,), generator=generator)] for pool in (positive, negative)]
        )
        windows = random_symmetry(data.windows[chosen].float() / 255.0, generator)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(parameters.score(windows), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return parameters


def scores_of(parameters: GHHParameters, data: LabelledPatches) -> Tensor:
    """The score of every window, without gradient."""
    with torch.no_grad():
        return torch.cat([parameters.score(part.float() / 255.0) for part in data.windows.split(8192)])


def platt(scores: Tensor, is_keypoint: Tensor) -> tuple[Tensor, Tensor]:
    """Scale and offset of the logistic calibration, by L-BFGS on balanced classes."""
    scale, offset = torch.ones((), requires_grad=True), torch.zeros((), requires_grad=True)
    weight = torch.where(is_keypoint, 0.5 / is_keypoint.sum(), 0.5 / (~is_keypoint).sum())
    optimizer = torch.optim.LBFGS([scale, offset], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(
            scale * scores + offset, is_keypoint.float(), weight=weight, reduction="sum"
        )
        loss.backward()
        return loss

    optimizer.step(closure)
    return scale.detach(), offset.detach()


def as_detector(tensors: dict[str, Tensor]) -> GHHDetector:
    """The module that these weights make."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "detector.safetensors"
        save_file(tensors, path)
        return GHHDetector(str(path))


def figures_of(tensors: dict[str, Tensor], shapes: int, *, seed: int, console: Console) -> dict[str, float | int]:
    """Average precision on labelled windows of test shapes, and repeatability there beside the hand-made detectors'."""
    test = collect(TEST_SEED, shapes, seed=seed + 2, label="rendering test shapes", console=console)
    parameters = GHHParameters(tensors["filters"], tensors["biases"])
    scores = scores_of(parameters, test.cropped((FIELD - parameters.filters.shape[-1]) // 2))
    figures: dict[str, float | int] = {
        "test_windows": len(test.windows),
        "test_average_precision": round(average_precision(scores, test.is_keypoint), 4),
    }
    label = "rendering pairs of views"
    pairs = view_pairs(FIRST_FAMILIES, TEST_SEED, "view", shapes, seed=seed, label=label, console=console)
    rivals = baselines()
    numbers = fewest_points(rivals, pairs)
    found = repeatability({"detector": above_blank(as_detector(tensors)), **rivals}, pairs, numbers)
    return figures | {f"repeatability_{rival}": share for rival, share in found.items()}


def main(
    shapes: Annotated[int, typer.Option(help="Training shapes.")] = 600,
    held_out_shapes: Annotated[int, typer.Option(help="Shapes for calibration, and as many for the test.")] = 60,
    steps: Annotated[int, typer.Option(help="Optimiser steps.")] = 6000,
    batch: Annotated[int, typer.Option(help="Windows per step.")] = 2048,
    seed: Annotated[int, typer.Option(help="Seed of everything.")] = 0,
    name: Annotated[str, typer.Option(help="Name in the registry.")] = "ghh-shapes",
    out: Annotated[Path, typer.Option(help="Folder of the weights.")] = Path("weights"),
) -> None:
    """Train, calibrate, test and register the GHH detector."""
    console = Console()
    generator = torch.Generator().manual_seed(seed)
    train = collect(0, shapes, seed=seed, label="rendering training shapes", console=console)
    held = collect(
        CALIBRATION_SEED, held_out_shapes, seed=seed + 1, label="rendering calibration shapes", console=console
    )
    console.print(f"{len(train.windows)} training windows, {int(train.is_keypoint.sum())} of them keypoints")
    parameters = fit(train, steps=steps, batch=batch, generator=generator, console=console)
    scale, offset = platt(scores_of(parameters, held), held.is_keypoint)
    tensors = {
        "filters": parameters.filters.detach(),
        "biases": parameters.biases.detach(),
        "scale": scale,
        "offset": offset,
    }
    figures = {"train_windows": len(train.windows)}
    figures |= figures_of(tensors, held_out_shapes, seed=seed, console=console)
    out.mkdir(parents=True, exist_ok=True)
    register_weights(
        name,
        tensors,
        directory=out,
        kind="detector",
        architecture="GHH, N = M = 4, 25x25 filters",
        license="MIT",
        data=f"{shapes} procedural shapes ({', '.join(FIRST_FAMILIES)}), seeds 0 to {shapes - 1}",
        command=f"python -m dr_kfs.training.train_detector --shapes {shapes} --held-out-shapes {held_out_shapes} "
        f"--steps {steps} --batch {batch} --seed {seed} --name {name}",
        seed=seed,
        figures=figures,
    )
    console.print(figures)


if __name__ == "__main__":
    typer.run(main)
