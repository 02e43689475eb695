"""Time and peak memory of rendering and of a whole loss step: `make bench`.

Medians of `--repeats` runs after one warm-up, each case in a process of its own so that its peak memory is its own.
`--json FILE` writes the rows, with the machine.
"""

import argparse
import json
import multiprocessing
import platform
import resource
import statistics
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Case:
    """One row: what is timed."""

    what: str
    """ "render" (forward + backward) or "step" (cached target, forward + backward of DRKFSLoss)."""
    subdivisions: int
    sigma: float = 1e-5
    views: int = 25
    device: str = "cpu"

    @property
    def faces(self) -> int:
        return 20 * 4**self.subdivisions


@dataclass(frozen=True)
class Row:
    """What was measured."""

    case: Case
    seconds: float
    """Median."""
    spread: float
    """Largest minus smallest."""
    peak_gb: float
    """Peak resident memory of the process (CUDA: of the device's allocator)."""


def measure(case: Case, repeats: int) -> Row:
    """Run one case in this process."""
    import torch

    from dr_kfs import DRKFSLoss, SoftRenderer, hemisphere_rig, icosphere, normalize
    from dr_kfs.datasets import generate

    mesh = normalize(icosphere(case.subdivisions)).to(device=case.device)
    vertices = mesh.vertices.clone().requires_grad_()
    renderer = SoftRenderer(cameras=hemisphere_rig()[: case.views], sigma=case.sigma)
    if case.what == "render":
        weights = torch.randn(case.views, 256, 256, device=case.device)

        def run() -> None:
            images = renderer(mesh.with_vertices(vertices)).images[0]
            torch.autograd.grad((images * weights).sum(), vertices)

    else:
        loss_fn = DRKFSLoss(renderer=renderer).to(case.device)
        code = loss_fn.encode(generate("chair", 4).to_meshes().to(device=case.device))

        def run() -> None:
            torch.autograd.grad(loss_fn(mesh.with_vertices(vertices), code), vertices)

    seconds = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        run()
        if case.device != "cpu":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    if case.device == "cpu":
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    else:
        peak = torch.cuda.max_memory_allocated() / 1024**3
    timed = seconds[1:]
    return Row(case, statistics.median(timed), max(timed) - min(timed), peak)


def main() -> None:
    """All cases."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    cases = [Case("render", n, device=arguments.device) for n in (3, 4, 5)]
    cases += [Case("render", n, sigma=1e-4, device=arguments.device) for n in (4, 5)]
    cases += [Case("step", n, device=arguments.device) for n in (4, 5)]
    console, rows = Console(), []
    table = Table("what", "faces", "views", "sigma", "median [s]", "spread [s]", "peak [GB]")
    context = multiprocessing.get_context("spawn")
    for number, case in enumerate(cases, 1):
        with console.status(f"{number}/{len(cases)} {case}"), context.Pool(1) as pool:
            row = pool.apply(measure, (case, arguments.repeats))
        rows.append(row)
        cells = [f"{case.faces:,}", f"{case.views}", f"{case.sigma:g}", f"{row.seconds:.2f}", f"{row.spread:.2f}"]
        table.add_row(case.what, *cells, f"{row.peak_gb:.2f}")
    console.print(table)
    if arguments.json is not None:
        machine = {"processor": platform.processor(), "cores": multiprocessing.cpu_count(), "device": arguments.device}
        report = {"machine": machine, "repeats": arguments.repeats, "rows": [asdict(row) for row in rows]}
        arguments.json.write_text(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
