"""Differentiable perceptual distance between 3D shapes, as a training loss and as an evaluation metric."""

__all__ = ["__version__"]

__version__ = "0.1.0"
