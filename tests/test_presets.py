"""Named settings: what they set, which results carry their names, and that nothing stands in for what is missing."""

import pytest

from dr_kfs import DRKFSLoss, GHHDetector, SoftRenderer, hemisphere_rig
from dr_kfs.descriptors import HardNetDescriptor
from dr_kfs.matching import LocalizedMatcher
from dr_kfs.presets import PRESETS, find_preset
from dr_kfs.report import weights_text
from dr_kfs.weights import available_weights


class TestPresets:
    def test_the_constructor_makes_the_default(self):
        assert DRKFSLoss().preset == "default"
        assert DRKFSLoss().settings() == DRKFSLoss.from_preset("default").settings()

    def test_a_preset_sets_weights_and_scales(self):
        loss = DRKFSLoss.from_preset("fine", reduction="none")
        assert loss.preset == "fine"
        assert loss.scales.factors == (1,)
        assert loss.descriptor.weights == "hardnet-shapes"

    def test_takes_the_other_arguments_and_keeps_the_patches_share_of_the_view(self):
        renderer = SoftRenderer(cameras=hemisphere_rig()[[1]], image_size=128)
        loss = DRKFSLoss.from_preset("default", renderer=renderer, normalize="none", seed=3)
        assert (loss.normalize, loss.seed, loss.scales.factors) == ("none", 3, (1, 2))
        assert loss.settings() == DRKFSLoss(renderer=renderer, normalize="none").settings()
        with pytest.raises(TypeError, match="scales"):
            DRKFSLoss.from_preset("default", scales=(1,))

    def test_the_paper_s_descriptor_is_not_replaced_in_silence(self, monkeypatch, tmp_path):
        monkeypatch.setenv("DR_KFS_CACHE", str(tmp_path))
        with pytest.raises(ValueError, match=r'fetch_published\("hardnet-liberty"\)'):
            DRKFSLoss.from_preset("paper")

    def test_an_unknown_preset(self):
        with pytest.raises(ValueError, match="'default', 'fine', 'paper'"):
            find_preset("best")

    def test_ours_are_registered(self):
        for name in ("default", "fine"):
            assert PRESETS[name].descriptor in available_weights()


class TestNames:
    @pytest.mark.parametrize(
        "changed",
        [
            {"renderer": SoftRenderer(cameras=hemisphere_rig()[[1]])},
            {"descriptor": HardNetDescriptor(floor=0.1)},
            {"descriptor": HardNetDescriptor(kornia_compat=True)},
            {"matcher": LocalizedMatcher(radius=0)},
            {"scales": (1, 2)},
            {"normalize": "each"},
            {"recall_weight": 2.0},
            {"detach_weights": False},
        ],
    )
    def test_other_settings_have_no_name(self, changed):
        assert DRKFSLoss(**changed).preset == "custom"

    def test_a_result_names_its_preset(self):
        assert weights_text(DRKFSLoss().settings()).startswith("preset default, detector ghh-shapes")

    def test_neither_weights_nor_scales_alone_make_a_preset(self):
        assert DRKFSLoss(scales=(1,)).preset == "custom"
        assert DRKFSLoss(descriptor="hardnet-shapes").preset == "custom"
        assert DRKFSLoss(descriptor="hardnet-shapes", scales=(1,)).preset == "fine"

    def test_the_same_stages_have_the_name_however_they_came(self):
        assert DRKFSLoss(renderer=SoftRenderer(), detector=GHHDetector()).preset == "default"

    def test_what_is_changed_later_counts(self):
        loss = DRKFSLoss()
        loss.matcher.radius = 0
        assert loss.preset == "custom"

    def test_another_precision_is_in_the_name(self):
        assert DRKFSLoss.from_preset("fine", precision="bfloat16").preset == "fine (bfloat16)"
