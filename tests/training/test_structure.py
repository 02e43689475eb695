"""Training on labelled edits: the pairs, the distance that is ranked, the files, a few steps and their resumption."""

import json
import math
import random

import pytest
import torch
from rich.console import Console

from dr_kfs import DRKFSLoss, GHHDetector, LocalizedMatcher, SoftRenderer, hemisphere_rig
from dr_kfs.datasets import generate, split_of
from dr_kfs.descriptors import HardNetDescriptor, PatchScales
from dr_kfs.training import train_structure
from dr_kfs.training.structure_data import (
    FIRST_SEED,
    TARGET,
    VIEWS,
    EditedViews,
    collect,
    edited_views,
    planned_shape,
)
from dr_kfs.training.structure_loss import labelled_pairs, patch_loss, ranking_loss, scale_distances
from dr_kfs.training.train_descriptor import collect as collect_triplets

BARRED = 2
"""The third planned shape is a chair with bars, whose edits take no time."""


@pytest.fixture(scope="module")
def barred():
    return edited_views(BARRED)


class TestPlan:
    def test_only_shapes_of_the_training_split(self):
        for index in range(60):
            family, _ = planned_shape(index)
            assert split_of(family, FIRST_SEED + index) == "train"

    def test_half_are_chairs(self):
        assert sum(planned_shape(index)[0] == "chair" for index in range(60)) >= 30


class TestEditedViews:
    def test_edits_of_one_shape_from_the_same_views(self, barred):
        names = [name for name, _ in barred.images]
        assert names[0] == "target"
        assert {"bars-up", "bars-down", "bars-removed", "another-shape"} <= set(names)
        assert {images.shape for images in barred.images.values()} == {(VIEWS, 256, 256)}
        moved = (barred.images[TARGET] != barred.images["bars-removed", 1.0]).float().mean()
        assert 0 < moved < 0.2

    def test_files_are_kept_and_the_same(self, barred, tmp_path):
        barred.save(tmp_path / f"{BARRED:05d}.safetensors")
        again = EditedViews.load(tmp_path / f"{BARRED:05d}.safetensors")
        assert next(iter(again.images)) == TARGET
        assert set(again.images) == set(barred.images)
        assert all(torch.equal(again.images[change], images) for change, images in barred.images.items())
        for index in (0, 1):
            (tmp_path / f"{index:05d}.safetensors").write_bytes(b"there already")
        assert len(collect(range(3), tmp_path, console=Console(quiet=True))) == 3


class TestPairs:
    def test_what_is_not_there_makes_no_pair(self):
        changes = [TARGET, ("bars-up", 5.0), ("bars-removed", 1.0), ("noise", 0.0005)]
        assert labelled_pairs(changes) == [(1, 2, math.log(2.5))]

    def test_a_leg_removed_is_the_worst_of_equal_chamfer(self):
        changes = [TARGET, ("limbs-removed", 1.0), ("limbs-bent", 1.0), ("another-shape", 1.0)]
        assert {pair[:2] for pair in labelled_pairs(changes)} == {(2, 1), (2, 3), (1, 3)}


class TestLosses:
    def test_the_ranked_distance_is_the_metric(self):
        shapes = [generate("chair", seed).to_meshes() for seed in (1, 2)]
        renderer = SoftRenderer(cameras=hemisphere_rig()[[1, 9]])
        scales = PatchScales(256, (2, 4))
        loss = DRKFSLoss(renderer=renderer, scales=scales.factors, normalize="each", reduction="none")
        codes = [loss.encode(shape) for shape in shapes]
        found = scale_distances(
            torch.cat([code.descriptors for code in codes]), torch.cat([code.weights for code in codes]), scales
        )
        assert found.shape == (2, 2)
        torch.testing.assert_close(found[:, 0], torch.zeros(2))
        expected = loss(shapes[1], codes[0]) * 128 / 2 / 2  # per view, as 1 - cosine
        torch.testing.assert_close(found[:, 1].sum()[None], expected, rtol=1e-4, atol=1e-6)

    def test_the_right_order_costs_less(self):
        changes = [TARGET, ("limbs-bent", 1.0), ("limbs-removed", 1.0), ("another-shape", 1.0)]
        right, wrong = torch.tensor([[0.0, 0.1, 0.3, 0.6]]), torch.tensor([[0.0, 0.3, 0.1, 0.6]])
        assert ranking_loss(right, changes) < ranking_loss(wrong, changes)

    def test_equal_shapes_have_a_finite_gradient(self):
        distances = torch.zeros(2, 4, requires_grad=True)
        ranking_loss(
            distances, [TARGET, ("limbs-bent", 1.0), ("limbs-removed", 1.0), ("another-shape", 1.0)]
        ).backward()
        assert distances.grad.isfinite().all()

    def test_patches_are_told_from_those_that_do_not_overlap(self):
        grid = torch.cartesian_prod(torch.arange(5), torch.arange(5))
        eye = torch.eye(25, dtype=torch.float64)
        assert patch_loss(torch.stack([eye, eye]), torch.ones(25, dtype=torch.float64), grid) == 0.0
        same = torch.ones_like(eye) / 5.0
        torch.testing.assert_close(
            patch_loss(torch.stack([same, same]), torch.ones(25, dtype=torch.float64), grid).item(), 1.0
        )
        assert patch_loss(torch.stack([eye, eye]), torch.zeros(25, dtype=torch.float64), grid) == 0.0


