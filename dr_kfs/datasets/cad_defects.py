"""Shapes as real CAD files have them: open, doubled, flipped, unwelded, and still looking the same from outside.

The parts of a generated shape are closed, consistently wound meshes, which few downloaded models are. What users
hand to a measure has no bottom where nobody looks, single sheets for boards, faces twice, windings at random. A
measure of what is *seen* should not care, and a detector that has only met clean meshes might.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal, get_args

import numpy as np

from dr_kfs.datasets.choices import part_stream
from dr_kfs.datasets.hidden_faces import hidden_faces
from dr_kfs.datasets.mesh_adjacency import connected_pieces, edge_pairs, face_normals, smooth_regions
from dr_kfs.datasets.outlines import Number
from dr_kfs.datasets.procedural import LabelledShape, Part

__all__ = ["DEFECTS", "Defect", "with_cad_defects"]

Defect = Literal["hidden", "caps", "sheets", "junctions", "doubled", "flipped", "unwelded"]
DEFECTS: tuple[Defect, ...] = get_args(Defect)
"""In the order in which they are applied:

- hidden: faces that lie inside another part are gone, so that the parts are open where they meet;
- caps: bars are open at their ends;
- sheets: a thin plate is one open layer in its middle, a thin wall that is bent is its outer side alone;
- junctions: edges are divided on one side only (T-junctions);
- doubled: some faces are there twice, one half of the copies with the other winding (edges of three and four faces);
- flipped: a part is wound inside out, or faces of it at random;
- unwelded: each face of a part has its own three vertices.
"""

THIN = 0.012
"""A wall up to this thick [shape diagonals] may become a sheet."""
NARROW = 0.05
"""A bar's end up to this wide [shape diagonals] may lose its cap."""
FEW = 0.15
"""Share of a part's faces (or edges) that is doubled, flipped alone, or gets a T-junction."""

_Mesh = tuple[np.ndarray, np.ndarray]


def with_cad_defects(
    shape: LabelledShape, seed: int, *, defects: Collection[Defect] = DEFECTS, share: Number = 0.6
) -> LabelledShape:
    """The shape as a careless CAD export of it, nearly the same to look at.

    The silhouette changes by no more than half a plate's thickness. No part disappears, and part names stay.

    Args:
        shape: a shape whose parts are closed, or mostly: an open part has no inside that could hide anything.
        seed: of the random choices; each part has its own stream.
        defects: what may happen; see `DEFECTS`.
        share: probability of each defect in each part (of hidden faces, caps and sheets: in each piece) [0, 1].

    Raises:
        ValueError: an unknown defect, or a share outside [0, 1].
    """
    if unknown := sorted(set(defects) - set(DEFECTS)):
        raise ValueError(f"unknown defects {unknown}; choose from {list(DEFECTS)}")
    if not 0 <= share <= 1:
        raise ValueError(f"share must be a probability in [0, 1], got {share}")
    chosen: list[Defect] = [defect for defect in DEFECTS if defect in defects]
    hidden = hidden_faces(shape) if "hidden" in chosen else {}
    diagonal = float(np.linalg.norm(np.ptp(shape.to_mesh()[0], axis=0)))
    parts = {}
    for name, part in shape.parts.items():
        stream = part_stream(seed, name)
        mesh = (part.vertices, part.faces)
        # A draw for every defect, so that leaving one out does not change the others.
        happens = {defect: bool(stream.random() < share) for defect in DEFECTS}
        streams = dict(zip(DEFECTS, stream.spawn(len(DEFECTS)), strict=True))
        mesh = _opened(mesh, hidden.get(name), chosen, streams, diagonal, float(share))
        for defect, apply in (("junctions", _junctions), ("doubled", _doubled), ("flipped", _flipped)):
            if defect in chosen and happens[defect]:
                mesh = apply(mesh, streams[defect])
        if "unwelded" in chosen and happens["unwelded"]:
            mesh = mesh[0][mesh[1]].reshape(-1, 3), np.arange(3 * len(mesh[1])).reshape(-1, 3)
        parts[name] = Part(name, *_without_unused(mesh))
    return shape.edited("with_cad_defects", [int(seed), *chosen, float(share)], parts)


def _opened(
    mesh: _Mesh,
    hidden: np.ndarray | None,
    chosen: list[Defect],
    streams: dict[Defect, np.random.Generator],
    diagonal: float,
    share: float,
) -> _Mesh:
    """Each piece of a part with its hidden faces and caps taken away, or as a sheet."""
    vertices, faces = mesh
    pieces = connected_pieces(faces)
    kept, moved = np.ones(len(faces), dtype=bool), vertices.copy()
    for piece in range(pieces.max() + 1):
        own = np.flatnonzero(pieces == piece)
        stays = np.ones(len(own), dtype=bool)
        happens = {d: streams[d].random() < share and d in chosen for d in ("hidden", "caps", "sheets")}
        if 2 * len(edge_pairs(faces[own])) != 3 * len(own):
            continue  # already open: nothing to take away
        sheet = _sheet(vertices, faces[own], diagonal, streams["sheets"]) if happens["sheets"] else None
        if sheet is not None:
            stays, offsets = sheet
            used = np.unique(faces[own][stays])
            moved[used] += offsets
        elif happens["caps"]:
            stays = ~_caps(vertices, faces[own], diagonal)
        if hidden is not None and happens["hidden"] and (stays & ~hidden[own]).any():
            stays &= ~hidden[own]
        if stays.any():
            kept[own] = stays
    return moved, faces[kept]


