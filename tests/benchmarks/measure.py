"""Time and added memory of one case, in a process of its own."""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

from cases import Case

MEGABYTE = 1e6
RESET = "5"
"""What Linux wants written to `clear_refs` to set a process's high-water mark to what is resident."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """What was measured; where `error` is set, nothing was."""

    case: Case
    axes: list[str]
    """The panels of the picture that show it."""
    repeats: int
    seconds: float | None = None
    """Median of the repeats, for all views of the case."""
    spread: float | None = None
    """Largest minus smallest [s]."""
    memory_mb: float | None = None
    """Peak of the steps, the first included, above what was there before [10^6 bytes]; see `PeakMemory`."""
    memory_how: str = ""
    note: str = ""
    error: str | None = None


class PeakMemory:
    """Memory that the code between construction and `added` takes at most, above what was in use before it.

    Construct it when models, shapes and cached codes are there and small work of the same kind has loaded every
    library, but *before* the first step: then what a step allocates once and keeps is counted too.

    - CUDA: `max_memory_allocated` minus `memory_allocated` of torch's allocator (our Warp kernels run on torch's
      tensors). The context and the compiled kernels are not in it.
    - Linux: `VmHWM` after a reset (`/proc/self/clear_refs`) minus `VmRSS` at that moment. Memory that was freed to the
      C library's allocator is still resident and would be reused unseen; so it is handed back first (`malloc_trim`).
    - elsewhere: the growth of `ru_maxrss`, which cannot be reset: a lower bound, as earlier peaks hide later ones.
    """

    def __init__(self, device: str) -> None:
        self.device = device
        self.before: float | None
        gc.collect()
        if device != "cpu":
            import torch

            torch.cuda.synchronize()
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
            self.how = "torch.cuda.max_memory_allocated, added"
            self.before = float(torch.cuda.memory_allocated())
            return
        _hand_back_freed_memory()
        try:
            Path("/proc/self/clear_refs").write_text(RESET)
            self.how, self.before = "VmHWM after reset - VmRSS", _resident("VmRSS")
        except OSError:
            self.how, self.before = "growth of ru_maxrss (lower bound)", _largest_resident()

    def added(self) -> float | None:
        """The peak so far, above the start [bytes]; None where the system keeps no such number."""
        if self.device != "cpu":
            import torch

            return torch.cuda.max_memory_allocated() - self.before
        peak = _resident("VmHWM") if self.how.startswith("VmHWM") else _largest_resident()
        return None if peak is None or self.before is None else peak - self.before


def measure_alone(case: Case, axes: list[str], repeats: int) -> Row:
    """Measure a case in a fresh process; whatever happens to it becomes the row's `error`."""
    context = multiprocessing.get_context("spawn")
    try:
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            return pool.submit(measure, case, axes, repeats).result()
    except BrokenProcessPool:
        error = "its process died, most likely killed for lack of memory"
    except Exception as raised:  # whatever it is, it is the finding, and the other cases still run
        lines = str(raised).strip().splitlines()
        error = f"{type(raised).__name__}: {lines[0] if lines else ''}"
    return Row(case=case, axes=axes, repeats=repeats, error=error)


def measure(case: Case, axes: list[str], repeats: int) -> Row:
    """Measure a case in this process: warm up, prepare, one step that is not timed, then `repeats` that are."""
    from workloads import prepare, small

    prepare(small(case))()
    step = prepare(case)
    memory = PeakMemory(case.device)
    seconds = [_seconds(step, case.device) for _ in range(1 + repeats)][1:]
    scale = case.views / case.measured_views
    added = memory.added()
    return Row(
        case=case,
        axes=axes,
        repeats=repeats,
        seconds=scale * statistics.median(seconds),
        spread=scale * (max(seconds) - min(seconds)),
        memory_mb=None if added is None else scale * added / MEGABYTE,
        memory_how=memory.how,
        note="" if scale == 1 else f"measured {case.measured_views} view, time and memory scaled by {scale:g}",
    )


def _seconds(step, device: str) -> float:  # type: ignore[no-untyped-def]
    if device != "cpu":
        import torch

        torch.cuda.synchronize()
    start = time.perf_counter()
    step()
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def _resident(name: str) -> float:
    """A line of /proc/self/status [bytes]."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return 1024.0 * int(line.split()[1])
    raise OSError(f"/proc/self/status has no {name}")


def _largest_resident() -> float | None:
    """High-water mark of the process since its start [bytes], where the system keeps one."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1.0 if sys.platform == "darwin" else 1024.0
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _hand_back_freed_memory() -> None:
    """Ask glibc to return the free pages of its heap; other C libraries have no such call."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):
        return
