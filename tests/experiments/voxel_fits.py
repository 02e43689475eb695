"""How well grids of probabilities are fitted through views: ten shapes, three starts, soft and hard surfaces.

    python tests/experiments/voxel_fits.py                                  # all: about an hour on one core
    python tests/experiments/voxel_fits.py --shapes 2 --starts missing      # a part of it
    python tests/experiments/voxel_fits.py --resume                         # go on after Ctrl-C

A start is the target blurred over 3 samples twice, with a limb missing, or with a limb too many. The fits see views
of the target, and nothing else. Rows are written after every fit, and the fitted grids beside them.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import torch
from experiment_rows import rows_so_far, write_rows
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from voxel_shapes import LIMBS, STARTS, TABLE_SEED, TUNING_SEED, VoxelShape, make_shape, score

import dr_kfs
from dr_kfs.presets import PRESETS
from dr_kfs.report import contact_sheet, save_image

OUTPUTS = Path(__file__).resolve().parents[2] / "outputs" / "voxel_fits"
FORMS: tuple[dr_kfs.VoxelForm, ...] = ("soft", "hard")
VIEW = 9
"""Of the picture: from the left front, 30 degrees up."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One fit."""

    number: int
    shape: str
    seed: int
    grid: int
    steps: int
    start: str
    form: str
    before: float
    """DR-KFS of the start, 25 views of 256 px, default weights."""
    after: float
    score: float
    """See `voxel_shapes.score`."""
    seconds: float
    """Of this process on its cores, for the fit alone."""

    @property
    def key(self) -> tuple[object, ...]:
        """What is not measured."""
        return self.number, self.seed, self.grid, self.steps, self.start, self.form

    @property
    def passed(self) -> bool:
        """Whether the fit does what it should: a fifth of the distance, a limb of IoU 0.6, 5 % of a limb left."""
        if self.start == "blurred":
            return self.before >= 5 * self.after
        return self.score >= 0.6 if self.start == "missing" else self.score <= 0.05


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the fits; the exit status is 130 after Ctrl-C."""
    options = _options(arguments)
    console = Console()
    stages = dr_kfs.DRKFSLoss.from_preset(options.preset)
    settings = {"metric": stages.settings()}
    known = [Row(**row) for row in rows_so_far(options.json, settings, resume=options.resume)]
    rows = {row.key: row for row in known}
    status = 0
    try:
        for number in range(options.shapes):
            _fit_shape(number, options, stages, rows, console)
    except KeyboardInterrupt:
        console.print("Interrupted; --resume goes on from here.")
        status = 130
    wanted = [row for row in rows.values() if row.grid == options.grid and row.seed >= options.seed]
    if wanted:
        console.print(_table(wanted))
        console.print(f"wrote {options.json}", markup=False, soft_wrap=True)
    if options.picture and wanted:
        _draw(wanted, options)
        console.print(f"wrote {options.picture}", markup=False, soft_wrap=True)
    return status


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--grid", type=int, default=64, help="samples along each side")
    parser.add_argument("--shapes", type=int, default=len(LIMBS), choices=range(1, len(LIMBS) + 1), metavar="1..10")
    parser.add_argument("--starts", type=_words(STARTS), default=STARTS, help="of blurred,missing,foreign")
    parser.add_argument("--forms", type=_words(FORMS), default=FORMS, help="of soft,hard")
    parser.add_argument("--steps", type=int, default=dr_kfs.VoxelFitSettings().steps, help="of each fit")
    parser.add_argument(
        "--seed", type=int, default=TABLE_SEED, help=f"of the first shape; settings were chosen on {TUNING_SEED}"
    )
    parser.add_argument("--preset", choices=tuple(PRESETS), default="default", help="of DR-KFS")
    parser.add_argument("--json", type=Path, default=OUTPUTS / "voxel_fits.json", help="where rows are written")
    parser.add_argument("--picture", type=Path, help="where a picture of the fits is written")
    parser.add_argument("--resume", action="store_true", help="leave out what the rows have")
    return parser.parse_args(arguments)


def _words(known: Sequence[str]):  # type: ignore[no-untyped-def]
    def parse(text: str) -> tuple[str, ...]:
        words = tuple(text.split(","))
        if not set(words) <= set(known):
            raise argparse.ArgumentTypeError(f"expected some of {','.join(known)}, got {text}")
        return words

    return parse


def _fit_shape(
    number: int,
    options: argparse.Namespace,
    stages: dr_kfs.DRKFSLoss,
    rows: dict[tuple[object, ...], Row],
    console: Console,
) -> None:
    """All fits of one shape that `rows` does not have yet."""
    settings = dr_kfs.VoxelFitSettings(steps=options.steps)
    shape: VoxelShape | None = None
    code: dr_kfs.ShapeCode | None = None
    for start in options.starts:
        before = None
        for form in options.forms:
            key = (number, options.seed + number, options.grid, options.steps, start, form)
            if key in rows:
                continue
            shape = make_shape(number, options.grid, options.seed) if shape is None else shape
            grid, scored = shape.start(start)
            began = time.process_time()
            fit = dr_kfs.VoxelFit(grid, shape.target, form=form, settings=settings, drkfs=stages)
            while not fit.done:
                fit.step()
            seconds = time.process_time() - began
            code = fit.full.encode(fit.target) if code is None else code
            if before is None:
                with torch.no_grad():  # a measurement
                    before = float(fit.full(fit.surface_in_frame(grid), code))
            row = Row(
                number=number,
                shape=shape.name,
                seed=options.seed + number,
                grid=options.grid,
                steps=options.steps,
                start=start,
                form=form,
                before=before,
                after=fit.distance(code),
                score=score(start, grid, fit.volume(), scored),
                seconds=seconds,
            )
            rows[key] = row
            dr_kfs.save_voxels(fit.volume(), _grid_path(row, options.json))
            write_rows(options.json, {"metric": stages.settings()}, [asdict(each) for each in rows.values()])
            console.print(
                f"{row.shape} {start} {form}: DR-KFS {before:.4f} -> {row.after:.4f}, score {row.score:.2f}, "
                f"{seconds:.0f} s",
                markup=False,
            )


def _grid_path(row: Row, rows: Path) -> Path:
    rows.parent.mkdir(parents=True, exist_ok=True)
    return rows.parent / f"{row.grid}-{row.seed}-{row.steps}-{row.start}-{row.form}.npz"


def _table(rows: Sequence[Row]) -> Table:
    """Each start and form: medians over the shapes, and how many pass."""
    table = Table(box=SIMPLE_HEAD, title=f"fits of {rows[0].grid}^3 grids; medians")
    for name in ("start", "form", "DR-KFS before", "after", "ratio", "score", "pass", "s"):
        table.add_column(name, justify="left" if name in ("start", "form") else "right")
    for start in STARTS:
        for form in FORMS:
            some = [row for row in rows if (row.start, row.form) == (start, form)]
            if not some:
                continue
            ratio = median(row.before / max(row.after, 1e-9) for row in some)
            numbers = [f"{median(getattr(row, name) for row in some):.4f}" for name in ("before", "after")]
            table.add_row(
                start,
                form,
                *numbers,
                f"{ratio:.1f}",
                f"{median(row.score for row in some):.2f}",
                f"{sum(row.passed for row in some)} of {len(some)}",
                f"{median(row.seconds for row in some):.0f}",
            )
    return table


def _draw(rows: Sequence[Row], options: argparse.Namespace) -> None:
    """Three fits that are there in both forms, of other starts and shapes where there are some."""
    renderer = dr_kfs.SoftRenderer(image_size=192, sigma=2e-5)
    by_key = {(row.start, row.number, row.form): row for row in rows}
    complete = {
        start: [n for n in range(len(LIMBS)) if all((start, n, form) in by_key for form in FORMS)] for start in STARTS
    }
    complete = {start: numbers for start, numbers in complete.items() if numbers}
    chosen = [(start, numbers[min(place, len(numbers) - 1)]) for place, (start, numbers) in enumerate(complete.items())]
    if len(complete) == 1:
        chosen = [(start, number) for start, numbers in complete.items() for number in numbers[:3]]
    pictures, labels = [], []
    for start, number in chosen:
        shape = make_shape(number, options.grid, options.seed)
        grids = [shape.start(start)[0]]
        grids += [dr_kfs.load_voxels(_grid_path(by_key[start, number, form], options.json)) for form in FORMS]
        frame = dr_kfs.bounding_frame(shape.target)
        meshes = [*(dr_kfs.marching_cubes(grid) for grid in grids), shape.target]
        with torch.no_grad():  # a picture has no gradient
            shown = [renderer(dr_kfs.normalize(mesh, frame), renderer.cameras[[VIEW]]).images[0, 0] for mesh in meshes]
        pictures.append(torch.stack(shown))
        labels.append(f"{start}\n{shape.name}")
    if pictures:
        save_image(options.picture, contact_sheet(torch.stack(pictures), labels, captions=["start", *FORMS, "target"]))


if __name__ == "__main__":
    raise SystemExit(main())
