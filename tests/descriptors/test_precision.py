"""bfloat16 of the descriptor: near float32, and never slow without a word."""

import warnings

import pytest
import torch

from dr_kfs.descriptors import HardNetDescriptor, precision

CPU = torch.device("cpu")


@pytest.fixture
def patches():
    return torch.rand(8, 32, 32, generator=torch.Generator().manual_seed(0))


def units(monkeypatch, there: bool) -> None:
    monkeypatch.setattr(precision, "has_bfloat16_units", lambda device: there)


class TestBFloat16:
    def test_is_near_float32_in_value_and_gradient(self, monkeypatch, patches):
        units(monkeypatch, True)
        found = []
        for name in ("float32", "bfloat16"):
            leaf = patches.clone().requires_grad_()
            descriptors = HardNetDescriptor(precision=name)(leaf)
            descriptors[:, 0].sum().backward()
            found.append((descriptors.detach(), leaf.grad))
        assert found[1][0].dtype == torch.float32
        assert (found[0][0] * found[1][0]).sum(1).min() > 0.999  # 8 bits of mantissa
        assert torch.nn.functional.cosine_similarity(found[0][1].flatten(), found[1][1].flatten(), 0) > 0.98

    def test_warns_where_it_is_slow(self, monkeypatch, patches):
        units(monkeypatch, False)
        with pytest.warns(UserWarning, match=r'"bfloat16" is slow on this device \(cpu\).*"float32"'):
            HardNetDescriptor(precision="bfloat16")(patches[:1])

    def test_float32_never_warns(self, monkeypatch, patches):
        units(monkeypatch, False)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            HardNetDescriptor()(patches[:1])


class TestUnits:
    def test_asks_onednn(self):
        precision.has_bfloat16_units.cache_clear()
        assert precision.has_bfloat16_units(CPU) == torch.ops.mkldnn._is_mkldnn_bf16_supported()

    @pytest.mark.parametrize(("capability", "there"), [((7, 5), False), ((8, 0), True), ((9, 0), True)])
    def test_asks_the_gpu(self, monkeypatch, capability, there):
        precision.has_bfloat16_units.cache_clear()
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
        assert precision.has_bfloat16_units(torch.device("cuda", 0)) == there
        precision.has_bfloat16_units.cache_clear()
