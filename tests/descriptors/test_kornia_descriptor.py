"""kornia's patch networks as descriptors."""

from __future__ import annotations

import copy
import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from dr_kfs import DRKFSLoss, SoftRenderer, hemisphere_rig, icosphere
from dr_kfs.descriptors import HardNetDescriptor, KorniaDescriptor, PatchDescriptor, ViewDescriptor, normalize_patches
from dr_kfs.weights import weights_fingerprint

NETWORKS = {"hardnet": "HardNet", "hynet": "HyNet", "sosnet": "SOSNet", "tfeat": "TFeat"}
Architectures = pytest.mark.parametrize("architecture", sorted(NETWORKS))


@pytest.fixture(scope="module")
def weights(kornia_network: Callable[[str], Any], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """A safetensors file of an architecture."""
    folder = tmp_path_factory.mktemp("weights")

    @functools.cache
    def write(architecture: str) -> str:
        path = folder / f"{architecture}.safetensors"
        state = kornia_network(NETWORKS[architecture]).state_dict()
        save_file({key: value.contiguous() for key, value in state.items()}, path)
        return str(path)

    return write


@pytest.fixture(scope="module")
def make(weights: Callable[[str], str]) -> Callable[..., KorniaDescriptor]:
    """One descriptor for all tests that ask for the same: they are frozen."""

    @functools.cache
    def make(architecture: Any, **options: Any) -> KorniaDescriptor:
        return KorniaDescriptor(architecture, weights=weights(architecture), **options)

    return make


def unit(vectors: Tensor) -> Tensor:
    return nn.functional.normalize(vectors, dim=1)


@Architectures
class TestKorniaDescriptor:
    def test_compat_is_kornia(self, architecture: Any, make: Any, kornia_network: Any):
        patches = torch.rand(6, 32, 32)
        with torch.no_grad():
            expected = unit(kornia_network(NETWORKS[architecture])(patches[:, None]))
            got = make(architecture, kornia_compat=True)(patches)
        torch.testing.assert_close(got, expected, atol=1e-6, rtol=0)

    def test_patches_are_normalised_once_by_ours(self, architecture: Any, make: Any, kornia_network: Any):
        """Against the whole network with its normalisation taken out."""
        network = copy.deepcopy(kornia_network(NETWORKS[architecture]))
        network._normalize_input = lambda patches: patches
        for name, module in network.named_modules():
            if isinstance(module, nn.InstanceNorm2d):
                network.set_submodule(name, nn.Identity())
        patches = 1e-3 * torch.rand(6, 32, 32)  # faint: the floor matters
        with torch.no_grad():
            expected = unit(network(normalize_patches(patches, floor=0.02)[:, None]))
            got = make(architecture, floor=0.02)(patches)
        torch.testing.assert_close(got, expected, atol=1e-6, rtol=0)

    def test_unit_descriptors_of_128_whatever_the_mode(self, architecture: Any, make: Any):
        descriptor, patches = make(architecture), torch.rand(4, 32, 32)
        before = descriptor(patches)
        assert before.shape == (4, 128)
        torch.testing.assert_close(before.norm(dim=1), torch.ones(4))
        assert torch.equal(descriptor.train()(patches), before)
        assert list(descriptor.parameters()) == []
        assert descriptor.state_dict() == {}
        assert isinstance(descriptor, PatchDescriptor)
        assert not isinstance(descriptor, ViewDescriptor)

    def test_gradient_in_float64(self, architecture: Any, make: Any):
        descriptor = make(architecture)
        patches = torch.rand(2, 32, 32, dtype=torch.float64, requires_grad=True)
        direction, ramp = torch.randn_like(patches), torch.arange(128)

        def value(x: Tensor) -> Tensor:
            return descriptor(x).square().mul(ramp).sum()

        value(patches).backward()
        assert patches.grad is not None
        step = 1e-7 * direction
        expected = (value(patches.detach() + step) - value(patches.detach() - step)) / 2e-7
        torch.testing.assert_close((patches.grad * direction).sum(), expected, rtol=1e-4, atol=1e-7)

    def test_blank_patches_are_finite_and_equal(self, architecture: Any, make: Any):
        patches = torch.zeros(2, 32, 32, requires_grad=True)
        descriptors = make(architecture)(patches)
        descriptors.sum().backward()
        assert torch.equal(descriptors[0], descriptors[1])
        assert descriptors.isfinite().all()
        assert patches.grad is not None
        assert patches.grad.isfinite().all()

    def test_settings_name_the_weights(self, architecture: Any, make: Any, weights: Any):
        settings = make(architecture, kornia_compat=True).settings()
        assert json.loads(json.dumps(settings)) == {
            "type": "KorniaDescriptor",
            "architecture": architecture,
            "weights": f"{architecture}.safetensors",
            "fingerprint": weights_fingerprint(weights(architecture)),
            "floor": 0.01,
            "kornia_compat": True,
        }

    def test_takes_checkpoints(self, architecture: Any, make: Any, kornia_network: Any, tmp_path: Path):
        path, patches = tmp_path / "net.pth", torch.rand(3, 32, 32)
        torch.save({"state_dict": kornia_network(NETWORKS[architecture]).state_dict()}, path)
        expected = make(architecture)(patches)
        assert torch.equal(KorniaDescriptor(architecture, weights=path)(patches), expected)

    def test_refuses_the_weights_of_others(self, architecture: Any, weights: Any):
        other = "tfeat" if architecture != "tfeat" else "hardnet"
        with pytest.raises(
            ValueError, match=rf'"{other}.safetensors" are not kornia\'s {NETWORKS[architecture]}\'s: .* is missing'
        ):
            KorniaDescriptor(architecture, weights=weights(other))


class TestErrors:
    def test_unknown_architecture(self, weights: Any):
        with pytest.raises(ValueError, match=r"architecture must be one of .*'tfeat'\), got 'sift'"):
            KorniaDescriptor.__init__.__wrapped__(nn.Module.__new__(KorniaDescriptor), "sift", weights=weights("tfeat"))

    def test_missing_file(self, tmp_path: Path):
        with pytest.raises(ValueError, match=r"There is no weights file .*none\.params"):
            KorniaDescriptor("tfeat", weights=tmp_path / "none.params")

    @pytest.mark.parametrize("name", ["words.params", "words.safetensors"])
    def test_no_checkpoint(self, tmp_path: Path, name: str):
        (tmp_path / name).write_bytes(b"no tensors in here, only words and more words")
        with pytest.raises(ValueError, match=rf"{name}.* is not a "):
            KorniaDescriptor("tfeat", weights=tmp_path / name)


class TestInTheLoss:
    def test_names_its_weights_and_has_a_gradient(self, make: Any):
        descriptor = make("tfeat")
        renderer = SoftRenderer(cameras=hemisphere_rig()[[9]], image_size=64)
        loss = DRKFSLoss(renderer=renderer, descriptor=descriptor)
        target = icosphere(1)
        vertices = (target.vertices * torch.tensor([1.0, 0.7, 1.0])).requires_grad_()
        assert loss(target, target).item() == 0
        value = loss(target.with_vertices(vertices), target)
        value.backward()
        assert value.item() > 0
        assert vertices.grad is not None
        assert vertices.grad.isfinite().all()
        assert vertices.grad.any()
        assert loss.code_settings()["descriptor"] == descriptor.settings()


class TestPublishedTFeat:
    """Balntas et al.'s weights, trained on Liberty."""

    def test_compat_is_kornia(self, tfeat_liberty: Path):
        from kornia.feature import TFeat

        network = TFeat(pretrained=False).eval()
        network.load_state_dict(torch.load(tfeat_liberty, map_location="cpu", weights_only=True))
        patches = torch.rand(5, 32, 32)
        got = KorniaDescriptor("tfeat", weights=tfeat_liberty, kornia_compat=True)(patches)
        torch.testing.assert_close(got, unit(network(patches[:, None])).detach(), atol=1e-6, rtol=0)

    @pytest.mark.parametrize("kornia_compat", [True, False])
    def test_matches_photograph_patches_that_are_shifted(self, tfeat_liberty: Path, kornia_compat: bool):
        """As it was trained to: the same place in a photograph, two pixels on, is the nearest of all."""
        from skimage.data import camera

        photograph = torch.from_numpy(camera()).float() / 255
        windows, shifted = (
            part.unfold(0, 32, 48).unfold(1, 32, 48).flatten(0, 1)
            for part in (photograph[:-2, :-2], photograph[2:, 2:])
        )
        textured = windows.std((1, 2)) > 0.05
        descriptor = KorniaDescriptor("tfeat", weights=tfeat_liberty, kornia_compat=kornia_compat)
        nearest = torch.cdist(descriptor(windows[textured]), descriptor(shifted[textured])).argmin(1)
        right = (nearest == torch.arange(len(nearest))).float().mean()
        assert right > 0.9, f"{right:.2f} of {len(nearest)}"


@pytest.mark.parametrize("compat", [False, True])
def test_hardnet_is_the_folded_one(weights: Any, make: Any, compat: bool):
    patches = torch.rand(5, 32, 32)
    folded = HardNetDescriptor(weights("hardnet"), kornia_compat=compat)(patches)
    unfolded = make("hardnet", **({"kornia_compat": True} if compat else {}))(patches)
    torch.testing.assert_close(unfolded, folded, atol=1e-5, rtol=0)
