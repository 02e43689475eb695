"""An audit of distances between shapes: graded edits of labelled shapes, and whether a distance orders them.

    targets, splits ──► edits ──► distances ──► rows ──► scores ──► report, picture
    which shapes        what is    yours too     kept     what       tables, JSON, curves
                        done                     on disk  they say

Two of the labels are the paper's: removed bars against shifted ones (Table 5), and a removed leg against legs
changed to the same Chamfer distance (Figure 2). The other edits and labels, the scores and the intervals are ours.

>>> from dr_kfs.audit import audit, load_distance
>>> distances = [load_distance("chamfer"), load_distance("my_metric.py:distance")]
>>> report = audit(distances, families=["chair", "table"], shapes_per_family=10)

References:
    Jin, Patil, Xiong, Zhang, "DR-KFS: A Differentiable Visual Similarity Metric for 3D Shape Reconstruction",
    ECCV 2020, Figure 2 and Table 5.
"""

from __future__ import annotations

from dr_kfs.audit.distances import (
    DISTANCES,
    ChamferDistance,
    Distance,
    DRKFSDistance,
    FunctionDistance,
    VoxelIoUDistance,
    as_distance,
    make_distance,
)
from dr_kfs.audit.edits import EDITS, Edit, select_edits
from dr_kfs.audit.orderings import Ordering, labelled_orderings
from dr_kfs.audit.own_distances import load_distance
from dr_kfs.audit.picture import audit_picture, check_matplotlib, save_audit_picture
from dr_kfs.audit.report import edit_table, report_json, score_table
from dr_kfs.audit.rows import Row
from dr_kfs.audit.run import AuditReport, audit
from dr_kfs.audit.scores import DistanceScores, Estimate, bootstrap_mean, score, spearman
from dr_kfs.audit.splits import SPLITS, split_seeds
from dr_kfs.audit.targets import NotApplicableError, limbs, target_shape
from dr_kfs.audit.view_distances import SilhouetteRenderer, ViewMSE, front_silhouette_renderer

__all__ = [
    "DISTANCES",
    "EDITS",
    "SPLITS",
    "AuditReport",
    "ChamferDistance",
    "DRKFSDistance",
    "Distance",
    "DistanceScores",
    "Edit",
    "Estimate",
    "FunctionDistance",
    "NotApplicableError",
    "Ordering",
    "Row",
    "SilhouetteRenderer",
    "ViewMSE",
    "VoxelIoUDistance",
    "as_distance",
    "audit",
    "audit_picture",
    "bootstrap_mean",
    "check_matplotlib",
    "edit_table",
    "front_silhouette_renderer",
    "labelled_orderings",
    "limbs",
    "load_distance",
    "make_distance",
    "report_json",
    "save_audit_picture",
    "score",
    "score_table",
    "select_edits",
    "spearman",
    "split_seeds",
    "target_shape",
]
