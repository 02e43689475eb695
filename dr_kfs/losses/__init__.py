"""What is meant to be minimised: losses of meshes, of points and of images."""

from dr_kfs.losses.chamfer import CHAMFER_PRESETS, ChamferConvention, ChamferLoss, chamfer_loss
from dr_kfs.losses.cotangent_laplacian import CotangentLaplacianLoss, cotangent_laplacian_loss
from dr_kfs.losses.density_aware_chamfer import DensityAwareChamferLoss, density_aware_chamfer_loss
from dr_kfs.losses.depth import DepthLoss, depth_loss
from dr_kfs.losses.edge_length import EdgeLengthLoss, edge_length_loss
from dr_kfs.losses.emd import EMDLoss, emd_loss
from dr_kfs.losses.flatten import FlattenLoss, flatten_loss
from dr_kfs.losses.hyper_chamfer import HyperChamferLoss, hyper_chamfer_loss
from dr_kfs.losses.image import ImageLoss, image_loss
from dr_kfs.losses.info_chamfer import InfoChamferLoss, info_chamfer_loss
from dr_kfs.losses.kro import KROLoss, kro_loss
from dr_kfs.losses.laplacian import UniformLaplacianLoss, uniform_laplacian_loss
from dr_kfs.losses.normal_consistency import NormalConsistencyLoss, normal_consistency_loss
from dr_kfs.losses.normal_map import NormalMapLoss, normal_map_loss
from dr_kfs.losses.qal import QALLoss, QALTerms, qal_loss, qal_terms
from dr_kfs.losses.silhouette_iou import SilhouetteIoULoss, silhouette_iou_loss
from dr_kfs.losses.soft_matching import SoftMatchingLoss, soft_matching_loss

__all__ = [
    "CHAMFER_PRESETS",
    "ChamferConvention",
    "ChamferLoss",
    "CotangentLaplacianLoss",
    "DensityAwareChamferLoss",
    "DepthLoss",
    "EMDLoss",
    "EdgeLengthLoss",
    "FlattenLoss",
    "HyperChamferLoss",
    "ImageLoss",
    "InfoChamferLoss",
    "KROLoss",
    "NormalConsistencyLoss",
    "NormalMapLoss",
    "QALLoss",
    "QALTerms",
    "SilhouetteIoULoss",
    "SoftMatchingLoss",
    "UniformLaplacianLoss",
    "chamfer_loss",
    "cotangent_laplacian_loss",
    "density_aware_chamfer_loss",
    "depth_loss",
    "edge_length_loss",
    "emd_loss",
    "flatten_loss",
    "hyper_chamfer_loss",
    "image_loss",
    "info_chamfer_loss",
    "kro_loss",
    "normal_consistency_loss",
    "normal_map_loss",
    "qal_loss",
    "qal_terms",
    "silhouette_iou_loss",
    "soft_matching_loss",
    "uniform_laplacian_loss",
]
