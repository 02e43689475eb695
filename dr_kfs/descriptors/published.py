"""Published weights of HardNet, trained on photographs: fetched on request, verified, converted once, cached.

    fetch_published("hardnet-liberty")                                   # downloads a few MB, with a progress bar
    fetch_published("hardnet++", source="HardNet++.pth")                 # from a file, without a network
    HardNetDescriptor("hardnet-liberty")                                 # reads the cache; never downloads

Every checkpoint is verified against its git blob id in the authors' repository, which no other bytes have, and opened
with `weights_only=True`. What is kept is a safetensors file and, beside it, a record of its SHA-256, which every later
load verifies. The cache is `$DR_KFS_CACHE`, else `$XDG_CACHE_HOME/dr_kfs`, else `~/.cache/dr_kfs`.

References:
    Mishchuk et al., "Working hard to know your neighbor's margins: Local descriptor learning loss", NeurIPS 2017.
    Checkpoints: https://github.com/DagnyT/hardnet (MIT).
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import load, save
from torch import Tensor

from dr_kfs.descriptors.checkpoints import check_layout, read_checkpoint
from dr_kfs.descriptors.download import MAX_BYTES, read_url
from dr_kfs.descriptors.hardnet_layout import hardnet_shapes
from dr_kfs.weights import FINGERPRINT_LENGTH
from dr_kfs.whole_files import written_whole

AUTHORS = "https://github.com/DagnyT/hardnet/raw/master/pretrained"
KORNIA = "https://huggingface.co/kornia/hardnet/resolve/main"


@dataclass(frozen=True, kw_only=True)
class PublishedWeights:
    """One published checkpoint."""

    name: str
    """What `HardNetDescriptor` and `fetch_published` take."""
    file: str
    """File name in the authors' repository."""
    git_blob: str
    """Its git blob id there: SHA-1 of `blob <size>`, a zero byte and the content."""
    urls: tuple[str, ...]
    """kornia's, the authors' own first: it is the one whose id is known."""
    license: str
    """SPDX identifier."""
    data: str
    """What it was trained on."""

    @property
    def fingerprint(self) -> str:
        """The first 12 digits of the git blob id: the same wherever the file was converted."""
        return self.git_blob[:FINGERPRINT_LENGTH]


PUBLISHED = {
    "hardnet++": PublishedWeights(
        name="hardnet++",
        file="HardNet++.pth",
        git_blob="84aa9c230b7cd6d0a8a7d13b65b39cfb0f406eec",
        urls=(f"{AUTHORS}/pretrained_all_datasets/HardNet++.pth", f"{KORNIA}/HardNetPP.pth"),
        license="MIT",
        data="photographs: UBC PhotoTour and HPatches",
    ),
    "hardnet-liberty": PublishedWeights(
        name="hardnet-liberty",
        file="checkpoint_liberty_with_aug.pth",
        git_blob="c1b2a5f4e79a5f3e50ec9a1ac98a428965cef37b",
        urls=(
            f"{AUTHORS}/train_liberty_with_aug/checkpoint_liberty_with_aug.pth",
            f"{KORNIA}/checkpoint_liberty_with_aug.pth",
        ),
        license="MIT",
        data="photographs: UBC PhotoTour, Liberty, with augmentation",
    ),
}
"""By name."""


def fetch_published(
    name: str,
    *,
    source: str | os.PathLike[str] | None = None,
    download: bool = True,
    progress: bool = True,
) -> Path:
    """Put published weights into the cache, where `HardNetDescriptor(name)` finds them.

    Args:
        name: `"hardnet-liberty"` or `"hardnet++"`.
        source: the checkpoint as a local file; nothing is downloaded.
        download: False: use the cache or fail, without asking the network.
        progress: show a bar on the error stream.

    Returns:
        The safetensors file in the cache. Nothing is read or downloaded again if it is there and intact.

    Raises:
        ValueError: an unknown name; a file that is missing, truncated or another one; no network; a cache that cannot
            be written. The cache is unchanged then.
    """
    entry = published_entry(name)
    if source is not None:
        return _store(entry, _read_source(entry, Path(source)))
    try:
        return _read_cache(entry)[0]
    except ValueError:
        if not download:
            raise
    return _store(entry, _download(entry, progress=progress))


def load_published(name: str) -> dict[str, Tensor]:
    """Tensors of published weights from the cache, on the CPU, in kornia's layout.

    Raises:
        ValueError: an unknown name, or a cache without intact weights of this name; nothing is downloaded.
    """
    return load(_read_cache(published_entry(name))[1])


def published_entry(name: str) -> PublishedWeights:
    """What is known of published weights.

    Raises:
        ValueError: an unknown name.
    """
    if name not in PUBLISHED:
        raise ValueError(f'Unknown published weights "{name}": expected {" or ".join(sorted(PUBLISHED))}.')
    return PUBLISHED[name]


