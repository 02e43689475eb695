from __future__ import annotations

import numpy as np
import pytest
import torch

from dr_kfs.datasets import DEFECTS, FAMILIES, LabelledShape, Part, generate, with_cad_defects
from dr_kfs.datasets.mesh_adjacency import edge_pairs
from dr_kfs.datasets.outlines import circle
from dr_kfs.datasets.primitives import box, cylinder, shell_of_revolution, slab
from dr_kfs.geometry import bounding_frame, normalize
from dr_kfs.rendering import SoftRenderer, hemisphere_rig


def shape_of(**solids) -> LabelledShape:
    parts = {name: Part(name, solid.vertices, solid.faces) for name, solid in solids.items()}
    return LabelledShape("made up", {"seed": 0}, parts)


def area(part: Part) -> float:
    corners = part.vertices[part.faces]
    return (
        float(np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1).sum()) / 2
    )


@pytest.fixture(scope="module")
def chair() -> LabelledShape:
    return generate("chair", 3, style={"legs": "four", "bars": "box", "back": "slatted"})


class TestWithCadDefects:
    @pytest.mark.parametrize("family", ["chair", "lamp", "airplane", "cabinet", "vessel", "bicycle", "ship"])
    def test_looks_the_same_from_outside(self, family):
        """Views on all sides, among them one from above; the shape stays in the frame it had."""
        shape = generate(family, 1)
        renderer = SoftRenderer(cameras=hemisphere_rig()[[1, 12, 24]], image_size=128)
        frame = bounding_frame(shape.to_meshes())
        with torch.no_grad():
            before, after = (
                renderer(normalize(each.to_meshes(), frame)).images[0] for each in (shape, with_cad_defects(shape, 1))
            )
        # The largest changes are sheets that lie half a plate's thickness, under a pixel, inside the plate.
        assert (after - before).abs().mean() < 0.07 * before.mean()

    @pytest.mark.parametrize("family", FAMILIES)
    def test_valid_and_far_from_clean(self, family):
        shape = generate(family, 2)
        broken = with_cad_defects(shape, 2)
        assert list(broken.parts) == list(shape.parts)
        vertices, faces, _ = broken.to_mesh()
        assert np.isfinite(vertices).all()
        assert (faces.min(), faces.max()) == (0, len(vertices) - 1)
        assert all(len(part.faces) for part in broken.parts.values())
        assert 2 * len(edge_pairs(faces)) < 2.7 * len(faces)

    def test_deterministic_and_by_part(self, chair):
        first, second = with_cad_defects(chair, 5), with_cad_defects(chair, 5)
        assert first.parameters == second.parameters
        assert first.parameters["edits"] == [["with_cad_defects", 5, *DEFECTS, 0.6]]
        for name in chair.parts:
            assert np.array_equal(first.parts[name].vertices, second.parts[name].vertices)
            assert np.array_equal(first.parts[name].faces, second.parts[name].faces)
        other = with_cad_defects(chair, 6)
        assert any(first.parts[n].faces.shape != other.parts[n].faces.shape for n in chair.parts)
        doubled = {
            n: with_cad_defects(s, 5, defects=["doubled"]) for n, s in (("all", chair), ("few", chair.only("leg_*")))
        }
        for name in doubled["few"].parts:
            assert np.array_equal(doubled["all"].parts[name].faces, doubled["few"].parts[name].faces)

    def test_nothing_happens_without_defects(self, chair):
        for same in (with_cad_defects(chair, 0, defects=[]), with_cad_defects(chair, 0, share=0)):
            assert all(np.array_equal(same.parts[n].faces, part.faces) for n, part in chair.parts.items())
            assert all(np.array_equal(same.parts[n].vertices, part.vertices) for n, part in chair.parts.items())

    def test_hidden(self):
        seat, leg = box((1, 0.2, 1)), box((0.1, 1, 0.1), (0.3, -0.5, 0.3))
        opened = with_cad_defects(shape_of(seat=seat, leg=leg), 0, defects=["hidden"], share=1)
        assert len(opened.parts["seat"].faces) == 12
        # Only the top is wholly inside the seat: its sides come out below.
        assert len(opened.parts["leg"].faces) == 10
        assert opened.parts["leg"].vertices[opened.parts["leg"].faces].mean(axis=1)[:, 1].max() < 0

    def test_caps(self):
        bars = shape_of(
            square=box((0.02, 1, 0.02)), round=cylinder(0.01, (1, 0, 0), (1, 1, 0)), cube=box((0.1, 0.1, 0.1))
        )
        opened = with_cad_defects(bars, 0, defects=["caps"], share=1)
        assert len(opened.parts["square"].faces) == 8
        assert len(opened.parts["round"].faces) == 2 * 16
        assert len(opened.parts["cube"].faces) == 12

    def test_caps_of_a_rounded_bar_stay(self):
        finger = cylinder(0.01, (0, 0, 0), (0, 1, 0), bevel=0.004)
        assert len(with_cad_defects(shape_of(bar=finger), 0, defects=["caps"], share=1).parts["bar"].faces) < len(
            finger.faces
        )

    def test_sheets(self):
        plate = slab(circle(0.5, sides=24), 0.0, 0.01)
        wall = shell_of_revolution(np.array([[0.4, 1.0], [0.5, 0.0]]), 0.008)
        thick = box((1, 0.2, 1), (0, -1, 0))
        shape = shape_of(plate=plate, wall=wall, thick=thick)
        opened = with_cad_defects(shape, 0, defects=["sheets"], share=1)
        assert np.allclose(opened.parts["plate"].vertices[:, 1], 0.005)
        assert area(opened.parts["plate"]) == pytest.approx(area(shape.parts["plate"]) / 2, rel=0.05)
        outside = np.hypot(opened.parts["wall"].vertices[:, 0], opened.parts["wall"].vertices[:, 2])
        assert np.isin(np.round(outside, 6), (0.4, 0.5)).all()
        assert len(opened.parts["thick"].faces) == 12

    def test_junctions_doubled_flipped_unwelded(self, chair):
        seat = chair.only("seat")
        clean = seat.parts["seat"]
        made = {d: with_cad_defects(seat, 1, defects=[d], share=1).parts["seat"] for d in DEFECTS}
        assert area(made["junctions"]) == pytest.approx(area(clean))
        assert len(made["junctions"].faces) > len(clean.faces)
        assert not made["junctions"].is_closed()
        sorted_faces = np.sort(made["doubled"].faces, axis=1)
        assert len(np.unique(sorted_faces, axis=0)) == len(clean.faces) < len(sorted_faces)
        assert np.array_equal(np.sort(made["flipped"].faces, axis=1), np.sort(clean.faces, axis=1))
        assert not np.array_equal(made["flipped"].faces, clean.faces)
        assert len(made["unwelded"].vertices) == 3 * len(clean.faces)
        assert np.array_equal(made["unwelded"].vertices[made["unwelded"].faces], clean.vertices[clean.faces])

    def test_leaving_one_out_does_not_change_the_others(self, chair):
        some = with_cad_defects(chair, 3, defects=["doubled"])
        more = with_cad_defects(chair, 3, defects=["doubled", "unwelded"])
        for name, part in some.parts.items():
            assert np.array_equal(part.vertices[part.faces], more.parts[name].vertices[more.parts[name].faces])

    def test_errors(self, chair):
        with pytest.raises(ValueError, match=r"share must be a probability in \[0, 1\], got 2"):
            with_cad_defects(chair, 0, share=2)
