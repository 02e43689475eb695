"""Features of an image backbone as descriptors of whole views, for comparison with PoI patches."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dr_kfs.descriptors._frozen_network import FrozenNetwork, tensors_fingerprint
from dr_kfs.descriptors.patches import PATCH_SIZE, PATCH_STRIDE, patch_grid

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
TIMM_LAYER = -2


class BackboneDescriptor(nn.Module):
    """Dense features of the view images, averaged over the windows of the patches: a `ViewDescriptor`.

        d_p = m_p / ||m_p||,   m_p = mean over the 32x32 window p of features((image - mean) / std)

    The feature map is taken as constant in each of its cells, which tile the image, so that any stride serves: a cell
    counts in a window by the area that it shares with it. `DRKFSLoss` gives the images to `describe_views`; weights
    of the patches and matching are those of the PoI maps. A value is at most 4 / D per view and direction, and D is
    the backbone's: values of different backbones have different scales.

    Frozen, in evaluation mode, without parameters or entries in `state_dict()`.

        >>> BackboneDescriptor("resnet18", weights="resnet18.safetensors")  # needs `pip install "dr_kfs[backbones]"`
        >>> BackboneDescriptor(torchvision_network, layer="layer3")  # any network of yours

    Args:
        model: the name of a timm model, or a network from images (N, C, H, W) to features (N, D, h, w); C is the
            length of `mean`. A network is copied, with its weights.
        layer: of a timm model the index among its feature levels (-2, the default: 16 px per cell in most of them).
            Of a network the name of the submodule whose output is taken, the index in the sequence that it returns,
            or None for its output itself.
        weights: of a timm model, a `.safetensors` file in timm's layout.
        pretrained: of a timm model, take timm's own weights, which timm downloads.
        input_size: resize the views to this before [px]. None: as they are, or to the size that the timm model is
            fixed to.
        mean: subtracted from the grey image, per channel. None: the timm model's, or ImageNet's.
        std: divided by, per channel, likewise.

    Raises:
        ImportError: a timm model, and timm is not installed.
        ValueError: no weights or two kinds of them, an unknown model, layer or file, or features that are not a map.

    References:
        Zhang et al., "The unreasonable effectiveness of deep features as a perceptual metric" (LPIPS), CVPR 2018, for
        the idea. Wightman, "PyTorch Image Models" (timm), https://github.com/huggingface/pytorch-image-models.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        model: str | nn.Module,
        *,
        layer: int | str | None = None,
        weights: str | None = None,
        pretrained: bool = False,
        input_size: int | None = None,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        _check_one_source(model, weights, pretrained)
        if isinstance(model, str):
            self.model = model
            layer = TIMM_LAYER if layer is None else layer
            network = _timm_features(model, layer, weights)
            # A feature network returns one map per level that was asked for, here one.
            layer_of_output = 0
        else:
            self.model = f"{type(model).__module__}.{type(model).__qualname__}"
            network, layer_of_output = model, layer
        if isinstance(layer_of_output, str) and layer_of_output not in dict(network.named_modules()):
            raise ValueError(f"{self.model} has no submodule {layer_of_output!r}.")
        config = getattr(network, "pretrained_cfg", None) or {}
        self.layer = layer
        self.weights = Path(weights).name if weights else (_tagged_name(config) if pretrained else self.model)
        if input_size is None and isinstance(model, str) and config.get("fixed_input_size"):
            input_size = config["input_size"][-1]
        self.input_size = input_size
        mean = tuple(config.get("mean", IMAGENET_MEAN) if mean is None else mean)
        std = tuple(config.get("std", IMAGENET_STD) if std is None else std)
        if len(mean) != len(std) or not mean or min(std) <= 0:
            raise ValueError(f"mean and std must have one entry per channel, std above 0; got {mean} and {std}.")
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32), persistent=False)
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32), persistent=False)
        self._channels_last = getattr(network, "output_fmt", None) == "NHWC"  # timm's, of Swin and its like
        self.network = FrozenNetwork(_LayerOutput(network, layer_of_output))
        self.fingerprint = tensors_fingerprint(self.network.tensors())

    def describe_views(self, images: Float[Tensor, "B V H W"]) -> Float[Tensor, "B V P D"]:
        """Unit descriptors of the P patches of each grey view [0, 1], row by row from the top left."""
        x = images.flatten(0, 1).unsqueeze(1)
        if self.input_size is not None:
            size = (self.input_size, self.input_size)
            x = nn.functional.interpolate(x, size, mode="bilinear", align_corners=False, antialias=True)
        mean, std = (value.to(x.dtype)[:, None, None] for value in (self.mean, self.std))
        features = self._checked(self.network((x - mean) / std))
        pooled = pool_windows(features, image_size=(images.shape[-2], images.shape[-1]))
        return nn.functional.normalize(pooled, dim=-1, eps=1e-8).unflatten(0, images.shape[:2])

    def forward(self, patches: Float[Tensor, "K 32 32"]) -> Float[Tensor, "K D"]:
        """Not for patches.

        Raises:
            TypeError: always.
        """
        raise TypeError("BackboneDescriptor describes whole views, not PoI patches: call describe_views(images).")

    def settings(self) -> dict[str, object]:
        """What the result depends on, JSON-able; the fingerprint is that of the tensors."""
        return {
            "type": "BackboneDescriptor",
            "model": self.model,
            "layer": self.layer,
            "weights": self.weights,
            "fingerprint": self.fingerprint,
            "input_size": self.input_size,
            "mean": [round(value, 6) for value in self.mean.tolist()],
            "std": [round(value, 6) for value in self.std.tolist()],
        }

    def _checked(self, features: Any) -> Float[Tensor, "N D h w"]:
        if not isinstance(features, Tensor) or features.ndim != 4:
            found = tuple(features.shape) if isinstance(features, Tensor) else type(features).__name__
            raise ValueError(
                f"Layer {self.layer!r} of {self.model} must give a feature map (N, D, h, w), it gives {found}; "
                f"choose another layer."
            )
        if self._channels_last:
            features = features.permute(0, 3, 1, 2)
        return features.float() if features.itemsize < 4 else features  # of autocast