class TestTraining:
    def test_a_described_patch_is_what_the_loss_describes(self, barred):
        network = train_structure.starting_network("hardnet-shapes")
        describe = train_structure.DescribedPatches(network, GHHDetector())
        scales = PatchScales(256, (4,))
        images = barred.stacked([TARGET], torch.tensor([0]))
        with torch.no_grad():
            descriptors, _ = describe(images, scales)
            loss = DRKFSLoss(
                renderer=SoftRenderer(cameras=hemisphere_rig()[[0]]),
                descriptor=HardNetDescriptor("hardnet-shapes"),
                matcher=LocalizedMatcher(),
                scales=(4,),
            )
            poi = loss.detector(scales.shrink(images)[0])
            patches = poi.unfold(-2, 32, 16).unfold(-2, 32, 16).reshape(-1, 32, 32)
            expected = loss.descriptor(patches)
        assert (descriptors.flatten(0, 2) * expected).sum(-1).min() > 0.999  # bfloat16 where the machine has it

    def test_steps_move_the_weights_and_a_run_goes_on_where_it_stopped(self, barred, tmp_path):
        path = tmp_path / "00002.safetensors"
        barred.save(path)
        settings = {
            "steps": 3,
            "rate": 1e-4,
            "fine_share": 0.5,
            "seed": 0,
            "device": "cpu",
            "log": tmp_path / "curve.jsonl",
            "console": Console(quiet=True),
        }

        def trained(checkpoint=None):
            network = train_structure.starting_network("hardnet-shapes")
            train_structure.fit(network, GHHDetector(), [path], checkpoint=checkpoint, **settings)
            return network.features[0].weight.detach()

        start = train_structure.starting_network("hardnet-shapes").features[0].weight
        checkpoint = tmp_path / "state.pt"
        once = trained(checkpoint)
        assert (once - start).abs().max() > 1e-6
        assert torch.equal(trained(checkpoint), once)  # nothing is left to do
        curve = [json.loads(line) for line in (tmp_path / "curve.jsonl").read_text().splitlines()]
        assert [row["step"] for row in curve] == [3]
        assert math.isfinite(curve[0]["loss"])

    def test_triplets_are_pulled_together_beside_the_order_of_edits(self, barred, tmp_path):
        path = tmp_path / "00002.safetensors"
        barred.save(path)
        detector = GHHDetector()
        data = collect_triplets(0, 3, detector, seed=0, label="", console=Console(quiet=True), families=["table"])
        term = train_structure.TripletTerm(data, weight=10.0)
        network = train_structure.starting_network("hardnet-structure")
        describe = train_structure.DescribedPatches(network, detector)

        def loss():
            with torch.no_grad():
                return term.loss(describe, random.Random(7), device="cpu").item()

        before = loss()
        assert before > 0
        settings = {"steps": 4, "rate": 1e-4, "fine_share": 0.0, "seed": 0, "device": "cpu", "checkpoint": None}
        quiet = {"log": None, "console": Console(quiet=True)}
        train_structure.fit(network, detector, [path], triplets=term, **settings, **quiet)
        assert loss() < before

    def test_views_move_by_whole_pixels_and_nothing_comes_round(self):
        image = torch.zeros(1, 8, 8)
        image[0, 2, 7] = 1.0
        assert train_structure.shifted(image, 3, -2)[0, 5, 5] == 1.0
        assert train_structure.shifted(image, 0, 1).sum() == 0.0

    def test_a_blend_lies_between_start_and_end(self):
        network = train_structure.starting_network("hardnet-structure")
        end = {key: value.clone() for key, value in network.state_dict().items()}
        start = train_structure.starting_network("hardnet-shapes").state_dict()
        key = "features.0.weight"
        train_structure.blend(network, start, 0.25)
        torch.testing.assert_close(network.state_dict()[key], 0.75 * start[key] + 0.25 * end[key])
        network.load_state_dict(end)
        train_structure.blend(network, start, 1.0)
        assert torch.equal(network.state_dict()[key], end[key])

    def test_views_are_stretched_about_their_centre(self):
        images = torch.zeros(2, 3, 16, 16)
        images[:, :, 4:12, 6:10] = 1.0
        torch.testing.assert_close(train_structure.stretched(images, 1.0, 1.0), images, atol=1e-5, rtol=0)
        wide = train_structure.stretched(images, 2.0, 1.0)
        assert wide.shape == images.shape
        torch.testing.assert_close(wide.sum(-1), 2.0 * images.sum(-1), atol=1e-4, rtol=0)
        torch.testing.assert_close(wide.flip(-1), wide, atol=1e-5, rtol=0)

    def test_evaluation_names_what_it_counts(self, barred, tmp_path):
        barred.save(tmp_path / "00002.safetensors")
        describe = train_structure.DescribedPatches(train_structure.starting_network("hardnet-shapes"), GHHDetector())
        shares = train_structure.evaluate(describe, [tmp_path / "00002.safetensors"], device="cpu")
        assert set(shares) == {"bars < bars-removed", "bars < another-shape"}
        assert all(0.0 <= share <= 1.0 for share in shares.values())

    def test_too_few_shapes_leave_none_to_train_on(self):
        import typer
        from typer.testing import CliRunner

        app = typer.Typer()
        app.command()(train_structure.main)
        result = CliRunner().invoke(app, ["--shapes", "20"])
        assert result.exit_code == 2
        assert "held out" in result.output
