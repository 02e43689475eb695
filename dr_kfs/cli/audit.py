"""`dr-kfs audit`: how well distances order graded edits of labelled shapes, yours among them."""

from __future__ import annotations

import contextlib
import enum
import json
import sys
import traceback
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from dr_kfs import Meshes
from dr_kfs.audit import (
    DISTANCES,
    EDITS,
    AuditReport,
    Distance,
    Edit,
    audit,
    check_matplotlib,
    edit_table,
    load_distance,
    report_json,
    save_audit_picture,
    score_table,
    select_edits,
)
from dr_kfs.audit.distances import FunctionDistance
from dr_kfs.cli.outputs import check_outputs, print_line, text_console
from dr_kfs.cli.stages import Device, pick_device
from dr_kfs.whole_files import check_suffix, written_whole

PICTURE_SUFFIXES = (".pdf", ".png", ".svg")
DEFAULT_DISTANCES = ("drkfs", "chamfer", "iou", "pixel-mse", "poi-mse", "silhouette-mse")


class SplitName(str, enum.Enum):
    """Which seeds the shapes are drawn from; the library's splits but the training one."""

    VALIDATION = "validation"
    TEST = "test"


def audit_command(
    distance: Annotated[
        list[str] | None,
        typer.Option(
            help="A built-in distance, or your own: FILE.py:FUNCTION or MODULE:FUNCTION, (predicted, target) -> "
            "number. Repeat for several; all 3D ones without.",
            show_default=False,
        ),
    ] = None,
    families: Annotated[str, typer.Option(help="Families of shapes, with commas.")] = "chair,table",
    shapes: Annotated[int, typer.Option(min=1, help="Shapes per family.")] = 10,
    split: Annotated[SplitName, typer.Option(help="Choose by validation; test is for the last run.")] = (
        SplitName.VALIDATION
    ),
    edits: Annotated[
        str | None, typer.Option(help="Names of edits, with commas; all without.", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Which shapes of the split.")] = 0,
    rows: Annotated[
        Path | None,
        typer.Option(
            help="File that keeps finished values (JSON lines): the same command continues.", show_default=False
        ),
    ] = None,
    json_path: Annotated[
        Path | None,
        typer.Option("--json", metavar="PATH", help='Write scores and rows; "-" prints only that.', show_default=False),
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(help="Draw response curves and scores (png, pdf, svg).", show_default=False)
    ] = None,
    device: Device = None,
    show_list: Annotated[bool, typer.Option("--list", help="Show distances and edits, and stop.")] = False,
) -> None:
    """Ask distances how bad graded edits of labelled shapes are, and report whether they order them as people do.

    Bars shifted and removed (Table 5 of the paper), legs changed and removed at equal Chamfer distance (Figure 2),
    parts, holes, fragments, noise, voxels and more; every score with a 95 % bootstrap interval over shapes.
    """
    console = text_console()
    if show_list:
        _show_list(console)
        return
    if picture is not None:
        check_suffix(picture, PICTURE_SUFFIXES)
        check_matplotlib()
    to_stdout = json_path is not None and str(json_path) == "-"
    check_outputs({"--json": None if to_stdout else json_path, "--picture": picture, "--rows": rows})
    place = pick_device(device)
    chosen = select_edits(None if edits is None else _names(edits))
    with contextlib.redirect_stdout(sys.stderr):  # a distance of the user's may print
        distances = [_naming_its_errors(load_distance(spec, device=place)) for spec in distance or DEFAULT_DISTANCES]
        report = _run(distances, _names(families), shapes, split, chosen, seed, rows)
    if picture is not None:
        save_audit_picture(report, picture)
    text = json.dumps(report_json(report), indent=1)
    if to_stdout:
        print(text)
        return
    if json_path is not None:
        with written_whole(json_path) as partial:
            partial.write_text(text + "\n", encoding="utf-8")
    console.print(score_table(report))
    console.print(edit_table(report))
    if report.skipped:
        console.print(f"{len(report.skipped)} edits do not exist for their shape (rows say why)", highlight=False)
    for path in (json_path, picture, rows):
        if path is not None:
            print_line(console, f"wrote {path}")


def _naming_its_errors(distance: Distance) -> Distance:
    """A function of the user's says in one line what went wrong in it, and where."""
    if not isinstance(distance, FunctionDistance):
        return distance
    function = distance.function

    def named(*shapes: Meshes) -> Any:
        try:
            return function(*shapes)
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            kind = f"{type(error).__name__}: {error} ({place.filename}:{place.lineno})"
            raise ValueError(f"{distance.name} failed: {kind}") from error

    distance.function = named
    return distance


def _run(
    distances: list[Distance],
    families: list[str],
    shapes: int,
    split: SplitName,
    edits: list[Edit],
    seed: int,
    rows: Path | None,
) -> AuditReport:
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=text_console(stderr=True), transient=True) as progress:
        bar = progress.add_task("")

        def show(done: int, total: int, text: str) -> None:
            progress.update(bar, completed=done, total=total, description=text)

        return audit(
            distances,
            families=families,
            shapes_per_family=shapes,
            seed=seed,
            split=split.value,
            edits=edits,
            rows=rows,
            progress=show,
        )


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _show_list(console: Console) -> None:
    table = Table("edit", "strengths", "unit", "what it does")
    for edit in EDITS.values():
        table.add_row(edit.name, " ".join(map(edit.label, edit.strengths)), edit.unit, edit.about)
    console.print(table)
    console.print(f"distances: {', '.join(DISTANCES)}; or FILE.py:FUNCTION, MODULE:FUNCTION", highlight=False)
