"""Train HardNet, second stage: on the distance itself, over views of shapes before and after labelled edits.

    python -m dr_kfs.training.train_structure --shapes 300 --steps 1200 --seed 0

The first stage (`train_descriptor`) knows patches; this one knows what a missing leg costs beside a thicker one. Edits
and labels are those of `structure_data` and `structure_loss`; detector, rasterizer and matching are what the loss uses.
With `--triplet-weight` the first stage's loss goes on beside it, on patches of all training families, so that the
network does not forget how to tell places apart; with `--trained-share` the result lies between start and end.
The command writes `weights/<name>.safetensors` and its entry in `weights/registry.json`, with the figures. With
`--checkpoint FILE` it can be stopped and started again; `--log FILE` gets the curve as JSON lines.
"""

from __future__ import annotations

import copy
import functools
import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.progress import track
from safetensors.torch import load_file
from torch import Tensor, nn

from dr_kfs.datasets.splits import TRAIN_FAMILIES, TRAIN_SEEDS
from dr_kfs.descriptors import PatchScales, extract_patches, normalize_patches
from dr_kfs.descriptors.lit_patches import describe_lit_patches
from dr_kfs.descriptors.precision import has_bfloat16_units
from dr_kfs.keypoints import GHHDetector
from dr_kfs.training.checkpoint import TrainingState
from dr_kfs.training.descriptor_data import Triplets
from dr_kfs.training.structure_data import TARGET, Change, EditedViews, collect
from dr_kfs.training.structure_loss import (
    MILD,
    OTHERS,
    PARTS,
    labelled_pairs,
    patch_loss,
    ranking_loss,
    scale_distances,
)
from dr_kfs.training.train_descriptor import collect as collect_triplets
from dr_kfs.training.train_descriptor import hardnet_loss
from dr_kfs.weights import load_weights, register_weights

FINE, COARSE = PatchScales(256, (1,)), PatchScales(256, (2, 4))
SHAPES_PER_STEP = 2
SMALL_CHANGES = 3
"""Of a shape, per step, beside one change of its parts and one other shape."""
PATCH_WEIGHT = 0.2
HELD_OUT_SHAPES = 48
"""Shapes at the end of the plan that are only evaluated."""
TRIPLETS_PER_STEP = 64
FIRST_TRIPLET_SEED = TRAIN_SEEDS.start + 5000
"""Of the shapes that triplets are of; those of the edits are below."""


class DescribedPatches:
    """Patches of all scales through detector and network; blank ones share one descriptor, as in the loss."""

    def __init__(self, network: nn.Module, detector: GHHDetector) -> None:
        self.network = network
        self.detector = detector

    def __call__(self, images: Tensor, scales: PatchScales) -> tuple[Tensor, Tensor]:
        """Descriptors (K, V, P, 128) and weights (K, V, P) of K shapes in V views."""
        with torch.no_grad():  # only the descriptor learns
            patches = torch.cat([extract_patches(self.detector(each)) for each in scales.shrink(images)], dim=2)
        flat = patches.flatten(0, 2)
        blank = self.describe(flat.new_zeros(1, *flat.shape[1:]))
        descriptors = describe_lit_patches(self.describe, flat, blank)
        return descriptors.view(*patches.shape[:3], -1), patches.mean((-2, -1))

    def describe(self, patches: Tensor) -> Tensor:
        """Descriptors (K, 128) of PoI patches (K, 32, 32)."""
        images = normalize_patches(patches).unsqueeze(1).contiguous(memory_format=torch.channels_last)
        fast = has_bfloat16_units(patches.device)  # the master weights are float32
        with torch.autocast(patches.device.type, dtype=torch.bfloat16, enabled=fast):
            features: Tensor = self.network.features(images)  # pyright: ignore[reportCallIssue] - kornia's HardNet
        return nn.functional.normalize(features.flatten(1).float(), dim=1)


def starting_network(weights: str) -> nn.Module:
    """HardNet with the first stage's weights. Its batch norms keep their statistics: a step sees one or two shapes."""
    from kornia.feature import HardNet

    network = HardNet(pretrained=False)
    tensors = load_file(weights) if weights.endswith(".safetensors") else load_weights(weights)
    network.load_state_dict(tensors, strict=False)  # the counters of the batch norms are not stored
    return network.eval().to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] - torch's stub


