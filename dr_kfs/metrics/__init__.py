"""What only scores, and is never minimised."""

from dr_kfs.metrics.f_score import f_score
from dr_kfs.metrics.point_scores import PointScores, point_noise_floor, point_scores
from dr_kfs.metrics.visual_scores import VisualScores, visual_scores

__all__ = ["PointScores", "VisualScores", "f_score", "point_noise_floor", "point_scores", "visual_scores"]
