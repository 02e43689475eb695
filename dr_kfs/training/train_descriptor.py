"""Train HardNet on PoI patches of procedural shapes.

    python -m dr_kfs.training.train_descriptor --shapes 500 --steps 900 --seed 0

Triplets come from `descriptor_data`; the loss is HardNet's (hardest negative in the batch, margin 1), with the patch
after a removal as one more negative. The command writes `weights/<name>.safetensors` and its entry in
`weights/registry.json`, with the figures. With `--checkpoint FILE` it can be stopped and started again.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.progress import track
from torch import Tensor, nn

from dr_kfs.datasets import generate
from dr_kfs.descriptors import HardNetDescriptor
from dr_kfs.descriptors.patches import normalize_patches
from dr_kfs.descriptors.precision import has_bfloat16_units
from dr_kfs.keypoints import GHHDetector
from dr_kfs.training.checkpoint import TrainingState
from dr_kfs.training.descriptor_data import VIEWS, Triplets, shape_triplets
from dr_kfs.training.scores import average_precision, fpr_at_95_recall
from dr_kfs.training.train_detector import FIRST_FAMILIES, TEST_SEED
from dr_kfs.weights import register_weights

MARGIN = 1.0
SAME_PLACE = 24.0
"""Anchors of one view nearer than this are not negatives of each other [px]."""


def collect(
    first_seed: int,
    count: int,
    detector: GHHDetector,
    *,
    seed: int,
    label: str,
    console: Console,
    families: Sequence[str] = FIRST_FAMILIES,
) -> Triplets:
    """Triplets of `count` shapes, families in turn."""
    generator = torch.Generator().manual_seed(seed)
    parts = []
    for index in track(range(count), description=label, console=console):
        shape = generate(families[index % len(families)], first_seed + index)
        triplets = shape_triplets(shape, detector, first_view=index * VIEWS, generator=generator)
        if triplets is not None:
            parts.append(triplets)
    return Triplets.cat(parts)


def as_input(patches: Tensor) -> Tensor:
    """Stored patches as HardNet takes them."""
    return normalize_patches(patches.float() / 255.0).unsqueeze(1)


def hardnet_loss(anchors: Tensor, positives: Tensor, negatives: Tensor, batch: Triplets) -> Tensor:
    """HardNet's triplet margin loss; `negatives` are the descriptors of the rows with `has_negative`.

    `max(0, 1 + d(a_i, p_i) - min_j d)` with the minimum over `d(a_i, p_j)`, `d(a_j, p_i)` and `d(a_i, n_i)`, j another
    place.

    References:
        Mishchuk et al., NeurIPS 2017, Eq. 1 and 2; the explicit negative is ours.
    """
    distance = (2.0 - 2.0 * anchors @ positives.T).clamp_min(1e-6).sqrt()
    same_view = batch.view[:, None] == batch.view[None]
    same_place = same_view & (torch.cdist(batch.pixel, batch.pixel) < SAME_PLACE)
    others = torch.where(same_place, 10.0, distance)
    hardest = torch.minimum(others.amin(0), others.amin(1))
    removed = torch.full_like(hardest, 10.0)
    paired = (2.0 - 2.0 * (anchors[batch.has_negative] * negatives).sum(-1)).clamp_min(1e-6).sqrt()
    removed = removed.masked_scatter(batch.has_negative, paired.to(removed.dtype))
    return (MARGIN + distance.diagonal() - torch.minimum(hardest, removed)).clamp_min(0.0).mean()


def fit(
    data: Triplets,
    *,
    steps: int,
    batch: int,
    rate: float,
    seed: int,
    checkpoint: Path | None,
    console: Console,
) -> nn.Module:
    """HardNet (kornia's architecture) trained with AdamW and a one-cycle schedule."""
    from kornia.feature import HardNet

    torch.manual_seed(seed)  # initial weights and dropout
    generator = torch.Generator().manual_seed(seed)
    network = HardNet(pretrained=False).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps, pct_start=0.1)
    state = TrainingState(network, optimizer, schedule, checkpoint, generator)
    if first := state.resume():
        console.print(f"resumed at step {first}")
    network = network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] - torch's stub lacks it
    for step in track(range(first, steps), description="training", console=console):
        chosen = torch.randint(len(data.anchors), (batch,), generator=generator)
        part = data.take(chosen)
        if torch.rand(1, generator=generator) < 0.5:
            part = part.mirrored()
        stacked = torch.cat([part.anchors, part.positives, part.negatives[part.has_negative]])
        images = as_input(stacked).contiguous(memory_format=torch.channels_last)
        # Three times faster where there are units for it; the master weights are float32.
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=has_bfloat16_units(images.device)):
            features = network.features(images).flatten(1)
        a, p, n = nn.functional.normalize(features.float()).split([batch, batch, int(part.has_negative.sum())])
        loss = hardnet_loss(a, p, n, part)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 50 == 0 or step == steps - 1:
            console.print(f"step {step}: loss {loss.item():.4f}")
            state.save(step + 1)
    return network.eval()