def draw_changes(views: EditedViews, chance: random.Random) -> list[Change]:
    """The target, a change of parts, another shape, and some smaller changes."""
    parts = [change for change in views.images if change in PARTS]
    others = [change for change in views.images if change in OTHERS]
    small = [change for change in views.images if change not in (TARGET, *PARTS, *OTHERS)]
    drawn = [chance.sample(some, min(count, len(some))) for some, count in ((parts, 1), (others, 1))]
    return [TARGET, *drawn[0], *drawn[1], *chance.sample(small, min(SMALL_CHANGES, len(small)))]


def shifted(images: Tensor, down: int, right: int) -> Tensor:
    """The images moved by whole pixels; what comes in is black."""
    return nn.functional.pad(images, (right, -right, down, -down))


def stretched(images: Tensor, wider: float, higher: float) -> Tensor:
    """The images stretched about their centre by these factors; what comes in is black."""
    theta = images.new_tensor([[1.0 / wider, 0.0, 0.0], [0.0, 1.0 / higher, 0.0]])
    flat = images.flatten(0, 1).unsqueeze(1)
    grid = nn.functional.affine_grid(theta.expand(len(flat), 2, 3), list(flat.shape), align_corners=False)
    return nn.functional.grid_sample(flat, grid, align_corners=False).view_as(images)


def shape_loss(
    describe: DescribedPatches,
    views: EditedViews,
    chance: random.Random,
    *,
    fine_share: float,
    shift: int = 0,
    stretch: float = 0.0,
    device: str,
) -> Tensor:
    """The loss of one shape: at the fine scale in one view, or at the coarse ones in two.

    Args:
        describe: patches of all scales through detector and network.
        views: of the shape and its edits.
        chance: draws edits, views and scale.
        fine_share: how often the fine scale is drawn.
        shift: move the views by up to so many pixels, so that the patches' grid falls elsewhere.
        stretch: stretch them by up to this share, along rows and columns, so that no shape is seen twice.
        device: of the network.
    """
    fine = chance.random() < fine_share
    scales = FINE if fine else COARSE
    changes = draw_changes(views, chance)
    chosen = torch.tensor(chance.sample(range(len(views.images[TARGET])), 1 if fine else 2), device=device)
    images = views.stacked(changes, chosen).to(device)
    if chance.random() < 0.5:
        images = images.flip(-1)
    if shift:
        images = shifted(images, chance.randint(-shift, shift), chance.randint(-shift, shift))
    if stretch:
        images = stretched(images, *(1.0 + chance.uniform(-stretch, stretch) for _ in range(2)))
    descriptors, weights = describe(images, scales)
    loss = ranking_loss(scale_distances(descriptors, weights, scales), changes)
    mild = [index for index, change in enumerate(changes) if change in MILD]
    if mild:
        pairs = zip(scales.split(descriptors, 2), scales.split(weights, 2), scales.counts, strict=True)
        for described, weight, count in pairs:
            side = round(count**0.5)
            if side >= 5:  # fewer have no patches that do not overlap
                grid = torch.cartesian_prod(torch.arange(side), torch.arange(side)).to(device)
                loss = loss + PATCH_WEIGHT * patch_loss(described[[0, mild[0]], 0], weight[0, 0], grid)
    return loss


@dataclass(frozen=True, eq=False)
class TripletTerm:
    """HardNet's own loss on PoI patches, as in the first stage."""

    data: Triplets
    weight: float

    @classmethod
    def collected(cls, shapes: int, weight: float, detector: str, *, seed: int, console: Console) -> TripletTerm:
        """On patches of `shapes` shapes, the training families in turn."""
        data = collect_triplets(
            FIRST_TRIPLET_SEED,
            shapes,
            GHHDetector(detector),
            seed=seed,
            label="rendering triplets",
            console=console,
            families=TRAIN_FAMILIES,
        )
        return cls(data, weight)

    def loss(self, describe: DescribedPatches, chance: random.Random, *, device: str) -> Tensor:
        """Of some triplets."""
        chosen = torch.tensor(chance.sample(range(len(self.data.anchors)), TRIPLETS_PER_STEP))
        part = self.data.take(chosen)
        if chance.random() < 0.5:
            part = part.mirrored()
        stacked = torch.cat([part.anchors, part.positives, part.negatives[part.has_negative]])
        described = describe.describe(stacked.to(device).float() / 255.0).cpu()
        anchors, positives, negatives = described.split(
            [TRIPLETS_PER_STEP, TRIPLETS_PER_STEP, len(described) - 2 * TRIPLETS_PER_STEP]
        )
        return self.weight * hardnet_loss(anchors, positives, negatives, part)


