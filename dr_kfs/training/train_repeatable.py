"""Train a GHH detector on repeatability itself, between views of rendered shapes.

    python -m dr_kfs.training.train_repeatable

`train_detector` learns which windows are corners that other views have too. This one begins with Harris's response and
then maximises the share of its keypoints that another view finds again (`repeatability_loss`): of another camera,
on other triangles, after CAD defects. Longer is not always better: what is kept is the best of its checks on pairs of
views of validation families, by the share that is measured in the end, of the average of the last steps' weights. The
command writes `weights/<name>.safetensors` and its entry in `weights/registry.json`, with the figures. With
`--checkpoint FILE` it can be stopped and started again; `--log FILE` gets the curve as JSON lines.
"""

from __future__ import annotations

import json
import math
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import typer
from jaxtyping import Float
from rich.console import Console
from rich.progress import track
from safetensors.torch import load_file
from torch import Tensor, nn

from dr_kfs.datasets.splits import TRAIN_FAMILIES
from dr_kfs.keypoints.ghh import sees_light
from dr_kfs.keypoints.hinges import MOST_MEMBERS
from dr_kfs.training.checkpoint import TrainingState
from dr_kfs.training.detector_data import FIELD
from dr_kfs.training.ghh_network import Check, GHHNetwork
from dr_kfs.training.repeatability import Response, baselines
from dr_kfs.training.repeatability_loss import CarriedPixels, carried_pixels, expected_repeatability
from dr_kfs.training.train_detector import CALIBRATION_SEED, GHHParameters, figures_of, platt, scores_of
from dr_kfs.training.train_detector import collect as collect_windows
from dr_kfs.training.view_groups import ViewGroups, camera_of, collect, depth_of
from dr_kfs.weights import register_weights

PAIRS = 8
"""Per step, of 256 px; twice as many of 128 px, which is what the loss's scale 2 sees."""
SHRUNK_SHARE = 0.3
HARRIS_SHARE = 0.2
"""Of the steps: so long the response of Harris is learned."""
COUNTS = (10, 60)
"""Keypoints of an image, drawn for every step."""
SIZE_WEIGHT = 1e-4
"""Of squared scores, or they would grow without end."""
REPORT_EVERY = 100
"""Steps between two means of the loss, and between two checkpoints."""
AVERAGE = 0.99
"""Decay per step of the average of the weights."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of views: the first views of all pairs, then their second ones."""

    images: Float[Tensor, "K H W"]
    carried: CarriedPixels
    """Pixels of each view to the other one of its pair."""

    @classmethod
    def drawn(cls, groups: ViewGroups, count: int, chance: torch.Generator) -> Pairs:
        """Of `count` shapes, two different views of each."""

        def draw(high: int) -> Tensor:
            return torch.randint(high, (count,), generator=chance)

        views = groups.images.shape[1]
        first = draw(views)
        second = (first + 1 + draw(views - 1)) % views
        drawn = torch.stack([draw(len(groups)).repeat(2), torch.cat([first, second]), torch.cat([second, first])])
        shapes, views, others = sent(drawn, groups.images.device)
        return cls(
            groups.images[shapes, views].float() / 255.0,
            carried_pixels(
                (depth_of(groups, shapes, views), depth_of(groups, shapes, others)),
                (camera_of(groups, shapes, views), camera_of(groups, shapes, others)),
            ),
        )

    def shrunk(self) -> Pairs:
        """At half the size."""
        return Pairs(nn.functional.avg_pool2d(self.images, 2), self.carried.thinned())


def sent(values: Tensor, device: torch.device) -> Tensor:
    """A tensor of the host on the device, without waiting for what a GPU still does."""
    return values.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else values


def harris_target(images: Tensor, harris: Response) -> Tensor:
    """What the detector begins with: the fourth root of Harris, which is linear in contrast; corners above 0."""
    return harris(images).clamp_min(0.0).add(1e-14).pow(0.25) / 0.006 - 4.0


def turned(network: nn.Module, images: Tensor, turns: int, mirror: bool) -> Tensor:
    """Scores of turned and mirrored images, turned back: the detector learns to see all of them alike."""
    seen = images.rot90(turns, (-2, -1))
    score = network(seen.flip(-1)).flip(-1) if mirror else network(seen)
    return score.rot90(-turns, (-2, -1))


