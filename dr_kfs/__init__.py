"""DR-KFS: a differentiable perceptual distance between 3D shapes, as a training loss and as an evaluation metric.

shape ──► Meshes ──► 25 shaded views ──► PoI maps ──► 58 patches/view ───► 128-D descriptors ──┐
geometry              rendering           keypoints     descriptors       (mean PoI = weight)  ├─► two-way local
target ─────────────── the same, once: cached as a ShapeCode ──────────────────────────────────┘   matching ─► loss
matching, drkfs

>>> import dr_kfs
>>> loss_fn = dr_kfs.DRKFSLoss()
>>> loss = loss_fn(predicted, target)  # Meshes, VoxelGrid, trimesh, pytorch3d Meshes, (vertices, faces), ...
>>> loss.backward()
"""

__version__ = "0.1.0"

from dr_kfs.comparison import Comparison
from dr_kfs.descriptors import HardNetDescriptor
from dr_kfs.drkfs import DRKFSLoss, drkfs_distance
from dr_kfs.fitting import FitSettings, MeshFit, icosphere
from dr_kfs.geometry import (
    Frame,
    Meshes,
    PointSets,
    SoftSurface,
    VoxelGrid,
    bounding_frame,
    extract_surface,
    load_meshes,
    load_shapes,
    load_voxels,
    marching_cubes,
    normalize,
    sample_surface,
    save_mesh,
    save_voxels,
    soft_surface,
)
from dr_kfs.keypoints import GHHDetector
from dr_kfs.losses import ChamferLoss, HybridLoss, QALLoss
from dr_kfs.matching import LocalizedMatcher
from dr_kfs.rendering import Cameras, Lighting, SoftRenderer, hemisphere_rig
from dr_kfs.shape_code import ShapeCode
from dr_kfs.voxel_fitting import VoxelFit, VoxelFitSettings, VoxelForm

__all__ = [
    "Cameras",
    "ChamferLoss",
    "Comparison",
    "DRKFSLoss",
    "FitSettings",
    "Frame",
    "GHHDetector",
    "HardNetDescriptor",
    "HybridLoss",
    "Lighting",
    "LocalizedMatcher",
    "MeshFit",
    "Meshes",
    "PointSets",
    "QALLoss",
    "ShapeCode",
    "SoftRenderer",
    "SoftSurface",
    "VoxelFit",
    "VoxelFitSettings",
    "VoxelForm",
    "VoxelGrid",
    "__version__",
    "bounding_frame",
    "drkfs_distance",
    "extract_surface",
    "hemisphere_rig",
    "icosphere",
    "load_meshes",
    "load_shapes",
    "load_voxels",
    "marching_cubes",
    "normalize",
    "sample_surface",
    "save_mesh",
    "save_voxels",
    "soft_surface",
]