def blend(network: nn.Module, start: dict[str, Tensor], share: float) -> None:
    """Weights between `start` (0) and what the network has now (1), in place.

    References:
        Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022, Eq. 1.
    """
    trained = network.state_dict()
    network.load_state_dict(
        {
            key: torch.lerp(start[key], value, share) if value.is_floating_point() else value
            for key, value in trained.items()
        }
    )


@torch.no_grad()
def evaluate(describe: DescribedPatches, paths: list[Path], *, device: str) -> dict[str, float]:
    """Share of labelled pairs in the right order, over two views and all scales, by kind of pair."""
    scales = PatchScales(256, (1, 2, 4))
    right: dict[str, list[bool]] = {}
    for path in paths:
        views = EditedViews.load(path)
        changes = list(views.images)
        descriptors, weights = describe(views.stacked(changes, torch.arange(2)).to(device), scales)
        total = scale_distances(descriptors, weights, scales).sum(0)
        for smaller, larger, _ in labelled_pairs(changes):
            kind = f"{changes[smaller][0].split('-')[0]} < {changes[larger][0]}"
            right.setdefault(kind, []).append(bool(total[smaller] < total[larger]))
    return {kind: round(sum(found) / len(found), 4) for kind, found in sorted(right.items())}


def fit(
    network: nn.Module,
    detector: GHHDetector,
    paths: list[Path],
    *,
    steps: int,
    rate: float,
    fine_share: float,
    shift: int = 0,
    stretch: float = 0.0,
    triplets: TripletTerm | None = None,
    seed: int,
    device: str,
    checkpoint: Path | None,
    log: Path | None,
    console: Console,
) -> None:
    """AdamW with a one-cycle schedule, in place."""
    describe = DescribedPatches(network, detector)
    # A GPU keeps all shapes, 3 MB each; a CPU reads them from the system's file cache.
    load = EditedViews.load if device == "cpu" else functools.cache(lambda path: EditedViews.load(path).to(device))
    optimizer = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps, pct_start=0.1)
    state = TrainingState(network, optimizer, schedule, checkpoint)
    if first := state.resume():
        console.print(f"resumed at step {first}")
    recent: list[float] = []
    for step in track(range(first, steps), description="training", console=console):
        chance = random.Random(seed * 1_000_003 + step)  # of the step, so that a resumed run draws the same
        optimizer.zero_grad()
        for _ in range(SHAPES_PER_STEP):
            views = load(chance.choice(paths))
            loss = shape_loss(
                describe, views, chance, fine_share=fine_share, shift=shift, stretch=stretch, device=device
            )
            loss.backward()
            recent.append(loss.item())
        if triplets is not None:
            triplets.loss(describe, chance, device=device).backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if (step + 1) % 50 == 0 or step == steps - 1:
            mean = sum(recent) / len(recent)
            recent.clear()
            console.print(f"step {step + 1}: loss {mean:.4f}")
            if log is not None:
                with log.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({"step": step + 1, "loss": round(mean, 5)}) + "\n")
            state.save(step + 1)


