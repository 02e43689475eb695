"""Batches of patches give what single patches give, and blank ones cost nothing."""

import pytest
import torch

from dr_kfs.descriptors import HardNetDescriptor
from dr_kfs.descriptors.lit_patches import CPU_BATCH, describe_lit_patches


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
