"""Files to write: of a suffix that can be written, and whole or not there."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


def check_suffix(path: Path, suffixes: Sequence[str]) -> None:
    """Refuse an output file, before any work is done for it.

    Raises:
        ValueError: a suffix that cannot be written.
    """
    if path.suffix.lower() not in suffixes:
        raise ValueError(f"{path}: expected a suffix of {', '.join(suffixes)}, got {path.suffix.lower() or 'none'}.")


@contextmanager
def written_whole(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Where to write, of the same suffix: at the end it takes the place of the file, unless writing failed.

    A link stays one, and a device (`/dev/stdout`) is written to as it is.
    """
    path = Path(os.path.realpath(path))
    if path.exists() and not path.is_file():
        yield path
        return
    partial = path.with_name(f".{path.stem}.{secrets.token_hex(4)}{path.suffix}")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
