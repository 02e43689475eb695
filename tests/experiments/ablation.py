"""What each decision of DR-KFS is worth: the audit with one setting changed at a time, on validation shapes.

    python tests/experiments/ablation.py --rows outputs/ablation.jsonl --json outputs/ablation.json
    python tests/experiments/ablation.py --preset fine --settings base,scales-1-2,radius-0

Shapes are new chairs and tables (validation seeds); four views of the rig are enough to rank settings. Rows
are kept as they come: after Ctrl-C the same command goes on.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, get_args

import torch
import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from torch import Tensor, nn

from dr_kfs import DRKFSLoss, SoftRenderer, hemisphere_rig
from dr_kfs.audit import DRKFSDistance, audit
from dr_kfs.audit.edits import Edit, select_edits
from dr_kfs.audit.scores import DistanceScores, Estimate
from dr_kfs.descriptors import HardNetDescriptor
from dr_kfs.descriptors.hardnet_layout import PADDINGS, STRIDES
from dr_kfs.descriptors.patches import normalize_patches
from dr_kfs.keypoints import GHHDetector
from dr_kfs.keypoints.ghh import blank_response, ghh_response
from dr_kfs.matching import LocalizedMatcher
from dr_kfs.presets import PRESETS, Preset
from dr_kfs.rendering import Lighting

VIEWS = (1, 7, 13, 19)
EDITS = {
    "bars-up": (5.0,),
    "bars-down": (5.0,),
    "bars-removed": (1.0,),
    "limbs-thickened": (1.0,),
    "limbs-lengthened": (1.0,),
    "limbs-shortened": (1.0,),
    "limbs-bent": (1.0,),
    "limbs-removed": (1.0,),
    "part-removed": (1.0,),
    "noise": (0.0005, 0.002),
    "decimation": (0.5, 0.9),
    "voxels": (1 / 128, 1 / 64, 1 / 32, 1 / 16),
    "translation": (1.0, 5.0),
    "retriangulation": (1.0, 3.0),
}
"""Edits and strengths of the audit that settings are ranked by."""


class Shading(nn.Module):
    """No keypoints: the shaded image is the map."""

    def forward(self, images: Tensor) -> Tensor:
        """The images."""
        return images


class Silhouette(nn.Module):
    """No keypoints: what is not background."""

    def forward(self, images: Tensor) -> Tensor:
        """1 where something is seen."""
        return (images > 0).to(images.dtype)


class KeypointsAndShading(nn.Module):
    """The mean of both maps."""

    def __init__(self) -> None:
        super().__init__()
        self.detector = GHHDetector()

    def forward(self, images: Tensor) -> Tensor:
        """Half PoI, half shade."""
        return (self.detector(images) + images) / 2


class OtherSign(nn.Module):
    """Equation 1 with all signs turned round: what the detector says is no keypoint."""

    def __init__(self) -> None:
        super().__init__()
        self.detector = GHHDetector()

    def forward(self, images: Tensor) -> Tensor:
        """The probability of the other class, 0 on a black image."""
        of = self.detector
        score = of.scale * ghh_response(images, of.filters, of.biases) + of.offset
        blank = torch.sigmoid(-(of.scale * blank_response(of.biases) + of.offset))
        return (torch.sigmoid(-score) - blank).clamp_min(0.0) / (1.0 - blank)


def steeper(factor: float) -> GHHDetector:
    """The detector with another slope of its calibration."""
    detector = GHHDetector()
    detector.scale *= factor
    detector.fingerprint = f"{detector.fingerprint} x {factor:g}"
    return detector


class EarlierLayer(nn.Module):
    """HardNet without its last layer: means of its 128 channels over four quarters, 512 numbers of length 1."""

    def __init__(self, weights: str) -> None:
        super().__init__()
        self.network = HardNetDescriptor(weights)

    def forward(self, patches: Tensor) -> Tensor:
        """Unit descriptors (K, 512)."""
        x = normalize_patches(patches, floor=self.network.floor).unsqueeze(1)
        x = nn.functional.pad(x, (0, 0, 0, 0, 0, 1))  # HardNetDescriptor's second, empty channel
        for layer, (stride, padding) in enumerate(zip(STRIDES[:-1], PADDINGS[:-1], strict=True)):
            kernel, bias = getattr(self.network, f"kernel_{layer}"), getattr(self.network, f"bias_{layer}")
            x = nn.functional.conv2d(x, kernel, bias, stride=stride, padding=padding).relu()
        return nn.functional.normalize(nn.functional.avg_pool2d(x, 4).flatten(1), dim=1, eps=1e-8)


def variants(preset: Preset) -> dict[str, Callable[[], DRKFSLoss]]:
    """How to make each setting, by name: the preset with one thing changed."""
    chosen = PRESETS[preset]
    rig = hemisphere_rig()[list(VIEWS)]

    def loss(**changes: Any) -> Callable[[], DRKFSLoss]:
        def make() -> DRKFSLoss:
            given: dict[str, Any] = {name: value() if callable(value) else value for name, value in changes.items()}
            rendering = {name: given.pop(name) for name in RENDERING if name in given}
            given.setdefault("descriptor", HardNetDescriptor(chosen.descriptor))
            given.setdefault("scales", chosen.scales.factors)
            return DRKFSLoss(renderer=SoftRenderer(cameras=rig, **rendering), **given)

        return make

    return {
        "base": loss(),
        "sigma-3e-5": loss(sigma=3e-5),
        "sigma-1e-4": loss(sigma=1e-4),
        "light-ambient-0.2": loss(lighting=Lighting(ambient=0.2, diffuse=0.8)),
        "light-from-above": loss(lighting=Lighting(direction=(0.0, 1.0, 0.0))),
        "normals-smooth": loss(shading="smooth"),
        "size-128": loss(image_size=128),
        "size-384": loss(image_size=384),
        "sign-other": loss(detector=OtherSign),
        "calibration-x0.5": loss(detector=lambda: steeper(0.5)),
        "calibration-x2": loss(detector=lambda: steeper(2.0)),
        "map-shading": loss(detector=Shading),
        "map-silhouette": loss(detector=Silhouette),
        "map-keypoints-shading": loss(detector=KeypointsAndShading),
        "radius-0": loss(matcher=lambda: LocalizedMatcher(radius=0)),
        "radius-32": loss(matcher=lambda: LocalizedMatcher(radius=32)),
        "floor-1e-3": loss(descriptor=lambda: HardNetDescriptor(chosen.descriptor, floor=1e-3)),
        "floor-1e-1": loss(descriptor=lambda: HardNetDescriptor(chosen.descriptor, floor=1e-1)),
        "layer-earlier": loss(descriptor=lambda: EarlierLayer(chosen.descriptor)),
        "scales-1": loss(scales=(1,)),
        "scales-1-2": loss(scales=(1, 2)),
        "scales-1-2-4": loss(scales=(1, 2, 4)),
        "scales-2-4": loss(scales=(2, 4)),
        "scales-4": loss(scales=(4,)),
    }


RENDERING = ("sigma", "lighting", "shading", "image_size")
"""Settings of the renderer; the others are the loss's."""


