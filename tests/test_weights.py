from __future__ import annotations

import dataclasses
import hashlib
import json
import pickle
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

import dr_kfs.weights
from dr_kfs.weights import (
    WeightsEntry,
    available_weights,
    load_weights,
    register_weights,
    weights_directory,
    weights_entry,
    weights_fingerprint,
)

TENSORS = {"filters": torch.arange(6.0).reshape(2, 3), "offset": torch.tensor(-1.5)}


def register(
    directory: Path, name: str = "tiny", tensors: Mapping[str, Tensor] = TENSORS, seed: int = 7
) -> WeightsEntry:
    return register_weights(
        name,
        tensors,
        kind="detector",
        architecture="none",
        license="MIT",
        data="made up",
        command="pytest",
        seed=seed,
        figures={"score": 0.5, "windows": 3},
        directory=directory,
    )


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A registry with the weights "tiny", in the place of the shipped one."""
    register(tmp_path)
    monkeypatch.setattr(dr_kfs.weights, "weights_directory", lambda: tmp_path)
    return tmp_path


def assert_same(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for key, tensor in expected.items():
        assert torch.equal(found[key], tensor)
        assert found[key].dtype == tensor.dtype


class TestShippedRegistry:
    """The weights of this checkout."""

    def test_is_the_folder_of_the_checkout(self, repository: Path):
        assert weights_directory() == repository / "weights"

    def test_every_entry_loads(self):
        for name in available_weights():
            tensors = load_weights(name)
            assert tensors
            assert all(tensor.isfinite().all() for tensor in tensors.values())

    def test_every_entry_says_how_it_was_made(self):
        for name in available_weights():
            entry = weights_entry(name)
            for field in ("architecture", "license", "data", "command"):
                assert getattr(entry, field), f"{name}: {field} is empty"
            assert entry.figures, f"{name}: no figures"

    def test_every_file_is_registered(self):
        files = {path.name for path in weights_directory().iterdir()} - {"README.md", "registry.json"}
        assert files == {weights_entry(name).file for name in available_weights()}


class TestWeightsDirectory:
    def test_prefers_the_wheels_folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        package = tmp_path / "dr_kfs"
        monkeypatch.setattr(dr_kfs.weights, "__file__", str(package / "weights.py"))
        register(tmp_path / "weights")
        assert weights_directory() == tmp_path / "weights"
        register(package / "_weights")
        assert weights_directory() == package / "_weights"

    def test_without_any_says_where_it_looked(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(dr_kfs.weights, "__file__", str(tmp_path / "dr_kfs" / "weights.py"))
        with pytest.raises(ValueError, match=r"no weights.*_weights.*Reinstall"):
            weights_directory()


class TestAvailableWeights:
    def test_lists_names_sorted(self, directory: Path):
        register(directory, "alpha")
        assert available_weights() == ("alpha", "tiny")

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("{", "is not JSON"),
            ("[]", "expected an object from names to entries, got list"),
            ('{"tiny": {"file": "tiny.safetensors", "colour": 1}}', r"missing \['architecture'.*'colour'"),
            ('{"tiny": 3}', r"missing \['architecture'"),
        ],
    )
    def test_broken_registry(self, directory: Path, content: str, message: str):
        (directory / "registry.json").write_text(content)
        with pytest.raises(ValueError, match=message):
            available_weights()

    @pytest.mark.parametrize(
        ("field", "value", "message"),
        [("kind", "poem", "'poem' is none of"), ("file", "../tiny.safetensors", "is not a file name")],
    )
    def test_broken_entry(self, directory: Path, field: str, value: str, message: str):
        rows = json.loads((directory / "registry.json").read_text())
        rows["tiny"][field] = value
        (directory / "registry.json").write_text(json.dumps(rows))
        with pytest.raises(ValueError, match=message):
            available_weights()


class TestWeightsEntry:
    def test_is_what_was_registered(self, directory: Path):
        entry = register(directory, "other", seed=11)
        assert weights_entry("other") == entry
        assert (entry.name, entry.file, entry.seed) == ("other", "other.safetensors", 11)
        assert entry.figures == {"score": 0.5, "windows": 3}

    def test_is_frozen(self, directory: Path):
        with pytest.raises(dataclasses.FrozenInstanceError):
            weights_entry("tiny").seed = 3  # pyright: ignore[reportAttributeAccessIssue]

    @pytest.mark.usefixtures("directory")
    def test_unknown_name_lists_the_known_ones(self):
        with pytest.raises(ValueError, match=r'Unknown weights "tyni": expected tiny, or the path'):
            weights_entry("tyni")


class TestLoadWeights:
    @pytest.mark.usefixtures("directory")
    def test_by_name(self):
        assert_same(load_weights("tiny"), TENSORS)

    def test_by_path(self, tmp_path: Path):
        path = tmp_path / "mine.safetensors"
        save_file(TENSORS, path)
        assert_same(load_weights(path), TENSORS)
        assert_same(load_weights(str(path)), TENSORS)

    @pytest.mark.usefixtures("directory")
    def test_unknown_name(self):
        with pytest.raises(ValueError, match='Unknown weights "hardnet"'):
            load_weights("hardnet")

    def test_missing_path(self, tmp_path: Path):
        with pytest.raises(ValueError, match=r"There is no weights file .*none\.safetensors"):
            load_weights(tmp_path / "none.safetensors")

    def test_missing_file(self, directory: Path):
        (directory / "tiny.safetensors").unlink()
        with pytest.raises(ValueError, match=r'file of the weights "tiny" is missing'):
            load_weights("tiny")

    def test_altered_file(self, directory: Path):
        path = directory / "tiny.safetensors"
        altered = bytearray(path.read_bytes())
        altered[-1] ^= 1
        path.write_bytes(altered)
        with pytest.raises(ValueError, match=r"not the registered one: expected SHA-256 [0-9a-f]{64}"):
            load_weights("tiny")
        assert load_weights(path).keys() == TENSORS.keys(), "a path is taken as it is"

    @pytest.mark.parametrize("content", [b"", b"no tensors in here, only words and more words"])
    def test_not_safetensors(self, tmp_path: Path, content: bytes):
        path = tmp_path / "words.safetensors"
        path.write_bytes(content)
        with pytest.raises(ValueError, match="is not a safetensors file"):
            load_weights(path)

    @pytest.mark.parametrize("name", ["net.pth", "net.pt", "net.pkl", "net.safetensors"])
    def test_never_opens_a_pickle(self, tmp_path: Path, name: str):
        class Bomb:
            def __reduce__(self):
                return (Path.touch, (tmp_path / "exploded",))

        path = tmp_path / name
        path.write_bytes(pickle.dumps(Bomb()))
        for given in (path, str(path)):
            with pytest.raises(ValueError, match="safetensors"):
                load_weights(given)
        assert not (tmp_path / "exploded").exists()


class TestWeightsFingerprint:
    def test_is_the_start_of_the_hash(self, directory: Path):
        digest = hashlib.sha256((directory / "tiny.safetensors").read_bytes()).hexdigest()
        assert weights_fingerprint("tiny") == digest[:12]
        assert weights_fingerprint(directory / "tiny.safetensors") == digest[:12]
        assert weights_entry("tiny").sha256 == digest

    def test_altered_file(self, directory: Path):
        (directory / "tiny.safetensors").write_bytes(b"altered")
        with pytest.raises(ValueError, match="not the registered one"):
            weights_fingerprint("tiny")


class TestRegisterWeights:
    def test_same_tensors_make_the_same_file(self, tmp_path: Path):
        first = register(tmp_path / "first")
        second = register(tmp_path / "second", tensors=dict(reversed(TENSORS.items())))
        assert first == second

    def test_replaces_its_name_and_keeps_the_others(self, directory: Path):
        other = register(directory, "other")
        register(directory, tensors={"filters": torch.ones(2)})
        assert_same(load_weights("tiny"), {"filters": torch.ones(2)})
        assert weights_entry("other") == other

    def test_leaves_no_temporary_files(self, directory: Path):
        assert {path.name for path in directory.iterdir()} == {"registry.json", "tiny.safetensors"}

    def test_interrupted_write_keeps_the_old_pair(self, directory: Path, monkeypatch: pytest.MonkeyPatch):
        def fail(*_: object) -> None:
            raise OSError("disk full")

        with monkeypatch.context() as patch:
            patch.setattr("os.replace", fail)
            with pytest.raises(OSError, match="disk full"):
                register(directory, tensors={"filters": torch.ones(2)})
        assert_same(load_weights("tiny"), TENSORS)
        assert {path.name for path in directory.iterdir()} == {"registry.json", "tiny.safetensors"}

    def test_takes_parameters_views_and_shared_memory(self, directory: Path):
        weight = torch.nn.Parameter(torch.arange(6.0).reshape(2, 3))
        register(directory, tensors={"a": weight, "b": weight.T, "c": weight.detach()[0].half()})
        loaded = load_weights("tiny")
        assert_same(loaded, {"a": weight.detach(), "b": weight.detach().T, "c": weight.detach()[0].half()})
        assert not any(tensor.requires_grad for tensor in loaded.values())

    @pytest.mark.parametrize("name", ["", "Upper", "a b", "../up", ".hidden", "net.safetensors", "net.pth"])
    def test_name_not_allowed(self, tmp_path: Path, name: str):
        with pytest.raises(ValueError, match="Expected a name"):
            register(tmp_path, name)

    def test_no_tensors(self, tmp_path: Path):
        with pytest.raises(ValueError, match="no tensors"):
            register(tmp_path, tensors={})

    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    def test_not_finite(self, tmp_path: Path, value: float):
        with pytest.raises(ValueError, match=r'tensor "bias".*not finite'):
            register(tmp_path, tensors={"bias": torch.tensor([0.0, value])})

    def test_without_a_directory_writes_to_the_checkout(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        def register_here() -> WeightsEntry:
            return register_weights(
                "mine",
                TENSORS,
                kind="descriptor",
                architecture="none",
                license="MIT",
                data="made up",
                command="pytest",
                seed=0,
                figures={},
            )

        checkout, wheel = tmp_path / "weights", tmp_path / "_weights"
        register(checkout)
        register(wheel)
        monkeypatch.setattr(dr_kfs.weights, "weights_directory", lambda: checkout)
        assert register_here() == weights_entry("mine")
        monkeypatch.setattr(dr_kfs.weights, "weights_directory", lambda: wheel)
        with pytest.raises(ValueError, match="are a wheel's: give `directory`"):
            register_here()
