"""The state of a fit as a file: tensors, how many steps were made, and what they were made for."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dr_kfs._settings_differences import settings_differences
from dr_kfs.whole_files import written_whole


def fingerprint(*tensors: Tensor) -> str:
    """Names the bits of tensors, so that a state is not restored into a fit of something else."""
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(tensor.detach().cpu().numpy().tobytes())
    return digest.hexdigest()[:12]


def save_fit(
    path: str | Path, tensors: dict[str, Tensor], *, layout: str, identity: dict[str, Any], step_count: int
) -> None:
    """Write a `.safetensors` file, in one step (a half-written file never replaces a whole one).

    Args:
        path: of the file.
        tensors: by name.
        layout: name and version of what the file holds.
        identity: what must agree for the state to be restored; JSON-able.
        step_count: steps made.
    """
    from safetensors.torch import save_file

    metadata = {"format": layout, "identity": json.dumps(identity), "step_count": str(step_count)}
    kept = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    with written_whole(path) as partial:
        save_file(kept, partial, metadata)


def load_fit(path: str | Path, *, layout: str, identity: dict[str, Any]) -> tuple[dict[str, Tensor], int]:
    """The tensors and the number of steps that `save_fit` wrote.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a saved fit of this layout, or one with another identity.
    """
    from safetensors import SafetensorError, safe_open

    if not Path(path).is_file():
        raise FileNotFoundError(f"There is no saved fit at {path}.")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors: dict[str, torch.Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except SafetensorError as error:
        raise ValueError(f"{path} is not a saved fit, or is truncated: {error}") from error
    if metadata.get("format") != layout:
        raise ValueError(f"{path} is not a saved fit of this kind: its format is {metadata.get('format')!r}.")
    saved, ours = json.loads(metadata["identity"]), json.loads(json.dumps(identity))
    if differences := settings_differences(saved, ours):
        raise ValueError(f"{path} belongs to another fit ({differences}): take its settings, or start anew without it.")
    return tensors, int(metadata["step_count"])
