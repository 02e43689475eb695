"""Patches at several scales: how many, from which pixels, and what is refused."""

import pytest
import torch

from dr_kfs.descriptors import PatchScales, extract_patches


class TestPatchScales:
    def test_patches_of_all_scales_follow_one_another(self):
        scales = PatchScales(256, (1, 2, 4))
        assert scales.counts == (225, 49, 9)
        values = torch.arange(2 * 283).view(2, 283)
        parts = scales.split(values, 1)
        assert [part.shape[1] for part in parts] == [225, 49, 9]
        torch.testing.assert_close(torch.cat(parts, 1), values)

    def test_a_shrunk_pixel_is_the_mean_of_its_pixels(self):
        images = torch.rand(2, 3, 128, 128, dtype=torch.float64)
        half, full = PatchScales(128, (2, 1)).shrink(images)
        torch.testing.assert_close(full, images)
        torch.testing.assert_close(half[1, 2, 5, 7], images[1, 2, 10:12, 14:16].mean())
        assert extract_patches(half).shape[2] == PatchScales(128, (2,)).counts[0]

    @pytest.mark.parametrize(
        ("size", "factors", "message"),
        [
            (256, (), "whole numbers from 1"),
            (256, (1, 1), "whole numbers from 1"),
            (256, (0,), "whole numbers from 1"),
            (256, (3,), "does not divide"),
            (256, (16,), "do not tile"),
        ],
    )
    def test_impossible_scales(self, size, factors, message):
        with pytest.raises(ValueError, match=message):
            PatchScales(size, factors)

    @pytest.mark.parametrize(
        ("factors", "size", "expected"),
        [
            ((2, 4), 256, (2, 4)),
            ((2, 4), 128, (1, 2)),
            ((2, 4), 64, (1,)),
            ((2, 4), 32, (1,)),
            ((2, 4), 512, (4, 8)),
            ((2, 4), 320, (2, 5)),  # 128 and 64 px; 320 / 2.5 is no whole factor
            ((1,), 64, (1,)),
            ((1,), 512, (2,)),
        ],
    )
    def test_patches_of_other_views_span_the_same_share(self, factors, size, expected):
        assert PatchScales(256, factors).resized(size) == PatchScales(size, expected)

    def test_views_that_patches_do_not_tile_cannot_be_resized_to(self):
        with pytest.raises(ValueError, match="of 100 px"):
            PatchScales(256, (2, 4)).resized(100)
