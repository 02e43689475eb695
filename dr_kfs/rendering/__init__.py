"""Shaded views of meshes: cameras, light, and a differentiable soft rasterizer."""

from dr_kfs.rendering.cameras import Cameras, hemisphere_rig
from dr_kfs.rendering.lighting import Lighting
from dr_kfs.rendering.normal_maps import render_normals
from dr_kfs.rendering.renderer import SoftRenderer, Views
from dr_kfs.rendering.softras import RasterizedViews, rasterize_meshes, soft_rasterize

__all__ = [
    "Cameras",
    "Lighting",
    "RasterizedViews",
    "SoftRenderer",
    "Views",
    "hemisphere_rig",
    "rasterize_meshes",
    "render_normals",
    "soft_rasterize",
]
