from __future__ import annotations

import numpy as np

from dr_kfs.datasets.mesh_adjacency import connected_pieces, edge_pairs, face_normals, smooth_regions, unique_edges
from dr_kfs.datasets.primitives import box, cylinder, join

CUBE = box((1, 1, 1))


class TestEdges:
    def test_unique_edges(self):
        edges, edge_of = unique_edges(CUBE.faces)
        assert edges.shape == (18, 2)
        corners = CUBE.faces[:, [[0, 1], [1, 2], [2, 0]]]
        assert np.array_equal(edges[edge_of], np.sort(corners, axis=2))

    def test_pairs_of_a_closed_mesh(self):
        a, b, first, second = edge_pairs(CUBE.faces).T
        assert len(a) == 18
        for face, start, stop in ((first, a, b), (second, b, a)):
            turned = [CUBE.faces[face][:, [k, (k + 1) % 3]] for k in range(3)]
            assert np.any([(pair == np.column_stack([start, stop])).all(axis=1) for pair in turned], axis=0).all()

    def test_boundary_flipped_and_tripled_edges_make_no_pair(self):
        assert len(edge_pairs(CUBE.faces[:1])) == 0
        flipped = CUBE.faces.copy()
        flipped[0] = flipped[0, ::-1]
        assert len(edge_pairs(flipped)) == 15
        assert len(edge_pairs(np.concatenate([CUBE.faces, CUBE.faces[:1]]))) == 15
        assert edge_pairs(np.zeros((0, 3), dtype=np.int64)).shape == (0, 4)


class TestRegions:
    def test_normals_and_areas(self):
        normals, areas = face_normals(CUBE.vertices, CUBE.faces)
        assert np.allclose(areas, 0.5)
        assert np.allclose(np.abs(normals).max(axis=1), 1)
        assert (np.einsum("ij,ij->i", normals, CUBE.vertices[CUBE.faces].mean(axis=1)) > 0).all()
        flat, none = face_normals(np.zeros((3, 3)), np.array([[0, 1, 2]]))
        assert not flat.any()
        assert not none.any()

    def test_pieces(self):
        both = join(CUBE, CUBE.translated(x=3.0))
        pieces = connected_pieces(both.faces)
        assert len(np.unique(pieces)) == 2
        assert len(np.unique(pieces[:12])) == 1

    def test_smooth_regions(self):
        bar = cylinder(0.1, (0, 0, 0), (0, 1, 0), sides=24)
        assert len(np.unique(smooth_regions(bar.vertices, bar.faces, 40))) == 3
        assert len(np.unique(smooth_regions(bar.vertices, bar.faces, 1))) == 2 + 24
        assert len(np.unique(smooth_regions(CUBE.vertices, CUBE.faces, 40))) == 6
