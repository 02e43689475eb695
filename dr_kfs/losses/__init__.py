"""What is meant to be minimised: losses of meshes."""

from dr_kfs.losses.edge_length import EdgeLengthLoss, edge_length_loss
from dr_kfs.losses.image import ImageLoss, image_loss
from dr_kfs.losses.laplacian import UniformLaplacianLoss, uniform_laplacian_loss
from dr_kfs.losses.normal_consistency import NormalConsistencyLoss, normal_consistency_loss

__all__ = [
    "EdgeLengthLoss",
    "ImageLoss",
    "NormalConsistencyLoss",
    "UniformLaplacianLoss",
    "edge_length_loss",
    "image_loss",
    "normal_consistency_loss",
    "uniform_laplacian_loss",
]
