"""What is meant to be minimised: losses of meshes, of points and of images."""

from dr_kfs.losses.chamfer import CHAMFER_PRESETS, ChamferConvention, ChamferLoss, chamfer_loss
from dr_kfs.losses.density_aware_chamfer import DensityAwareChamferLoss, density_aware_chamfer_loss
from dr_kfs.losses.edge_length import EdgeLengthLoss, edge_length_loss
from dr_kfs.losses.emd import EMDLoss, emd_loss
from dr_kfs.losses.hyper_chamfer import HyperChamferLoss, hyper_chamfer_loss
from dr_kfs.losses.image import ImageLoss, image_loss
from dr_kfs.losses.info_chamfer import InfoChamferLoss, info_chamfer_loss
from dr_kfs.losses.kro import KROLoss, kro_loss
from dr_kfs.losses.laplacian import UniformLaplacianLoss, uniform_laplacian_loss
from dr_kfs.losses.normal_consistency import NormalConsistencyLoss, normal_consistency_loss
from dr_kfs.losses.qal import QALLoss, QALTerms, qal_loss, qal_terms
from dr_kfs.losses.soft_matching import SoftMatchingLoss, soft_matching_loss

__all__ = [
    "CHAMFER_PRESETS",
    "ChamferConvention",
    "ChamferLoss",
    "DensityAwareChamferLoss",
    "EMDLoss",
    "EdgeLengthLoss",
    "HyperChamferLoss",
    "ImageLoss",
    "InfoChamferLoss",
    "KROLoss",
    "NormalConsistencyLoss",
    "QALLoss",
    "QALTerms",
    "SoftMatchingLoss",
    "UniformLaplacianLoss",
    "chamfer_loss",
    "density_aware_chamfer_loss",
    "edge_length_loss",
    "emd_loss",
    "hyper_chamfer_loss",
    "image_loss",
    "info_chamfer_loss",
    "kro_loss",
    "normal_consistency_loss",
    "qal_loss",
    "qal_terms",
    "soft_matching_loss",
    "uniform_laplacian_loss",
]
