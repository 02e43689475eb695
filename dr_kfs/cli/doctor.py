"""`dr-kfs doctor`: what is installed, what works here, and a self-test."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import platform
import time
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dr_kfs import DRKFSLoss, Meshes, SoftRenderer, __version__, hemisphere_rig
from dr_kfs.cli.outputs import text_console
from dr_kfs.descriptors.precision import has_bfloat16_units
from dr_kfs.weights import available_weights, weights_entry, weights_fingerprint

LIBRARIES = ("torch", "warp-lang", "kornia", "trimesh", "numpy", "scipy")
"""Whose versions a report of a fault needs."""
EXTRAS = {"visual": ("kornia-moons", "matplotlib"), "backbones": ("timm",), "emd": ("geomloss",)}
MODULES = {"kornia-moons": "kornia_moons"}
"""Where a module is named otherwise than its distribution."""
SELF_TEST_VIEWS = (1, 9, 24)


def doctor_command(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else.")] = False,
) -> None:
    """Show versions, devices, backends, weights and extras, and run a self-test; exit code 1 if it fails."""
    with text_console(stderr=True).status("testing ..."):
        report = examine()
    if as_json:
        print(json.dumps(report, indent=2))
    else:
        _print(report, text_console())
    if not all(test["passed"] for test in report["self_test"]):
        raise typer.Exit(1)


def examine() -> dict[str, Any]:
    """Everything that `doctor` shows, JSON-able."""
    cuda = [f"cuda:{index}" for index in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    places = ["cpu", *cuda[:1]]
    return {
        "versions": {
            "dr_kfs": __version__,
            "python": platform.python_version(),
            **{name: _version(name) for name in LIBRARIES},
        },
        "devices": {
            "cpu": {
                "cores": os.cpu_count(),
                "torch_threads": torch.get_num_threads(),
                "bfloat16": _bfloat16("cpu"),
            },
            **{place: {"name": torch.cuda.get_device_name(place), "bfloat16": _bfloat16(place)} for place in cuda},
        },
        "backends": {
            **{f"warp on {place}": _try_rendering(place, "warp") for place in places},
            "reference on cpu": _try_rendering("cpu", "reference"),
            "pytorch3d": _version("pytorch3d") or "not installed (optional: its meshes are accepted)",
        },
        "weights": _weights(),
        "extras": {extra: {name: _version(name) for name in names} for extra, names in EXTRAS.items()},
        "self_test": [self_test(place) for place in places],
    }


def self_test(device: str) -> dict[str, Any]:
    """A box against itself (0) and against a taller one (more than 0, with a finite gradient).

    On three views. Never raises: what went wrong is in `"error"`.
    """
    start = time.perf_counter()
    result: dict[str, Any] = {
        "device": device,
        "passed": False,
        "itself": None,
        "changed": None,
        "error": None,
    }
    try:
        result["itself"], result["changed"], finite = _compare_boxes(device)
        # Exactly 0 on a CPU; a GPU may add up in another order.
        result["passed"] = result["itself"] <= 1e-5 * result["changed"] and result["changed"] > 0.0 and finite
        if not result["passed"]:
            result["error"] = "expected 0 against itself, more than 0 when changed, and a gradient that is finite"
    except Exception as error:  # whatever it is, it is the finding
        result["error"] = _first_line(error)
    result["seconds"] = round(time.perf_counter() - start, 1)
    return result


def _compare_boxes(device: str) -> tuple[float, float, bool]:
    """Distance of a box to itself and to a taller one, and whether the latter's gradient is finite and not 0."""
    box = _box().to(device)
    renderer = SoftRenderer(cameras=hemisphere_rig()[list(SELF_TEST_VIEWS)])
    loss = DRKFSLoss(renderer=renderer, normalize="none").to(device)
    vertices = (box.vertices * torch.tensor([1.0, 1.3, 1.0], device=device)).requires_grad_()
    with torch.no_grad():  # a measurement
        itself = float(loss(box, box))
    changed = loss(box.with_vertices(vertices), box)
    (gradient,) = torch.autograd.grad(changed, vertices)
    return itself, changed.item(), bool(gradient.isfinite().all() & (gradient != 0).any())


def _box() -> Meshes:
    """A box of 0.5 x 0.4 x 0.3."""
    corners = torch.cartesian_prod(*[torch.tensor([-half, half]) for half in (0.25, 0.2, 0.15)])
    quads = ((0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3))
    faces = [triangle for a, b, c, d in quads for triangle in ((a, b, c), (a, c, d))]
    return Meshes.from_list([corners], [torch.tensor(faces)])


def _try_rendering(device: str, backend: Any) -> str:
    """Draw a box with this backend: "works", or what went wrong."""
    try:
        with torch.no_grad():  # only whether it runs
            views = SoftRenderer(cameras=hemisphere_rig()[0], image_size=32, backend=backend)(_box().to(device))
        lit = float(views.images.amax())
        return "works" if lit > 0 else "fails: it drew nothing"
    except Exception as error:  # whatever it is, it is the finding
        return f"fails: {_first_line(error)}"


def _bfloat16(device: str) -> str:
    """Whether `precision="bfloat16"` is a gain there."""
    return "fast" if has_bfloat16_units(torch.device(device)) else "slow"


def _weights() -> dict[str, dict[str, str]]:
    """Name, kind, SHA-256, licence of all registered weights, and whether the file is the registered one."""
    rows = {}
    try:
        for name in available_weights():
            entry = weights_entry(name)
            rows[name] = {
                "kind": entry.kind,
                "sha256": entry.sha256,
                "license": entry.license,
                "state": "verified",
            }
            try:
                weights_fingerprint(name)
            except ValueError as error:
                rows[name]["state"] = _first_line(error)
    except (ValueError, OSError) as error:
        rows["registry"] = {"kind": "", "sha256": "", "license": "", "state": _first_line(error)}
    return rows


def _version(distribution: str) -> str | None:
    """Version of an installed distribution; "unknown" for a module without one; None where there is neither."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        found = importlib.util.find_spec(MODULES.get(distribution, distribution))
        return None if found is None else "unknown"


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__


def _print(report: dict[str, Any], console: Console) -> None:
    """The report as a table for reading."""
    table = Table(show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    sections: list[list[tuple[str, str]]] = [
        [(name, version or "not installed") for name, version in report["versions"].items()],
        [(name, ", ".join(f"{k} {v}" for k, v in row.items())) for name, row in report["devices"].items()],
        [(f"backend {name}", text) for name, text in report["backends"].items()],
        [
            (name, f"{row['sha256'][:12]}, {row['license']}, {row['kind']}, {row['state']}")
            for name, row in report["weights"].items()
        ],
        [
            (f"dr-kfs[{extra}]", ", ".join(f"{name} {version or 'not installed'}" for name, version in row.items()))
            for extra, row in report["extras"].items()
        ],
        [(f"self-test, {test['device']}", _verdict(test)) for test in report["self_test"]],
    ]
    for rows in sections:
        for index, (name, text) in enumerate(rows):
            table.add_row(escape(name), escape(text), end_section=index == len(rows) - 1)
    console.print(table)


def _verdict(test: dict[str, Any]) -> str:
    if not test["passed"]:
        return f"FAILED: {test['error']} (itself {test['itself']}, changed {test['changed']})"
    return f"passed in {test['seconds']} s: a box against itself 0, against a taller one {test['changed']:.4f}"
