"""Batches of triangle meshes: reading, normalising and sampling them."""

from dr_kfs.geometry.io import load_meshes, save_mesh
from dr_kfs.geometry.meshes import Meshes, as_meshes
from dr_kfs.geometry.normalization import Frame, bounding_frame, normalize
from dr_kfs.geometry.sampling import SurfaceSamples, sample_surface

__all__ = [
    "Frame",
    "Meshes",
    "SurfaceSamples",
    "as_meshes",
    "bounding_frame",
    "load_meshes",
    "normalize",
    "sample_surface",
    "save_mesh",
]
