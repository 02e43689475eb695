"""QAL's claim, reproduced small: one point-completion network, trained with CD, DCD, InfoCD and QAL.

    python tests/experiments/completion.py              # 23 trainings: under an hour on one core
    python tests/experiments/completion.py --resume     # go on after Ctrl-C

The four losses (QAL in both presets) get three seeds each; lambda_attr, eps and omega are varied at the first seed. For
each seed, all losses start from the same weights and see the same batches. Measured on shapes that no training saw, of
the families of the training and of others: Cov@tau and the spurious rate, tau in units of the diagonal of the complete
shape. "another sample" is what other points of the true surface score, "partial view" what the input does.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from completion_data import PartialViews, partial_views, shapes_of
from completion_losses import ABLATION, CURVE, LOSSES, MAIN
from completion_network import CompactPCN
from completion_picture import draw
from experiment_options import add_shared_options, setup_of
from experiment_rows import Row, rows_so_far, write_rows
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from torch import Tensor

from dr_kfs.losses import ChamferLoss, ramp
from dr_kfs.metrics import point_scores

SPLITS = ("known families", "new families")
MEASURES = ("coverage", "spurious", "f1", "chamfer")


@dataclass(frozen=True, kw_only=True)
class TrainingSetup:
    """The same for every loss."""

    steps: int = 300
    """Of Adam; its rate falls to 0 along half a cosine."""
    batch: int = 8
    """Partial views per step."""
    rate: float = 1e-3
    """Adam's, at the start."""
    train_shapes: int = 40
    """Of each of the nine families."""
    test_shapes: int = 4
    """Of each known family; three times as many of each new one."""
    views: int = 4
    """Partial views of each shape."""
    observed: int = 512
    """Points of a partial view."""
    points: int = 2048
    """Of the complete shape, to measure against; a step draws as many of them as the network predicts."""
    tau: float = 0.03
    """Of Cov@tau and of the spurious rate, as in QAL's paper [target diagonals]."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, measure, print; the exit status is 130 after Ctrl-C."""
    options = _options(arguments)
    console = Console(width=None if sys.stdout.isatty() else 130)
    setup = setup_of(options, TrainingSetup)
    settings = {"setup": asdict(setup), "device": options.device, "torch": torch.__version__}
    rows = rows_so_far(options.json, settings, resume=options.resume)
    jobs = _jobs(options.losses, options.seeds)
    status = 0
    try:
        _run(jobs, setup, settings, rows, options, console)
    except KeyboardInterrupt:
        console.print("Interrupted; --resume goes on from here.")
        status = 130
    if rows:
        _print_report(console, rows)
        try:
            draw(rows, options.picture, tau=setup.tau)
            console.print(f"wrote {options.picture}", markup=False, soft_wrap=True)
        except ImportError:
            console.print("no picture: matplotlib is not installed")
    console.print(f"wrote {options.json}", markup=False, soft_wrap=True)
    return status


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--losses", nargs="+", choices=LOSSES, default=tuple(LOSSES), metavar="NAME", help="; ".join(LOSSES))
    add("--seeds", type=int, default=3, help="of the losses in their own settings; %(default)s by default")
    add_shared_options(parser, "completion", TrainingSetup(), rows="the rows", picture="coverage and spurious rate")
    options = parser.parse_args(arguments)
    if options.seeds < 1 or options.steps < 1:
        parser.error(f"--seeds and --steps must be at least 1, got {options.seeds} and {options.steps}")
    return options


def _jobs(losses: Sequence[str], seeds: int) -> list[tuple[str, int]]:
    """Losses and seeds, in an order in which a run that is stopped has the most to say."""
    main, curve, ablation = ([name for name in losses if name in group] for group in (MAIN, CURVE, ABLATION))
    first = [(name, 0) for name in (*main, *curve)]
    return [*first, *((name, seed) for seed in range(1, seeds) for name in main), *((name, 0) for name in ablation)]


# -- training and measuring ------------------------------------------------------------------------------------------


def _run(
    jobs: list[tuple[str, int]],
    setup: TrainingSetup,
    settings: dict[str, Any],
    rows: list[Row],
    options: argparse.Namespace,
    console: Console,
) -> None:
    """Append the rows of every training, one per split."""
    done = {(row["loss"], row["seed"]) for row in rows}
    jobs = [job for job in jobs if job not in done]
    if not jobs:
        return
    console.print("drawing shapes and partial views")
    train = _data("train", setup.train_shapes, setup).to(options.device)
    tests = {
        split: _data(split, setup.test_shapes * (1 if split == "known families" else 3), setup).to(options.device)
        for split in SPLITS
    }
    if not rows:
        rows += [row for split in SPLITS for row in baselines(tests[split], split, setup)]
    for number, (name, seed) in enumerate(jobs, 1):
        start = time.perf_counter()
        network = train_network(name, seed, train, setup)
        found = [{"loss": name, "seed": seed, "split": s, **measure(network, tests[s], setup)} for s in SPLITS]
        rows += found
        write_rows(options.json, settings, rows)
        scores = "; ".join(f"{r['split']} Cov {r['coverage']:.3f}, spurious {r['spurious']:.3f}" for r in found)
        seconds = time.perf_counter() - start
        console.print(
            f"{number}/{len(jobs)} {name}, seed {seed}: {scores} ({seconds:.0f} s)", markup=False, soft_wrap=True
        )


