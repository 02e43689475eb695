"""A set of predictions against their targets: which file belongs to which, and what each pair scores."""

from __future__ import annotations

import csv
import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from dr_kfs._row_file import RowFile
from dr_kfs.drkfs import DRKFSLoss
from dr_kfs.geometry import Meshes, bounding_frame, normalize, sample_surface
from dr_kfs.geometry.io import MESH_SUFFIXES, gltf_buffers
from dr_kfs.geometry.voxel_files import VOXEL_SUFFIXES
from dr_kfs.losses.chamfer import chamfer_loss
from dr_kfs.metrics import point_noise_floor, point_scores
from dr_kfs.whole_files import written_whole

__all__ = [
    "SCORES",
    "SUFFIXES",
    "PairFiles",
    "PairScores",
    "ScoreFile",
    "pair_files",
    "score_pair",
    "summary",
    "write_csv",
]

FORMAT = "dr_kfs.evaluate/1"
SUFFIXES = (*MESH_SUFFIXES, *VOXEL_SUFFIXES)
"""Of files that are shapes."""
NAMED = 5
"""Names that an error lists."""


@dataclass(frozen=True)
class PairFiles:
    """A prediction and its target."""

    name: str
    """Path below either folder, without suffix."""
    predicted: Path
    target: Path

    def stamp(self) -> list[list[int]]:
        """Size [bytes] and time of change [ns] of both files, and of those that a .gltf names."""
        files = [file for path in (self.predicted, self.target) for file in (path, *gltf_buffers(path))]
        return [[stat.st_size, stat.st_mtime_ns] for stat in (file.stat() for file in files)]


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
    f1_floor: float
    """F1 of two samples of the target itself: what a perfect prediction scores."""


SCORES = tuple(field.name for field in fields(PairScores) if field.name != "name")
"""Names of the scores, in the order of the tables."""


def pair_files(predicted: Path, target: Path, suffixes: Sequence[str] = SUFFIXES) -> list[PairFiles]:
    """The files of two folders that have the same path below them, suffixes aside, in the order of their names.

    Files and folders whose name starts with a dot, and `__MACOSX`, are passed by; links are followed.

    Args:
        predicted: folder of the predictions.
        target: folder of the targets.
        suffixes: of the files that count; all that `load_shapes` reads.

    Raises:
        FileNotFoundError: a folder that is none, or that holds no shapes.
        ValueError: a shape without its partner, or two files of one name.
    """
    ours, theirs = _shapes_below(predicted, suffixes), _shapes_below(target, suffixes)
    for missing, folder in ((theirs.keys() - ours.keys(), predicted), (ours.keys() - theirs.keys(), target)):
        if missing:
            some = ", ".join(sorted(missing)[:NAMED]) + (", ..." if len(missing) > NAMED else "")
            raise ValueError(
                f"{folder} lacks {len(missing)} of the shapes of the other folder: {some}. "
                "A mean over fewer is not comparable: complete the folder, or take the others out."
            )
    return [PairFiles(name, ours[name], theirs[name]) for name in sorted(ours)]


def _shapes_below(folder: Path, suffixes: Sequence[str]) -> dict[str, Path]:
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is no folder.")
    found: dict[str, Path] = {}
    for path in _files_below(folder, above=()):
        if path.suffix.lower() not in suffixes:
            continue
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name in found:
            raise ValueError(
                f"{found[name]} and {path} have one name: which of them counts? Say it by suffix, or move one."
            )
        found[name] = path
    if not found:
        raise FileNotFoundError(f"{folder} holds no shapes ({', '.join(suffixes)}).")
    return found


def _files_below(folder: Path, above: tuple[tuple[int, int], ...]) -> Iterator[Path]:
    """Files of a folder and those below it, but for links back to a folder that they are in (`above`)."""
    stat = folder.stat()
    here = (stat.st_dev, stat.st_ino)
    if here in above:
        return
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name == "__MACOSX":
            continue
        if path.is_dir():
            yield from _files_below(path, (*above, here))
        else:
            yield path


def score_pair(
    name: str, predicted: Meshes, target: Meshes, *, loss: DRKFSLoss, samples: int, tau: float, seed: int
) -> PairScores:
    """All scores of one pair of shapes.

    Args:
        name: of the pair.
        predicted: one shape, in the units of the target.
        target: one shape.
        loss: DR-KFS, as it is to be used.
        samples: points drawn from either surface.
        tau: threshold of precision, recall and F1 [share of the diagonal of the target's box].
        seed: of the samples.

    Raises:
        ValueError: an empty prediction; a score that is not finite, as of vertices at 1e20.
    """
    if len(predicted.faces) == 0:
        raise ValueError("the prediction is empty: it has no points to score.")
    numbers = loss.compare(predicted, target).to_dict()
    frame = bounding_frame(target)
    ours, theirs = (normalize(side, frame) for side in (predicted, target))
    points = [sample_surface(side, samples, seed=seed + place).points for place, side in enumerate((ours, theirs))]
    shares = point_scores(points[0], points[1], tau)
    floor = point_noise_floor(theirs, tau, samples=samples, seed=seed + 2)
    scores = PairScores(
        name=name,
        **{key: float(numbers[key][0]) for key in ("drkfs", "predicted_to_target", "target_to_predicted")},  # type: ignore[index]
        chamfer=float(chamfer_loss(points[0], points[1], preset="occnet-l1")),
        precision=float(shares.precision[0, 0]),
        recall=float(shares.coverage[0, 0]),
        f1=float(shares.f1[0, 0]),
        f1_floor=float(floor.f1[0, 0]),
    )
    for key in SCORES:
        if not math.isfinite(getattr(scores, key)):
            raise ValueError(f"{key} is {getattr(scores, key)}: does the shape reach to infinity?")
    return scores


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


def write_csv(scores: Sequence[PairScores], failed: Mapping[str, str], path: Path) -> None:
    """One row per pair; those that failed have no scores, but the reason."""
    rows = [*(asdict(one) for one in scores), *({"name": name, "error": why} for name, why in failed.items())]
    # File names need not be UTF-8: their bytes come back as they were.
    with (
        written_whole(path) as partial,
        partial.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file,
    ):
        writer = csv.DictWriter(file, ("name", *SCORES, "error"), restval="")
        writer.writeheader()
        writer.writerows(sorted(rows, key=lambda row: str(row["name"])))


class ScoreFile:
    """Finished pairs, kept in a `RowFile`. A pair whose files have changed since (size or time) is not finished.

    Args:
        path: the file; made if there is none. None keeps nothing.
        settings: JSON-able; the file must have been made with the same.

    Raises:
        ValueError: the file was made with other settings, or is something else.
    """

    def __init__(self, path: Path | None, settings: dict[str, Any]) -> None:
        self._file: RowFile[tuple[list[list[int]], PairScores]] = RowFile(
            path,
            settings,
            form=FORMAT,
            one="score",
            others="scores of other folders or settings",
            read=lambda line: (line["files"], PairScores(**line["scores"])),
            write=lambda row: {"files": row[0], "scores": asdict(row[1])},
        )
        self._found = {scores.name: (stamp, scores) for stamp, scores in self._file.rows}

    def scores(self, name: str, stamp: list[list[int]]) -> PairScores | None:
        """Of a pair that is finished with its files as they are (`PairFiles.stamp`); None where it is to be scored."""
        kept, scores = self._found.get(name, (None, None))
        return scores if kept == stamp else None

    def append(self, stamp: list[list[int]], scores: PairScores) -> None:
        """Keep a finished pair, on disk too; `stamp` is from before its files were read."""
        self._file.append((stamp, scores))
