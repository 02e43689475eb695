"""Measure detectors on families that no training has seen: how often each finds a point again.

    python -m dr_kfs.training.evaluate_detector --split validation --weights ghh-shapes --weights ghh-repeatable
    python -m dr_kfs.training.evaluate_detector --split test ...      # once, for the figures that are published

Beside kornia's hand-made detectors; `repeatability.py` says what counts.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from dr_kfs.datasets.splits import TEST_FAMILIES, TEST_SEEDS, VALIDATION_FAMILIES, VALIDATION_SEEDS
from dr_kfs.keypoints import GHHDetector
from dr_kfs.keypoints.ghh import DEFAULT_DETECTOR
from dr_kfs.training.repeatability import Change, above_blank, baselines, fewest_points, repeatability, view_pairs

SPLITS = {
    "validation": (VALIDATION_FAMILIES, VALIDATION_SEEDS.start + 500),
    "test": (TEST_FAMILIES, TEST_SEEDS.start + 500),
}
"""Families and first seed; shapes below are those of other figures."""
CHANGES: dict[Change, str] = {
    "view": "another view",
    "triangles": "other triangles",
    "export": "defects, triangles and view",
}


def main(
    weights: Annotated[list[str] | None, typer.Option(help="Names or files; repeat. The default's without.")] = None,
    split: Annotated[str, typer.Option(help="validation, or test for the last run.")] = "validation",
    pairs: Annotated[int, typer.Option(min=1, help="Pairs of views of each kind.")] = 60,
    count: Annotated[int, typer.Option(min=1, help="Points of an image, at most.")] = 40,
    radius: Annotated[float, typer.Option(help="What counts as found again [px].")] = 3.0,
    seed: Annotated[int, typer.Option(help="Of the cameras.")] = 0,
    json_path: Annotated[Path | None, typer.Option("--json", help="Write the figures.")] = None,
) -> None:
    """Print how often detectors find a point again on families that no training has seen."""
    if split not in SPLITS:
        raise typer.BadParameter(f"is one of {', '.join(SPLITS)}, not {split}", param_hint="--split")
    console = Console(width=None if sys.stdout.isatty() else 110)
    rivals = baselines()
    detectors = {name: above_blank(GHHDetector(name)) for name in weights or [DEFAULT_DETECTOR]} | rivals
    found: dict[str, dict[str, float]] = {}
    points: dict[str, float] = {}
    for change, title in CHANGES.items():
        label = f"rendering {split} shapes"
        drawn = view_pairs(*SPLITS[split], change, pairs, seed=seed, label=label, console=console)
        numbers = fewest_points(rivals, drawn, count=count)
        points[title] = round(sum(numbers) / len(numbers), 1)
        found[title] = repeatability(detectors, drawn, numbers, radius=radius)
    table = Table("detector", *found)
    for name in detectors:
        table.add_row(name, *(f"{shares[name]:.3f}" for shares in found.values()))
    table.add_section()
    table.add_row("points of an image", *map(str, points.values()))
    console.print(f"{pairs} pairs of {split} families, at most {count} points, {radius:g} px")
    console.print(table)
    if json_path is not None:
        facts = {"split": split, "pairs": pairs, "count": count, "radius": radius, "seed": seed}
        facts |= {"repeatability": found, "points": points}
        json_path.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
