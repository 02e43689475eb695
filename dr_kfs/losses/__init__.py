"""What is meant to be minimised: losses of meshes, of points and of images, and their weighted sum."""

from dr_kfs.losses.balancing import (
    Balancer,
    FixedBalancer,
    GradientRatioBalancer,
    GradNormBalancer,
    RunningValueBalancer,
    TermStatistics,
    UncertaintyBalancer,
)
from dr_kfs.losses.chamfer import CHAMFER_PRESETS, ChamferConvention, ChamferLoss, chamfer_loss
from dr_kfs.losses.cotangent_laplacian import CotangentLaplacianLoss, cotangent_laplacian_loss
from dr_kfs.losses.density_aware_chamfer import DensityAwareChamferLoss, density_aware_chamfer_loss
from dr_kfs.losses.depth import DepthLoss, depth_loss
from dr_kfs.losses.edge_length import EdgeLengthLoss, edge_length_loss
from dr_kfs.losses.emd import EMDLoss, emd_loss
from dr_kfs.losses.flatten import FlattenLoss, flatten_loss
from dr_kfs.losses.hybrid import HybridLoss, TermReport
from dr_kfs.losses.hyper_chamfer import HyperChamferLoss, hyper_chamfer_loss
from dr_kfs.losses.image import ImageLoss, image_loss
from dr_kfs.losses.info_chamfer import InfoChamferLoss, info_chamfer_loss
from dr_kfs.losses.kro import KROLoss, kro_loss
from dr_kfs.losses.laplacian import UniformLaplacianLoss, uniform_laplacian_loss
from dr_kfs.losses.loss_term import LossTerm, Takes
from dr_kfs.losses.normal_consistency import NormalConsistencyLoss, normal_consistency_loss
from dr_kfs.losses.normal_map import NormalMapLoss, normal_map_loss
from dr_kfs.losses.qal import QALLoss, QALTerms, qal_loss, qal_terms
from dr_kfs.losses.schedules import Schedule, cosine, object_space_first, ramp, warm_up
from dr_kfs.losses.silhouette_iou import SilhouetteIoULoss, silhouette_iou_loss
from dr_kfs.losses.soft_matching import SoftMatchingLoss, soft_matching_loss

__all__ = [
    "CHAMFER_PRESETS",
    "Balancer",
    "ChamferConvention",
    "ChamferLoss",
    "CotangentLaplacianLoss",
    "DensityAwareChamferLoss",
    "DepthLoss",
    "EMDLoss",
    "EdgeLengthLoss",
    "FixedBalancer",
    "FlattenLoss",
    "GradNormBalancer",
    "GradientRatioBalancer",
    "HybridLoss",
    "HyperChamferLoss",
    "ImageLoss",
    "InfoChamferLoss",
    "KROLoss",
    "LossTerm",
    "NormalConsistencyLoss",
    "NormalMapLoss",
    "QALLoss",
    "QALTerms",
    "RunningValueBalancer",
    "Schedule",
    "SilhouetteIoULoss",
    "SoftMatchingLoss",
    "Takes",
    "TermReport",
    "TermStatistics",
    "UncertaintyBalancer",
    "UniformLaplacianLoss",
    "chamfer_loss",
    "cosine",
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
    "object_space_first",
    "qal_loss",
    "qal_terms",
    "ramp",
    "silhouette_iou_loss",
    "soft_matching_loss",
    "uniform_laplacian_loss",
    "warm_up",
]
