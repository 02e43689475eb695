from __future__ import annotations

import numpy as np
import pytest
import trimesh

from dr_kfs.datasets import generate
from dr_kfs.datasets.hidden_faces import hidden_faces, winding_numbers
from dr_kfs.datasets.primitives import box, join, torus


class TestWindingNumbers:
    @pytest.mark.parametrize("solid", [box((1, 2, 3)), torus(1, 0.4), join(box((2, 2, 2)), box((1, 1, 1)))])
    def test_against_solid_angles(self, solid):
        """Sum of the signed solid angles over 4 pi (Van Oosterom and Strackee 1983)."""
        points = np.random.default_rng(0).uniform(-1.6, 1.6, size=(300, 3))
        triangles = solid.vertices[solid.faces]
        a, b, c = (triangles[None, :, k] - points[:, None] for k in range(3))
        la, lb, lc = (np.linalg.norm(side, axis=2) for side in (a, b, c))
        numerator = np.einsum("pmd,pmd->pm", a, np.cross(b, c))
        ab, bc, ca = ((u * v).sum(-1) for u, v in ((a, b), (b, c), (c, a)))
        angles = np.arctan2(numerator, la * lb * lc + ab * lc + bc * la + ca * lb)
        assert np.allclose(winding_numbers(points, triangles), angles.sum(axis=1) / (2 * np.pi))

    def test_no_points(self):
        assert winding_numbers(np.zeros((0, 3)), box((1, 1, 1)).vertices[box((1, 1, 1)).faces]).shape == (0,)


class TestHiddenFaces:
    def test_no_ray_from_outside_meets_a_hidden_face(self):
        chair = generate("chair", 6, style={"legs": "four", "bars": "box"})
        hidden = np.concatenate(list(hidden_faces(chair).values()))
        assert 0.01 < hidden.mean() < 0.5
        vertices, faces, _ = chair.to_mesh()
        mesh = trimesh.Trimesh(vertices, faces, process=False)
        centres = mesh.triangles_center[hidden] + 2e-4 * mesh.face_normals[hidden]
        inside = sum(winding_numbers(centres, p.vertices[p.faces]) for p in chair.parts.values())
        assert (inside >= 1).all()

    def test_faces_in_contact_hide_each_other(self):
        from dr_kfs.datasets import LabelledShape, Part

        lower, upper = box((2, 1, 2)), box((1, 1, 1), (0, 1, 0))
        parts = {n: Part(n, s.vertices, s.faces) for n, s in (("lower", lower), ("upper", upper))}
        hidden = hidden_faces(LabelledShape("stack", {"seed": 0}, parts))
        assert hidden["upper"].sum() == 2
        assert not hidden["lower"].any()
