"""Named settings of DR-KFS: numbers of one preset can be compared between papers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from dr_kfs.descriptors.hardnet import DEFAULT_DESCRIPTOR
from dr_kfs.descriptors.patch_scales import DEFAULT_SCALES, PatchScales

__all__ = ["PRESETS", "Preset", "PresetSettings", "find_preset", "preset_name"]

Preset = Literal["default", "fine", "paper"]


@dataclass(frozen=True, kw_only=True)
class PresetSettings:
    """What a preset sets; the rest are the defaults of `DRKFSLoss`."""

    descriptor: str
    """HardNet's weights."""
    scales: PatchScales
    """Of the patches; views of another size have them resized."""
    about: str
    """Where it comes from."""


PRESETS: dict[Preset, PresetSettings] = {
    "default": PresetSettings(
        descriptor=DEFAULT_DESCRIPTOR,
        scales=DEFAULT_SCALES,
        about="what the audit chose: patches that span 64 and 128 px, and a descriptor that was trained on the "
        "distance itself, so that a missing part costs more and the same parts of another shape less",
    ),
    "fine": PresetSettings(
        descriptor="hardnet-shapes",
        scales=PatchScales(256, (1,)),
        about="the paper's pipeline, patches of 32 px, with a descriptor trained on pairs of patches of renders",
    ),
    "paper": PresetSettings(
        descriptor="hardnet-liberty",
        scales=PatchScales(256, (1,)),
        about="what the paper states, with the published HardNet (`dr-kfs fetch hardnet-liberty`); the weights of its "
        "LIFT detector are not public, so ours stands in",
    ),
}


def find_preset(name: str) -> PresetSettings:
    """The preset of that name.

    Raises:
        ValueError: there is none.
    """
    if name not in get_args(Preset):
        raise ValueError(f"preset must be one of {', '.join(map(repr, PRESETS))}, got {name!r}.")
    return PRESETS[name]  # pyright: ignore[reportArgumentType] - checked above


def preset_name(descriptor: str, scales: PatchScales) -> str:
    """Which preset has this descriptor at these scales; "custom" if none has."""
    for name, preset in PRESETS.items():
        if (preset.descriptor, preset.scales) == (descriptor, scales):
            return name
    return "custom"
