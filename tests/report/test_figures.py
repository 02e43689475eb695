"""Figures: what stands where, errors at the patches that made them, and sides without pictures."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from dr_kfs import Meshes, SoftRenderer, hemisphere_rig, icosphere
from dr_kfs.datasets import generate
from dr_kfs.rendering import Views
from dr_kfs.report import comparison_sheet, draw_matches, fit_sheet, render_sheet, seen_sheet, view_runs
from dr_kfs.report.sheets import GAP

SIZE = 64
STEP = SIZE + GAP


def tile(sheet: np.ndarray, row: int, column: int, *, rows: int, columns: int) -> np.ndarray:
    """A tile of a sheet without captions between its rows, counted from the bottom right corner."""
    top = sheet.shape[0] - (rows - row) * STEP
    left = sheet.shape[1] - (columns - column) * STEP
    return sheet[top : top + SIZE, left : left + SIZE]


def as_bytes(image: torch.Tensor) -> np.ndarray:
    return (image * 255.0).round().to(torch.uint8).numpy()


class TestComparisonSheet:
    def test_rows_and_columns(self, make_comparison):
        comparison = make_comparison()
        sheet = comparison_sheet(comparison, item=1, views=[2, 0])
        for column, view in enumerate([2, 0]):
            for row, images in enumerate((comparison.predicted.images, comparison.target.images)):
                shown = tile(sheet, row, column, rows=6, columns=2)
                np.testing.assert_array_equal(shown[..., 0], as_bytes(images[1, view]))

    def test_worst_views_first_by_default(self, make_comparison):
        comparison = make_comparison()
        worst = comparison.worst_views()[0].tolist()
        np.testing.assert_array_equal(comparison_sheet(comparison), comparison_sheet(comparison, views=worst))

    @pytest.mark.parametrize("patch", [0, 4, 5])
    def test_error_is_drawn_at_its_patch(self, make_comparison, patch):
        distance = torch.zeros(2, 3, 9)
        distance[0, 1, patch] = 1.0
        sheet = comparison_sheet(make_comparison(distance=distance), views=[1])
        for row in (4, 5):
            # Grey views have no colour; what is coloured is the error.
            shown = tile(sheet, row, 0, rows=6, columns=1).astype(int)
            down, right = np.nonzero(shown[..., 0] != shown[..., 2])
            top, left = 16 * (patch // 3), 16 * (patch % 3)
            assert top <= down.min() <= down.max() < top + 32
            assert left <= right.min() <= right.max() < left + 32

    def test_identical_shapes(self, make_comparison):
        sheet = comparison_sheet(make_comparison(distance=torch.zeros(2, 3, 9)))
        shown = tile(sheet, 5, 0, rows=6, columns=3)
        assert (shown[..., 0] == shown[..., 2]).all(), "no error, no colour"

    def test_a_code_has_no_pictures(self, make_comparison):
        comparison = make_comparison(pictures=False)
        sheet = comparison_sheet(comparison, views=[0])
        shown = tile(sheet, 0, 0, rows=4, columns=1)
        np.testing.assert_array_equal(shown[..., 0], as_bytes(comparison.target.images[0, 0]))
        with pytest.raises(ValueError, match="predicted side was a ShapeCode"):
            seen_sheet(comparison, "predicted")

    def test_unknown_view(self, make_comparison):
        with pytest.raises(ValueError, match=r"0 to 2, got \[3\]"):
            comparison_sheet(make_comparison(), views=[3])
        with pytest.raises(ValueError, match="0 to 2"):
            comparison_sheet(make_comparison(), views=[])

    def test_runs_hold_every_view(self, make_comparison):
        assert view_runs(make_comparison()) == [[0], [1, 2]]

    def test_seen_sheet_is_the_render_sheet_of_a_side(self, make_comparison):
        comparison = make_comparison()
        images, (poi,) = comparison.target.images, comparison.target.poi
        expected = render_sheet(Views(images, images, images), poi, item=1, cameras=hemisphere_rig()[[0, 12, 24]])
        np.testing.assert_array_equal(seen_sheet(comparison, "target", item=1), expected)


class TestRenderSheet:
    def test_a_band_per_elevation(self):
        images = torch.rand(1, 25, SIZE, SIZE)
        views, rig = Views(images, images, images), hemisphere_rig()
        plain = render_sheet(views, cameras=rig)
        sheet = render_sheet(views, torch.rand(1, 25, SIZE, SIZE), cameras=rig)
        assert sheet.shape[0] == plain.shape[0] + 3 * STEP
        np.testing.assert_array_equal(tile(plain, 0, 8, rows=1, columns=9)[..., 0], as_bytes(images[0, 24]))
        np.testing.assert_array_equal(tile(sheet, 0, 8, rows=2, columns=9)[..., 0], as_bytes(images[0, 24]))

    def test_without_cameras(self):
        images = torch.rand(1, 2, SIZE, SIZE)
        sheet = render_sheet(Views(images, images, images))
        np.testing.assert_array_equal(tile(sheet, 0, 1, rows=1, columns=2)[..., 0], as_bytes(images[0, 1]))


@pytest.fixture(scope="module")
def renderer():
    return SoftRenderer(cameras=hemisphere_rig()[[1, 24]], image_size=SIZE)


class TestFitSheet:
    def test_all_rows_in_the_frame_of_the_last(self, renderer):
        target = generate("table", 2).to_meshes()
        larger = target.with_vertices(target.vertices * 1.3)
        sheet = fit_sheet({"before": icosphere(1), "after": larger, "target": target}, renderer)
        lit = [int((tile(sheet, row, 1, rows=3, columns=2) > 0).sum()) for row in range(3)]
        assert lit[1] > 1.3 * lit[2] > 0
        again = fit_sheet({"x": target.with_vertices(target.vertices * 8.0 + 3.0)}, renderer)
        difference = tile(again, 0, 1, rows=1, columns=2).astype(int) - tile(sheet, 2, 1, rows=3, columns=2)
        assert np.abs(difference).max() <= 2  # units and place do not matter

    def test_bad_input(self, renderer):
        sphere = icosphere(0)
        with pytest.raises(ValueError, match="batches of one mesh"):
            fit_sheet({"two": Meshes.cat([sphere, sphere])}, renderer)
        with pytest.raises(ValueError, match="batches of one mesh"):
            fit_sheet({}, renderer)
        with pytest.raises(ValueError, match="0 to 1"):
            fit_sheet({"one": sphere}, renderer, views=[2])


class TestDrawMatches:
    def test_draws_frames_and_lines(self, make_comparison):
        pytest.importorskip("kornia_moons", reason="needs dr-kfs[visual]", exc_type=ImportError)
        picture = draw_matches(make_comparison(), 1, dpi=60)
        assert picture.shape == (324, 600, 3)
        coloured = np.ptp(picture.astype(int), axis=2) > 60  # the views are grey
        assert coloured[:, :300].any()
        assert coloured[:, 300:].any()
        plain = draw_matches(make_comparison(distance=torch.zeros(2, 3, 9)), 1, dpi=60)
        assert not (np.ptp(plain.astype(int), axis=2) > 60).any(), "identical views: nothing to draw"

    def test_a_missing_extra_is_named(self, make_comparison, monkeypatch):
        for module in ("kornia_moons", "kornia_moons.viz"):
            monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(ImportError, match=r'pip install "dr-kfs\[visual\]"'):
            draw_matches(make_comparison(), 0)

    def test_bad_input(self, make_comparison):
        with pytest.raises(ValueError, match="compare shapes instead of a ShapeCode"):
            draw_matches(make_comparison(pictures=False), 0)
        with pytest.raises(ValueError, match="0 to 2"):
            draw_matches(make_comparison(), 3)
