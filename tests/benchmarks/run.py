"""Time and added peak memory of rendering, surfaces of volumes and whole loss steps, against PyTorch3D where it is.

    make bench                              # everything: a quarter of an hour on two idle cores
    make bench ARGS="--quick"               # a few minutes
    make bench ARGS="--only 'step|batch'"   # some groups
    make bench ARGS="--resume"              # go on after Ctrl-C

Each case runs in a process of its own: warm-up, one step, then `--repeats` timed steps. JSON is written after every
case.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from cases import AXES, POINT_LOSSES, Case, Chosen, choose
from measure import Row, measure_alone
from picture import draw
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

OUTPUTS = Path(__file__).resolve().parents[2] / "outputs" / "bench"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; the exit status is 1 if a case failed, 130 after Ctrl-C."""
    options, chosen = _options(arguments)
    console = Console(width=None if sys.stdout.isatty() else 110)
    machine = machine_facts(options.device)
    rows = _rows_so_far(options.json, machine) if options.resume else {}
    if _load() > 0.5:
        console.print(f"Other programs are busy here (load {_load():.1f} per core): times will be too long.")
    missing = _why_no_pytorch3d() if any(one.case.what == "pytorch3d" for one in chosen) else None
    if missing is not None:
        console.print(f"PyTorch3D does not import here, so nothing is compared with it: {missing}", markup=False)
        chosen = [one for one in chosen if one.case.what != "pytorch3d"]
    status = 0
    try:
        for number, one in enumerate(chosen, 1):
            place = f"{number}/{len(chosen)} {one.case.label}"
            before = rows.get(one.case)
            if before is not None and before.error is None:
                # An earlier run of other groups shows it on other axes.
                row = replace(before, axes=[axis for axis in AXES if axis in {*before.axes, *one.axes}])
                outcome = "measured before"
            else:
                with console.status(place):
                    row = measure_alone(one.case, list(one.axes), options.repeats)
                outcome = _outcome(row)
            rows[one.case] = row
            _write_json(options.json, machine, rows)
            console.print(f"{place}: {outcome}", markup=False)
    except KeyboardInterrupt:
        console.print("Interrupted; --resume goes on from here.")
        status = 130
    if not rows:
        return status
    usual = [one.case for one in choose(device=options.device)]
    in_order = sorted(rows.values(), key=lambda row: usual.index(row.case) if row.case in usual else -1)
    _print_report(console, in_order)
    console.print(f"wrote {options.json}", markup=False, soft_wrap=True)
    console.print(_picture_line(rows, machine, options.picture), markup=False, soft_wrap=True)
    failed = any(one.case in rows and rows[one.case].error is not None for one in chosen)
    return status or int(failed)


def machine_facts(device: str) -> dict[str, Any]:
    """What times depend on, JSON-able."""
    import torch
    import warp

    return {
        "processor": _processor_name(),
        "cores": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "warp": warp.__version__,
        "device": device,
        "gpu": torch.cuda.get_device_name() if device == "cuda" else None,
    }


def _options(arguments: Sequence[str] | None) -> tuple[argparse.Namespace, list[Chosen]]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--repeats", type=int, help="timed steps of each case; 3 by default, 1 with --quick")
    add("--json", type=Path, default=OUTPUTS / "bench.json", metavar="FILE", help="outputs/bench/bench.json by default")
    add("--picture", type=Path, default=OUTPUTS / "bench.png", metavar="FILE", help="outputs/bench/bench.png")
    add(
        "--only", metavar="PATTERN", help='regular expression for names of groups, e.g. faces; "smoke" is one tiny case'
    )
    add("--device", choices=("cpu", "cuda"), default="cpu", help="%(default)s by default")
    add("--quick", action="store_true", help="leave out the largest cases")
    add("--resume", action="store_true", help="keep what the JSON holds and measure what is missing or failed")
    options = parser.parse_args(arguments)
    if options.repeats is None:
        options.repeats = 1 if options.quick else 3
    if options.repeats < 1:
        parser.error(f"--repeats must be at least 1, got {options.repeats}")
    if options.device == "cuda":
        import torch

        if not torch.cuda.is_available():
            parser.error("--device cuda: torch finds no CUDA device here")
    try:
        return options, choose(only=options.only, quick=options.quick, device=options.device)
    except ValueError as error:
        parser.error(str(error))


def _load() -> float:
    """Programs that want to run, per core, in the last minute; 0 where the system does not say."""
    try:
        return os.getloadavg()[0] / (os.cpu_count() or 1)
    except (AttributeError, OSError):
        return 0.0


