"""LIFT's keypoint detector: generalised hinging hyperplanes, an image to its PoI map."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from dr_kfs._constants import TensorVersions, constant, may_be_kept, note_kept
from dr_kfs._frozen_buffers import FrozenBuffers
from dr_kfs.keypoints.hinges import poi_of_correlations
from dr_kfs.weights import load_weights, weights_fingerprint

DEFAULT_DETECTOR = "ghh-shapes"
_KEPT_SIZES = 8
"""A pyramid of views has as many sizes as scales."""


def ghh_response(
    images: Float[Tensor, "*batch H W"],
    filters: Float[Tensor, "N M K K"],
    biases: Float[Tensor, "N M"],
    *,
    spectrum: Tensor | None = None,
    blank: Float[Tensor, ""] | None = None,
) -> Float[Tensor, "*batch H W"]:
    """The piecewise-linear score `f(I) = sum_n delta_n max_m (W_mn * I + b_mn)`, delta = +1, -1, +1, -1, ...

    The output has the size of the input: the image is padded with zeros, which is what the background is. (LIFT's own
    valid padding would leave 232x232 of 256x256.)

    Args:
        images: grey images [0, 1].
        filters: N groups of M filters of odd side K; LIFT's N and M are 4 and K is 25, DR-KFS leaves them open.
        biases: one per filter.
        spectrum: `filter_spectrum(filters, (H, W))`, where it is at hand.
        blank: `blank_response(biases)`, where it is at hand.

    References:
        Jin et al., "DR-KFS", ECCV 2020, Eq. 1; Yi et al., "LIFT", ECCV 2016; Verdie et al., "TILDE", CVPR 2015.
    """
    groups, members, side, _ = filters.shape
    flat = images.reshape(-1, *images.shape[-2:])
    if spectrum is None:
        spectrum = filter_spectrum(filters, (flat.shape[-2], flat.shape[-1]))
    height, width = flat.shape[-2:]
    full = _correlate(flat, spectrum, side)
    same_size = full[..., side // 2 : side // 2 + height, side // 2 : side // 2 + width]
    scores = same_size + biases.flatten()[:, None, None]
    hinges = scores.unflatten(1, (groups, members)).max(2).values
    response = torch.einsum("bnhw,n->bhw", hinges, group_signs(groups, hinges))
    # Where a filter sees only black its score is its bias, exactly: the FFT leaves rounding noise there.
    # A mask is piecewise constant: no gradient to lose.
    lit = sees_light(flat.detach(), side)
    blank = blank_response(biases) if blank is None else blank
    return torch.where(lit, response, blank).view(images.shape)


def sees_light(images: Float[Tensor, "B H W"], side: int) -> Bool[Tensor, "B H W"]:
    """Whether any pixel of the window of `side` around a pixel is not 0."""
    if images.is_cuda:  # four launches, not seventeen
        pool = torch.nn.functional.max_pool2d
        rows = pool(images.abs().unsqueeze(1), (side, 1), stride=1, padding=(side // 2, 0))
        return pool(rows, (1, side), stride=1, padding=(0, side // 2)).squeeze(1) != 0  # true of NaN
    return _any_in_window(_any_in_window(images != 0, side, dim=-2), side, dim=-1)


def _any_in_window(mask: Bool[Tensor, "B H W"], side: int, *, dim: int) -> Bool[Tensor, "B H W"]:
    """Whether any entry of the window around an entry is true, along one dimension.

    By counts up to an entry: on a CPU ten times faster than a max.
    """
    length, radius = mask.shape[dim], side // 2
    count = torch.nn.functional.pad(mask.movedim(dim, -1).cumsum(-1, dtype=torch.int32), (radius + 1, 0))
    last = torch.arange(length, device=mask.device).add(2 * radius + 1).clamp_max(length + radius)
    return (count[..., last] > count[..., :length]).movedim(-1, dim)


def blank_response(biases: Float[Tensor, "N M"]) -> Float[Tensor, ""]:
    """`f` of a black image."""
    hinges = biases.amax(1)
    return (hinges * group_signs(len(hinges), hinges)).sum()


def filter_spectrum(filters: Float[Tensor, "N M K K"], image_size: tuple[int, int]) -> Tensor:
    """Fourier transform of the filters, padded for images of this size: (N M, ..., ...), complex."""
    return torch.fft.rfft2(filters.flatten(0, 1).flip(-2, -1), s=_padded_size(image_size, filters.shape[-1]))


def _correlate(images: Float[Tensor, "B H W"], spectrum: Tensor, side: int) -> Float[Tensor, "B C _ _"]:
    """Zero-padded correlation with the filters of a spectrum, by FFT; that of pixel 0 is at `side // 2` on both axes.

    With 25x25 kernels it is 8 times faster than conv2d and its gradient on a CPU, and equal to float32 rounding.
    """
    size = _padded_size((images.shape[-2], images.shape[-1]), side)
    return torch.fft.irfft2(torch.fft.rfft2(images, s=size)[:, None] * spectrum, s=size)


def _padded_size(image_size: tuple[int, int], side: int) -> tuple[int, int]:
    return _fast_length(image_size[0] + side - 1), _fast_length(image_size[1] + side - 1)


def _fast_length(least: int) -> int:
    """The smallest length from `least` on whose only prime factors are 2, 3 and 5."""
    length = least
    while True:
        rest = length
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return length
        length += 1


def group_signs(groups: int, like: Tensor) -> Float[Tensor, " N"]:
    """delta_n: +1 where n, counted from 1, is odd, else -1."""
    return constant(tuple(1.0 - 2.0 * (group % 2) for group in range(groups)), like.dtype, like.device)


class GHHDetector(FrozenBuffers):
    """Images to PoI maps: the probability that each pixel is a keypoint.

    `PoI = max(0, p - p_blank) / (1 - p_blank)` with `p = sigmoid(scale * f(I) + offset)`, calibrated on labelled
    points, and `p_blank` the value on a black image: background maps to exactly 0. The calibration is ours; the paper
    gives only Eq. 1.

    The weights are buffers that are neither parameters nor in `state_dict()`: a loss that owns a detector adds
    nothing to the user's optimiser or checkpoint.

    Maps are differentiable once.

    Args:
        weights: a registered name or the path of a `.safetensors` file.

    Raises:
        ValueError: unknown, missing or altered weights.
    """

    filters: Tensor
    biases: Tensor
    scale: Tensor
    offset: Tensor

    def __init__(self, weights: str = DEFAULT_DETECTOR) -> None:
        super().__init__()
        self.weights = weights
        self.fingerprint = weights_fingerprint(weights)
        tensors = load_weights(weights)
        for name in ("filters", "biases", "scale", "offset"):
            if name not in tensors:
                raise ValueError(f'The detector weights "{weights}" lack the tensor "{name}".')
            with torch.inference_mode(False):  # a detector that is made there may serve a training later
                self.register_buffer(name, tensors[name].float().clone(), persistent=False)
        self._kept: dict[tuple[tuple[int, int], torch.dtype], _Prepared] = {}

    def forward(self, images: Float[Tensor, "*batch H W"]) -> Float[Tensor, "*batch H W"]:
        """PoI maps in [0, 1], of the size of the images; in float32 of half-precision ones."""
        images = images.to(torch.promote_types(images.dtype, torch.float32))
        if any(buffer.requires_grad for buffer in self.buffers()):  # the operator has no gradient of weights
            return self._poi_in_pytorch(images)
        prepared, side = self._prepared(images), self.filters.shape[-1]
        flat = images.reshape(-1, *images.shape[-2:])
        correlations, lit = _correlate(flat, prepared.spectrum, side), sees_light(flat.detach(), side)
        maps = poi_of_correlations(correlations, prepared.biases, prepared.calibration, lit, margin=side // 2)
        return maps.view(images.shape)

    def response(self, images: Float[Tensor, "*batch H W"]) -> Float[Tensor, "*batch H W"]:
        """`f(I)` of Eq. 1, before the calibration, which makes large ones equal in float32."""
        images = images.to(torch.promote_types(images.dtype, torch.float32))
        filters, biases = self.filters.to(images.dtype), self.biases.to(images.dtype)
        prepared = self._prepared(images)
        return ghh_response(images, filters, biases, spectrum=prepared.spectrum, blank=prepared.blank)

    def _poi_in_pytorch(self, images: Tensor) -> Tensor:
        """The same by the formulas, differentiable in the weights too."""
        filters, biases, scale, offset = (
            buffer.to(images.dtype) for buffer in (self.filters, self.biases, self.scale, self.offset)
        )
        floor = torch.sigmoid(scale * blank_response(biases) + offset)
        probability = torch.sigmoid(scale * ghh_response(images, filters, biases) + offset)
        return (probability - floor).clamp_min(0.0) / (1.0 - floor)

    def _prepared(self, images: Tensor) -> _Prepared:
        """What depends on the weights and the size of the images alone, kept for the last sizes."""
        size = (images.shape[-2], images.shape[-1])
        buffers = (self.filters, self.biases, self.scale, self.offset)
        kept, key = self._kept, (size, images.dtype)
        prepared = kept.get(key)
        if prepared is None or not prepared.weights.hold(buffers):
            with torch.inference_mode(False), torch.no_grad():  # what is kept may meet a gradient later
                filters, biases, scale, offset = (buffer.to(images.dtype) for buffer in buffers)
                blank = blank_response(biases)
                calibration = torch.stack([scale, offset, torch.sigmoid(scale * blank + offset)])
                spectrum = filter_spectrum(filters, size)
                prepared = _Prepared(spectrum, biases, blank, calibration, TensorVersions(buffers))
            if may_be_kept():
                others = [item for item in kept.items() if item[0] != key]
                self._kept = dict([*others[-_KEPT_SIZES + 1 :], (key, prepared)])  # not those that this call has made
        note_kept(prepared)
        return prepared

    def __getstate__(self) -> dict[str, object]:
        """Without what can be made again."""
        return {**super().__getstate__(), "_kept": {}}

    def settings(self) -> dict[str, object]:
        """What the result depends on, JSON-able."""
        return {"type": "GHHDetector", "weights": self.weights, "fingerprint": self.fingerprint}


@dataclass(frozen=True, eq=False)
class _Prepared:
    """What a detector needs for images of one size."""

    spectrum: Tensor
    """`filter_spectrum` of its filters."""
    biases: Float[Tensor, "N M"]
    blank: Float[Tensor, ""]
    """`f` of a black image."""
    calibration: Float[Tensor, " 3"]
    """Scale, offset, and the probability of a black image."""
    weights: TensorVersions
    """What these were made from."""
