"""A network of another library inside a loss: frozen, in evaluation mode, invisible to optimisers and checkpoints."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from dr_kfs._frozen_buffers import FrozenBuffers
from dr_kfs.weights import FINGERPRINT_LENGTH


class FrozenNetwork(FrozenBuffers):
    """A copy of a network whose tensors are buffers of this module, neither parameters nor in `state_dict()`.

    The network itself stays in evaluation mode whatever is done to the loss. It computes in the dtype of its input.

    Args:
        network: takes one tensor. It is copied, and not changed.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        # With duplicates: the copy on the meta device shares nothing.
        tensors = {
            **dict(network.named_parameters(remove_duplicate=False)),
            **dict(network.named_buffers(remove_duplicate=False)),
        }
        self._names = tuple(tensors)
        for index, tensor in enumerate(tensors.values()):
            self.register_buffer(f"tensor_{index}", tensor.detach().clone(), persistent=False)  # frozen
        # In a list it is no submodule, so that `train()`, `parameters()` and `state_dict()` pass it by; on the meta
        # device it has no values, so that a tensor which is not given in `forward` is an error.
        self._skeleton = [copy.deepcopy(network).eval().requires_grad_(False).to("meta")]

    def forward(self, inputs: Tensor) -> Any:
        """What the network returns."""
        tensors = {
            name: tensor.to(inputs.dtype) if tensor.is_floating_point() else tensor
            for name, tensor in self.tensors().items()
        }
        return functional_call(self._skeleton[0], tensors, (inputs,))

    def tensors(self) -> dict[str, Tensor]:
        """The network's parameters and buffers by their names there."""
        return {name: getattr(self, f"tensor_{index}") for index, name in enumerate(self._names)}


def tensors_fingerprint(tensors: Mapping[str, Tensor]) -> str:
    """The first 12 hexadecimal digits of a SHA-256 of all names, dtypes, shapes and values, in the order of the names.

    Counters of batch normalisation are values too: equal fingerprints mean equal networks, not the reverse.
    """
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()  # a hash has no gradient
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:FINGERPRINT_LENGTH]
