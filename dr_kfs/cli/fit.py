"""`dr-kfs fit`: move the vertices of a template until it looks like a target; stops and continues at any step."""

from __future__ import annotations

import contextlib
import enum
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from dr_kfs import FitSettings, MeshFit, icosphere, save_mesh
from dr_kfs.cli.outputs import check_outputs, print_line, text_console
from dr_kfs.cli.stages import SHAPE_HELP, Device, build_loss, load_shape, load_target, pick_device
from dr_kfs.cli.volumes import Volumes, volume_options
from dr_kfs.geometry.io import WRITABLE_SUFFIXES
from dr_kfs.report import distance_table, fit_sheet, save_image, weights_text
from dr_kfs.whole_files import check_suffix

SAVE_EVERY = 25
"""Steps between two checkpoints."""
SPHERE_SUBDIVISIONS = 4
"""2,562 vertices."""


class Objective(str, enum.Enum):
    """What is minimised."""

    DRKFS = "drkfs"
    IMAGE = "image"
    SILHOUETTE = "silhouette"


def fit_command(
    target: Annotated[Path, typer.Argument(help=SHAPE_HELP, show_default=False)],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="Mesh to write (obj, off, ply, stl, glb).", show_default=False),
    ],
    template: Annotated[str, typer.Option("--from", metavar="sphere|MESH", help="What to start from.")] = "sphere",
    objective: Annotated[
        Objective, typer.Option("--loss", help="DR-KFS, or the pixels of shaded images or of silhouettes.")
    ] = Objective.DRKFS,
    steps: Annotated[int, typer.Option(min=1, help="Gradient steps.")] = FitSettings.steps,
    views_per_step: Annotated[
        int, typer.Option(min=1, help="Views per step, drawn at random.")
    ] = FitSettings.views_per_step,
    seed: Annotated[int, typer.Option(min=0, help="Of the choice of views.")] = FitSettings.seed,
    device: Device = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(help="Where an unfinished fit is kept; OUTPUT with suffix .fit.safetensors.", show_default=False),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the fit in the checkpoint.")] = False,
    volumes: Volumes = "",
) -> None:
    """Fit a template to a target. Writes OUTPUT, in the target's units, and a picture of before, after and target.

    The fit is saved every 25 steps and on Ctrl-C; --resume continues it to the result that it would have had.
    """
    check_suffix(output, WRITABLE_SUFFIXES)
    picture = output.with_name(f"{output.stem}_views.png")
    checkpoint = output.with_suffix(".fit.safetensors") if checkpoint is None else checkpoint
    inputs = {"the target": target, "the template": None if template == "sphere" else Path(template)}
    check_outputs({"the output": output, "its picture": picture, "the checkpoint": checkpoint}, inputs)
    reading = volume_options(volumes, target, Path(template))
    if checkpoint.exists() and not resume:
        raise ValueError(f"{checkpoint} holds an unfinished fit: continue it with --resume, or delete it.")
    place = pick_device(device)
    goal = load_target(target, place, reading)
    start = icosphere(SPHERE_SUBDIVISIONS) if template == "sphere" else load_shape(template, volumes=reading)
    settings = FitSettings(steps=steps, views_per_step=views_per_step, seed=seed)
    console, progress_console = text_console(), text_console(stderr=True)
    with progress_console.status(f"encoding the target on {place} ..."):
        fit = MeshFit(start, goal, objective=objective.value, settings=settings, drkfs=build_loss(device=place))
        before, before_distance = fit.meshes(), fit.distance()
        if resume:
            fit.restore(checkpoint)
    _run(fit, checkpoint, progress_console)
    fitted = fit.meshes()
    save_mesh(fitted, output)
    with progress_console.status("comparing ..."):
        after_distance = fit.distance()
        save_image(picture, fit_sheet({"before": before, "after": fitted, "target": goal}, fit.loss.renderer))
    checkpoint.unlink(missing_ok=True)
    distances = {"before": before_distance, "after": after_distance}
    console.print(distance_table(distances, title="DR-KFS to the target"))
    for line in (weights_text(fit.loss.settings()), f"wrote {output}", f"wrote {picture}"):
        print_line(console, line)


def _run(fit: MeshFit, checkpoint: Path, console: Console) -> None:
    """All steps that are left, with a progress bar and checkpoints.

    Raises:
        KeyboardInterrupt: Ctrl-C came; the fit is saved.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with _stop_request() as stop_requested, Progress(*columns, console=console) as progress:
        task = progress.add_task("fitting", total=fit.settings.steps, completed=fit.step_count)
        while not fit.done and not stop_requested():
            terms = fit.step()
            description = f"{fit.objective} {terms[fit.objective]:.4f}, total {terms['total']:.4f}"
            progress.update(task, completed=fit.step_count, description=description)
            if fit.step_count % SAVE_EVERY == 0 and not fit.done:
                fit.save(checkpoint)
        if not fit.done:
            fit.save(checkpoint)
    if not fit.done:
        where = f"stopped after step {fit.step_count} of {fit.settings.steps}, saved as {checkpoint}"
        print_line(console, f"{where}; --resume continues from there")
        raise KeyboardInterrupt


@contextlib.contextmanager
def _stop_request() -> Iterator[Callable[[], bool]]:
    """Yields whether Ctrl-C has come: the first only asks, so that no step is left half done; a second ends at once."""
    requested = False

    def on_interrupt(signal_number: int, frame: Any) -> None:
        nonlocal requested
        if requested:
            raise KeyboardInterrupt
        requested = True

    try:
        previous = signal.signal(signal.SIGINT, on_interrupt)
    except ValueError:  # only the main thread may set handlers
        yield lambda: False
        return
    try:
        yield lambda: requested
    finally:
        signal.signal(signal.SIGINT, previous)
