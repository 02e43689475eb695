"""Pictures in rows: every pixel in its place, labels beside them, files that read back."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from dr_kfs.report import contact_sheet, save_image
from dr_kfs.report.sheets import BACKGROUND, GAP


class TestContactSheet:
    def test_pixels_are_where_they_belong(self):
        pictures = torch.rand(2, 3, 8, 8)
        sheet = contact_sheet(pictures)
        assert sheet.shape == (GAP + 2 * (8 + GAP), GAP + 3 * (8 + GAP), 3)
        for row in range(2):
            for column in range(3):
                top, left = GAP + row * (8 + GAP), GAP + column * (8 + GAP)
                tile = sheet[top : top + 8, left : left + 8].astype(np.float32) / 255.0
                expected = pictures[row, column].unsqueeze(-1).expand(8, 8, 3)
                torch.testing.assert_close(torch.from_numpy(tile), expected, atol=0.5 / 255 + 1e-6, rtol=0)
        assert (sheet[:GAP] == BACKGROUND).all()

    def test_colour_and_clipping(self):
        pictures = torch.zeros(1, 1, 4, 4, 3)
        pictures[..., 0] = 7.0
        pictures[..., 2] = -7.0
        tile = contact_sheet(pictures)[GAP:-GAP, GAP:-GAP]
        assert (tile == (255, 0, 0)).all()

    def test_labels_and_captions_get_room_of_their_own(self):
        pictures = torch.zeros(2, 3, 32, 32)
        plain = contact_sheet(pictures)
        sheet = contact_sheet(pictures, ["first", "second\nrow"], captions=["a", "b", "much too long a caption"])
        assert sheet.shape[0] > plain.shape[0]
        assert sheet.shape[1] > plain.shape[1]
        left = sheet.shape[1] - plain.shape[1]
        assert (sheet[:, :left] == 226).any(), "no label was drawn"
        assert (sheet[: sheet.shape[0] - plain.shape[0]] == 226).any(), "no caption was drawn"
        assert not sheet[-32 - GAP : -GAP, left + GAP : left + GAP + 32].any(), "text must not cover a picture"

    def test_takes_images_with_a_gradient(self):
        assert contact_sheet(torch.rand(1, 1, 4, 4, requires_grad=True)).dtype == np.uint8

    def test_bad_input(self):
        with pytest.raises(ValueError, match="at least one row and one column"):
            contact_sheet(torch.zeros(0, 3, 4, 4))
        with pytest.raises(ValueError, match="3 captions, one per column, got 1"):
            contact_sheet(torch.zeros(1, 3, 4, 4), captions=["a"])
        with pytest.raises(ValueError, match="1 rows needs as many labels or none, got 2"):
            contact_sheet(torch.zeros(1, 3, 4, 4), ["a", "b"])


class TestSaveImage:
    @pytest.mark.parametrize("shape", [(5, 7, 3), (5, 7)])
    def test_reads_back(self, tmp_path, shape):
        array = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
        save_image(tmp_path / "a.png", array)
        with Image.open(tmp_path / "a.png") as image:
            np.testing.assert_array_equal(np.asarray(image), array)

    def test_unknown_suffix(self, tmp_path):
        with pytest.raises(ValueError, match=r"expected a suffix of .*\.png.*, got \.gif"):
            save_image(tmp_path / "a.gif", np.zeros((2, 2), dtype=np.uint8))
