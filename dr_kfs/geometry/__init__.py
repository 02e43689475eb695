"""Batches of shapes, as meshes, volumes or point sets: reading, converting, normalising, sampling, neighbours."""

from dr_kfs.geometry.farthest_points import farthest_points
from dr_kfs.geometry.implicit import extract_surface
from dr_kfs.geometry.io import load_meshes, save_mesh
from dr_kfs.geometry.marching_cubes import marching_cubes
from dr_kfs.geometry.meshes import Meshes
from dr_kfs.geometry.neighbors import nearest_neighbors
from dr_kfs.geometry.normalization import Frame, bounding_frame, normalize
from dr_kfs.geometry.point_sets import Points, PointSets, as_point_sets
from dr_kfs.geometry.sampling import SurfaceSamples, sample_surface
from dr_kfs.geometry.shapes import Shape, as_meshes, as_surface, load_shapes
from dr_kfs.geometry.soft_surface import SoftSurface, soft_surface
from dr_kfs.geometry.voxel_files import load_voxels, save_voxels
from dr_kfs.geometry.voxels import VoxelGrid

__all__ = [
    "Frame",
    "Meshes",
    "PointSets",
    "Points",
    "Shape",
    "SoftSurface",
    "SurfaceSamples",
    "VoxelGrid",
    "as_meshes",
    "as_point_sets",
    "as_surface",
    "bounding_frame",
    "extract_surface",
    "farthest_points",
    "load_meshes",
    "load_shapes",
    "load_voxels",
    "marching_cubes",
    "nearest_neighbors",
    "normalize",
    "sample_surface",
    "save_mesh",
    "save_voxels",
    "soft_surface",
]
