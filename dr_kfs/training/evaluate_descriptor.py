"""How well descriptors tell patches apart: PoI maps of held-out shapes, and photographs.

    python -m dr_kfs.training.evaluate_descriptor --split validation --json scores.json

Pairs that match are the same surface point before and after a forgivable change (`descriptor_data`), or the same point
of a photograph under a homography; pairs that do not are other points. FPR95 is the share of other points that look as
near as 95 % of the matching ones; lower is better.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Literal

import torch
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor, nn

from dr_kfs.datasets import generate
from dr_kfs.datasets.splits import (
    TEST_FAMILIES,
    TEST_SEEDS,
    VALIDATION_FAMILIES,
    VALIDATION_SEEDS,
)
from dr_kfs.descriptors import HardNetDescriptor, KorniaDescriptor
from dr_kfs.keypoints import GHHDetector
from dr_kfs.training.descriptor_data import VIEWS, Triplets, shape_triplets
from dr_kfs.training.photographs import photograph_pairs
from dr_kfs.training.scores import average_precision, fpr_at_95_recall
from dr_kfs.training.train_descriptor import RawPatches, evaluate, save_untrained

Split = Literal["validation", "test"]
SPLITS = {
    "validation": (VALIDATION_FAMILIES, VALIDATION_SEEDS.start),
    "test": (TEST_FAMILIES, TEST_SEEDS.start + 1000),
}
"""Families and first seed; detectors were compared on the first test seeds."""
HOMOGRAPHIES = 4


class SIFTPatches(nn.Module):
    """kornia's SIFT of a patch, upright."""

    def __init__(self) -> None:
        super().__init__()
        from kornia.feature import SIFTDescriptor

        self.describe = SIFTDescriptor(32)

    def forward(self, patches: Tensor) -> Tensor:
        """Unit descriptors (K, 128)."""
        return self.describe(patches.unsqueeze(1))


def held_out_triplets(split: Split, shapes: int, detector: GHHDetector, *, seed: int, console: Console) -> Triplets:
    """Triplets of families that no training has seen."""
    families, first = SPLITS[split]
    generator = torch.Generator().manual_seed(seed)
    parts = []
    for index in track(range(shapes), description=f"rendering {split} shapes", console=console):
        shape = generate(families[index % len(families)], first + index)
        triplets = shape_triplets(shape, detector, first_view=index * VIEWS, generator=generator)
        if triplets is not None:
            parts.append(triplets)
    return Triplets.cat(parts)


def pair_scores(describe: nn.Module, before: Tensor, after: Tensor, *, seed: int) -> dict[str, float]:
    """FPR95 and average precision of matching patches against shuffled ones."""
    partner = torch.randperm(len(before), generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        a, b = (torch.cat([describe(part) for part in patches.split(512)]) for patches in (before, after))
    other = (a - b[partner]).norm(dim=1)[partner != torch.arange(len(partner))]
    distances = torch.cat([(a - b).norm(dim=1), other])
    matching = torch.arange(len(distances)) < len(a)
    return {
        "photo_fpr95": round(fpr_at_95_recall(distances, matching), 4),
        "photo_average_precision": round(average_precision(-distances, matching), 4),
    }


def main(
    weights: Annotated[list[str] | None, typer.Option(help="Names or files; repeat. The default's without.")] = None,
    split: Annotated[str, typer.Option(help="validation, or test for the last run.")] = "validation",
    shapes: Annotated[int, typer.Option(help="Shapes of the two held-out families.")] = 40,
    detector: Annotated[str, typer.Option(help="Weights of the detector.")] = "ghh-shapes",
    tfeat: Annotated[Path | None, typer.Option(help="TFeat's published weights, as a rival.")] = None,
    seed: Annotated[int, typer.Option(help="Of views, changes and pairs.")] = 0,
    json_path: Annotated[Path | None, typer.Option("--json", help="Write the scores.")] = None,
) -> None:
    """Score descriptors on patches of families that no training has seen, and on photographs."""
    if split not in SPLITS:
        raise typer.BadParameter(f"is one of {', '.join(SPLITS)}, not {split}", param_hint="--split")
    console = Console(width=None if sys.stdout.isatty() else 110)
    data = held_out_triplets(split, shapes, GHHDetector(detector), seed=seed, console=console)  # type: ignore[arg-type]
    photographs = photograph_pairs(HOMOGRAPHIES, generator=torch.Generator().manual_seed(seed))
    scores: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        rivals: dict[str, nn.Module] = {
            name: HardNetDescriptor(name) for name in weights or [HardNetDescriptor().weights]
        }
        rivals["untrained HardNet"] = HardNetDescriptor(str(save_untrained(Path(scratch), seed)))
        rivals |= {"raw patch": RawPatches(), "SIFT": SIFTPatches()}
        if tfeat is not None:
            rivals["TFeat-Liberty"] = KorniaDescriptor("tfeat", weights=tfeat, kornia_compat=True)
        for name, describe in rivals.items():
            scores[name] = evaluate(describe, data, seed=seed) | pair_scores(describe, *photographs, seed=seed)
    table = Table("descriptor", *(column.replace("_", " ") for column in next(iter(scores.values()))))
    for name, row in scores.items():
        table.add_row(name, *(f"{value:.4f}" for value in row.values()))
    console.print(f"{len(data.anchors)} PoI patches of {split} families, {len(photographs[0])} of photographs")
    console.print(table)
    if json_path is not None:
        counts = {"split": split, "patches": len(data.anchors), "photograph_patches": len(photographs[0])}
        json_path.write_text(json.dumps({**counts, "scores": scores}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
