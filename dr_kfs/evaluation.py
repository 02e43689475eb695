"""A set of predictions against their targets: which file belongs to which, and what each pair scores."""

from __future__ import annotations

import csv
import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from dr_kfs.comparison import Comparison
from dr_kfs.drkfs import DRKFSLoss
from dr_kfs.geometry import Meshes, bounding_frame, normalize, sample_surface
from dr_kfs.geometry.io import MESH_SUFFIXES
from dr_kfs.geometry.voxel_files import VOXEL_SUFFIXES
from dr_kfs.losses.chamfer import chamfer_loss
from dr_kfs.metrics import point_scores

__all__ = ["SCORES", "PairFiles", "PairScores", "ScoreFile", "pair_files", "score_pair", "summary", "write_csv"]

FORMAT = "dr_kfs.evaluate/1"
NAMED = 5
"""Names that an error lists."""


@dataclass(frozen=True)
class PairFiles:
    """A prediction and its target."""

    name: str
    """Path below either folder, without suffix."""
    predicted: Path
    target: Path


@dataclass(frozen=True, kw_only=True)
class PairScores:
    """What a pair scores, in the frame of the target's box: lengths are shares of its diagonal."""

    name: str
    drkfs: float
    """DR-KFS, the sum of both directions; 0 is identical."""
    predicted_to_target: float
    """Its part that the prediction has and the target lacks."""
    target_to_predicted: float
    """Its part that the target has and the prediction lacks."""
    chamfer: float
    """Mean distance to the nearest point, of both directions halved (`occnet-l1`)."""
    precision: float
    """Share of the prediction's points within tau of the target."""
    recall: float
    """Share of the target's points within tau of the prediction."""
    f1: float
    """Their harmonic mean."""


SCORES = tuple(field.name for field in fields(PairScores) if field.name != "name")
"""Names of the scores, in the order of the tables."""


def pair_files(predicted: Path, target: Path) -> list[PairFiles]:
    """The files of two folders that have the same path below them, suffixes aside, in the order of their names.

    Raises:
        FileNotFoundError: a folder that is none, or that holds no shapes.
        ValueError: a shape without its partner, or two files of one name.
    """
    ours, theirs = _shapes_below(predicted), _shapes_below(target)
    for missing, folder in ((theirs.keys() - ours.keys(), predicted), (ours.keys() - theirs.keys(), target)):
        if missing:
            some = ", ".join(sorted(missing)[:NAMED]) + (", ..." if len(missing) > NAMED else "")
            raise ValueError(
                f"{folder} lacks {len(missing)} of the shapes of the other folder: {some}. "
                "A mean over fewer is not comparable: complete the folder, or take the others out."
            )
    return [PairFiles(name, ours[name], theirs[name]) for name in sorted(ours)]


def _shapes_below(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is no folder.")
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in (*MESH_SUFFIXES, *VOXEL_SUFFIXES) and path.is_file():
            name = path.relative_to(folder).with_suffix("").as_posix()
            if name in found:
                raise ValueError(f"{found[name]} and {path} have one name: which of them counts? Move the other away.")
            found[name] = path
    if not found:
        raise FileNotFoundError(f"{folder} holds no shapes ({', '.join((*MESH_SUFFIXES, *VOXEL_SUFFIXES))}).")
    return found


def score_pair(
    name: str, predicted: Meshes, target: Meshes, *, loss: DRKFSLoss, samples: int, tau: float, seed: int
) -> tuple[PairScores, Comparison]:
    """All scores of one pair of shapes, and the comparison that DR-KFS made.

    Args:
        name: of the pair.
        predicted: one shape, in the units of the target.
        target: one shape.
        loss: DR-KFS, as it is to be used.
        samples: points drawn from either surface.
        tau: threshold of precision, recall and F1 [share of the diagonal of the target's box].
        seed: of the samples.
    """
    comparison = loss.compare(predicted, target)
    frame = bounding_frame(target)
    ours, theirs = (normalize(side, frame) for side in (predicted, target))
    points = [sample_surface(side, samples, seed=seed + place).points for place, side in enumerate((ours, theirs))]
    shares = point_scores(points[0], points[1], tau)
    numbers = comparison.to_dict()
    scores = PairScores(
        name=name,
        **{key: float(numbers[key][0]) for key in ("drkfs", "predicted_to_target", "target_to_predicted")},  # type: ignore[index]
        chamfer=float(chamfer_loss(points[0], points[1], preset="occnet-l1")),
        precision=float(shares.precision[0, 0]),
        recall=float(shares.coverage[0, 0]),
        f1=float(shares.f1[0, 0]),
    )
    return scores, comparison


def summary(scores: Sequence[PairScores]) -> dict[str, dict[str, float]]:
    """Mean, median and standard deviation of each score over the pairs; nothing for no pair."""
    if not scores:
        return {}
    found = {}
    for key in SCORES:
        values = [float(getattr(one, key)) for one in scores]
        found[key] = {
            "mean": statistics.fmean(values),
            "median": statistics.median(values),
            "std": statistics.stdev(values) if len(values) > 1 else 0.0,
        }
    return found


def write_csv(scores: Sequence[PairScores], path: Path) -> None:
    """One row per pair."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ("name", *SCORES))
        writer.writeheader()
        writer.writerows(asdict(one) for one in scores)


class ScoreFile:
    """JSON lines under a line with the settings: finished pairs, kept as they come, so that a run can go on.

    Args:
        path: the file; made if there is none. None keeps nothing.
        settings: JSON-able; the file must have been made with the same.

    Raises:
        ValueError: the file was made with other settings, or is something else.
    """

    def __init__(self, path: Path | None, settings: dict[str, Any]) -> None:
        self.path = path
        self.scores: dict[str, PairScores] = {}
        header = json.dumps({"format": FORMAT, "settings": settings}, sort_keys=True)
        if path is None:
            return
        lines = path.read_text("utf-8").splitlines(keepends=True) if path.exists() else []
        whole = [line for line in lines if line.endswith("\n")]  # the last may have been cut off
        if not whole:
            if lines and not header.startswith(lines[0]):
                raise ValueError(f"{path} is no file of scores: take another name.")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(header + "\n", "utf-8")
            return
        if whole[0].rstrip("\n") != header:
            raise ValueError(
                f"{path} holds scores of other folders or settings, or something else: take another file, or the "
                "settings that it was made with."
            )
        try:
            found = [PairScores(**json.loads(line)) for line in whole[1:]]
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path} has a line that is no score: {error}") from error
        self.scores = {one.name: one for one in found}
        if len(whole) < len(lines):
            path.write_text("".join(whole), "utf-8")

    def append(self, scores: PairScores) -> None:
        """Keep a finished pair, on disk too."""
        self.scores[scores.name] = scores
        if self.path is not None:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(scores)) + "\n")
