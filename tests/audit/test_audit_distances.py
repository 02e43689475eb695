from __future__ import annotations

import numpy as np
import pytest
import torch

from dr_kfs.audit.distances import (
    DISTANCES,
    ChamferDistance,
    Distance,
    DRKFSDistance,
    FunctionDistance,
    NoNumberError,
    VoxelIoUDistance,
    as_distance,
    as_number,
    make_distance,
)
from dr_kfs.audit.view_distances import SilhouetteRenderer, ViewMSE
from dr_kfs.datasets import LabelledShape
from dr_kfs.drkfs import DRKFSLoss
from dr_kfs.geometry import Meshes, bounding_frame, normalize
from dr_kfs.losses.image import ImageLoss
from dr_kfs.rendering import SoftRenderer


def some(renderer: SoftRenderer) -> list[Distance]:
    """One of every kind, small."""
    return [
        DRKFSDistance(DRKFSLoss(renderer=renderer)),
        ChamferDistance(samples=500),
        VoxelIoUDistance(side=24),
        ViewMSE("shade", renderer=renderer, name="pixel-mse"),
        ViewMSE("alpha", renderer=renderer, name="silhouette-mse"),
        ViewMSE("poi", renderer=renderer, name="poi-mse"),
        FunctionDistance(lambda a, b: (bounding_frame(a).center - bounding_frame(b).center).norm(), name="mine"),
    ]


class TestEveryDistance:
    def test_is_a_distance(self, small_renderer, limbed):
        target, broken = limbed.to_meshes(), limbed.without("leg_0").to_meshes()
        far = limbed.moved("*", (0.3, 0.0, 0.0)).to_meshes()
        for distance in some(small_renderer):
            assert isinstance(distance, Distance)
            state = distance.prepare(target)
            values = [distance.distance(predicted, state) for predicted in (target, broken, far)]
            assert [type(value) for value in values] == [float] * 3
            assert values[0] == pytest.approx(0, abs=1e-6)
            assert values[2] > 1e-4
            if distance.name != "mine":
                assert values[1] > 1e-4
                assert distance.distance(broken, state) == values[1]

    def test_units_of_the_target_do_not_matter(self, small_renderer, limbed):
        def moved(meshes: Meshes) -> Meshes:
            return meshes.with_vertices(meshes.vertices * 10 + 2)

        target, broken = limbed.to_meshes(), limbed.without("leg_0").to_meshes()
        for distance in some(small_renderer)[:-1]:
            value = distance.distance(broken, distance.prepare(target))
            assert distance.distance(moved(broken), distance.prepare(moved(target))) == pytest.approx(value, rel=0.05)

    def test_settings_tell_distances_apart(self, small_renderer):
        found = [str(distance.settings()) for distance in some(small_renderer)]
        other = [
            DRKFSDistance(DRKFSLoss(renderer=small_renderer.resized(96))),
            DRKFSDistance(DRKFSLoss(renderer=small_renderer, recall_weight=2.0)),
            VoxelIoUDistance(side=25),
        ]
        found += [str(distance.settings()) for distance in other]
        assert len(set(found)) == len(found)
        again = DRKFSDistance(DRKFSLoss(renderer=small_renderer)).settings()
        assert str(again) == found[0]


class TestDRKFS:
    def test_is_the_loss(self, small_renderer, limbed):
        loss = DRKFSLoss(renderer=small_renderer)
        distance = DRKFSDistance(loss, name="mine")
        target, broken = limbed.to_meshes(), limbed.without("leg_0").to_meshes()
        assert distance.distance(broken, distance.prepare(target)) == pytest.approx(float(loss(broken, target)))


class TestVoxelIoU:
    def test_of_boxes(self, cube):
        """Half of a cube, and a cube shifted by half: 1 - 1/2 and 1 - 1/3."""
        distance = VoxelIoUDistance(side=16)
        state = distance.prepare(cube.to_meshes())
        half = cube.scaled("*", (0.4999, 1.0, 1.0), about="origin").to_meshes()
        assert distance.distance(half, state) == pytest.approx(1 / 2)
        shifted = cube.moved("*", (0.5001, 0.0, 0.0)).to_meshes()
        assert distance.distance(shifted, state) == pytest.approx(1 - 8 / 25)  # it touches 17 slices of cells
        assert distance.distance(cube.moved("*", (3.0, 0.0, 0.0)).to_meshes(), state) == 1


class TestViewMSE:
    @pytest.mark.parametrize(("picture", "channel"), [("shade", "shade"), ("alpha", "alpha")])
    def test_is_the_image_loss(self, small_renderer, limbed, picture, channel):
        distance = ViewMSE(picture, renderer=small_renderer, name="mse")
        target, broken = limbed.to_meshes(), limbed.without("leg_0").to_meshes()
        expected = ImageLoss(renderer=small_renderer, channel=channel)(broken, target)
        assert distance.distance(broken, distance.prepare(target)) == pytest.approx(float(expected))

    def test_silhouettes_are_all_that_a_silhouette_renderer_shows(self, small_renderer, cube):
        meshes = normalize(cube.to_meshes())
        views = SilhouetteRenderer(small_renderer)(meshes)
        assert torch.equal(views.images, small_renderer(meshes).alpha)
        assert SilhouetteRenderer(small_renderer).settings() != small_renderer.settings()


class TestMakeDistance:
    @pytest.mark.parametrize("name", [name for name in DISTANCES if name != "drkfs-paper"])
    def test_by_name(self, name):
        distance = make_distance(name)
        assert isinstance(distance, Distance)
        assert distance.name == name

    def test_front_silhouettes(self, barred):
        """A shape and its front silhouette's extrusion are one to the distances in 2-D."""
        distance = make_distance("silhouette-mse-2d")
        state = distance.prepare(barred.to_meshes())
        assert state[1].shape == (1, 1, 256, 256)
        assert distance.distance(barred.without("bar_*").to_meshes(), state) > 0

    def test_unknown(self):
        with pytest.raises(ValueError, match="Unknown distance 'nonsense': choose from drkfs, drkfs-fine"):
            make_distance("nonsense")


class TestAsDistance:
    def test_takes_functions_losses_and_distances(self, cube: LabelledShape):
        ready = ChamferDistance()
        assert as_distance(ready, name="x") is ready
        assert isinstance(as_distance(DRKFSLoss(), name="x"), DRKFSDistance)
        own = as_distance(lambda predicted, target: len(predicted.faces) / len(target.faces), name="faces")
        assert own.name == "faces"
        assert own.distance(cube.to_meshes(), own.prepare(cube.to_meshes())) == 1.0

    @pytest.mark.parametrize(("value", "message"), [(3, "got int"), (ChamferDistance, "the class ChamferDistance")])
    def test_nothing_else(self, value, message):
        with pytest.raises(TypeError, match=message):
            as_distance(value, name="x")


class TestAsNumber:
    @pytest.mark.parametrize(
        "value", [2, 2.0, np.float32(2), np.array([2.0]), torch.tensor(2), torch.tensor([[2.0]], requires_grad=True)]
    )
    def test_numbers(self, value):
        assert as_number(value) == 2.0
        assert type(as_number(value)) is float

    @pytest.mark.parametrize(
        ("value", "message"),
        [
            (None, "got NoneType"),
            ("2", "got str"),
            (True, "got bool"),
            (torch.zeros(2), r"got Tensor of shape \(2,\)"),
            (np.zeros((0,)), r"got ndarray of shape \(0,\)"),
            ((1.0, 2.0), "got tuple"),
        ],
    )
    def test_no_number(self, value, message):
        with pytest.raises(NoNumberError, match=message):
            as_number(value)
