"""`dr-kfs evaluate`: a folder of predictions against the folder of their targets."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from dr_kfs.cli.stages import Descriptor, Detector, Device, PresetName, build_loss, load_shape, pick_device
from dr_kfs.evaluation import SCORES, PairScores, ScoreFile, pair_files, score_pair, summary, write_csv
from dr_kfs.report import weights_text

WORST = 5
"""Pairs that the table lists."""


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
    seed: Annotated[int, typer.Option(min=0, help="Of the points.")] = 0,
    device: Device = None,
    detector: Detector = None,
    descriptor: Descriptor = None,
    preset: PresetName = None,
) -> None:
    """Score a set of predictions: DR-KFS and its two directions, Chamfer distance, precision, recall and F1.

    Everything is measured in the frame of the target's box. A pair that cannot be read is reported and left out of
    the means, and the exit status is then 1.
    """
    if not tau > 0:
        raise ValueError(f"--tau must be positive, got {tau}.")
    place = pick_device(device)
    pairs = pair_files(predicted, target)
    loss = build_loss(device=place, detector=detector, descriptor=descriptor, preset=preset)
    settings = {
        "predicted": str(predicted),
        "target": str(target),
        "samples": samples,
        "tau": tau,
        "seed": seed,
        "loss": loss.settings(),
    }
    kept = ScoreFile(rows, settings)
    failed: dict[str, str] = {}
    messages = Console(stderr=True)
    for pair in track(pairs, description="evaluating", console=messages, transient=True):
        if pair.name in kept.scores:
            continue
        try:
            ours, theirs = load_shape(pair.predicted, place), load_shape(pair.target, place)
            scores, _ = score_pair(pair.name, ours, theirs, loss=loss, samples=samples, tau=tau, seed=seed)
        except (ValueError, OSError) as error:
            failed[pair.name] = " ".join(str(error).split())
            continue
        kept.append(scores)
    scored = [kept.scores[pair.name] for pair in pairs if pair.name in kept.scores]
    if csv_path is not None:
        write_csv(scored, csv_path)
    report = {
        "settings": settings,
        "summary": summary(scored),
        "pairs": [asdict(one) for one in scored],
        "failed": failed,
    }
    text = json.dumps(report, indent=2)
    if json_path == Path("-"):
        print(text)
    else:
        if json_path is not None:
            json_path.write_text(text + "\n", "utf-8")
        _print_report(scored, len(pairs), tau, report)
    for name, why in failed.items():
        messages.print(f"failed: {name}: {why}", markup=False, highlight=False, soft_wrap=True)
    if failed:
        raise typer.Exit(1)


def _print_report(scored: list[PairScores], pairs: int, tau: float, report: dict[str, Any]) -> None:
    console = Console()
    console.print(f"{len(scored)} of {pairs} pairs", highlight=False)
    table = Table(caption=f"lengths and tau = {tau:g}: shares of the target's diagonal")
    table.add_column("", no_wrap=True)
    headings = ("DR-KFS", "forth", "back", "Chamfer", "precision", "recall", "F1")
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    for which in ("mean", "median", "std"):
        if scored:
            table.add_row(
                which, *(f"{report['summary'][key][which]:.4f}" for key in SCORES), end_section=which == "std"
            )
    for one in sorted(scored, key=lambda one: -one.drkfs)[:WORST]:
        table.add_row(one.name, *(f"{getattr(one, key):.4f}" for key in SCORES))
    console.print(table)
    console.print(weights_text(report["settings"]["loss"]), markup=False, highlight=False, soft_wrap=True)
