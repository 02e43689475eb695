"""How arrays of a file are read as volumes: what they hold, on which axes, in which box."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from dr_kfs.geometry.voxel_files import ARRAY_SUFFIXES, Layout
from dr_kfs.geometry.voxels import FieldKind, SamplePlace

VolumeOptions = dict[str, Any]
"""Arguments of `load_shapes`."""

Volumes = Annotated[
    str,
    typer.Option(
        metavar="KEY=VALUE,...",
        help="How arrays (npy, npz, mat) are read, such as kind=logit,level=-0.4 or layout=zyx,bounds=-1:1 or "
        "sample=corner,variable=NAME; otherwise probabilities on x, y, z, at the centres of the voxels of a box of "
        "side 1.",
        show_default=False,
    ),
]


def volume_options(text: str, *paths: Path) -> VolumeOptions:
    """What the option says, as arguments of `load_shapes`.

    Args:
        text: such as `kind=logit,layout=zyx`; nothing for the usual ones.
        paths: the files that it is about.

    Raises:
        ValueError: another key or value, a key twice, or no array among the files.
    """
    options: VolumeOptions = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        key, _, value = (word.strip() for word in part.partition("="))
        if key not in _READERS:
            raise ValueError(f"--volumes: expected {', '.join(_READERS)} before a =, got {part!r}.")
        if key in options:
            raise ValueError(f"--volumes: {key} is there twice.")
        options[key] = _READERS[key](key, value)
    if options and not any(path.suffix.lower() in ARRAY_SUFFIXES for path in paths):
        raise ValueError(f"--volumes is about arrays ({', '.join(ARRAY_SUFFIXES)}), and there are none: leave it out.")
    return options


def _one_of(names: tuple[str, ...]) -> Callable[[str, str], str]:
    def read(key: str, value: str) -> str:
        if value not in names:
            raise ValueError(f"--volumes: {key} is one of {', '.join(names)}, got {value!r}.")
        return value

    return read


def _number(key: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"--volumes: {key} needs numbers, got {value!r}.")
    return number


def _box(key: str, value: str) -> tuple[float, float]:
    low, colon, high = value.partition(":")
    box = _number(key, low), _number(key, high if colon else "")
    if not box[0] < box[1]:
        raise ValueError(f"--volumes: {key}=LOW:HIGH needs LOW < HIGH, got {value!r}.")
    return box


def _name(key: str, value: str) -> str:
    if not value:
        raise ValueError(f"--volumes: {key} needs a name.")
    return value


_READERS: dict[str, Callable[[str, str], Any]] = {
    "kind": _one_of(get_args(FieldKind)),
    "layout": _one_of(get_args(Layout)),
    "level": _number,
    "bounds": _box,
    "sample": _one_of(get_args(SamplePlace)),
    "variable": _name,
}
