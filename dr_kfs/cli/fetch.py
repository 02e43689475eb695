"""`dr-kfs fetch`: published weights into the cache."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dr_kfs.descriptors import fetch_published


def fetch_command(
    name: Annotated[str, typer.Argument(help="hardnet-liberty or hardnet++.", show_default=False)],
    source: Annotated[
        Path | None, typer.Option(help="Read the checkpoint from this file; no network.", show_default=False)
    ] = None,
) -> None:
    """Download the published HardNet once, verify it, and keep it for `--descriptor hardnet-liberty`."""
    print(f"wrote {fetch_published(name, source=source)}")