def pool_windows(features: Float[Tensor, "N D h w"], *, image_size: tuple[int, int]) -> Float[Tensor, "N P D"]:
    """Means of a feature map over the windows of the patches, row by row from the top left.

    Args:
        features: whose h x w cells tile the image.
        image_size: height and width of the image [px].
    """
    rows, columns = (
        window_shares(size, cells).to(features) for size, cells in zip(image_size, features.shape[-2:], strict=True)
    )
    return torch.einsum("ph,qw,ndhw->npqd", rows, columns, features).flatten(1, 2)


def window_shares(image_size: int, cells: int) -> Float[Tensor, "P C"]:
    """Share of each cell in each window along one side of the image: rows sum to 1."""
    start = PATCH_STRIDE * torch.arange(patch_grid(image_size), dtype=torch.float64)[:, None]
    edges = torch.linspace(0, image_size, cells + 1, dtype=torch.float64)
    overlap = torch.minimum(start + PATCH_SIZE, edges[1:]) - torch.maximum(start, edges[:-1])
    return overlap.clamp(min=0) / PATCH_SIZE


class _LayerOutput(nn.Module):
    """A network of which one submodule's output, or one of its outputs, is returned."""

    def __init__(self, network: nn.Module, layer: int | str | None) -> None:
        super().__init__()
        self.network = network
        self.layer = layer

    def forward(self, images: Tensor) -> Any:
        if not isinstance(self.layer, str):
            output = self.network(images)
            return output if self.layer is None else output[self.layer]
        seen: list[Any] = []
        # For this call only: a hook that stays would hold on to what it saw.
        hook = self.network.get_submodule(self.layer).register_forward_hook(lambda *call: seen.append(call[-1]))
        try:
            self.network(images)
        finally:
            hook.remove()
        return seen[-1] if seen else None


def _check_one_source(model: str | nn.Module, weights: str | None, pretrained: bool) -> None:
    if isinstance(model, nn.Module):
        if weights is not None or pretrained:
            raise ValueError("weights and pretrained are for timm models: load a network's weights before passing it.")
    elif (weights is not None) == pretrained:
        raise ValueError(
            f'BackboneDescriptor("{model}") needs either weights="a file.safetensors" or pretrained=True (timm then '
            f"downloads them): random weights are no metric."
        )


def _timm_features(model: str, layer: int | str, weights: str | None) -> nn.Module:
    """A timm model cut to one feature level."""
    try:
        import timm  # pyright: ignore[reportMissingImports] - an extra
    except ImportError as error:
        raise ImportError(
            f'BackboneDescriptor("{model}") needs timm ({error}): pip install "dr_kfs[backbones]", or pass a network.'
        ) from error
    if isinstance(layer, str):
        raise ValueError(f"layer of a timm model is the index of a feature level, got {layer!r}.")
    overlay = None
    if weights is not None:
        path = Path(weights)
        if path.suffix != ".safetensors" or not path.is_file():
            raise ValueError(f"Expected weights in a .safetensors file that exists, got {weights}.")
        # timm reads a file as its own pretrained weights, with the same conversions and without a download.
        overlay = {"file": str(path), "custom_load": False}
    try:
        return timm.create_model(
            model, pretrained=True, pretrained_cfg_overlay=overlay, features_only=True, out_indices=(layer,)
        )
    except (AssertionError, IndexError, KeyError, OSError, RuntimeError, ValueError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise ValueError(f'timm cannot give level {layer} of "{model}": {reason}.') from error


def _tagged_name(config: Any) -> str:
    """The name that timm gives to weights, `resnet18.a1_in1k`."""
    return ".".join(part for part in (config.get("architecture"), config.get("tag")) if part)