def main(
    shapes: Annotated[int, typer.Option(help="Shapes; the last 48 are held out.")] = 300,
    first_shape: Annotated[
        int, typer.Option(min=0, help="Of the plan: start at shapes that --start has not seen.")
    ] = 0,
    steps: Annotated[int, typer.Option(help="Optimiser steps, of two shapes each.")] = 1200,
    rate: Annotated[float, typer.Option(help="Peak learning rate.")] = 1e-4,
    fine_share: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Of the shapes, seen at scale 1: three times as many patches.")
    ] = 0.35,
    shift: Annotated[
        int,
        typer.Option(
            min=0,
            max=20,
            help="Views are moved by up to so many pixels, of the 22 around a shape that is not stretched.",
        ),
    ] = 0,
    stretch: Annotated[float, typer.Option(min=0.0, max=0.5, help="Views are stretched by up to this share.")] = 0.0,
    triplet_weight: Annotated[
        float, typer.Option(min=0.0, help="Of the first stage's loss, on patches of --triplet-shapes shapes.")
    ] = 0.0,
    triplet_shapes: Annotated[int, typer.Option(min=1, help="Shapes that triplets are of.")] = 200,
    trained_share: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Of the trained weights; the rest is those of --start.")
    ] = 1.0,
    seed: Annotated[int, typer.Option(help="Of everything but the shapes, which are always the same.")] = 0,
    start: Annotated[str, typer.Option(help="Weights of the first stage: a name or a file.")] = "hardnet-shapes",
    detector: Annotated[str, typer.Option(help="Weights of the detector.")] = "ghh-shapes",
    name: Annotated[str, typer.Option(help="Name in the registry.")] = "hardnet-structure",
    out: Annotated[Path, typer.Option(help="Folder of the weights.")] = Path("weights"),
    views: Annotated[Path, typer.Option(help="Folder that keeps the rendered shapes.")] = Path("outputs/structure"),
    checkpoint: Annotated[Path | None, typer.Option(help="File to resume from.")] = None,
    log: Annotated[Path | None, typer.Option(help="File for the curve, JSON lines.")] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
) -> None:
    """Train HardNet on labelled edits, evaluate it on held-out shapes, and register it."""
    if shapes <= HELD_OUT_SHAPES:
        raise typer.BadParameter(
            f"needs more than the {HELD_OUT_SHAPES} shapes that are held out", param_hint="--shapes"
        )
    console = Console()
    paths = collect(range(first_shape, first_shape + shapes), views, console=console)
    network, poi = starting_network(start).to(device), GHHDetector(detector).to(device)
    triplets = None
    if triplet_weight:
        triplets = TripletTerm.collected(triplet_shapes, triplet_weight, detector, seed=seed, console=console)
    held_out = paths[-HELD_OUT_SHAPES:]
    untrained = copy.deepcopy(network.state_dict())
    before = evaluate(DescribedPatches(network, poi), held_out, device=device)
    fit(
        network,
        poi,
        paths[:-HELD_OUT_SHAPES],
        steps=steps,
        rate=rate,
        fine_share=fine_share,
        shift=shift,
        stretch=stretch,
        triplets=triplets,
        seed=seed,
        device=device,
        checkpoint=checkpoint,
        log=log,
        console=console,
    )
    blend(network, untrained, trained_share)
    figures: dict[str, float | int] = {f"{kind}, before": share for kind, share in before.items()}
    figures |= evaluate(DescribedPatches(network, poi), held_out, device=device)
    out.mkdir(parents=True, exist_ok=True)
    # In half precision, because two descriptors in float32 would be more than the 8 MB that a wheel may carry.
    tensors = {key: value.half() for key, value in network.state_dict().items() if value.is_floating_point()}
    register_weights(
        name,
        tensors,
        directory=out,
        kind="descriptor",
        architecture="HardNet (kornia.feature.HardNet), stored as float16",
        license="MIT",
        data=f"labelled edits of {shapes - HELD_OUT_SHAPES} procedural shapes of the training families, from {start}",
        command=f"python -m dr_kfs.training.train_structure --shapes {shapes} --first-shape {first_shape} "
        f"--steps {steps} --rate {rate} --fine-share {fine_share} --shift {shift} --stretch {stretch} "
        f"--triplet-weight {triplet_weight} --triplet-shapes {triplet_shapes} --trained-share {trained_share} "
        f"--seed {seed} --start {start} --detector {detector} --name {name} --device {device}",
        seed=seed,
        figures=figures,
    )
    console.print(figures)


if __name__ == "__main__":
    typer.run(main)
