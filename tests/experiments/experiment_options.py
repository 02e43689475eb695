"""Options that experiments share: where rows and picture go, and every number of their setup."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

OUTPUTS = Path(__file__).resolve().parents[2] / "outputs" / "experiments"
Setup = TypeVar("Setup")


def add_shared_options(parser: argparse.ArgumentParser, name: str, setup: Any, *, rows: str, picture: str) -> None:
    """Adds --json, --picture, --resume, --device, and one option for each field of a setup.

    Args:
        parser: of the experiment.
        name: of its files.
        setup: a dataclass with the defaults.
        rows: help for --json.
        picture: help for --picture.
    """
    add = parser.add_argument
    add("--json", type=Path, default=OUTPUTS / f"{name}.json", metavar="FILE", help=rows)
    add("--picture", type=Path, default=OUTPUTS / f"{name}.png", metavar="FILE", help=picture)
    add("--resume", action="store_true", help="keep what the JSON holds and make what is missing")
    add("--device", choices=("cpu", "cuda"), default="cpu", help="%(default)s by default")
    for field in fields(setup):
        value = getattr(setup, field.name)
        add(f"--{field.name.replace('_', '-')}", type=type(value), default=value, help="%(default)s by default")


def setup_of(options: argparse.Namespace, kind: type[Setup]) -> Setup:
    """The setup that the options ask for."""
    return kind(**{field.name: getattr(options, field.name) for field in fields(kind)})  # type: ignore[arg-type]
