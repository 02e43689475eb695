"""LIFT's keypoint detector: generalised hinging hyperplanes, an image to its PoI map."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from dr_kfs._frozen_buffers import FrozenBuffers
from dr_kfs.weights import load_weights, weights_fingerprint

DEFAULT_DETECTOR = "ghh-shapes"


def ghh_response(
    images: Float[Tensor, "*batch H W"],
    filters: Float[Tensor, "N M K K"],
    biases: Float[Tensor, "N M"],
    *,
    spectrum: Tensor | None = None,
) -> Float[Tensor, "*batch H W"]:
    """The piecewise-linear score `f(I) = sum_n delta_n max_m (W_mn * I + b_mn)`, delta = +1, -1, +1, -1, ...

    The output has the size of the input: the image is padded with zeros, which is what the background is. (LIFT's own
    valid padding would leave 232x232 of 256x256.)

    Args:
        images: grey images [0, 1].
        filters: N groups of M filters of odd side K; the paper's N, M and LIFT's are 4, K is 25.
        biases: one per filter.
        spectrum: `filter_spectrum(filters, (H, W))`, where it is at hand.

    References:
        Jin et al., "DR-KFS", ECCV 2020, Eq. 1; Yi et al., "LIFT", ECCV 2016; Verdie et al., "TILDE", CVPR 2015.
    """
    groups, members, side, _ = filters.shape
    flat = images.reshape(-1, *images.shape[-2:])
    if spectrum is None:
        spectrum = filter_spectrum(filters, (flat.shape[-2], flat.shape[-1]))
    scores = _correlate(flat, spectrum, side) + biases.flatten()[:, None, None]
    hinges = scores.unflatten(1, (groups, members)).max(2).values
    response = torch.einsum("bnhw,n->bhw", hinges, group_signs(groups, hinges))
    # Where a filter sees only black its score is its bias, exactly: the FFT leaves rounding noise there.
    # A mask is piecewise constant: no gradient to lose.
    lit = _any_in_window(_any_in_window(flat.detach() != 0, side, dim=-2), side, dim=-1)
    return torch.where(lit, response, blank_response(biases)).view(images.shape)


def _any_in_window(mask: Bool[Tensor, "B H W"], side: int, *, dim: int) -> Bool[Tensor, "B H W"]:
    """Whether any of the `side` entries around an entry is true, by counts up to it: ten times faster than a max."""
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


def _correlate(images: Float[Tensor, "B H W"], spectrum: Tensor, side: int) -> Float[Tensor, "B C H W"]:
    """Zero-padded, same-size correlation with the filters of a spectrum, by FFT.

    With 25x25 kernels it is 8 times faster than conv2d and its gradient on a CPU, and equal to float32 rounding.
    """
    height, width = images.shape[-2:]
    size = _padded_size((height, width), side)
    full = torch.fft.irfft2(torch.fft.rfft2(images, s=size)[:, None] * spectrum, s=size)
    return full[..., side // 2 : side // 2 + height, side // 2 : side // 2 + width]


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
    return 1.0 - 2.0 * (torch.arange(groups, device=like.device) % 2).to(like.dtype)


class GHHDetector(FrozenBuffers):
    """Images to PoI maps: the probability that each pixel is a keypoint.

    `PoI = max(0, p - p_blank) / (1 - p_blank)` with `p = sigmoid(scale * f(I) + offset)`, calibrated on labelled
    points, and `p_blank` the value on a black image: background maps to exactly 0. The calibration is ours; the paper
    gives only Eq. 1.

    The weights are buffers that are neither parameters nor in `state_dict()`: a loss that owns a detector adds
    nothing to the user's optimiser or checkpoint.

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
        self._spectra: dict[tuple[object, ...], Tensor] = {}

    def forward(self, images: Float[Tensor, "*batch H W"]) -> Float[Tensor, "*batch H W"]:
        """PoI maps in [0, 1), of the size of the images."""
        biases, scale, offset = (buffer.to(images.dtype) for buffer in (self.biases, self.scale, self.offset))
        return calibrated_poi(self.response(images), biases, scale, offset)

    def response(self, images: Float[Tensor, "*batch H W"]) -> Float[Tensor, "*batch H W"]:
        """`f(I)` of Eq. 1, before the calibration, which makes large ones equal in float32."""
        filters, biases = self.filters.to(images.dtype), self.biases.to(images.dtype)
        spectrum = self._spectrum((images.shape[-2], images.shape[-1]), images.dtype)
        return ghh_response(images, filters, biases, spectrum=spectrum)

    def _spectrum(self, image_size: tuple[int, int], dtype: torch.dtype) -> Tensor:
        """That of the filters, kept for the last kind of image."""
        # `to` replaces the buffer on another device; `_version` counts changes in place.
        key = (image_size, dtype, self.filters.device, self.filters.data_ptr(), self.filters._version)
        if key not in self._spectra:
            with torch.inference_mode(False), torch.no_grad():  # what is kept may meet a gradient later
                self._spectra = {key: filter_spectrum(self.filters.to(dtype), image_size)}
        return self._spectra[key]

    def settings(self) -> dict[str, object]:
        """What the result depends on, JSON-able."""
        return {"type": "GHHDetector", "weights": self.weights, "fingerprint": self.fingerprint}


def calibrated_poi(
    response: Float[Tensor, "*batch"], biases: Float[Tensor, "N M"], scale: Tensor, offset: Tensor
) -> Float[Tensor, "*batch"]:
    """Scores to probabilities, 0 on a blank image; see `GHHDetector`."""
    blank = torch.sigmoid(scale * blank_response(biases) + offset)
    return (torch.sigmoid(scale * response + offset) - blank).clamp_min(0.0) / (1.0 - blank)
