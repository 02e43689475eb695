"""A shape's descriptors, computed once: the target side of the loss, cached."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from dr_kfs.geometry import Frame
from dr_kfs.whole_files import written_whole

FORMAT = "dr_kfs.ShapeCode/1"


@dataclass(frozen=True, eq=False)
class ShapeCode:
    """What DR-KFS sees of B shapes: the descriptor and the weight of every patch of every view.

    Made by `DRKFSLoss.encode`, passed to the loss instead of a shape, saved with the settings that made it. About
    0.75 MB per shape with the default scales. Two codes (or a code and a loss) with different settings belong to
    different metrics and are refused. `ShapeCode.cat` makes one of several. Keep it with `save`: `torch.load` takes it
    out of a checkpoint only with `weights_only=False`.
    """

    descriptors: Float[Tensor, "B V P D"]
    weights: Float[Tensor, "B V P"]
    """Mean PoI of the patch [0, 1]; 0 for blank patches."""
    frame: Frame
    """The box that the shapes were normalised with."""
    settings: dict[str, object]
    """Renderer, detector, descriptor, patches and normalisation that made it."""

    def __len__(self) -> int:
        return self.descriptors.shape[0]

    def __getitem__(self, index: int | slice | Sequence[int]) -> ShapeCode:
        """A sub-batch; an int gives a batch of one."""
        if isinstance(index, int):
            index = [index]
        chosen = torch.arange(len(self))[list(index) if isinstance(index, tuple) else index].view(-1)
        frame = Frame(center=self.frame.center[chosen], scale=self.frame.scale[chosen])
        return replace(self, descriptors=self.descriptors[chosen], weights=self.weights[chosen], frame=frame)

    @classmethod
    def cat(cls, codes: Sequence[ShapeCode]) -> ShapeCode:
        """Codes of several batches as one, for a `collate_fn`."""
        for position, code in enumerate(codes):
            check_same_settings(code.settings, codes[0].settings, f"code {position}", "code 0")
        frame = Frame(
            center=torch.cat([code.frame.center for code in codes]),
            scale=torch.cat([code.frame.scale for code in codes]),
        )
        return cls(
            descriptors=torch.cat([code.descriptors for code in codes]),
            weights=torch.cat([code.weights for code in codes]),
            frame=frame,
            settings=codes[0].settings,
        )

    def to(self, device: torch.device | str) -> ShapeCode:
        """The code on another device."""
        return replace(
            self,
            descriptors=self.descriptors.to(device),
            weights=self.weights.to(device),
            frame=self.frame.to(device),
        )

    def save(self, path: str | Path) -> None:
        """Write a `.safetensors` file with the settings in its header; one that is there stays whole if this fails."""
        from safetensors.torch import save_file

        tensors = {
            "descriptors": self.descriptors.detach().cpu().contiguous(),
            "weights": self.weights.detach().cpu().contiguous(),
            "center": self.frame.center.cpu().contiguous(),
            "scale": self.frame.scale.cpu().contiguous(),
        }
        with written_whole(path) as partial:
            save_file(tensors, partial, metadata={"format": FORMAT, "settings": json.dumps(self.settings)})

    @classmethod
    def load(cls, path: str | Path, *, device: torch.device | str = "cpu") -> ShapeCode:
        """Read what `save` wrote.

        Raises:
            FileNotFoundError: no such file.
            ValueError: not a shape code.
        """
        from safetensors import SafetensorError, safe_open

        if not Path(path).is_file():
            raise FileNotFoundError(f"There is no shape code at {path}.")
        try:
            with safe_open(path, framework="pt", device=str(device)) as file:
                metadata = file.metadata() or {}
                if metadata.get("format") != FORMAT or "settings" not in metadata:
                    raise ValueError(
                        f'{path} is not a shape code: expected format "{FORMAT}", got {metadata.get("format")!r}.'
                    )
                names = ("descriptors", "weights", "center", "scale")
                descriptors, weights, center, scale = (file.get_tensor(name) for name in names)
        except SafetensorError as error:
            raise ValueError(f"{path} is not a shape code, or is truncated: {error}") from error
        return cls(descriptors, weights, Frame(center=center, scale=scale), json.loads(metadata["settings"]))


def check_same_settings(ours: dict[str, object], theirs: dict[str, object], our_name: str, their_name: str) -> None:
    """Raise a ValueError that names every setting in which two codes differ."""
    if ours == theirs:
        return
    ours, theirs = json.loads(json.dumps(ours)), json.loads(json.dumps(theirs))
    differences = list(_differences(ours, theirs, ""))
    if differences:
        listed = "; ".join(f"{key}: {a!r} against {b!r}" for key, a, b in differences[:4])
        more = f" (and {len(differences) - 4} more)" if len(differences) > 4 else ""
        raise ValueError(
            f"{our_name} and {their_name} were made with different settings, so their values cannot be compared: "
            f"{listed}{more}. Encode both with the same loss."
        )


def _differences(a: object, b: object, key: str) -> list[tuple[str, object, object]]:
    if isinstance(a, dict) and isinstance(b, dict):
        found = []
        for name in sorted({*a, *b}):
            found += _differences(a.get(name), b.get(name), f"{key}.{name}" if key else str(name))
        return found
    return [] if a == b else [(key, _short(a), _short(b))]


def _short(value: object) -> object:
    text = repr(value)
    return value if len(text) <= 60 else text[:57] + "..."
