"""What only scores, and is never minimised."""

from dr_kfs.metrics.point_scores import PointScores, point_noise_floor, point_scores

__all__ = ["PointScores", "point_noise_floor", "point_scores"]
