"""Scores of descriptors on held-out families and on photographs."""

import json

import pytest
import torch
import typer
from typer.testing import CliRunner

from dr_kfs.training import evaluate_descriptor
from dr_kfs.training.photographs import PHOTOGRAPHS, photograph_pairs


class TestPhotographs:
    def test_pairs_show_the_same_point(self):
        before, after = photograph_pairs(1, generator=torch.Generator().manual_seed(0))
        assert before.shape == after.shape
        assert before.shape[0] > 20 * len(PHOTOGRAPHS)
        centre = (slice(None), slice(12, 20), slice(12, 20))
        same = (before[centre] - after[centre]).abs().mean()
        other = (before[centre] - after[centre].roll(7, 0)).abs().mean()
        assert same < 0.6 * other


class TestCommand:
    def run(self, *arguments):
        app = typer.Typer()
        app.command()(evaluate_descriptor.main)
        return CliRunner().invoke(app, arguments)

    def test_rivals_stand_beside_the_weights(self, tmp_path, monkeypatch):
        monkeypatch.setattr(evaluate_descriptor, "HOMOGRAPHIES", 1)
        path = tmp_path / "scores.json"
        result = self.run("--shapes", "2", "--weights", "hardnet-shapes", "--json", str(path))
        assert result.exit_code == 0, result.output
        scores = json.loads(path.read_text())["scores"]
        assert set(scores) == {"hardnet-shapes", "untrained HardNet", "raw patch", "SIFT"}
        assert scores["hardnet-shapes"]["fpr95"] < scores["untrained HardNet"]["fpr95"]
        assert all(0.0 <= value <= 1.0 for row in scores.values() for value in row.values())

    def test_training_families_are_no_split(self):
        result = self.run("--split", "train")
        assert result.exit_code == 2
        assert "validation, test" in result.output

    @pytest.mark.parametrize("split", ["validation", "test"])
    def test_held_out_families_were_not_trained_on(self, split):
        from dr_kfs.datasets import split_of

        families, first = evaluate_descriptor.SPLITS[split]
        assert all(split_of(family, first) == split for family in families)