def _sheet(
    vertices: np.ndarray, faces: np.ndarray, diagonal: float, stream: np.random.Generator
) -> tuple[np.ndarray, np.ndarray] | None:
    """Which faces of a thin closed piece make its sheet, and how its vertices move: a plate's to its middle.

    None if the piece is not two large smooth sides, one wall apart.
    """
    normals, areas = face_normals(vertices, faces)
    corners = vertices[faces] - vertices[faces[0, 0]]
    volume = float(np.einsum("ij,ij->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2]))) / 6
    if not 0 < 2 * volume < THIN * diagonal * float(areas.sum()):
        return None
    regions = smooth_regions(vertices, faces, 40)
    sizes = np.bincount(regions, weights=areas)
    if len(sizes) < 2:
        return None
    second, first = np.argsort(sizes)[-2:]
    thickness = 2 * volume / float(sizes[first] + sizes[second])
    if sizes[second] < 0.3 * areas.sum() or thickness > min(THIN * diagonal, 0.22 * float(np.sqrt(sizes[first]))):
        return None
    if alike := bool(sizes[second] > 0.995 * sizes[first]):
        first = (first, second)[int(stream.random() < 0.5)]
    stays = regions == first
    pushes = np.zeros_like(vertices)
    for corner in range(3):
        np.add.at(pushes, faces[stays, corner], areas[stays, None] * normals[stays])
    used = np.unique(faces[stays])
    length = np.linalg.norm(pushes[used], axis=1, keepdims=True)
    # The outer side of a bowl stays where it is seen.
    depth = 0.5 * thickness if alike else 0.0
    return stays, -depth * pushes[used] / np.maximum(length, 1e-300)


def _caps(vertices: np.ndarray, faces: np.ndarray, diagonal: float) -> np.ndarray:
    """Small flat compact regions with a sharp rim: the ends of bars."""
    normals, areas = face_normals(vertices, faces)
    regions = smooth_regions(vertices, faces, 40)
    sizes = np.bincount(regions, weights=areas)
    caps = np.zeros(len(faces), dtype=bool)
    for region in np.flatnonzero(sizes < 0.05 * areas.sum()):
        own = regions == region
        if (normals[own] @ normals[own][0]).min() < 0.9999:
            continue
        points = vertices[np.unique(faces[own])]
        width = float(np.linalg.norm(points - points.mean(axis=0), axis=1).max()) * 2
        # A compact region fills a good part of the disc around it; the chamfer along an edge does not.
        if width < NARROW * diagonal and sizes[region] > 0.45 * np.pi / 4 * width**2:
            caps |= own
    return caps


def _junctions(mesh: _Mesh, stream: np.random.Generator) -> _Mesh:
    """Some faces cut in two at the middle of an edge that stays whole in the face beside it."""
    vertices, faces = mesh
    cut = np.flatnonzero(stream.random(len(faces)) < FEW)
    if not len(cut):
        return mesh
    turn = stream.integers(0, 3, size=len(cut))
    a, b, c = (faces[cut, (turn + k) % 3] for k in range(3))
    middle = len(vertices) + np.arange(len(cut))
    faces = faces.copy()
    faces[cut] = np.column_stack([a, middle, c])
    vertices = np.concatenate([vertices, (vertices[a] + vertices[b]) / 2])
    return vertices, np.concatenate([faces, np.column_stack([middle, b, c])])


def _doubled(mesh: _Mesh, stream: np.random.Generator) -> _Mesh:
    vertices, faces = mesh
    copies = faces[stream.random(len(faces)) < FEW]
    turned = stream.random(len(copies)) < 0.5
    copies = np.where(turned[:, None], copies[:, ::-1], copies)
    return vertices, np.concatenate([faces, copies])


def _flipped(mesh: _Mesh, stream: np.random.Generator) -> _Mesh:
    vertices, faces = mesh
    turned = np.ones(len(faces), dtype=bool) if stream.random() < 0.5 else stream.random(len(faces)) < FEW
    return vertices, np.where(turned[:, None], faces[:, ::-1], faces)


def _without_unused(mesh: _Mesh) -> _Mesh:
    used, index = np.unique(mesh[1], return_inverse=True)
    return mesh[0][used], index.reshape(-1, 3).astype(np.int64)
