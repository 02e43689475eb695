"""The command line, run in this process, on three views.

dr_kfs is imported inside the fixtures: at the top it could come before the type checks of tests/conftest.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

VIEWS = [1, 9, 24]


@dataclass(frozen=True)
class Outcome:
    code: int
    output: str
    error: str


@pytest.fixture
def dr_kfs_command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """`dr-kfs ...`, whose loss looks from three directions."""
    from dr_kfs import SoftRenderer, hemisphere_rig
    from dr_kfs.cli import main, stages

    build_loss = stages.build_loss

    def build_small(**options):
        loss = build_loss(**options)
        loss.renderer = SoftRenderer(cameras=hemisphere_rig()[VIEWS])
        return loss

    for command in ("compare", "evaluate", "fit"):
        monkeypatch.setattr(f"dr_kfs.cli.{command}.build_loss", build_small)
    monkeypatch.setattr("dr_kfs.cli.fit.SPHERE_SUBDIVISIONS", 1)

    def run(*arguments: object) -> Outcome:
        with pytest.raises(SystemExit) as exit_info:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Outcome(exit_info.value.code or 0, captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A table in units of its own, the same without a leg, a sphere, and a file that is no mesh."""
    from dr_kfs import icosphere, save_mesh
    from dr_kfs.datasets import generate

    folder = tmp_path_factory.mktemp("meshes")
    table = generate("table", 2)
    shapes = {"table": table, "broken": table.without(table.part_names("leg*")[0])}
    paths = {name: folder / f"{name}.obj" for name in (*shapes, "sphere", "damaged")}
    for name, shape in shapes.items():
        meshes = shape.to_meshes()
        save_mesh(meshes.with_vertices(meshes.vertices * 30.0 + 5.0), paths[name])
    save_mesh(icosphere(1), paths["sphere"])
    paths["damaged"].write_text("v 0 0 0\nf 1 2 3\n")
    return paths
