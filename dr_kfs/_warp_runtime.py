"""Start NVIDIA Warp without its banner."""

import contextlib
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from types import ModuleType

import torch

_lock = threading.Lock()
_started = False
_NO_DRIVER = "Could not find or load the NVIDIA CUDA driver"


@contextlib.contextmanager
def quiet_warp() -> Iterator[ModuleType]:
    """Yield the initialised `warp` module; inside, Warp prints no banner and no compile messages.

    Nor does it precompile headers: their folder is left to the interpreter's end, which warns of it, an error under
    `python -W error`. The user's own settings are put back on exit.
    """
    global _started
    import warp

    log_level, warp.config.log_level = warp.config.log_level, 40
    headers, warp.config.use_precompiled_headers = warp.config.use_precompiled_headers, False
    try:
        with _lock:
            if not _started:
                with _without_driver_warning():
                    _initialise(warp)
                _started = True
        yield warp
    finally:
        warp.config.log_level = log_level
        warp.config.use_precompiled_headers = headers


def _initialise(warp: ModuleType) -> None:
    try:
        warp.init()
    except OSError as error:
        way_out = "Compiled kernels are kept there: set WARP_CACHE_PATH to a folder that you can write to."
        raise OSError(error.errno, f"{error.strerror}. {way_out}", error.filename) from error


@contextlib.contextmanager
def _without_driver_warning() -> Iterator[None]:
    """Drop the line that Warp's native code writes to stderr on every machine without a GPU; pass on all others."""
    if torch.cuda.is_available():
        yield
        return
    try:
        sys.stderr.flush()
        saved = os.dup(2)
    except (OSError, ValueError, AttributeError):  # no real stderr (a service, a notebook): nothing to filter
        yield
        return
    with tempfile.TemporaryFile() as captured:
        os.dup2(captured.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            captured.seek(0)
            for line in captured.read().decode(errors="replace").splitlines():
                if _NO_DRIVER not in line:
                    sys.stderr.write(line + "\n")
