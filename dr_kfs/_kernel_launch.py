"""Kernel launches: tensors to Warp's arrays, tasks (views, mostly) to threads."""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import torch
from torch import Tensor

from dr_kfs._warp_runtime import quiet_warp

MAX_THREADS = 2**31 - 1
"""Of a launch: kernels number their threads in int32."""
HAND_OVER = 2e-3
"""What it takes to hand work to other threads while torch's wait for theirs in a busy loop [s]."""
WARP = 32
"""Threads of a CUDA warp."""
TILE = 8
"""Side of a screen tile [px]; its pixels are the threads of a CUDA block."""


def in_lanes(values: Tensor) -> bool:
    """Whether kernels in C++ run, where there are some: float32 on the CPU. Everything else runs those in Warp."""
    return values.device.type == "cpu" and values.dtype == torch.float32


def kernels_like(make: Callable[[Any], Any], values: Tensor) -> Any:
    """`make(real)`, the kernels of a `_*_warp` module, in the precision of these values: float32, or float64."""
    with quiet_warp() as wp:
        return make(wp.float64 if values.dtype == torch.float64 else wp.float32)


def launch_tasks(
    kernel: Any,
    arrays: Sequence[Any],
    rest: Sequence[Any],
    tasks: int,
    *,
    device: torch.device,
    threads: int = 1,
    seconds: float | None = None,
) -> None:
    """Run a kernel over tasks: in one launch on CUDA, on the current stream; on the CPU in several, on all threads.

    Args:
        kernel: of Warp.
        arrays: its arguments before the number of the first task.
        rest: those after it.
        tasks: how many; they share nothing that is written to.
        device: of all tensors.
        threads: of a task.
        seconds: about what a thread takes on a CPU, where all take equally long. Then it has one launch per thread of
            torch and not one per task, or just one, on the calling thread, if they are done in `HAND_OVER` together.
    """
    with quiet_warp() as wp:
        on_device = wp.device_from_torch(device)
        before, after, stream = warp_arguments(arrays), warp_arguments(rest), current_stream(device)

        def run(first: int, count: int) -> None:
            inputs = [*before, first, *after]
            wp.launch(kernel, count * threads, inputs, device=on_device, stream=stream, block_dim=TILE**2)

        if on_device.is_cuda:
            most = max(1, MAX_THREADS // threads)  # mostly all of them
            for first in range(0, tasks, most):
                run(first, min(most, tasks - first))
        else:
            some = 1
            if seconds is not None:
                one_launch = tasks * threads * seconds < HAND_OVER
                some = tasks if one_launch else math.ceil(tasks / torch.get_num_threads())
            over_threads(kernel, lambda n: run(n * some, min(some, tasks - n * some)), math.ceil(tasks / max(1, some)))


def current_stream(device: torch.device) -> Any:
    """Torch's current stream, as Warp's; None on a CPU.

    To hand it to a launch, not to Warp's own current stream: that would have to wait for Warp's last one, which holds
    no work of ours and may not be waited for while a CUDA graph is recorded.
    """
    return _warp_stream(device, torch.cuda.current_stream(device).cuda_stream) if device.type == "cuda" else None


@functools.lru_cache(maxsize=64)
def _warp_stream(device: torch.device, pointer: int) -> Any:
    import warp as wp

    return wp.Stream(wp.device_from_torch(device), cuda_stream=pointer)


def warp_arguments(values: Sequence[Any]) -> list[Any]:
    """Tensors as Warp's descriptions of the same memory, everything else as it is."""
    import warp as wp

    return [wp.from_torch(x, requires_grad=False, return_ctype=True) if isinstance(x, Tensor) else x for x in values]


_compiled: set[Any] = set()


def over_threads(kernel: Any, run: Callable[[int], None], count: int) -> None:
    """`run(0)`, ..., `run(count - 1)` on as many threads as torch uses; kernels release the interpreter's lock.

    The first launch of a kernel compiles it, and is done before the threads start.
    """
    first = 0
    if kernel not in _compiled:
        run(0)
        _compiled.add(kernel)
        first = 1
    threads = min(torch.get_num_threads(), count - first)
    if threads <= 1:
        for task in range(first, count):
            run(task)
        return
    # Views differ in work, so each thread takes the next one when it is free.
    pool = _pool(torch.get_num_threads())
    tasks = [pool.submit(run, task) for task in range(first, count)]
    try:
        for task in tasks:
            task.result()
    except BaseException:  # an interrupt too: nothing runs on behind it
        for task in tasks:
            task.cancel()
        wait(tasks)
        raise


@functools.lru_cache(maxsize=1)  # threads of another number end when their last user is done
def _pool(threads: int) -> ThreadPoolExecutor:
    """Threads that stay: beside torch's own, which wait for work in a busy loop, to start some takes milliseconds."""
    return ThreadPoolExecutor(threads, thread_name_prefix="dr_kfs")


if hasattr(os, "register_at_fork"):  # a forked process has none of its parent's threads
    os.register_at_fork(after_in_child=_pool.cache_clear)


def refuse_second_derivative(name: str, way_out: str) -> Callable[..., None]:
    """What a backward op registers as its own gradient: an error that says which op, and what to do."""

    def refuse(ctx: Any, *_: Any) -> None:
        raise RuntimeError(f"{name} is differentiable once: its gradient was asked for a gradient. {way_out}")

    return refuse
