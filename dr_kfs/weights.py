"""Registry of network weights: which file, which bytes, under which licence, made by which command.

`weights/registry.json` maps a name to a `WeightsEntry`. Values computed with different weights are different
metrics, so a name always means the same bytes: every load is checked against the registered SHA-256, and
nothing is replaced by something else when it is missing. Files are safetensors; a pickle is never opened.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, get_args

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from dr_kfs.whole_files import written_whole

__all__ = [
    "WeightsEntry",
    "WeightsKind",
    "available_weights",
    "load_weights",
    "register_weights",
    "weights_directory",
    "weights_entry",
    "weights_fingerprint",
]

WeightsKind = Literal["descriptor", "detector"]

REGISTRY = "registry.json"
SUFFIX = ".safetensors"
PICKLES = (".bin", ".ckpt", ".pickle", ".pkl", ".pt", ".pth")
FINGERPRINT_LENGTH = 12
_NAME = re.compile(r"[a-z0-9][a-z0-9+._-]*")


@dataclasses.dataclass(frozen=True, kw_only=True)
class WeightsEntry:
    """One line of the registry: what a name stands for."""

    name: str
    """What `load_weights` takes: lower-case letters, digits and `+ . _ -`."""
    file: str
    """File name inside the folder of the registry."""
    sha256: str
    """Hash of the file, 64 hexadecimal digits."""
    kind: WeightsKind
    """The stage that the weights are for."""
    architecture: str
    """The network that they fit."""
    license: str
    """SPDX identifier of their licence."""
    data: str
    """What they were trained on."""
    command: str
    """The command that made them."""
    seed: int
    """The seed of that command."""
    figures: dict[str, float | int]
    """Measured when they were made: scores by name."""


def weights_directory() -> Path:
    """Folder of the registry: inside the package in a wheel, beside the package in a checkout.

    The files are found from the path of this module and not through `importlib.resources`, which does not see
    package data of an editable install.

    Raises:
        ValueError: this installation has no weights.
    """
    package = Path(__file__).resolve().parent
    for directory in (package / "_weights", package.parent / "weights"):
        if (directory / REGISTRY).is_file():
            return directory
    raise ValueError(
        f"This installation of dr_kfs has no weights: expected {package / '_weights' / REGISTRY} (wheel) or "
        f"{package.parent / 'weights' / REGISTRY} (checkout). Reinstall dr_kfs."
    )


def available_weights() -> tuple[str, ...]:
    """Names of the registered weights, sorted."""
    return tuple(sorted(_read_registry(weights_directory())))


def weights_entry(name: str) -> WeightsEntry:
    """The registry's entry of registered weights.

    Raises:
        ValueError: no weights of this name are registered; the message lists those that are.
    """
    entries = _read_registry(weights_directory())
    if name not in entries:
        known = ", ".join(sorted(entries)) or "none"
        raise ValueError(f'Unknown weights "{name}": expected {known}, or the path of a {SUFFIX} file.')
    return entries[name]


def load_weights(name_or_path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Tensors of registered weights, or of a safetensors file, on the CPU.

    Args:
        name_or_path: a registered name, whose file must have the registered SHA-256, or the path of a
            `.safetensors` file, which is taken as it is.

    Raises:
        ValueError: an unknown name, a missing file, a file that differs from the registered one or is not
            safetensors.
    """
    path, content = _read_verified(name_or_path)
    try:
        return load(content)
    except SafetensorError as error:
        raise ValueError(f"{path} is not a safetensors file: {error}.") from error


def weights_fingerprint(name_or_path: str | os.PathLike[str]) -> str:
    """The first 12 hexadecimal digits of the SHA-256 of the file that `load_weights` reads.

    Results carry it: two values are comparable only if their fingerprints are equal.

    Raises:
        ValueError: as `load_weights`.
    """
    _, content = _read_verified(name_or_path)
    return hashlib.sha256(content).hexdigest()[:FINGERPRINT_LENGTH]


