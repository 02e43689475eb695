"""Other people's checkpoints: opened without running code, and checked tensor by tensor."""

from __future__ import annotations

import io
from collections.abc import Mapping

import torch
from torch import Tensor

COUNTER = "num_batches_tracked"
"""Of batch normalisation: not used in evaluation mode, and absent from checkpoints of before 2018."""


def read_checkpoint(content: bytes, *, name: str) -> dict[str, Tensor]:
    """Tensors of a PyTorch checkpoint, on the CPU: a state dict, or one under the key `"state_dict"`.

    Opened with `weights_only=True`: a pickle that would do more than hold tensors is refused.

    Args:
        content: of the file.
        name: of the file, for errors.

    Raises:
        ValueError: no such checkpoint.
    """
    try:
        loaded = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises anything on foreign bytes; its message runs over many lines
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise ValueError(
            f"{name} ({len(content)} bytes) is not a checkpoint that holds only tensors, or is truncated: {reason}."
        ) from error
    if isinstance(loaded, dict) and isinstance(loaded.get("state_dict"), dict):
        loaded = loaded["state_dict"]
    if not isinstance(loaded, dict) or not loaded or not all(isinstance(value, Tensor) for value in loaded.values()):
        found = f"a dict with {list(loaded)[:4]}" if isinstance(loaded, dict) else f"a {type(loaded).__name__}"
        raise ValueError(f'{name} is not a state dict, nor has it one under the key "state_dict": it is {found}.')
    return {str(key): value.detach() for key, value in loaded.items()}  # frozen networks have no gradient


def check_layout(
    tensors: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]], *, weights: str, network: str
) -> dict[str, Tensor]:
    """The tensors of a network, in float32 and in the order of `shapes`; all of them, and no others.

    Args:
        tensors: by name; counters of batch normalisation are left out.
        shapes: that the network has.
        weights: their name, for errors.
        network: its name, for errors.

    Raises:
        ValueError: a tensor that is missing, unknown, of another shape or not finite.
    """
    found = {key: tensor for key, tensor in tensors.items() if key.rpartition(".")[2] != COUNTER}
    problem = None
    if missing := [key for key in shapes if key not in found]:
        problem = f"{missing[0]!r} is missing"
    elif unknown := [key for key in found if key not in shapes]:
        problem = f"it has no {unknown[0]!r}"
    elif wrong := [key for key, shape in shapes.items() if tuple(found[key].shape) != shape]:
        problem = f"{wrong[0]!r} is {tuple(found[wrong[0]].shape)}, expected {shapes[wrong[0]]}"
    elif broken := [key for key in shapes if not torch.isfinite(found[key]).all()]:
        problem = f"{broken[0]!r} has values that are not finite"
    if problem is not None:
        raise ValueError(f'The weights "{weights}" are not {network}\'s: {problem}.')
    return {key: found[key].float() for key in shapes}
