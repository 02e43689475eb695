"""Patches of PoI maps and their descriptors."""

from dr_kfs.descriptors.hardnet import HardNetDescriptor
from dr_kfs.descriptors.patches import extract_patches, normalize_patches, patch_grid

__all__ = ["HardNetDescriptor", "extract_patches", "normalize_patches", "patch_grid"]
