"""What commands write: to the terminal, and to files that are checked before any work is done for them."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

NARROWEST = 80
"""Width that tables are drawn in at least: a narrower terminal breaks their lines, and shows all digits."""


class _TextConsole(Console):
    """Says that nobody reads on by an error, and not by leaving."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


def text_console(*, stderr: bool = False) -> Console:
    """A console that prints names as they are: `:chair:` in a path is no picture of one."""
    console = _TextConsole(stderr=stderr, emoji=False)
    console.width = max(console.width, NARROWEST)
    return console


def print_line(console: Console, line: str) -> None:
    """A line of text as it is, which the terminal may break and others may read."""
    console.print(line, markup=False, highlight=False, soft_wrap=True)


def check_outputs(outputs: dict[str, Path | None], inputs: dict[str, Path | None] | None = None) -> None:
    """Refuse files that cannot be written, or that would overwrite each other or an input; makes their folders.

    Args:
        outputs: by the name that a user knows them by; None is not written.
        inputs: likewise, what is read.

    Raises:
        ValueError: a folder, or one file under two names.
        OSError: a folder that cannot be made or written into.
    """
    taken = {path.resolve(): name for name, path in (inputs or {}).items() if path is not None}
    for name, path in outputs.items():
        if path is None:
            continue
        if path.is_dir():
            raise ValueError(f"{name}: {path} is a folder, expected a file to write.")
        other = taken.setdefault(path.resolve(), name)
        if other != name:
            raise ValueError(f"{path} is {other} and {name}: give each a file of its own.")
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.is_file():  # a device needs no room beside it
            with tempfile.TemporaryFile(dir=path.resolve().parent):
                pass


@contextlib.contextmanager
def warnings_as_lines(name: str = "") -> Iterator[None]:
    """Warnings of the library as one line each on stderr, without the line of code that they come from.

    Args:
        name: of what they are about.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        try:
            yield
        finally:
            for message in dict.fromkeys(" ".join(str(warning.message).split()) for warning in caught):
                print(f"warning: {name}{': ' if name else ''}{message}", file=sys.stderr)


def leave_stdout() -> None:
    """Drop what is still to be printed: nobody reads it, or it cannot be written."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
