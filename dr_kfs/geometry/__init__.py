"""Batches of triangle meshes: reading, normalising and sampling them."""

from dr_kfs.geometry.meshes import Meshes, as_meshes

__all__ = ["Meshes", "as_meshes"]
