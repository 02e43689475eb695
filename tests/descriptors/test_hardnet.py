"""HardNet with folded batch normalisation against kornia's."""

import shutil

import pytest
import torch
from safetensors.torch import save_file

from dr_kfs.descriptors import HardNetDescriptor


@pytest.fixture
def kornia_hardnet(tmp_path):
    """A random kornia HardNet with statistics that are not trivial, and its file."""
    from kornia.feature import HardNet

    torch.manual_seed(0)
    network = HardNet(pretrained=False)
    network.train()
    network.features(torch.randn(64, 1, 32, 32))
    path = tmp_path / "random.safetensors"
    tensors = {key: value.contiguous() for key, value in network.state_dict().items() if value.is_floating_point()}
    save_file(tensors, path)
    return network.eval(), path


class TestHardNetDescriptor:
    def test_equals_kornia(self, kornia_hardnet):
        network, path = kornia_hardnet
        patches = torch.rand(6, 32, 32)
        with torch.no_grad():
            expected = network(patches[:, None])
            got = HardNetDescriptor(str(path), kornia_compat=True)(patches)
        torch.testing.assert_close(got, expected, atol=1e-5, rtol=0)

    def test_default_gives_unit_descriptors_of_128(self):
        descriptors = HardNetDescriptor()(torch.rand(4, 32, 32))
        assert descriptors.shape == (4, 128)
        torch.testing.assert_close(descriptors.norm(dim=1), torch.ones(4))

    def test_train_mode_changes_nothing_and_nothing_is_owned(self):
        descriptor, patches = HardNetDescriptor(), torch.rand(4, 32, 32)
        before = descriptor(patches)
        assert torch.equal(descriptor.train()(patches), before)
        assert list(descriptor.parameters()) == []
        assert descriptor.state_dict() == {}

    def test_gradient_in_float64(self):
        descriptor = HardNetDescriptor()
        patches = torch.rand(2, 32, 32, dtype=torch.float64, requires_grad=True)
        direction = torch.randn_like(patches)

        def along(step):
            return descriptor(patches.detach() + step * direction).square().mul(torch.arange(128)).sum()

        descriptor(patches).square().mul(torch.arange(128)).sum().backward()
        assert patches.grad is not None
        expected = (along(1e-6) - along(-1e-6)) / 2e-6
        torch.testing.assert_close((patches.grad * direction).sum(), expected, rtol=1e-5, atol=1e-8)

    def test_other_tensors_are_refused(self, tmp_path):
        path = tmp_path / "other.safetensors"
        save_file({"a": torch.zeros(2)}, path)
        with pytest.raises(ValueError, match=r"are not HardNet's: 'features\.0\.weight' is missing"):
            HardNetDescriptor(str(path))

    def test_unknown_name_lists_the_known_ones(self):
        with pytest.raises(ValueError, match=r'"hardnet_liberty": expected hardnet-shapes, .*hardnet-liberty, or the'):
            HardNetDescriptor("hardnet_liberty")

    def test_settings_do_not_depend_on_where_the_file_lies(self, kornia_hardnet, tmp_path):
        _, path = kornia_hardnet
        (tmp_path / "elsewhere").mkdir()
        copy = shutil.copy(path, tmp_path / "elsewhere")
        settings = HardNetDescriptor(str(path)).settings()
        assert settings == HardNetDescriptor(str(copy)).settings()
        assert settings["weights"] == "random.safetensors"
        assert settings["kornia_compat"] is False
