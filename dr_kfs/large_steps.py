"""Smooth descent for meshes: gradients of pixels, spread over the surface before a step is made."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from dr_kfs.geometry import Meshes
from dr_kfs.losses._mesh_topology import edges_of


class LargeSteps:
    """Descent in the space of smooth motions: `v <- v - rate * m / sqrt(max_i s_i)`, `g' = (I + smoothing L)^-2 g`.

    Image gradients are sparse and rough: they sit at outlines, and following them crumples the mesh. L is the
    combinatorial Laplacian (degree minus adjacency), so `g'` moves neighbourhoods together. m is the running mean of
    g', and the running mean s of g'^2 enters by its largest entry only, which keeps g' smooth (uniform Adam).

    Args:
        meshes: the topology.
        smoothing: lambda, in squared edges; 0 makes it uniform Adam.
        betas: decay of the two running means.

    References:
        Nicolet, Jacobson, Jakob, "Large Steps in Inverse Rendering of Geometry", SIGGRAPH Asia 2021, Eq. 9 and 12.
    """

    def __init__(self, meshes: Meshes, *, smoothing: float, betas: tuple[float, float] = (0.9, 0.999)) -> None:
        from scipy.sparse import coo_matrix, eye
        from scipy.sparse.linalg import splu

        if smoothing < 0:
            raise ValueError(f"smoothing must not be negative, got {smoothing}.")
        count = len(meshes.vertices)
        ends = edges_of(meshes).vertices.cpu().numpy()
        ones = torch.ones(len(ends)).double().numpy()
        adjacency = coo_matrix((ones, (ends[:, 0], ends[:, 1])), shape=(count, count))
        adjacency = (adjacency + adjacency.T).tocsr()
        degree = coo_matrix((adjacency.sum(1).A1, (range(count), range(count))), shape=(count, count))
        self._factorized = splu((eye(count) + smoothing * (degree - adjacency)).tocsc())
        self.betas = betas
        self.state = {
            "mean": torch.zeros_like(meshes.vertices),
            "square": torch.zeros_like(meshes.vertices),
            "steps": torch.zeros((), dtype=torch.long),
        }

    def smoothed(self, gradient: Float[Tensor, "N 3"]) -> Float[Tensor, "N 3"]:
        """`(I + smoothing L)^-2 g`, solved in float64 on the CPU."""
        values = gradient.detach().double().cpu().numpy()
        return torch.from_numpy(self._factorized.solve(self._factorized.solve(values))).to(gradient)

    def step(self, vertices: Float[Tensor, "N 3"], gradient: Float[Tensor, "N 3"], *, rate: float) -> None:
        """Move `vertices` in place, the fastest coordinate by about `rate` [units of the vertices].

        By no more in the first step; later by more than that while gradients grow, and by less while they turn.
        """
        first, second = self.betas
        smooth = self.smoothed(gradient)
        self.state["mean"].lerp_(smooth, 1.0 - first)
        self.state["square"].lerp_(smooth.square(), 1.0 - second)
        self.state["steps"] += 1
        steps = int(self.state["steps"])
        largest = (self.state["square"].amax() / (1.0 - second**steps)).sqrt()
        mean = self.state["mean"] / (1.0 - first**steps)
        with torch.no_grad():  # the step itself is not part of any graph
            vertices -= rate * mean / largest.clamp_min(1e-20)
