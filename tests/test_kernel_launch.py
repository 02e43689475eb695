"""The threads of the CPU kernels: they stay, end, are not inherited, and leave nothing behind an error."""

from __future__ import annotations

import os
import threading
import time

import pytest
import torch

from dr_kfs._kernel_launch import over_threads


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def ours() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("dr_kfs")]


def run_on(count: int, run) -> None:
    over_threads("a kernel", run, count)


def test_every_task_runs_once_and_the_threads_stay(two_threads):
    for _ in range(3):
        done: list[int] = []
        run_on(20, done.append)
        assert sorted(done) == list(range(20))
    assert 1 <= len(ours()) <= 2


def test_threads_of_another_number_end(two_threads):
    for number in (2, 3, 4, 2):
        torch.set_num_threads(number)
        run_on(20, lambda task: time.sleep(1e-3))
    deadline = time.monotonic() + 20
    while len(ours()) > 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(ours()) <= 2


def test_an_error_waits_for_what_runs_and_cancels_the_rest(two_threads):
    done: list[int] = []

    def run(task: int) -> None:
        if task == 3:
            raise RuntimeError("task 3")
        time.sleep(5e-3)
        done.append(task)

    run_on(1, lambda task: None)
    with pytest.raises(RuntimeError, match="task 3"):
        run_on(100, run)
    count = len(done)
    time.sleep(0.05)
    assert len(done) == count < 99


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Python's own, of a fork beside threads
def test_a_forked_process_starts_its_own(two_threads):
    run_on(8, lambda task: None)
    child = os.fork()
    if child == 0:  # no test runner's end here
        done: list[int] = []
        run_on(8, done.append)
        os._exit(0 if sorted(done) == list(range(8)) else 1)
    deadline, status = time.monotonic() + 60, None
    while status is None and time.monotonic() < deadline:
        finished, code = os.waitpid(child, os.WNOHANG)
        status = code if finished else None
        time.sleep(0.01)
    assert status == 0
