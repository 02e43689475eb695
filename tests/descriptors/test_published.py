"""Published HardNet: fetched on request, verified, converted once; tested offline with checkpoints of its structure."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import os
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from dr_kfs.descriptors import PUBLISHED, HardNetDescriptor, fetch_published
from dr_kfs.descriptors.published import cache_directory, git_blob_id, load_published, published_entry

NAME = "hardnet-liberty"
FILE = "checkpoint_liberty_with_aug.pth"
Publish = Callable[..., Path]


def checkpoint(state: Any, **options: Any) -> bytes:
    """As the authors': the old format, with the epoch beside the tensors."""
    file = io.BytesIO()
    torch.save({"epoch": 10, "state_dict": state}, file, **{"_use_new_zipfile_serialization": False, **options})
    return file.getvalue()


def state_of(network: Any) -> OrderedDict[str, torch.Tensor]:
    """Without counters, which torch did not have then."""
    return OrderedDict((key, value) for key, value in network.state_dict().items() if value.is_floating_point())


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and no network."""
    monkeypatch.setenv("DR_KFS_CACHE", str(tmp_path / "cache"))

    def no_network(*_: object, **__: object) -> None:
        raise OSError("no network in this test")

    monkeypatch.setattr("urllib.request.urlopen", no_network)
    return tmp_path / "cache" / "weights"


@pytest.fixture
def publish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path) -> Publish:
    """Write a checkpoint, and make it the one that is expected under its name."""

    def publish(content: bytes, name: str = NAME) -> Path:
        path = tmp_path / PUBLISHED[name].file
        path.write_bytes(content)
        entry = dataclasses.replace(PUBLISHED[name], git_blob=git_blob_id(content))
        monkeypatch.setitem(PUBLISHED, name, entry)
        return path

    return publish


@pytest.fixture
def hardnet(kornia_network: Callable[[str], Any]) -> Any:
    return kornia_network("HardNet")


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


BOTH = {f"{NAME}.safetensors", f"{NAME}.json"}


class TestTable:
    def test_ids_are_the_authors(self):
        """`git ls-tree -r HEAD pretrained` of github.com/DagnyT/hardnet at 35bc1d7."""
        assert PUBLISHED["hardnet-liberty"].git_blob == "c1b2a5f4e79a5f3e50ec9a1ac98a428965cef37b"
        assert PUBLISHED["hardnet++"].git_blob == "84aa9c230b7cd6d0a8a7d13b65b39cfb0f406eec"

    @pytest.mark.parametrize(("name", "key"), [("hardnet-liberty", "liberty_aug"), ("hardnet++", "hardnet++")])
    def test_addresses_are_kornias(self, name, key):
        from kornia.feature.hardnet import urls

        theirs = urls[key]
        assert set([theirs] if isinstance(theirs, str) else theirs) <= set(PUBLISHED[name].urls)

    def test_unknown_name(self):
        with pytest.raises(ValueError, match='Unknown published weights "hardnet": expected hardnet'):
            published_entry("hardnet")


class TestGitBlobId:
    def test_is_gits(self):
        """`git hash-object` of an empty file, and of `echo hello`."""
        assert git_blob_id(b"") == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
        assert git_blob_id(b"hello\n") == "ce013625030ba8dba906f756967f9e9ca394464a"

    def test_of_a_published_file(self, tfeat_liberty: Path):
        """`git ls-tree HEAD pretrained-models` of github.com/vbalnt/tfeat."""
        assert git_blob_id(tfeat_liberty.read_bytes()) == "0f28ae87db5e2fc95ae691faf3aa9c2c631060b2"


class TestCacheDirectory:
    def test_order(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
        monkeypatch.setenv("DR_KFS_CACHE", "~/mine")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        monkeypatch.setenv("HOME", "/home/somebody")
        assert cache_directory() == Path("/home/somebody/mine")
        monkeypatch.setenv("DR_KFS_CACHE", "")
        assert cache_directory() == tmp_path / "dr_kfs"
        monkeypatch.setenv("XDG_CACHE_HOME", "relative/is/ignored")
        assert cache_directory() == Path("/home/somebody/.cache/dr_kfs")


class TestFetchFromAFile:
    @pytest.mark.parametrize("zipped", [False, True])
    @pytest.mark.parametrize("name", ["hardnet-liberty", "hardnet++"])
    def test_gives_kornias_descriptors(self, publish: Publish, hardnet: Any, name: str, zipped: bool):
        source = publish(checkpoint(state_of(hardnet), _use_new_zipfile_serialization=zipped), name)
        path = fetch_published(name, source=source)
        assert path == cache_directory() / "weights" / f"{name}.safetensors"
        patches = torch.rand(5, 32, 32)
        descriptor = HardNetDescriptor(name)
        with torch.no_grad():
            torch.testing.assert_close(descriptor(patches), hardnet(patches[:, None]), atol=1e-5, rtol=0)
        settings = descriptor.settings()
        assert settings["weights"] == name
        assert settings["fingerprint"] == PUBLISHED[name].git_blob[:12]
        assert settings["kornia_compat"] is True

    def test_normalisation_can_be_ours(self, publish: Publish, hardnet: Any, tmp_path: Path):
        fetch_published(NAME, source=publish(checkpoint(state_of(hardnet))))
        save_file(state_of(hardnet), tmp_path / "same.safetensors")
        patches = torch.rand(5, 32, 32)
        ours = HardNetDescriptor(NAME, kornia_compat=False)
        assert torch.equal(ours(patches), HardNetDescriptor(str(tmp_path / "same.safetensors"))(patches))
        assert not torch.allclose(ours(patches), HardNetDescriptor(NAME)(patches), atol=1e-3)
        assert ours.settings()["kornia_compat"] is False

    def test_converts_once(self, publish: Publish, hardnet: Any, cache: Path):
        source = publish(checkpoint(hardnet.state_dict()))
        path = fetch_published(NAME, source=str(source))
        assert files(cache) == BOTH
        record = json.loads((cache / f"{NAME}.json").read_text())
        assert record["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert record["git_blob"] == PUBLISHED[NAME].git_blob
        assert load_file(path).keys() == state_of(hardnet).keys()
        source.unlink()
        written = path.stat().st_mtime_ns
        assert fetch_published(NAME) == fetch_published(NAME, download=False) == path
        assert path.stat().st_mtime_ns == written

    def test_missing_file(self, cache: Path, tmp_path: Path):
        with pytest.raises(ValueError, match=rf"There is no file .*nowhere\.pth: expected {FILE} of github"):
            fetch_published(NAME, source=tmp_path / "nowhere.pth")
        assert files(cache) == set()

    @pytest.mark.parametrize("spoil", [lambda content: content[:-1000], lambda content: b"<!DOCTYPE html>"])
    def test_truncated_or_another_file(self, publish: Publish, hardnet: Any, cache: Path, spoil: Any):
        source = publish(checkpoint(state_of(hardnet)))
        source.write_bytes(spoil(source.read_bytes()))
        expected, size, found = PUBLISHED[NAME].git_blob, source.stat().st_size, git_blob_id(source.read_bytes())
        with pytest.raises(
            ValueError,
            match=rf"{FILE} is not {FILE}, or is truncated: expected git blob id {expected}, its {size} bytes have "
            rf"{found}\. Download it again from https://github\.com/DagnyT/",
        ):
            fetch_published(NAME, source=source)
        assert files(cache) == set()

    def test_the_other_published_file(self, publish: Publish, hardnet: Any):
        source = publish(checkpoint(state_of(hardnet)), "hardnet++")
        with pytest.raises(ValueError, match=f"expected git blob id {PUBLISHED[NAME].git_blob}"):
            fetch_published(NAME, source=source)

    def test_huge_file(self, publish: Publish, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr("dr_kfs.descriptors.published.MAX_BYTES", 10)
        with pytest.raises(ValueError, match="expected at most 10 bytes, it has 11"):
            fetch_published(NAME, source=publish(b"01234567890"))

    def test_other_structure(self, publish: Publish, hardnet: Any, kornia_network: Any, cache: Path):
        state = state_of(hardnet)
        wide = {**state, "features.19.weight": torch.zeros(256, 128, 8, 8)}
        for content, problem in (
            (checkpoint(state_of(kornia_network("TFeat"))), "not HardNet's: 'features.0.weight' is missing"),
            (checkpoint({**state, "components": torch.eye(2)}), "it has no 'components'"),
            (checkpoint(wide), r"'features\.19\.weight' is \(256, 128, 8, 8\), expected \(128, 128, 8, 8\)"),
            (b"no checkpoint", "is not a checkpoint that holds only tensors, or is truncated"),
        ):
            with pytest.raises(ValueError, match=problem):
                fetch_published(NAME, source=publish(content))
        assert files(cache) == set()


class TestCache:
    @pytest.fixture
    def source(self, publish: Publish, hardnet: Any) -> Path:
        return publish(checkpoint(state_of(hardnet)))

    @pytest.mark.usefixtures("cache")
    def test_nothing_downloads_unasked(self):
        for call in (lambda: HardNetDescriptor(NAME), lambda: fetch_published(NAME, download=False)):
            with pytest.raises(ValueError, match=f"`dr-kfs fetch {NAME}` or .*, or from a file with `--source {FILE}`"):
                call()

    @pytest.mark.parametrize("writes", [0, 1])
    def test_interrupted_conversion(self, source: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, writes: int):
        replace, done = os.replace, []

        def fail(*arguments: Any) -> None:
            if len(done) == writes:
                raise KeyboardInterrupt
            done.append(arguments)
            replace(*arguments)

        with monkeypatch.context() as patch:
            patch.setattr("os.replace", fail)
            with pytest.raises(KeyboardInterrupt):
                fetch_published(NAME, source=source)
        assert files(cache) == ({f"{NAME}.safetensors"} if writes else set()), "no temporary files"
        with pytest.raises(ValueError, match="is incomplete: expected" if writes else "are not in the cache"):
            HardNetDescriptor(NAME)
        fetch_published(NAME, source=source)
        HardNetDescriptor(NAME)

    @pytest.mark.parametrize(
        ("file", "spoil", "message"),
        [
            (f"{NAME}.safetensors", lambda path: path.write_bytes(path.read_bytes()[:-1]), "altered: expected SHA-256"),
            (f"{NAME}.safetensors", Path.unlink, "is incomplete"),
            (f"{NAME}.json", Path.unlink, "is incomplete"),
            (f"{NAME}.json", lambda path: path.write_text("{"), "is not that of"),
            (f"{NAME}.json", lambda path: path.write_bytes(b"\xff"), "is not that of"),
            (f"{NAME}.json", lambda path: path.write_text('{"git_blob": "0", "sha256": "0"}'), "is not that of"),
        ],
    )
    def test_altered(self, source: Path, cache: Path, file: str, spoil: Any, message: str):
        fetch_published(NAME, source=source)
        spoil(cache / file)
        for call in (lambda: load_published(NAME), lambda: fetch_published(NAME, download=False)):
            with pytest.raises(ValueError, match=rf'{message}.*fetch it again: .*fetch_published\("{NAME}"\)'):
                call()
        fetch_published(NAME, source=source)
        load_published(NAME)

    def test_cannot_be_written(self, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        (tmp_path / "file").touch()
        monkeypatch.setenv("DR_KFS_CACHE", str(tmp_path / "file"))
        with pytest.raises(ValueError, match=r"Cannot write to the cache .*Set DR_KFS_CACHE to a folder"):
            fetch_published(NAME, source=source)

    def test_other_weights_are_another_metric(self, source: Path, hardnet: Any, publish: Publish):
        fetch_published(NAME, source=source)
        before = HardNetDescriptor(NAME).settings()
        publish(checkpoint({**state_of(hardnet), "features.0.weight": torch.zeros(32, 1, 3, 3)}))
        with pytest.raises(ValueError, match="expected git blob id"):
            HardNetDescriptor(NAME)
        assert before["fingerprint"] != PUBLISHED[NAME].fingerprint
