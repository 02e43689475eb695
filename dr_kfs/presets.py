"""Named settings of DR-KFS: numbers of one preset can be compared between papers."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from dr_kfs.descriptors.hardnet import DEFAULT_DESCRIPTOR
from dr_kfs.descriptors.patch_scales import DEFAULT_SCALES, PatchScales
from dr_kfs.descriptors.published import PUBLISHED
from dr_kfs.keypoints.ghh import DEFAULT_DETECTOR
from dr_kfs.matching import LocalizedMatcher
from dr_kfs.rendering import SoftRenderer
from dr_kfs.weights import weights_fingerprint

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


def preset_name(settings: Mapping[str, object], scales: PatchScales) -> str:
    """Which preset has these settings of a loss, "custom" if none has; "default (bfloat16)" in that precision.

    Args:
        settings: those of `DRKFSLoss.settings` but the preset, and `detach_weights`.
        scales: of the patches.
    """
    if any(settings[name] != value for name, value in _common_settings().items()):
        return "custom"
    descriptor: Any = settings["descriptor"]
    for name, preset in PRESETS.items():
        expected = {
            "type": "HardNetDescriptor",
            "weights": preset.descriptor,
            "floor": 1e-2,
            "kornia_compat": preset.descriptor in PUBLISHED,
        }
        if preset.scales == scales and all(descriptor.get(key) == value for key, value in expected.items()):
            return name if descriptor["precision"] == "float32" else f"{name} ({descriptor['precision']})"
    return "custom"


@functools.cache
def _common_settings() -> dict[str, object]:
    """What no preset changes."""
    return {
        "renderer": SoftRenderer().settings(),
        "detector": {
            "type": "GHHDetector",
            "weights": DEFAULT_DETECTOR,
            "fingerprint": weights_fingerprint(DEFAULT_DETECTOR),
        },
        "matcher": LocalizedMatcher().settings(),
        "normalize": "target",
        "recall_weight": 1.0,
        "precision_weight": 1.0,
        "detach_weights": True,
    }