def register_weights(
    name: str,
    tensors: Mapping[str, Tensor],
    *,
    kind: WeightsKind,
    architecture: str,
    license: str,
    data: str,
    command: str,
    seed: int,
    figures: Mapping[str, float | int],
    directory: str | os.PathLike[str] | None = None,
) -> WeightsEntry:
    """Write `<name>.safetensors` and its entry in `registry.json`, replacing those of the same name.

    Each file is replaced in one step, the weights first: whoever reads meanwhile sees the old pair, the new
    pair, or an error about the hash, never a part of a file.

    Args:
        name: lower-case letters, digits and `+ . _ -`.
        tensors: of any device and dtype; all values finite.
        kind: the stage that the weights are for.
        architecture: the network that they fit.
        license: SPDX identifier of their licence.
        data: what they were trained on.
        command: the command that made them.
        seed: the seed of that command.
        figures: measured when they were made, scores by name.
        directory: folder to write to, made if missing; None: the `weights/` of the checkout.

    Raises:
        ValueError: a name that is not allowed, no tensors, values that are not finite, or no `directory`
            where the package is installed from a wheel.
    """
    if not _NAME.fullmatch(name) or name.endswith((SUFFIX, *PICKLES)):
        raise ValueError(f'Expected a name of lower-case letters, digits and + . _ -, got "{name}".')
    if not tensors:
        raise ValueError(f'The weights "{name}" have no tensors.')
    for key, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise ValueError(f'The tensor "{key}" of the weights "{name}" has values that are not finite.')
    target = _checkout_directory() if directory is None else Path(directory)
    target.mkdir(parents=True, exist_ok=True)
    entries = _read_registry(target) if (target / REGISTRY).exists() else {}
    # No gradient is stored; clones, because safetensors refuses tensors that share memory.
    content = save({key: tensor.detach().cpu().clone().contiguous() for key, tensor in tensors.items()})
    entry = WeightsEntry(
        name=name,
        file=name + SUFFIX,
        sha256=hashlib.sha256(content).hexdigest(),
        kind=kind,
        architecture=architecture,
        license=license,
        data=data,
        command=command,
        seed=seed,
        figures=dict(figures),
    )
    entries[name] = entry
    with written_whole(target / entry.file) as partial:
        partial.write_bytes(content)
    _write_registry(target, entries)
    return entry


def _checkout_directory() -> Path:
    """`weights/` of the checkout; an installed wheel is not written to."""
    directory = weights_directory()
    if directory.name == "_weights":
        raise ValueError(f"Weights in {directory} are a wheel's: give `directory`, the folder to write to.")
    return directory


def _read_verified(name_or_path: str | os.PathLike[str]) -> tuple[Path, bytes]:
    """Path and content of a weights file; the content is what gets hashed and parsed, read once."""
    if not isinstance(name_or_path, str) or name_or_path.endswith((SUFFIX, *PICKLES)):
        path = Path(name_or_path)
        if path.suffix != SUFFIX:
            raise ValueError(f"Expected a {SUFFIX} file, got {path}; pickles are not opened: convert it.")
        if not path.is_file():
            raise ValueError(f"There is no weights file {path}.")
        return path, path.read_bytes()
    entry = weights_entry(name_or_path)
    path = weights_directory() / entry.file
    if not path.is_file():
        raise ValueError(f'The file of the weights "{entry.name}" is missing: {path}. Reinstall dr_kfs.')
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != entry.sha256:
        raise ValueError(
            f'The file of the weights "{entry.name}" is not the registered one: expected SHA-256 '
            f"{entry.sha256}, {path} has {found}. Reinstall dr_kfs, or register yours under another name."
        )
    return path, content


def _read_registry(directory: Path) -> dict[str, WeightsEntry]:
    path = directory / REGISTRY
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is not JSON: {error}.") from error
    if not isinstance(rows, dict):
        raise ValueError(f"{path}: expected an object from names to entries, got {type(rows).__name__}.")
    return {name: _entry_from_row(name, row, path) for name, row in rows.items()}


def _entry_from_row(name: str, row: object, path: Path) -> WeightsEntry:
    fields = {field.name for field in dataclasses.fields(WeightsEntry)} - {"name"}
    found = set(row) if isinstance(row, dict) else set()
    if not isinstance(row, dict) or found != fields:
        raise ValueError(
            f'{path}, entry "{name}": expected the fields {sorted(fields)}, '
            f"missing {sorted(fields - found)}, unknown {sorted(found - fields)}."
        )
    if row["kind"] not in get_args(WeightsKind):
        raise ValueError(f'{path}, entry "{name}": kind {row["kind"]!r} is none of {get_args(WeightsKind)}.')
    if Path(row["file"]).name != row["file"]:
        raise ValueError(f'{path}, entry "{name}": file {row["file"]!r} is not a file name in that folder.')
    return WeightsEntry(name=name, **row)


def _write_registry(directory: Path, entries: Mapping[str, WeightsEntry]) -> None:
    rows = {name: dataclasses.asdict(entries[name]) for name in sorted(entries)}
    for row in rows.values():
        del row["name"]
    with written_whole(directory / REGISTRY) as partial:
        partial.write_text(json.dumps(rows, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
