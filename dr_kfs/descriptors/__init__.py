"""Patches of PoI maps and their descriptors."""

from dr_kfs.descriptors.backbone import BackboneDescriptor
from dr_kfs.descriptors.hardnet import HardNetDescriptor
from dr_kfs.descriptors.kornia_descriptor import KorniaDescriptor
from dr_kfs.descriptors.patch_scales import PatchScales, patch_scales
from dr_kfs.descriptors.patches import extract_patches, normalize_patches, patch_grid
from dr_kfs.descriptors.protocol import PatchDescriptor, ViewDescriptor
from dr_kfs.descriptors.published import PUBLISHED, fetch_published

__all__ = [
    "PUBLISHED",
    "BackboneDescriptor",
    "HardNetDescriptor",
    "KorniaDescriptor",
    "PatchDescriptor",
    "PatchScales",
    "ViewDescriptor",
    "extract_patches",
    "fetch_published",
    "normalize_patches",
    "patch_grid",
    "patch_scales",
]
