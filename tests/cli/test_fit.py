"""`dr-kfs fit`: it writes what it promises, stops on Ctrl-C, continues to the same result, refuses other fits."""

from __future__ import annotations

import signal

import pytest
import torch

from dr_kfs import MeshFit, load_meshes

OPTIONS = ("--steps", 4, "--views-per-step", 2, "--seed", 3, "--device", "cpu")


@pytest.fixture
def ctrl_c_in_step(monkeypatch):
    """Makes Ctrl-C come within a step of the fit, once or several times."""
    step = MeshFit.step

    def arm(number: int, *, times: int = 1) -> None:
        def step_with_ctrl_c(fit: MeshFit) -> dict[str, float]:
            terms = step(fit)
            if fit.step_count == number:
                for _ in range(times):
                    signal.raise_signal(signal.SIGINT)
            return terms

        monkeypatch.setattr(MeshFit, "step", step_with_ctrl_c)

    return arm


class TestFit:
    def test_refuses_to_write_over_the_target(self, dr_kfs_command, files):
        before = files["table"].read_bytes()
        outcome = dr_kfs_command("fit", files["table"], "-o", files["table"], *OPTIONS)
        assert outcome.code == 2
        assert "is the target and the output" in outcome.error
        assert files["table"].read_bytes() == before

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (("-o", "new.obj", "--checkpoint", "new.obj"), "is the output and the checkpoint"),
            (("-o", "sphere.obj", "--from", "sphere.obj"), "is the template and the output"),
            (("-o", "folder.obj"), "folder.obj is a folder"),
        ],
    )
    def test_refuses_to_write_over_its_files_before_any_work(
        self, dr_kfs_command, files, tmp_path, monkeypatch, options, message
    ):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "sphere.obj").write_bytes(files["sphere"].read_bytes())
        (tmp_path / "folder.obj").mkdir()
        monkeypatch.setattr(MeshFit, "step", None)
        outcome = dr_kfs_command("fit", files["table"], *options, *OPTIONS)
        assert outcome.code == 2
        assert message in outcome.error

    def test_writes_mesh_and_picture(self, dr_kfs_command, files, tmp_path):
        output = tmp_path / "new" / "fitted.obj"
        outcome = dr_kfs_command("fit", files["table"], "-o", output, *OPTIONS)
        assert outcome.code == 0, outcome.error
        assert {path.name for path in output.parent.iterdir()} == {"fitted.obj", "fitted_views.png"}
        assert "before" in outcome.output
        assert "after" in outcome.output
        fitted, target = load_meshes(output), load_meshes(files["table"])
        assert len(fitted.vertices) == 42
        low, high = target.vertices.amin(0), target.vertices.amax(0)
        center = fitted.vertices.mean(0)
        assert ((low < center) & (center < high)).all(), "not in the target's units"

    @pytest.mark.parametrize("objective", ["image", "silhouette"])
    def test_other_losses_and_templates(self, dr_kfs_command, files, tmp_path, objective):
        output = tmp_path / "fitted.ply"
        arguments = ("--from", files["broken"], "--loss", objective, *OPTIONS)
        assert dr_kfs_command("fit", files["table"], "-o", output, *arguments).code == 0
        assert load_meshes(output).faces.shape == load_meshes(files["broken"]).faces.shape

    def test_ctrl_c_and_resume(self, dr_kfs_command, files, tmp_path, ctrl_c_in_step):
        handler = signal.getsignal(signal.SIGINT)
        whole, output = tmp_path / "whole.obj", tmp_path / "fitted.obj"
        checkpoint = tmp_path / "fitted.fit.safetensors"
        assert dr_kfs_command("fit", files["table"], "-o", whole, *OPTIONS).code == 0

        ctrl_c_in_step(2)
        outcome = dr_kfs_command("fit", files["table"], "-o", output, *OPTIONS)
        assert outcome.code == 130
        assert f"stopped after step 2 of 4, saved as {checkpoint}; --resume continues" in outcome.error
        assert signal.getsignal(signal.SIGINT) is handler
        assert not output.exists()

        again = dr_kfs_command("fit", files["table"], "-o", output, *OPTIONS)
        assert again.code == 2
        assert f"{checkpoint} holds an unfinished fit: continue it with --resume, or delete it." in again.error

        other = dr_kfs_command("fit", files["table"], "-o", output, "--resume", *OPTIONS[2:], "--steps", 5)
        assert other.code == 2
        assert "belongs to another fit (settings.steps: 4 there, 5 now)" in other.error
        other = dr_kfs_command("fit", files["broken"], "-o", output, "--resume", *OPTIONS)
        assert other.code == 2
        assert "belongs to another fit (target: " in other.error

        assert dr_kfs_command("fit", files["table"], "-o", output, "--resume", *OPTIONS).code == 0
        assert not checkpoint.exists()
        torch.testing.assert_close(load_meshes(output).vertices, load_meshes(whole).vertices, atol=1e-3, rtol=0)

    def test_a_second_ctrl_c_ends_at_once(self, dr_kfs_command, files, tmp_path, ctrl_c_in_step):
        handler = signal.getsignal(signal.SIGINT)
        ctrl_c_in_step(1, times=2)
        outcome = dr_kfs_command("fit", files["table"], "-o", tmp_path / "fitted.obj", *OPTIONS)
        assert outcome.code == 130
        assert signal.getsignal(signal.SIGINT) is handler
        assert not list(tmp_path.iterdir())

    def test_saves_as_it_goes(self, dr_kfs_command, files, tmp_path, monkeypatch, ctrl_c_in_step):
        monkeypatch.setattr("dr_kfs.cli.fit.SAVE_EVERY", 2)
        ctrl_c_in_step(3, times=2)  # killed within step 3
        checkpoint = tmp_path / "states" / "mine.safetensors"
        arguments = ("fit", files["table"], "-o", tmp_path / "fitted.obj", "--checkpoint", checkpoint, *OPTIONS)
        assert dr_kfs_command(*arguments).code == 130
        assert checkpoint.is_file()

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["-o", "fitted.xyz"], "expected a suffix of .glb, .obj, .off, .ply, .stl, got .xyz"),
            (["-o", "fitted.obj", "--resume"], "There is no saved fit at fitted.fit.safetensors"),
            (["-o", "fitted.obj", "--from", "missing.obj"], "missing.obj: expected a mesh file"),
        ],
    )
    def test_bad_input(self, dr_kfs_command, files, tmp_path, monkeypatch, arguments, message):
        monkeypatch.chdir(tmp_path)
        outcome = dr_kfs_command("fit", files["table"], *arguments, *OPTIONS)
        assert outcome.code == 2
        assert message in outcome.error
        assert not list(tmp_path.iterdir())