def _processor_name() -> str:
    """The model name; Python alone knows the architecture at best."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _why_no_pytorch3d() -> str | None:
    """None where it works; its compiled part is what fails where it was built for another torch."""
    try:
        importlib.import_module("pytorch3d.renderer")
    except Exception as error:  # an ImportError, or whatever a foreign binary raises
        return f"{type(error).__name__}: {error}".splitlines()[0]
    return None


# -- files -----------------------------------------------------------------------------------------------------------


def _rows_so_far(path: Path, machine: dict[str, Any]) -> dict[Case, Row]:
    """The rows of an earlier run on the same machine."""
    if not path.is_file():
        return {}
    report = json.loads(path.read_text("utf-8"))
    differing = [name for name in machine if report["machine"].get(name) != machine[name]]
    if differing:
        raise SystemExit(f"{path} was measured with another {', '.join(differing)}: start anew without --resume.")
    rows = [Row(**{**row, "case": Case(**row["case"])}) for row in report["rows"]]
    return {row.case: row for row in rows}


def _write_json(path: Path, machine: dict[str, Any], rows: dict[Case, Row]) -> None:
    """In one step: a half-written file never replaces a whole one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    report = {"machine": machine, "rows": [asdict(row) for row in rows.values()]}
    partial.write_text(json.dumps(report, indent=2, allow_nan=False) + "\n", "utf-8")
    partial.replace(path)


def _picture_line(rows: dict[Case, Row], machine: dict[str, Any], path: Path) -> str:
    try:
        drawn = draw(rows.values(), machine, path)
    except ImportError:
        return "no picture: matplotlib is not installed"
    return f"wrote {path}" if drawn else "no picture: nothing was measured"


# -- what is printed -------------------------------------------------------------------------------------------------


def _outcome(row: Row) -> str:
    if row.error is not None:
        return f"FAILED: {row.error}"
    return f"{row.seconds:.3g} s, +{_megabytes(row)} MB" + (f" ({row.note})" if row.note else "")


def _print_report(console: Console, rows: list[Row]) -> None:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1))
    table.add_column("what", no_wrap=True)
    for name in ("faces", "views", "px", "batch", "sigma", "median [s]", "spread [s]", "added peak [MB]"):
        table.add_column(name, justify="right", no_wrap=" " not in name)
    marks: dict[str, str] = {}
    for row in rows:
        case = row.case
        remark = row.note if row.error is None else f"failed: {row.error}"
        mark = marks.setdefault(remark, f" ({len(marks) + 1})") if remark else ""
        what, cells = case.kind, [f"{case.faces:,}", f"{case.views}", f"{case.size}", f"{case.batch}", case.sigma_text]
        if case.what == "surface":
            what, cells = f"surface {case.grid}^3", ["", "", "", f"{case.batch}", ""]
        if case.what in POINT_LOSSES:
            what, cells = f"{case.what} {case.points:,}", [""] * len(cells)
        values = ["", "", ""]
        if row.error is None:
            values = [f"{row.seconds:.3g}", f"{row.spread:.2g}", _megabytes(row)]
        table.add_row(what + mark, *cells, *values)
    console.print(table)
    for remark, mark in marks.items():
        console.print(f"{mark.strip()} {remark}", markup=False)
    how = ", ".join(sorted({row.memory_how for row in rows if row.memory_how}))
    console.print(f"Forward + backward. Spread: largest minus smallest repeat. Added peak: {how}.", markup=False)
    for line in _comparisons(rows):
        console.print(line, markup=False)


def _comparisons(rows: list[Row]) -> list[str]:
    """PyTorch3D against ours, where both were measured in this file; the losses of points against Chamfer."""
    ours = {row.case: row for row in rows if row.case.what == "render" and row.error is None}
    lines = []
    for row in rows:
        own = ours.get(replace(row.case, what="render"))
        if row.case.what != "pytorch3d" or row.error is not None or own is None:
            continue
        lines.append(
            f"PyTorch3D rendering, {row.case.faces:,} faces, {row.case.views} views ({row.note}): "
            f"{row.seconds:.3g} s = {_ratio(row.seconds, own.seconds)} x ours, "
            f"{_megabytes(row)} MB = {_ratio(row.memory_mb, own.memory_mb)} x ours."
        )
    chamfer = {row.case.points: row for row in rows if row.case.what == "chamfer" and row.error is None}
    for row in rows:
        own = chamfer.get(row.case.points)
        if row.case.what in ("qal", "ckdtree") and row.error is None and own is not None:
            lines.append(f"{row.case.label}: {row.seconds:.3g} s = {_ratio(row.seconds, own.seconds)} x chamfer.")
    return lines


def _megabytes(row: Row) -> str:
    return "not known" if row.memory_mb is None else f"{row.memory_mb:,.0f}"


def _ratio(peer: float | None, ours: float | None) -> str:
    return f"{peer / ours:,.3g}" if peer and ours else "?"


if __name__ == "__main__":
    sys.exit(main())
