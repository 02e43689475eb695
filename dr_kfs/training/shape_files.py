"""A folder that keeps what was made of each planned shape, so that a training that is started again need not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.progress import track

from dr_kfs.whole_files import written_whole


def kept_files(
    planned: range, folder: Path, save: Callable[[int, Path], None], *, label: str, console: Console
) -> list[Path]:
    """Files of the planned shapes; those that are there already are kept, the others are saved."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{index:05d}.safetensors" for index in planned]
    for index, path in zip(planned, track(paths, description=label, console=console), strict=True):
        if not path.exists():
            with written_whole(path) as partial:
                save(index, partial)
    return paths
