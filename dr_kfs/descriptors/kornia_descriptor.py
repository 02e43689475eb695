"""kornia's other patch networks as descriptors: TFeat, SOSNet, HyNet, and HardNet unfolded."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any, Literal, get_args

from jaxtyping import Float
from torch import Tensor, nn

from dr_kfs.descriptors._frozen_network import FrozenNetwork
from dr_kfs.descriptors.checkpoints import check_layout, read_checkpoint
from dr_kfs.descriptors.patches import normalize_patches
from dr_kfs.weights import FINGERPRINT_LENGTH, load_weights

Architecture = Literal["hardnet", "hynet", "sosnet", "tfeat"]
NETWORKS = {"hardnet": "HardNet", "hynet": "HyNet", "sosnet": "SOSNet", "tfeat": "TFeat"}


class KorniaDescriptor(nn.Module):
    """A patch network of kornia with weights from a file: PoI patches to 128-D unit descriptors.

        d = n / ||n||,   n = network((x - mean) / (std + floor))

    Frozen, in evaluation mode, without parameters or entries in `state_dict()`. The patches are normalised by
    `normalize_patches`, in the place of what HardNet, TFeat and SOSNet do to their input themselves (HyNet does
    nothing but scale it, which it keeps). TFeat's output is not of unit length; here it is.

        >>> loss_fn = DRKFSLoss(descriptor=KorniaDescriptor("tfeat", weights="tfeat-liberty.params"))

    Args:
        architecture: `"tfeat"`, `"sosnet"`, `"hynet"` or `"hardnet"` (`HardNetDescriptor` is the same, faster).
        weights: a `.safetensors` file in kornia's layout, or a PyTorch checkpoint, which is opened with
            `weights_only=True`. Nothing is downloaded; `kornia.feature.tfeat.urls` and its like name addresses.
        floor: of the patch normalisation, see `normalize_patches`; not used with `kornia_compat`.
        kornia_compat: leave the input to the network's own normalisation, as kornia does: what published figures of
            these networks need.

    Raises:
        ValueError: an unknown architecture, a missing file, one that is no checkpoint, or not of this network.

    References:
        Balntas et al., "Learning local feature descriptors with triplets and shallow convolutional neural networks"
        (TFeat), BMVC 2016. Tian et al., "SOSNet", CVPR 2019. Tian et al., "HyNet", NeurIPS 2020. Mishchuk et al.,
        "Working hard to know your neighbor's margins" (HardNet), NeurIPS 2017.
    """

    def __init__(
        self,
        architecture: Architecture,
        *,
        weights: str | os.PathLike[str],
        floor: float = 1e-2,
        kornia_compat: bool = False,
    ) -> None:
        super().__init__()
        if architecture not in NETWORKS:
            raise ValueError(f"architecture must be one of {get_args(Architecture)}, got {architecture!r}.")
        self.architecture: Architecture = architecture
        self.weights = Path(weights).name
        self.floor = floor
        self.kornia_compat = kornia_compat
        tensors, self.fingerprint = _read_weights(Path(weights))
        network = _build(architecture, tensors, weights=self.weights)
        self.network = FrozenNetwork(network if kornia_compat else _without_input_normalization(architecture, network))

    def forward(self, patches: Float[Tensor, "K 32 32"]) -> Float[Tensor, "K D"]:
        """Unit descriptors of PoI patches [0, 1]; D is 128."""
        if not self.kornia_compat:
            patches = normalize_patches(patches, floor=self.floor)
        described = self.network(patches.unsqueeze(1))
        if described.itemsize < 4:  # of autocast
            described = described.float()
        return nn.functional.normalize(described, dim=1, eps=1e-8)

    def settings(self) -> dict[str, object]:
        """What the result depends on, JSON-able."""
        return {
            "type": "KorniaDescriptor",
            "architecture": self.architecture,
            "weights": self.weights,
            "fingerprint": self.fingerprint,
            "floor": self.floor,
            "kornia_compat": self.kornia_compat,
        }


def _read_weights(path: Path) -> tuple[dict[str, Tensor], str]:
    """Tensors and fingerprint of a file: the start of its SHA-256, as `weights_fingerprint`'s."""
    if not path.is_file():
        raise ValueError(f"There is no weights file {path}.")
    content = path.read_bytes()
    fingerprint = hashlib.sha256(content).hexdigest()[:FINGERPRINT_LENGTH]
    if path.suffix == ".safetensors":
        return load_weights(path), fingerprint
    return read_checkpoint(content, name=path.name), fingerprint


def _build(architecture: Architecture, tensors: dict[str, Tensor], *, weights: str) -> nn.Module:
    """The network with these tensors, all of them."""
    import kornia.feature

    network: Any = getattr(kornia.feature, NETWORKS[architecture])(pretrained=False)
    own = network.state_dict()
    shapes = {key: tuple(tensor.shape) for key, tensor in own.items() if tensor.is_floating_point()}
    tensors = check_layout(tensors, shapes, weights=weights, network=f"kornia's {NETWORKS[architecture]}")
    network.load_state_dict({**own, **tensors})  # the counters of batch normalisation stay as they are
    return network.eval()


def _without_input_normalization(architecture: Architecture, network: Any) -> nn.Module:
    """What comes after HardNet's `_normalize_input`, and after the InstanceNorm of TFeat and SOSNet.

    HyNet has none: its first layer divides by the root mean square of the patch, with trained scale and offset.
    """
    if architecture == "hardnet":
        return nn.Sequential(network.features, nn.Flatten())
    if architecture == "tfeat":
        return nn.Sequential(network.features[1:], nn.Flatten(), network.descr)
    if architecture == "sosnet":
        return nn.Sequential(network.layers[1:], nn.Flatten())
    return network
