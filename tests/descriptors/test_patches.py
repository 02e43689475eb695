"""Patches and their normalisation."""

import pytest
import torch

from dr_kfs.descriptors import extract_patches, normalize_patches, patch_grid


class TestExtractPatches:
    def test_256_px_give_225_patches_row_by_row(self):
        maps = torch.arange(256 * 256, dtype=torch.float32).view(1, 256, 256)
        patches = extract_patches(maps)
        assert patches.shape == (1, 225, 32, 32)
        assert torch.equal(patches[0, 1], maps[0, :32, 16:48])
        assert torch.equal(patches[0, 15], maps[0, 16:48, :32])
        assert torch.equal(patches[0, 224], maps[0, 224:, 224:])

    def test_a_size_that_does_not_tile_is_refused(self):
        with pytest.raises(ValueError, match="do not tile an image of 250 px"):
            extract_patches(torch.zeros(1, 250, 250))

    @pytest.mark.parametrize(("size", "grid"), [(32, 1), (64, 3), (256, 15)])
    def test_grid(self, size, grid):
        assert patch_grid(size) == grid


class TestNormalizePatches:
    def test_formula(self):
        patches = torch.rand(5, 32, 32, dtype=torch.float64)
        mean = patches.mean((1, 2), keepdim=True)
        std = patches.std((1, 2), keepdim=True, unbiased=False)
        # The sqrt is shifted by a hundredth of the floor: 1e-4 beside a deviation of 0.3.
        torch.testing.assert_close(normalize_patches(patches), (patches - mean) / (std + 1e-2), atol=2e-3, rtol=0)

    def test_blank_patch_is_zero_with_a_bounded_gradient(self):
        patches = torch.zeros(1, 32, 32, requires_grad=True)
        normalized = normalize_patches(patches)
        assert (normalized == 0).all()
        normalized[0, 3, 4].backward()
        assert patches.grad is not None
        assert patches.grad.abs().max() <= 101  # 1 / floor

    def test_kornia_compat_is_kornia(self):
        from kornia.feature import HardNet

        patches = torch.rand(3, 32, 32)
        expected = HardNet._normalize_input(patches[:, None])[:, 0]
        torch.testing.assert_close(normalize_patches(patches, kornia_compat=True), expected)

    def test_gradcheck_through_mean_and_deviation(self):
        patches = torch.rand(2, 4, 4, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(normalize_patches, patches)