def _data(split: str, per_family: int, setup: TrainingSetup) -> PartialViews:
    return partial_views(shapes_of(split, per_family), views=setup.views, points=setup.points, observed=setup.observed)


def initial_network(seed: int) -> CompactPCN:
    """The network before training: the same for every loss."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return CompactPCN()


def batches(seed: int, data: PartialViews, setup: TrainingSetup) -> Iterator[tuple[Tensor, Tensor]]:
    """Partial views and complete shapes (B, points, 3) of every step: the same for every loss."""
    generator = torch.Generator().manual_seed(seed)
    shapes, views = data.partial.shape[:2]
    for _ in range(setup.steps):
        shape = torch.randint(shapes, (setup.batch,), generator=generator)
        view = torch.randint(views, (setup.batch,), generator=generator)
        order = torch.randperm(data.complete.shape[1], generator=generator)
        yield data.partial[shape, view], data.complete[shape][:, order]


def train_network(name: str, seed: int, data: PartialViews, setup: TrainingSetup) -> CompactPCN:
    """A network that was trained with one of `LOSSES`, on its coarse cloud and, more and more, on its fine one."""
    network = initial_network(seed).to(data.partial.device)
    coarse_loss, fine_loss = LOSSES[name](setup.steps), LOSSES[name](setup.steps)
    fine_weight = ramp(0.1, 1.0, steps=setup.steps // 2)  # as PCN's alpha
    optimizer = torch.optim.Adam(network.parameters(), lr=setup.rate)
    for step, (partial, complete) in enumerate(batches(seed, data, setup)):
        for group in optimizer.param_groups:
            group["lr"] = setup.rate * 0.5 * (1.0 + math.cos(math.pi * step / setup.steps))
        coarse, fine = network(partial)
        # As many target points as predicted ones, or DCD would compare densities that cannot agree.
        loss = coarse_loss(coarse, complete[:, : coarse.shape[1]])
        loss = loss + fine_weight(step) * fine_loss(fine, complete[:, : fine.shape[1]])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network


def measure(network: CompactPCN, data: PartialViews, setup: TrainingSetup) -> dict[str, float]:
    """Means over all partial views of a split."""
    with torch.no_grad():  # a measurement
        predicted = torch.cat([network(part)[1] for part in data.partial.flatten(0, 1).split(32)])
    return _scores(predicted, data.complete.repeat_interleave(data.partial.shape[1], dim=0), setup)


def baselines(data: PartialViews, split: str, setup: TrainingSetup) -> list[Row]:
    """What needs no network: as many points as it predicts of the true surface, and the input."""
    predicted = initial_network(0)(data.partial[:1, 0].cpu())[1].shape[1]
    half = min(predicted, setup.points // 2)
    another = _scores(data.complete[:, :half], data.complete[:, half:], setup)
    complete = data.complete.repeat_interleave(data.partial.shape[1], dim=0)
    observed = _scores(data.partial.flatten(0, 1), complete, setup)
    named = {"another sample": another, "partial view": observed}
    return [{"loss": name, "seed": 0, "split": split, **scores} for name, scores in named.items()]


def _scores(predicted: Tensor, complete: Tensor, setup: TrainingSetup) -> dict[str, float]:
    with torch.no_grad():  # a measurement
        scores = point_scores(predicted, complete, setup.tau)
        return {
            "coverage": float(scores.coverage.mean()),
            "spurious": float(scores.spurious.mean()),
            "f1": float(scores.f1.mean()),
            "chamfer": float(ChamferLoss(preset="occnet-l1")(predicted, complete)),
        }


# -- what is printed -------------------------------------------------------------------------------------------------


def _print_report(console: Console, rows: list[Row]) -> None:
    for split in SPLITS:
        table = Table(box=SIMPLE_HEAD, title=f"{split}: mean over the seeds, +- their standard deviation")
        for name in ("loss", "seeds", "coverage", "spurious", "F1", "Chamfer (occnet-l1)"):
            table.add_column(name, justify="left" if name == "loss" else "right", no_wrap=True)
        here = [row for row in rows if row["split"] == split]
        for name in dict.fromkeys([*LOSSES, *(row["loss"] for row in here)]):
            own = [row for row in here if row["loss"] == name]
            if own:
                table.add_row(name, str(len(own)), *(_cell([row[m] for row in own], m) for m in MEASURES))
        console.print(table)


def _cell(values: list[float], measure: str) -> str:
    digits = 4 if measure == "chamfer" else 3
    spread = f" +- {np.std(values, ddof=1):.{digits}f}" if len(values) > 1 else ""
    return f"{np.mean(values):.{digits}f}{spread}"


if __name__ == "__main__":
    sys.exit(main())
