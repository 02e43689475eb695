"""What a user installs: a wheel and an editable install, both built offline from a copy of the checkout."""

from __future__ import annotations

import email
import json
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from email.message import Message
from pathlib import Path

import pytest
import torch

import dr_kfs
from dr_kfs.weights import available_weights, register_weights

TINY = "packaging-test"


def run(*command: str | Path, cwd: Path) -> str:
    """Standard output of a command that must succeed."""
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def pip(*arguments: str | Path, cwd: Path) -> None:
    run(sys.executable, "-m", "pip", *arguments, "--no-deps", "--no-build-isolation", "--no-index", cwd=cwd)


def import_from(site: Path, cwd: Path) -> dict[str, str | list[str]]:
    """What a fresh interpreter finds when dr_kfs is installed in `site`, and dependencies where they are.

    `-S` keeps out this environment's own .pth files, and with them its own installation of dr_kfs.
    """
    libraries = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    code = f"""
import json, site, sys
site.addsitedir({str(site)!r})
sys.path += {libraries}
import dr_kfs
from dr_kfs.weights import available_weights, load_weights, weights_directory
names = available_weights()
print(json.dumps({{
    "package": dr_kfs.__file__,
    "version": dr_kfs.__version__,
    "weights": str(weights_directory()),
    "loaded": [name for name in names if load_weights(name)],
}}))
"""
    return json.loads(run(sys.executable, "-S", "-c", code, cwd=cwd))


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Path:
    """A copy of the checkout with one more registered weights file."""
    copy = tmp_path_factory.mktemp("source")
    for name in ("dr_kfs", "weights"):
        shutil.copytree(repository / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path in repository.iterdir():
        if path.is_file():
            shutil.copy(path, copy)
    register_weights(
        TINY,
        {"ones": torch.ones(2)},
        kind="detector",
        architecture="none",
        license="MIT",
        data="made up",
        command="pytest",
        seed=0,
        figures={},
        directory=copy / "weights",
    )
    return copy


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--wheel-dir", folder, source, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return email.message_from_string(archive.read(name).decode())


@pytest.fixture
def expected_weights() -> list[str]:
    return sorted([*available_weights(), TINY])


class TestWheel:
    def test_contents(self, wheel: Path, source: Path):
        with zipfile.ZipFile(wheel) as archive:
            names = set(archive.namelist())
            entry_points = archive.read(f"dr_kfs-{dr_kfs.__version__}.dist-info/entry_points.txt").decode()
        assert {f"dr_kfs/_weights/{path.name}" for path in (source / "weights").iterdir()} <= names
        sources = (path for pattern in ("*.cpp", "*.h") for path in (source / "dr_kfs").rglob(pattern))
        kernels = {path.relative_to(source).as_posix() for path in sources}
        assert {name.split("/")[1] for name in kernels} == {"rendering", "keypoints"}
        assert kernels <= names
        assert {p.relative_to(source).as_posix() for p in (source / "dr_kfs").rglob("*.py")} <= names
        assert f"dr_kfs-{dr_kfs.__version__}.dist-info/licenses/LICENSE" in names
        assert "dr_kfs/py.typed" in names
        assert {name.split("/")[0] for name in names} == {"dr_kfs", f"dr_kfs-{dr_kfs.__version__}.dist-info"}
        assert "dr-kfs = dr_kfs.cli:main" in entry_points

    def test_runs_anywhere(self, wheel: Path):
        assert wheel.name == f"dr_kfs-{dr_kfs.__version__}-py3-none-any.whl"

    def test_metadata(self, metadata: Message):
        assert metadata["License-Expression"] == "MIT"
        assert metadata["Requires-Python"] == ">=3.10"
        assert metadata["Version"] == dr_kfs.__version__

    def test_requirements(self, metadata: Message):
        requirements = [line.replace(" ", "") for line in metadata.get_all("Requires-Dist", [])]
        assert not any("pytorch3d" in line for line in requirements)
        assert not any("==" in line.split(";")[0] for line in requirements), "ranges, no pins"
        # They demand one exact torch.
        heavy = {line.split("extra==")[-1] for line in requirements if line.startswith(("timm", "torchvision"))}
        assert heavy == {"'all'", "'backbones'"}

    def test_finds_its_weights(self, wheel: Path, tmp_path: Path, expected_weights: list[str]):
        site = tmp_path / "site"
        pip("install", "--target", site, wheel, cwd=tmp_path)
        assert import_from(site, cwd=tmp_path) == {
            "package": str(site / "dr_kfs" / "__init__.py"),
            "version": dr_kfs.__version__,
            "weights": str(site / "dr_kfs" / "_weights"),
            "loaded": expected_weights,
        }


class TestEditableInstall:
    def test_finds_the_weights_of_the_checkout(self, source: Path, tmp_path: Path, expected_weights: list[str]):
        site = tmp_path / "site"
        pip("install", "--target", site, "--editable", source, cwd=tmp_path)
        assert import_from(site, cwd=tmp_path) == {
            "package": str(source / "dr_kfs" / "__init__.py"),
            "version": dr_kfs.__version__,
            "weights": str(source / "weights"),
            "loaded": expected_weights,
        }
