"""Batches of patches give what single patches give, and blank ones cost nothing."""

import copy

import pytest
import torch

from dr_kfs.descriptors import HardNetDescriptor
from dr_kfs.descriptors.lit_patches import CPU_BATCH, BlankPatch, describe_lit_patches


class Recorder:
    """A descriptor that remembers how many patches it got."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def __call__(self, patches):
        self.sizes.append(len(patches))
        return torch.nn.functional.normalize(patches.flatten(1)[:, :16] + 0.1)


def some_patches(count: int, blank: list[int], dtype=torch.float32):
    patches = torch.rand(count, 32, 32, generator=torch.Generator().manual_seed(0)).to(dtype)
    patches[blank] = 0.0
    return patches


class TestDescribeLitPatches:
    @pytest.mark.parametrize("count", [1, 7, 8, CPU_BATCH, CPU_BATCH + 1, 3 * CPU_BATCH + 5])
    def test_equals_one_by_one(self, count):
        descriptor, patches = Recorder(), some_patches(count, list(range(0, count, 3)))
        blank = descriptor(patches.new_zeros(1, 32, 32))
        expected = torch.cat([descriptor(patch[None]) for patch in patches])
        assert torch.equal(describe_lit_patches(descriptor, patches, blank), expected)

    def test_blank_patches_are_not_described_and_sizes_are_few(self):
        descriptor, patches = Recorder(), some_patches(100, list(range(30)))
        describe_lit_patches(descriptor, patches, torch.zeros(1, 16))
        assert descriptor.sizes == [32, 32, 8]  # 70 lit ones: the last 6 are filled up

    def test_nothing_lit_calls_nothing(self):
        descriptor, blank = Recorder(), torch.rand(1, 16)
        found = describe_lit_patches(descriptor, torch.zeros(5, 32, 32), blank)
        assert descriptor.sizes == []
        assert torch.equal(found, blank.expand(5, -1))

    def test_the_gradient_is_that_of_every_patch_by_itself(self):
        descriptor = HardNetDescriptor()
        patches = some_patches(11, [2, 5], torch.float64).requires_grad_()
        blank = descriptor(patches.new_zeros(1, 32, 32)).detach()
        toward = torch.randn(11, 128, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        (found,) = torch.autograd.grad((describe_lit_patches(descriptor, patches, blank) * toward).sum(), patches)
        (expected,) = torch.autograd.grad((descriptor(patches) * toward).sum(), patches)
        lit = [index for index in range(11) if index not in (2, 5)]
        torch.testing.assert_close(found[lit], expected[lit])
        assert (found[[2, 5]] == 0).all()


class Counted(HardNetDescriptor):
    """HardNet that counts its calls."""

    calls = 0

    def forward(self, patches):
        self.calls += 1
        return super().forward(patches)


class WithHead(Counted):
    """A part of it learns."""

    def __init__(self):
        super().__init__()
        self.head = torch.nn.Parameter(torch.ones(128))

    def forward(self, patches):
        return super().forward(patches) * self.head


class TestBlankPatch:
    def test_a_frozen_network_describes_it_once(self):
        blank, network, patches = BlankPatch(), Counted(), torch.rand(3, 32, 32)
        for _ in range(3):
            blank.start_step()
            found = blank.described(network, patches)
        assert network.calls == 1
        assert torch.equal(found, HardNetDescriptor()(torch.zeros(1, 32, 32)))
        assert blank.described(network, patches.double()).dtype == torch.float64

    @pytest.mark.parametrize("change", ["in place", "another network"])
    def test_not_longer_than_it_is_the_same(self, change):
        blank, network, patches = BlankPatch(), Counted(), torch.rand(3, 32, 32)
        before = blank.described(network, patches)
        if change == "in place":
            network.bias_0 += 0.1
        else:
            network = HardNetDescriptor("hardnet-shapes")
        after = blank.described(network, patches)
        assert torch.equal(after, network(torch.zeros(1, 32, 32)))
        assert not torch.equal(after, before)

    def test_what_learns_is_asked_in_every_step(self):
        blank, network, patches = BlankPatch(), WithHead(), torch.rand(3, 32, 32)
        before = blank.described(network, patches)
        assert torch.equal(blank.described(network, patches), before)
        assert network.calls == 1
        with torch.no_grad():
            network.head *= 2
        blank.start_step()
        assert torch.equal(blank.described(network, patches), 2 * before)

    def test_a_function_will_do(self):
        blank, function = BlankPatch(), Recorder()
        blank.described(function, torch.rand(3, 32, 32))
        blank.start_step()
        blank.described(function, torch.rand(3, 32, 32))
        assert function.sizes == [1, 1]

    def test_nothing_fake_is_kept(self):
        from torch._subclasses.fake_tensor import FakeTensorMode

        blank, network = BlankPatch(), HardNetDescriptor()
        with FakeTensorMode(allow_non_fake_inputs=True):
            blank.described(network, torch.rand(3, 32, 32))
        found = blank.described(network, torch.rand(3, 32, 32))
        assert found.tolist() == copy.deepcopy(blank).described(network, torch.rand(3, 32, 32)).tolist()
