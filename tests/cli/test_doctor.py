"""`dr-kfs doctor`: it knows this machine, and a self-test that fails is an exit code."""

from __future__ import annotations

import importlib.metadata
import json

import pytest

import dr_kfs
from dr_kfs.cli.doctor import LIBRARIES, self_test
from dr_kfs.weights import available_weights, weights_fingerprint


class TestDoctor:
    def test_json(self, dr_kfs_command):
        outcome = dr_kfs_command("doctor", "--json")
        assert (outcome.code, outcome.error) == (0, "")
        report = json.loads(outcome.output)
        assert report["versions"]["dr_kfs"] == dr_kfs.__version__
        assert report["versions"]["torch"] == importlib.metadata.version("torch")
        assert set(report["versions"]) == {"dr_kfs", "python", *LIBRARIES}
        assert report["backends"]["warp on cpu"] == "works"
        assert report["backends"]["reference on cpu"] == "works"
        assert set(report["weights"]) == set(available_weights())
        assert all(row["state"] == "verified" and row["license"] for row in report["weights"].values())
        assert set(report["extras"]) == {"visual", "backbones", "emd"}
        cpu = report["self_test"][0]
        assert cpu["passed"]
        assert cpu["itself"] == 0.0 < cpu["changed"]

    def test_table(self, dr_kfs_command):
        outcome = dr_kfs_command("doctor")
        assert outcome.code == 0
        for name in available_weights():
            assert weights_fingerprint(name) in outcome.output
        assert "dr-kfs[visual]" in outcome.output
        assert "passed in" in outcome.output

    @pytest.mark.parametrize(
        ("found", "message"),
        [((0.1, 0.2, True), "expected 0"), ((0.0, 0.0, True), "expected 0"), ((0.0, 0.2, False), "a gradient")],
    )
    def test_a_failed_self_test(self, dr_kfs_command, monkeypatch, found, message):
        monkeypatch.setattr("dr_kfs.cli.doctor._compare_boxes", lambda device: found)
        outcome = dr_kfs_command("doctor")
        assert outcome.code == 1
        assert "FAILED" in outcome.output
        assert message in outcome.output

    def test_weights_that_are_gone_are_a_finding(self, dr_kfs_command, monkeypatch, tmp_path):
        (tmp_path / "registry.json").write_text("{}")
        monkeypatch.setattr("dr_kfs.weights.weights_directory", lambda: tmp_path)
        outcome = dr_kfs_command("doctor")
        assert outcome.code == 1
        assert "Unknown weights" in outcome.output

        def no_weights():
            raise ValueError("This installation of dr_kfs has no weights.")

        monkeypatch.setattr("dr_kfs.weights.weights_directory", no_weights)
        outcome = dr_kfs_command("doctor", "--json")
        assert outcome.code == 1
        assert "has no weights" in json.loads(outcome.output)["weights"]["registry"]["state"]

    def test_self_test_does_not_raise(self):
        result = self_test("meta")
        assert not result["passed"]
        assert result["error"]
