from __future__ import annotations

import sys
from pathlib import Path

import pytest

from dr_kfs.audit.distances import ChamferDistance, DRKFSDistance
from dr_kfs.audit.own_distances import load_distance

SOURCE = """
from dr_kfs import DRKFSLoss
from dr_kfs.audit import ChamferDistance

def faces(predicted, target):
    return abs(len(predicted.faces) - len(target.faces))

class Scores:
    faces = staticmethod(faces)

loss = DRKFSLoss(normalize="each")
coarse = ChamferDistance(samples=100, name="coarse chamfer")
number = 3
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "my_audited_metric.py"
    path.write_text(SOURCE)
    return path


class TestLoadDistance:
    @pytest.mark.parametrize("attribute", ["faces", "Scores.faces"])
    def test_function_of_a_file(self, source, cube, attribute):
        distance = load_distance(f"{source}:{attribute}")
        assert distance.name == f"{source}:{attribute}"
        state = distance.prepare(cube.to_meshes())
        assert distance.distance(cube.refined(longest=0.5).to_meshes(), state) > 10
        assert distance.distance(cube.to_meshes(), state) == 0.0

    def test_module_of_the_working_directory(self, source, cube, monkeypatch):
        monkeypatch.chdir(source.parent)
        before = list(sys.path)
        distance = load_distance("my_audited_metric:faces")
        assert sys.path == before
        assert distance.distance(cube.to_meshes(), cube.to_meshes()) == 0.0
        monkeypatch.delitem(sys.modules, "my_audited_metric")

    def test_losses_and_distances(self, source):
        loss = load_distance(f"{source}:loss")
        assert isinstance(loss, DRKFSDistance)
        assert loss.loss.normalize == "each"
        coarse = load_distance(f"{source}:coarse")
        assert isinstance(coarse, ChamferDistance)
        assert coarse.name == "coarse chamfer"

    def test_another_version_has_other_settings(self, source):
        before = load_distance(f"{source}:faces").settings()
        assert load_distance(f"{source}:faces").settings() == before
        source.write_text(SOURCE + "\n# changed")
        assert load_distance(f"{source}:faces").settings() != before

    def test_built_in(self):
        assert load_distance("chamfer").name == "chamfer"

    @pytest.mark.parametrize(
        ("spec", "error", "message"),
        [
            ("nonsense", ValueError, "Unknown distance"),
            ("missing.py:faces", ValueError, "no such file"),
            ("{source}:nothing", ValueError, 'has no "nothing"'),
            ("{source}:number", TypeError, "got int"),
            ("no_such_module_here:faces", ImportError, "no_such_module_here"),
        ],
    )
    def test_what_is_not_there(self, source, spec, error, message):
        with pytest.raises(error, match=message):
            load_distance(spec.format(source=source))
