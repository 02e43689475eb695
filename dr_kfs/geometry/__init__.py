"""Batches of shapes, as meshes or volumes: reading, converting, normalising and sampling them."""

from dr_kfs.geometry.implicit import extract_surface
from dr_kfs.geometry.io import load_meshes, save_mesh
from dr_kfs.geometry.marching_cubes import marching_cubes
from dr_kfs.geometry.meshes import Meshes
from dr_kfs.geometry.normalization import Frame, bounding_frame, normalize
from dr_kfs.geometry.sampling import SurfaceSamples, sample_surface
from dr_kfs.geometry.shapes import as_meshes, load_shapes
from dr_kfs.geometry.voxel_files import load_voxels, save_voxels
from dr_kfs.geometry.voxels import VoxelGrid

__all__ = [
    "Frame",
    "Meshes",
    "SurfaceSamples",
    "VoxelGrid",
    "as_meshes",
    "bounding_frame",
    "extract_surface",
    "load_meshes",
    "load_shapes",
    "load_voxels",
    "marching_cubes",
    "normalize",
    "sample_surface",
    "save_mesh",
    "save_voxels",
]