def audited_edits() -> list[Edit]:
    """The chosen edits at the chosen strengths."""
    return [replace(edit, strengths=EDITS[edit.name]) for edit in select_edits(list(EDITS))]


def summary(scores: DistanceScores) -> dict[str, float | None]:
    """What the table shows of a setting."""

    def mean(estimate: Estimate | None) -> float | None:
        return None if estimate is None else round(estimate.mean, 4)

    return {
        "Table 5 share": mean(scores.bars_share),
        "Table 5 ratio": mean(scores.bars_ratio),
        "Figure 2 share": mean(scores.limbs_share),
        "Figure 2 ratio": mean(scores.limbs_ratio),
        "part > mild": mean(scores.ordering_by_group.get("structure")),
        "voxels monotone": mean(scores.strictly_monotone.get("voxels")),
        "re-triangulation": mean(scores.invariance.get("retriangulation")),
        "all orders": mean(scores.ordering),
    }


def main(
    preset: Annotated[str, typer.Option(help="Which preset is changed.")] = "default",
    settings: Annotated[str, typer.Option(help="Names with commas between; all without.")] = "",
    families: Annotated[str, typer.Option(help="Of the shapes, with commas between.")] = "chair,table",
    shapes: Annotated[int, typer.Option(help="Of each family.")] = 4,
    rows: Annotated[Path | None, typer.Option(help="File that keeps every value.")] = None,
    json_path: Annotated[Path | None, typer.Option("--json", help="Write the table.")] = None,
) -> None:
    """Audit each setting and print what changed."""
    console = Console(width=None if sys.stdout.isatty() else 110)
    if preset not in get_args(Preset):
        raise typer.BadParameter(f"is one of {', '.join(PRESETS)}, not {preset}", param_hint="--preset")
    known = variants(preset)  # type: ignore[arg-type]
    names = settings.split(",") if settings else list(known)
    if unknown := [name for name in names if name not in known]:
        raise typer.BadParameter(f"unknown {unknown}: choose from {', '.join(known)}", param_hint="--settings")
    distances = [DRKFSDistance(known[name](), name=name) for name in names]
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task("auditing", total=None)
        report = audit(
            distances,
            families=families.split(","),
            shapes_per_family=shapes,
            edits=audited_edits(),
            rows=rows,
            progress=lambda done, total, what: bar.update(task, completed=done, total=total, description=what),
        )
    found = {name: summary(report.scores[name]) for name in names}
    table = Table("setting", *next(iter(found.values())))
    for name, row in found.items():
        table.add_row(name, *("-" if value is None else f"{value:.3f}" for value in row.values()))
    console.print(table)
    if json_path is not None:
        json_path.write_text(json.dumps({"preset": preset, "settings": found}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
