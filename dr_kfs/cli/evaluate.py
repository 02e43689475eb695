"""`dr-kfs evaluate`: a folder of predictions against the folder of their targets."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.progress import track
from rich.table import Table

from dr_kfs import DRKFSLoss, __version__
from dr_kfs.cli.outputs import check_outputs, print_line, text_console, warnings_as_lines
from dr_kfs.cli.stages import Descriptor, Detector, Device, PresetName, build_loss, load_shape, load_target, pick_device
from dr_kfs.cli.volumes import VolumeOptions, Volumes, volume_options
from dr_kfs.evaluation import (
    SCORES,
    SUFFIXES,
    PairFiles,
    PairScores,
    ScoreFile,
    pair_files,
    score_pair,
    summary,
    write_csv,
)
from dr_kfs.report import weights_text
from dr_kfs.whole_files import written_whole

STDOUT = Path("-")
WORST = 5
"""Pairs that are listed below the table."""


def evaluate_command(
    predicted: Annotated[Path, typer.Argument(help="Folder of predictions.", show_default=False)],
    target: Annotated[
        Path, typer.Argument(help="Folder of targets: the same paths below it, suffixes aside.", show_default=False)
    ],
    csv_path: Annotated[Path | None, typer.Option("--csv", help="Write one row per pair.", show_default=False)] = None,
    json_path: Annotated[
        Path | None, typer.Option("--json", help='Write everything; "-" prints only that.', show_default=False)
    ] = None,
    rows: Annotated[
        Path | None,
        typer.Option(help="File that keeps finished pairs: the same command goes on.", show_default=False),
    ] = None,
    samples: Annotated[int, typer.Option(min=1, help="Points drawn from either surface.")] = 10_000,
    tau: Annotated[
        float, typer.Option(help="Of precision, recall and F1, as a share of the target's diagonal.")
    ] = 0.01,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of the points.")] = 0,
    suffixes: Annotated[
        str, typer.Option(help="Only files with these suffixes, with commas.", show_default="all shapes")
    ] = ",".join(SUFFIXES),
    device: Device = None,
    detector: Detector = None,
    descriptor: Descriptor = None,
    preset: PresetName = None,
    volumes: Volumes = "",
) -> None:
    """Score a set of predictions: DR-KFS and its two directions, Chamfer distance, precision, recall and F1.

    Everything is measured in the frame of the target's box. A pair that cannot be scored is reported and left out of
    the means, which then say so, and the exit status is 1.
    """
    if not (math.isfinite(tau) and tau > 0):
        raise ValueError(f"--tau must be positive, got {tau}.")
    if csv_path == STDOUT:
        raise ValueError('--csv needs a file: only --json takes "-".')
    json_file = None if json_path == STDOUT else json_path
    place = pick_device(device)
    pairs = pair_files(predicted, target, [f".{suffix.strip().lower().lstrip('.')}" for suffix in suffixes.split(",")])
    check_outputs({"--csv": csv_path, "--json": json_file, "--rows": rows})
    reading = volume_options(volumes, *(path for pair in pairs for path in (pair.predicted, pair.target)))
    loss = build_loss(device=place, detector=detector, descriptor=descriptor, preset=preset)
    settings = {
        "dr_kfs": __version__,
        "predicted": str(predicted.resolve()),
        "target": str(target.resolve()),
        "samples": samples,
        "tau": tau,
        "seed": seed,
        "volumes": reading,
        "loss": loss.settings(),
    }
    found = _Scored(kept=ScoreFile(rows, settings))
    interrupted = False
    try:
        found.score(pairs, lambda pair: _scores_of(pair, loss, place, reading, samples=samples, tau=tau, seed=seed))
    except KeyboardInterrupt:
        interrupted = True
    report = found.report(settings, len(pairs))
    text = json.dumps(report, indent=2, allow_nan=False)
    # Files first: whoever reads what is printed may leave.
    if json_file is not None:
        with written_whole(json_file) as partial:
            partial.write_text(text + "\n", "utf-8")
    if csv_path is not None:
        write_csv(found.scores, found.failed, csv_path)
    messages = text_console(stderr=True)
    for name, why in found.failed.items():
        print_line(messages, f"failed: {name}: {why}")
    if interrupted:
        print_line(messages, "Interrupted." + ("" if rows is None else " The same command goes on from here."))
    if json_path == STDOUT:
        print(text)
    else:
        _print_report(found.scores, report)
    if interrupted or found.failed:
        raise typer.Exit(130 if interrupted else 1)


@dataclass
class _Scored:
    """What is scored so far; whole when it is interrupted."""

    kept: ScoreFile
    scores: list[PairScores] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    """Why, by name."""

    def score(self, pairs: list[PairFiles], scores_of: Callable[[PairFiles], PairScores]) -> None:
        """Score pairs; those that are kept already are not scored again."""
        for pair in track(pairs, description="evaluating", console=text_console(stderr=True), transient=True):
            try:
                stamp = pair.stamp()  # before they are read: what changes meanwhile is scored anew the next time
                known = self.kept.scores(pair.name, stamp)
                scores = scores_of(pair) if known is None else known
            except Exception as error:  # whatever it is, it is this pair's, and the others are still scored
                kind = "" if isinstance(error, ValueError | OSError) else f"{type(error).__name__}: "
                self.failed[pair.name] = kind + " ".join(str(error).split())
                continue
            if known is None:
                self.kept.append(stamp, scores)
            self.scores.append(scores)

    def report(self, settings: dict[str, Any], pairs: int) -> dict[str, Any]:
        """Everything, as JSON has it."""
        return {
            "settings": settings,
            "pairs_in_all": pairs,
            "pairs_scored": len(self.scores),
            "summary": summary(self.scores),
            "pairs": [asdict(one) for one in self.scores],
            "failed": self.failed,
        }


def _scores_of(pair: PairFiles, loss: DRKFSLoss, device: str, reading: VolumeOptions, **options: Any) -> PairScores:
    """Of a pair as it is on disk; warnings come with its name."""
    with warnings_as_lines(pair.name):
        ours, theirs = load_shape(pair.predicted, device, reading), load_target(pair.target, device, reading)
        return score_pair(pair.name, ours, theirs, loss=loss, **options)


def _print_report(scored: list[PairScores], report: dict[str, Any]) -> None:
    console = text_console()
    pairs, tau = report["pairs_in_all"], report["settings"]["tau"]
    missing = pairs - len(scored)
    note = f"; {missing} missing from the means" if missing and scored else ""
    print_line(console, f"{len(scored)} of {pairs} pairs scored{note}")
    table = Table(
        box=SIMPLE_HEAD,
        padding=0,  # narrow enough for 80 columns
        caption=f"forth: predicted to target; back: target to predicted; floor: of two samples of the target. "
        f"Lengths and tau = {tau:g} are shares of the target's diagonal.",
    )
    for heading in ("", "DR-KFS", "forth", "back", "Chamfer", "prec.", "recall", "F1", "floor"):
        table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    for which in ("mean", "median", "std") if scored else ():
        table.add_row(which, *(f"{report['summary'][key][which]:.4f}" for key in SCORES))
    console.print(table)
    for one in sorted(scored, key=lambda one: -one.drkfs)[:WORST]:
        print_line(console, f"DR-KFS {one.drkfs:.4f}, Chamfer {one.chamfer:.4f}, F1 {one.f1:.4f}: {one.name}")
    print_line(console, weights_text(report["settings"]["loss"]))