def fit(
    network: GHHNetwork,
    groups: ViewGroups,
    *,
    steps: int,
    harris_steps: int,
    rate: float,
    radius: float,
    pairs: int = PAIRS,
    average: float = AVERAGE,
    seed: int,
    check: Check,
    check_every: int,
    checkpoint: Path | None,
    log: Path | None,
    console: Console,
) -> None:
    """AdamW with a cosine schedule, in place; the first steps towards Harris, the others towards repeatability.

    The average is of the weights since the first of these others. Every `check_every` of them, and at the end, the
    network keeps it if it is the best so far.
    """
    optimizer = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=1e-3, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, 0.01 * (step + 1)) * 0.5 * (1.0 + math.cos(math.pi * step / steps))
    )
    settings = {"steps": steps, "harris_steps": harris_steps, "rate": rate, "radius": radius, "pairs": pairs}
    settings |= {"average": average, "seed": seed}
    state = TrainingState(network, optimizer, schedule, checkpoint, settings=settings)
    if first := state.resume():
        console.print(f"resumed at step {first}")
    harris, recent = baselines()["harris"], []

    def write(step: int, **numbers: float) -> None:
        if log is not None:
            with log.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"step": step, **numbers}) + "\n")

    for step in track(range(first, steps), description="training", console=console):
        chance = random.Random(seed * 1_000_003 + step)  # of the step, so that a resumed run draws the same
        draws = torch.Generator().manual_seed(chance.randrange(2**62))
        shrink, turns, mirror = chance.random() < SHRUNK_SHARE, chance.randrange(4), chance.random() < 0.5
        drawn = Pairs.drawn(groups, 2 * pairs if shrink else pairs, draws)
        drawn = drawn.shrunk() if shrink else drawn
        number = len(drawn.images) // 2
        contrast = 0.6 + 0.4 * torch.rand(number, 1, 1, generator=draws)
        images = drawn.images * sent(contrast.repeat(2, 1, 1), drawn.images.device)
        if step < harris_steps:
            target = harris_target(images[:number], harris)
            near_corners = 1.0 + 4.0 * (target > -4.0 + 0.01 / 0.006)
            loss = ((turned(network, images[:number], turns, mirror) - target).square() * near_corners).mean()
        else:
            score, lit = turned(network, images, turns, mirror), sees_light(images, network.side)
            count = chance.randint(*COUNTS)
            share = expected_repeatability(score, lit, drawn.carried, count=count, radius=radius)
            loss = 2.0 * (SIZE_WEIGHT * score.square().mean() - share)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 10.0 if step < harris_steps else 1.0)
        optimizer.step()
        schedule.step()
        if step >= harris_steps:
            network.average(average if step > harris_steps else 0.0)
        recent.append(loss.detach())
        if step >= harris_steps and ((step + 1) % check_every == 0 or step == steps - 1):
            shares = check.shares(network)
            share = sum(shares.values()) / len(shares)
            network.keep_best(share)
            console.print(f"step {step + 1}: {share:.4f} found again, at best {network.best_share.item():.4f}")
            write(step + 1, checked=round(share, 4), **shares)
        if (step + 1) % REPORT_EVERY == 0 or step == steps - 1:
            mean = float(torch.stack(recent).mean())
            recent.clear()
            console.print(f"step {step + 1}: loss {mean:.4f}")
            write(step + 1, loss=round(mean, 5))
            state.save(step + 1)


def calibrated(network: GHHNetwork, held_out_shapes: int, *, seed: int, console: Console) -> dict[str, Tensor]:
    """The best weights with the calibration of `train_detector`: Platt's, on labelled windows of held-out shapes."""
    parameters = GHHParameters(network.best_filters.cpu(), network.best_biases.cpu())
    label = "rendering calibration shapes"
    held = collect_windows(CALIBRATION_SEED, held_out_shapes, seed=seed + 1, label=label, console=console)
    margin = (FIELD - parameters.filters.shape[-1]) // 2
    scale, offset = platt(scores_of(parameters, held.cropped(margin)), held.is_keypoint)
    return {"filters": parameters.filters, "biases": parameters.biases, "scale": scale, "offset": offset}


