"""Keypoint (PoI) maps of rendered views."""

from dr_kfs.keypoints.ghh import GHHDetector, ghh_response

__all__ = ["GHHDetector", "ghh_response"]