def evaluate(describe: nn.Module, data: Triplets, *, seed: int) -> dict[str, float]:
    """FPR95, average precision, and how often a removal is farther than the change.

    A pair matches if it is the same point before and after a forgivable change; it does not if the places differ.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        a, p, n = (
            torch.cat([describe(part.float() / 255.0) for part in patches.split(512)])
            for patches in (data.anchors, data.positives, data.negatives)
        )
    partner = torch.randint(len(a), (len(a),), generator=generator)
    keep = data.view[partner] != data.view
    match, other = (a - p).norm(dim=1), (a - p[partner]).norm(dim=1)[keep]
    distances = torch.cat([match, other])
    matching = torch.arange(len(distances)) < len(match)
    seen = data.has_negative
    return {
        "fpr95": round(fpr_at_95_recall(distances, matching), 4),
        "average_precision": round(average_precision(-distances, matching), 4),
        "removal_farther": round(float(((a - n).norm(dim=1)[seen] > match[seen]).double().mean()), 4),
    }


class RawPatches(nn.Module):
    """The normalised patch itself as a descriptor: the rival that needs no training."""

    def forward(self, patches: Tensor) -> Tensor:
        """Unit vectors of 1,024 values."""
        return nn.functional.normalize(normalize_patches(patches).flatten(1), dim=1)


def save_untrained(directory: Path, seed: int) -> Path:
    """HardNet at its random start, for comparison."""
    from kornia.feature import HardNet
    from safetensors.torch import save_file

    torch.manual_seed(seed)
    path = directory / "untrained.safetensors"
    save_file({key: value.contiguous() for key, value in HardNet(pretrained=False).state_dict().items()}, path)
    return path


def main(
    shapes: Annotated[int, typer.Option(help="Training shapes.")] = 500,
    held_out_shapes: Annotated[int, typer.Option(help="Test shapes.")] = 50,
    steps: Annotated[int, typer.Option(help="Optimiser steps.")] = 900,
    batch: Annotated[int, typer.Option(help="Triplets per step.")] = 384,
    rate: Annotated[float, typer.Option(help="Peak learning rate.")] = 2e-3,
    seed: Annotated[int, typer.Option(help="Seed of everything.")] = 0,
    detector: Annotated[str, typer.Option(help="Weights of the detector.")] = "ghh-shapes",
    name: Annotated[str, typer.Option(help="Name in the registry.")] = "hardnet-shapes",
    out: Annotated[Path, typer.Option(help="Folder of the weights.")] = Path("weights"),
    checkpoint: Annotated[Path | None, typer.Option(help="File to resume from.")] = None,
) -> None:
    """Train, test and register HardNet on PoI patches."""
    import tempfile

    console = Console()
    poi = GHHDetector(detector)
    data = collect(0, shapes, poi, seed=seed, label="rendering training shapes", console=console)
    console.print(f"{len(data.anchors)} triplets, {int(data.has_negative.sum())} with a removed part")
    network = fit(data, steps=steps, batch=batch, rate=rate, seed=seed, checkpoint=checkpoint, console=console)
    test = collect(TEST_SEED, held_out_shapes, poi, seed=seed + 2, label="rendering test shapes", console=console)
    out.mkdir(parents=True, exist_ok=True)
    tensors = {key: value for key, value in network.state_dict().items() if value.is_floating_point()}
    with tempfile.TemporaryDirectory() as scratch:
        trained = Path(scratch) / "trained.safetensors"
        from safetensors.torch import save_file

        save_file({key: value.contiguous() for key, value in tensors.items()}, trained)
        rivals: dict[str, nn.Module] = {
            "trained": HardNetDescriptor(str(trained)),
            "untrained": HardNetDescriptor(str(save_untrained(Path(scratch), seed))),
            "raw": RawPatches(),
        }
        figures: dict[str, float | int] = {"train_triplets": len(data.anchors), "test_triplets": len(test.anchors)}
        for rival, describe in rivals.items():
            for score, value in evaluate(describe, test, seed=seed).items():
                figures[f"{rival}_{score}"] = value
    register_weights(
        name,
        tensors,
        directory=out,
        kind="descriptor",
        architecture="HardNet (kornia.feature.HardNet)",
        license="MIT",
        data=f"PoI patches of {shapes} procedural shapes ({', '.join(FIRST_FAMILIES)}), seeds 0 to {shapes - 1}",
        command=f"python -m dr_kfs.training.train_descriptor --shapes {shapes} --held-out-shapes {held_out_shapes} "
        f"--steps {steps} --batch {batch} --rate {rate} --seed {seed} --detector {detector} --name {name}",
        seed=seed,
        figures=figures,
    )
    console.print(figures)


if __name__ == "__main__":
    typer.run(main)
