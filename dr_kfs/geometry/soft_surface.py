"""The expected surface of a volume: every triangle that may be there, as opaque as it is probable."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from dr_kfs.geometry import _packing as packing
from dr_kfs.geometry._cell_probabilities import triangle_probabilities, triangle_table
from dr_kfs.geometry._cell_surface import corner_offsets, strides_of
from dr_kfs.geometry._field_kinds import check_level, crossing_place
from dr_kfs.geometry._marching_cubes_table import EDGE_AXES, EDGE_STARTS
from dr_kfs.geometry._padded_grid import item_offsets, padded_samples, points_on_edges
from dr_kfs.geometry.meshes import Meshes
from dr_kfs.geometry.normalization import Frame, bounding_frame, normalize
from dr_kfs.geometry.voxels import VoxelGrid, expect_grid

__all__ = ["SoftSurface", "normalize_surface", "soft_surface", "surface_frame"]

_DOUBT = 4
"""How much an explored sample is doubted [least opacities]: enough that each triangle around it is drawn which appears
or vanishes with it alone, and too little for those that need a second sample to change."""
_MAX_LEAST = 0.04
"""Largest least opacity, up to which the above holds."""
_CHUNK = 8192
"""Cells whose 256 cases are in memory at once: 8 MB in float32, and a few times that."""


@final
@dataclass(frozen=True, eq=False, repr=False)
class SoftSurface:
    """Triangles of B shapes that are there with some probability each.

    `SoftRenderer` draws it with the opacities, and `DRKFSLoss`, `ImageLoss`, `SilhouetteIoULoss`, `DepthLoss` and a
    `HybridLoss` of these take it as the predicted shape. It is no mesh for anything else: its triangles overlap, and
    most are probably not there. `marching_cubes` makes a mesh of the same grid.
    """

    meshes: Meshes
    """The triangles, in world units."""
    face_opacity: Float[Tensor, " F"]
    """Probability of each face of the batch [0, 1]."""

    def __post_init__(self) -> None:
        if self.face_opacity.shape != (len(self.meshes.faces),) or self.face_opacity.device != self.meshes.device:
            raise ValueError(
                f"SoftSurface needs one opacity per face, shape ({len(self.meshes.faces)},) on {self.meshes.device}, "
                f"got {tuple(self.face_opacity.shape)} on {self.face_opacity.device}."
            )

    def __len__(self) -> int:
        return len(self.meshes)

    def __getitem__(self, index: Any) -> SoftSurface:
        """Some of the items, as a batch: an integer gives a batch of one; otherwise as for `Meshes`."""
        items = packing.item_numbers(index, len(self))
        rows, _, _ = packing.gather(self.meshes.face_offsets, items, self.device)
        return SoftSurface(self.meshes[items], self.face_opacity[rows])

    def normalized(self, frame: Frame) -> SoftSurface:
        """The surface in a frame, as `normalize` does to meshes; it has no box of its own."""
        return replace(self, meshes=normalize(self.meshes, frame))

    @property
    def device(self) -> torch.device:
        """Where the tensors live."""
        return self.meshes.device

    def __repr__(self) -> str:
        return f"SoftSurface({self.meshes!r})"


def surface_frame(surface: Meshes | SoftSurface) -> Frame:
    """The `bounding_frame` of what a renderer draws.

    Raises:
        ValueError: a soft surface, most of whose triangles are probably not there.
    """
    if isinstance(surface, SoftSurface):
        raise ValueError('A SoftSurface has no box of its own: use normalize="target" or "none".')
    return bounding_frame(surface)


def normalize_surface(surface: Meshes | SoftSurface, frame: Frame) -> Meshes | SoftSurface:
    """`normalize` of what a renderer draws."""
    return surface.normalized(frame) if isinstance(surface, SoftSurface) else normalize(surface, frame)


def soft_surface(
    grid: VoxelGrid,
    *,
    least_opacity: float = 0.005,
    explore: Bool[Tensor, "B X Y Z"] | bool = False,
) -> SoftSurface:
    """The surface of a volume whose samples are inside with a probability each, for growing and losing parts.

    `marching_cubes` has a gradient where its surface is, and none elsewhere: a part that no sample is inside of
    never appears. Here a sample with probability p is inside with probability p, independently of the others, and
    every triangle that marching cubes would draw for some of the outcomes is drawn, with its probability as opacity:

        P(T) = prod_c p_c^T_c (1 - p_c)^(1 - T_c)       for the 256 ways T in which a cell's corners c can lie
        opacity of a triangle = sum of P(T) over the T that have it

    A picture of it answers to every probability: where haze makes the picture better, p rises and a part grows; a
    part that should not be there fades, a solid one from its outside inwards, as a sample less in its middle is a
    cavity, with a surface of its own. Where all p are near 0 or 1 the surface is that of `marching_cubes`,
    vertices too.

    Vertices lie on the edges of the grid, at

        t = 1/2 + w (t_mc - 1/2),        w = max(0, 2 p_in - 1) max(0, 1 - 2 p_out),

    t_mc being `marching_cubes`'s place: there when the ends are surely inside and outside, in the middle where the
    surface is not known to cross the edge, so that the haze of an improbable part does not shrink to nothing.

    Liao et al. have the probabilities of the cases and the expectation over them; theirs is that of a distance from
    points to triangles, and a network gives the places of the vertices. Ours are the merging of equal triangles,
    the places, the choice of triangles, and the rendering, which knows nothing of cases: the triangles of one cell
    exclude each other, but are drawn as independent.

    **What is drawn.** Triangles with an opacity of `least_opacity` and more. Far from the surface a sample below it has
    no gradient, so that a grid which is sure of itself costs little, and an empty one has none, unless it is explored:
    around the samples that `explore` names, all triangles are drawn that one sample's change of sides brings,
    whatever their opacity, even 0. Then they do not change the picture, and their gradient says whether they
    should be there. All samples of an empty 64^3 grid make two million triangles; a few, drawn anew for every step, do
    as well: `explore=torch.rand_like(grid.values) < 0.05`.

    **What it costs.** A ball in a 64^3 grid has 13,484 triangles in `marching_cubes`. Here it has 18,448 with p = 0.97
    and 0.03 and a least opacity of 0.03, 126,000 with 5 % of the samples explored, and 541,000 when it is blurred over
    a few samples. A renderer keeps every triangle at every pixel that it covers, some 56 bytes each, which
    `DRKFSLoss.step_plan` counts. Haze adds up, too: a ray through 64 cells of p = 0.02 sees more of it than of a shape
    behind. So keep p low where nothing is known, and below 1 while parts may have to vanish: a face that is surely
    there hides whether the one behind it is. `VoxelFit` keeps p within [0.025, 0.975], and explores where views differ.

    Args:
        grid: B volumes of probabilities or logits.
        least_opacity: triangles with less are left out [in (0, 0.04]].
        explore: samples around which triangles of any opacity are drawn; True for all.

    Returns:
        B sets of triangles in world units, in at least float32; gradients flow to the values, origin and spacing.

    Raises:
        TypeError: something other than a `VoxelGrid`.
        ValueError: signed distances; values that are not finite or no probabilities (the message names the item);
            a least opacity that is not in (0, 0.04]; an `explore` of another shape or device.

    References:
        Y. Liao, S. Donne, A. Geiger: Deep Marching Cubes: Learning Explicit Surface Representations. CVPR 2018: the
        probabilities of the topologies, and the expectation over them.
    """
    expect_grid(grid)
    if grid.kind == "distance":
        raise ValueError(
            "Expected a grid of probabilities or logits, got signed distances, which say nothing of how sure they "
            'are. Choose a width: grid = replace(grid, values=-grid.values / width, kind="logit").'
        )
    if not 0 < least_opacity <= _MAX_LEAST:
        raise ValueError(f"Expected a least_opacity in (0, {_MAX_LEAST}], got {least_opacity}.")
    if isinstance(explore, Tensor) and (explore.shape != grid.values.shape or explore.device != grid.device):
        raise ValueError(
            f"Expected explore of shape {tuple(grid.values.shape)} on {grid.device}, like the grid's values, got "
            f"{tuple(explore.shape)} on {explore.device}."
        )
    samples = padded_samples(grid, check_level(None, grid.kind))
    inside = samples.sigmoid() if grid.kind == "logit" else samples
    with torch.no_grad():  # which triangles are drawn is a discrete choice
        cell, triangle = _choose(_doubted(inside, explore, _DOUBT * least_opacity), least_opacity)

    edges = torch.from_numpy(triangle_table().edges).to(grid.device)[triangle]
    starts = torch.tensor(corner_offsets(inside.shape), device=grid.device)[list(EDGE_STARTS)]
    axes = torch.tensor(EDGE_AXES, device=grid.device)
    edge, faces = torch.unique(3 * (cell[:, None] + starts[edges]) + axes[edges], return_inverse=True)
    place = _places(grid, samples, inside, edge // 3, edge % 3)
    meshes = Meshes(
        vertices=points_on_edges(grid, samples, edge // 3, edge % 3, place),
        faces=faces,
        vertex_offsets=item_offsets(samples, edge // 3),
        face_offsets=item_offsets(samples, cell),
    )
    return SoftSurface(meshes, _opacity(inside, cell, triangle))


def _doubted(inside: Tensor, explore: Tensor | bool, doubt: float) -> Tensor:
    """The probabilities by which triangles are chosen: those of explored samples are neither 0 nor 1."""
    if explore is False:
        return inside
    clamped = inside.clone()
    inner = clamped[:, 1:-1, 1:-1, 1:-1]  # what is around the grid is outside for good
    inner.copy_(torch.where(torch.as_tensor(explore, device=inside.device), inner.clamp(doubt, 1 - doubt), inner))
    return clamped


def _choose(doubted: Tensor, least: float) -> tuple[Int[Tensor, " F"], Int[Tensor, " F"]]:
    """Cell and triangle of all faces that are probable enough, cell by cell."""
    # A triangle has a corner inside and one outside. On the flattened grid, as in `active_cells`.
    low = high = doubted.flatten()
    for stride in strides_of(doubted.shape):
        low, high = torch.minimum(low[:-stride], low[stride:]), torch.maximum(high[:-stride], high[stride:])
    cells = ((high >= least) & (low <= 1 - least)).nonzero().squeeze(1)
    found = []
    for part in cells.split(_CHUNK):
        row, triangle = (triangle_probabilities(_corners(doubted, part)) >= least).nonzero().unbind(1)
        found.append((part[row], triangle))
    return torch.cat([cell for cell, _ in found]), torch.cat([triangle for _, triangle in found])


def _corners(inside: Tensor, cells: Int[Tensor, " K"]) -> Float[Tensor, "K 8"]:
    offsets = torch.tensor(corner_offsets(inside.shape), device=inside.device)
    return inside.flatten()[cells[:, None] + offsets]


def _opacity(inside: Tensor, cell: Int[Tensor, " F"], triangle: Int[Tensor, " F"]) -> Float[Tensor, " F"]:
    """The probability of triangles of cells, these ascending."""
    cells, row = torch.unique_consecutive(cell, return_inverse=True)
    firsts = torch.arange(0, len(cells), _CHUNK, device=row.device)
    bounds = pairwise([*torch.searchsorted(row, firsts).tolist(), len(row)])

    def probabilities(corners: Tensor, row: Tensor, triangle: Tensor) -> Tensor:
        return triangle_probabilities(corners)[row, triangle]

    parts = [inside.flatten()[:0]]
    for (first, last), corners in zip(bounds, _corners(inside, cells).split(_CHUNK), strict=False):
        faces = row[first:last] - row[first], triangle[first:last]
        # The cases are not kept but made again in the backward pass, to save their memory.
        parts.append(checkpoint(probabilities, corners, *faces, use_reentrant=False, preserve_rng_state=False))
    opacity = torch.cat(parts)
    # Rounding leaves [0, 1] by some 1e-7; that is no reason to lose the gradient, so the excess is taken off detached.
    return opacity + (opacity.clamp(0.0, 1.0) - opacity).detach()


def _places(
    grid: VoxelGrid, samples: Tensor, inside: Tensor, start: Int[Tensor, " N"], axis: Int[Tensor, " N"]
) -> Float[Tensor, " N"]:
    """Where the vertices lie on their edges, 0 at the start and 1 at the end."""
    end = start + torch.tensor(strides_of(samples.shape), device=start.device)[axis]
    a, b = inside.flatten()[start], inside.flatten()[end]
    known = (2 * a - 1).clamp(min=0) * (1 - 2 * b).clamp(min=0) + (1 - 2 * a).clamp(min=0) * (2 * b - 1).clamp(min=0)
    # Elsewhere the level does not lie between the ends: any two values that are not equal keep infinities out.
    crossed = known > 0
    a = torch.where(crossed, samples.flatten()[start], 0.25)
    b = torch.where(crossed, samples.flatten()[end], 0.75)
    place = crossing_place(a, b, check_level(None, grid.kind), grid.kind, torch.ones_like(a))
    return 0.5 + known * (place - 0.5)