def main(
    shapes: Annotated[int, typer.Option(min=1, help="Training shapes.")] = 600,
    held_out_shapes: Annotated[int, typer.Option(min=1, help="Shapes for calibration, and as many for the test.")] = 60,
    steps: Annotated[int, typer.Option(min=1, help="Optimiser steps.")] = 1700,
    rate: Annotated[float, typer.Option(help="Peak learning rate.")] = 4e-3,
    groups: Annotated[int, typer.Option(min=2, help="N, the hinges that are added and subtracted.")] = 16,
    members: Annotated[int, typer.Option(min=1, max=MOST_MEMBERS, help="M, the filters of a hinge.")] = 4,
    side: Annotated[int, typer.Option(min=3, max=FIELD, help="Of the filters [px], odd.")] = 17,
    radius: Annotated[float, typer.Option(help="What counts as found again [px].")] = 2.0,
    pairs: Annotated[int, typer.Option(min=1, help="Pairs of views per step.")] = PAIRS,
    average: Annotated[float, typer.Option(min=0.0, max=0.9999, help="Decay of the weights' mean; 0: none.")] = AVERAGE,
    check_every: Annotated[int, typer.Option(min=1, help="Steps between checks on validation families.")] = 200,
    check_pairs: Annotated[int, typer.Option(min=1, help="Pairs of views of a check, for each change.")] = 60,
    seed: Annotated[int, typer.Option(help="Of everything but the shapes, which are always the same.")] = 0,
    start: Annotated[Path | None, typer.Option(help="Weights to go on from, not from Harris's response.")] = None,
    name: Annotated[str, typer.Option(help="Name in the registry.")] = "ghh-repeatable",
    out: Annotated[Path, typer.Option(help="Folder of the weights.")] = Path("weights"),
    views: Annotated[Path, typer.Option(help="Folder that keeps the rendered shapes.")] = Path("outputs/groups"),
    checkpoint: Annotated[Path | None, typer.Option(help="File to resume from.")] = None,
    log: Annotated[Path | None, typer.Option(help="File for the curve, JSON lines.")] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
) -> None:
    """Train a GHH detector on repeatability, calibrate it, measure it on held-out shapes, and register it."""
    if side % 2 == 0:
        raise typer.BadParameter(f"must be odd, got {side}", param_hint="--side")
    if start is not None and not start.is_file():
        raise typer.BadParameter(f"no such file: {start}", param_hint="--start")
    console = Console()
    data = ViewGroups.load(collect(range(shapes), views, console=console)).to(device)
    torch.manual_seed(seed)
    network = GHHNetwork(groups, members, side)
    if start is not None:
        network.take(load_file(start))
    network.to(device)
    fit(
        network,
        data,
        steps=steps,
        harris_steps=round(HARRIS_SHARE * steps) if start is None else 0,
        rate=rate,
        radius=radius,
        pairs=pairs,
        average=average,
        seed=seed,
        check=Check.drawn(check_pairs, console=console),
        check_every=check_every,
        checkpoint=checkpoint,
        log=log,
        console=console,
    )
    tensors = calibrated(network, held_out_shapes, seed=seed, console=console)
    figures = figures_of(tensors, held_out_shapes, seed=seed, console=console)
    figures["repeatability_checked"] = round(network.best_share.item(), 4)
    out.mkdir(parents=True, exist_ok=True)
    register_weights(
        name,
        tensors,
        directory=out,
        kind="detector",
        architecture=f"GHH, N = {groups}, M = {members}, {side}x{side} filters",
        license="MIT",
        data=f"four views each of {shapes} procedural shapes ({', '.join(TRAIN_FAMILIES)})",
        command=f"python -m dr_kfs.training.train_repeatable --shapes {shapes} --held-out-shapes {held_out_shapes} "
        f"--steps {steps} --rate {rate} --groups {groups} --members {members} --side {side} --radius {radius} "
        f"--pairs {pairs} --average {average} --check-every {check_every} --check-pairs {check_pairs} --seed {seed} "
        + (f"--start {start} " if start is not None else "")
        + f"--name {name}",
        seed=seed,
        figures=figures,
    )
    console.print(figures)


if __name__ == "__main__":
    typer.run(main)