def cache_directory() -> Path:
    """`$DR_KFS_CACHE`, else `$XDG_CACHE_HOME/dr_kfs`, else `~/.cache/dr_kfs`; it need not exist."""
    if own := os.environ.get("DR_KFS_CACHE"):
        return Path(own).expanduser()
    shared = os.environ.get("XDG_CACHE_HOME", "")
    # A relative path is to be ignored, says the XDG specification.
    return (Path(shared) if os.path.isabs(shared) else Path("~/.cache").expanduser()) / "dr_kfs"


def git_blob_id(content: bytes) -> str:
    """The id that git gives to a file of this content: SHA-1 of `blob <size>`, a zero byte and the content."""
    header = b"blob %d\0" % len(content)
    return hashlib.sha1(header + content, usedforsecurity=False).hexdigest()


# -- where the checkpoint comes from -------------------------------------------------------------------------------


def _read_source(entry: PublishedWeights, path: Path) -> bytes:
    if not path.is_file():
        raise ValueError(f"There is no file {path}: expected {entry.file} of github.com/DagnyT/hardnet.")
    if (size := path.stat().st_size) > MAX_BYTES:
        raise ValueError(f"{path} is not {entry.file}: expected at most {MAX_BYTES} bytes, it has {size}.")
    content = path.read_bytes()
    if problem := _difference(entry, content):
        raise ValueError(
            f"{path} is not {entry.file}, or is truncated: {problem}. Download it again from {entry.urls[0]}."
        )
    return content


def _download(entry: PublishedWeights, *, progress: bool) -> bytes:
    """The verified checkpoint from the first address that has it."""
    problems = []
    for url in entry.urls:
        try:
            content = read_url(url, progress=progress)
        except OSError as error:
            problems.append(f"{url}: {error}")
            continue
        if problem := _difference(entry, content):
            problems.append(f"{url}: {problem}")
            continue
        return content
    raise ValueError(
        f'The weights "{entry.name}" could not be downloaded ({"; ".join(problems)}). Get {entry.file} on a machine '
        f"with a network, then `dr-kfs fetch {entry.name} --source {entry.file}` (or fetch_published with source=)."
    )


def _difference(entry: PublishedWeights, content: bytes) -> str | None:
    """What is wrong with the bytes of a checkpoint, if anything."""
    found = git_blob_id(content)
    if found == entry.git_blob:
        return None
    return f"expected git blob id {entry.git_blob}, its {len(content)} bytes have {found}"


# -- the cache -----------------------------------------------------------------------------------------------------


def _store(entry: PublishedWeights, checkpoint: bytes) -> Path:
    """Convert a verified checkpoint: the tensors first, then the record that makes them count."""
    tensors = read_checkpoint(checkpoint, name=entry.file)
    tensors = check_layout(tensors, hardnet_shapes(), weights=entry.name, network="HardNet")
    content = save({key: tensor.contiguous() for key, tensor in tensors.items()})
    record = {
        "name": entry.name,
        "file": entry.file,
        "git_blob": entry.git_blob,
        "sha256": hashlib.sha256(content).hexdigest(),
        "license": entry.license,
        "data": entry.data,
    }
    path, record_path = _cache_paths(entry)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as partial:
            partial.write_bytes(content)
        with written_whole(record_path) as partial:
            partial.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise ValueError(
            f"Cannot write to the cache {path.parent}: {error}. Set DR_KFS_CACHE to a folder that you can write to."
        ) from error
    return path


def _read_cache(entry: PublishedWeights) -> tuple[Path, bytes]:
    """Path and content of the cached weights, verified; what is verified is what gets parsed."""
    path, record_path = _cache_paths(entry)
    again = f'fetch it again: dr_kfs.descriptors.fetch_published("{entry.name}")'
    if not path.is_file() and not record_path.is_file():
        raise ValueError(
            f'The published weights "{entry.name}" are not in the cache {path.parent}: download them once with '
            f'`dr-kfs fetch {entry.name}` or dr_kfs.descriptors.fetch_published("{entry.name}"), or from a file with '
            f"`--source {entry.file}` or source=."
        )
    if not path.is_file() or not record_path.is_file():
        raise ValueError(
            f'The cache of "{entry.name}" is incomplete: expected {path.name} and {record_path.name} in '
            f"{path.parent}; {again}."
        )
    if (expected := _recorded_sha256(entry, record_path)) is None:
        raise ValueError(
            f'The record {record_path} is not that of "{entry.name}": expected git blob id {entry.git_blob} and a '
            f"SHA-256; {again}."
        )
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise ValueError(
            f'The cached weights "{entry.name}" were altered: expected SHA-256 {expected}, {path} has {found}; {again}.'
        )
    return path, content


def _recorded_sha256(entry: PublishedWeights, path: Path) -> str | None:
    """The SHA-256 that a record gives for this checkpoint, if it gives one."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:  # not JSON, or not text
        return None
    if not isinstance(record, dict) or record.get("git_blob") != entry.git_blob:
        return None
    digest = record.get("sha256")
    return digest if isinstance(digest, str) else None


def _cache_paths(entry: PublishedWeights) -> tuple[Path, Path]:
    path = cache_directory() / "weights" / f"{entry.name}.safetensors"
    return path, path.with_suffix(".json")
