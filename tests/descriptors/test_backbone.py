"""Features of a backbone on the grid of the patches."""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from dr_kfs import LocalizedMatcher, SoftRenderer, hemisphere_rig, icosphere
from dr_kfs.descriptors import BackboneDescriptor, ViewDescriptor, extract_patches
from dr_kfs.descriptors.backbone import pool_windows, window_shares


class Pyramid(nn.Module):
    """Three levels, 4, 8 and 16 px per cell."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 6, 4, stride=4), nn.BatchNorm2d(6), nn.Tanh())
        self.middle = nn.Conv2d(6, 8, 2, stride=2)
        self.top = nn.Sequential(nn.Conv2d(8, 5, 2, stride=2), nn.Dropout(0.5))

    def forward(self, images: Tensor) -> list[Tensor]:
        stem = self.stem(images)
        middle = self.middle(stem)
        return [stem, middle, self.top(middle)]


@pytest.fixture
def network() -> Pyramid:
    torch.manual_seed(0)
    network = Pyramid()
    network(torch.randn(2, 3, 32, 32))
    return network.eval()


class TestPoolWindows:
    @pytest.mark.parametrize("stride", [1, 2, 4, 8, 16])
    def test_is_the_mean_over_the_window(self, stride: int):
        """A map of any stride against the same, drawn pixel by pixel."""
        features = torch.rand(2, 3, 64 // stride, 96 // stride, dtype=torch.float64)
        pixels = features.repeat_interleave(stride, 2).repeat_interleave(stride, 3)
        expected = extract_patches(pixels).mean((-2, -1)).mT
        torch.testing.assert_close(pool_windows(features, image_size=(64, 96)), expected)

    def test_a_stride_of_32_goes_half_way(self):
        shares = window_shares(64, 2)
        torch.testing.assert_close(shares.float(), torch.tensor([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]))

    @pytest.mark.parametrize("cells", [1, 7, 16, 37, 300])
    def test_shares_sum_to_one(self, cells: int):
        shares = window_shares(256, cells)
        assert shares.shape == (15, cells)
        torch.testing.assert_close(shares.sum(1), torch.ones(15, dtype=torch.float64))


class TestBackboneDescriptor:
    def test_formula(self, network: Pyramid):
        images = torch.rand(2, 3, 64, 64)
        mean, std = torch.tensor([0.1, 0.2, 0.3]), torch.tensor([0.5, 0.4, 0.3])
        descriptor = BackboneDescriptor(network, layer=-1, mean=mean.tolist(), std=std.tolist())
        got = descriptor.describe_views(images)
        assert got.shape == (2, 3, 9, 5)
        torch.testing.assert_close(got.norm(dim=-1), torch.ones(2, 3, 9))
        for shape in range(2):
            for view in range(3):
                colour = (images[shape, view] - mean[:, None, None]) / std[:, None, None]
                (features,) = network(colour[None])[-1].detach()
                window = features[:, 1:3, 0:2].mean((1, 2))  # the patch at row 1, column 0
                torch.testing.assert_close(got[shape, view, 3], window / window.norm(), atol=1e-5, rtol=0)

    def test_256_px_give_225(self, network: Pyramid):
        assert BackboneDescriptor(network, layer=0).describe_views(torch.rand(1, 1, 256, 256)).shape == (1, 1, 225, 6)

    @pytest.mark.parametrize("layer", ["middle", 1])
    def test_layers_by_name_and_by_index(self, network: Pyramid, layer: int | str):
        images = torch.rand(1, 2, 64, 64)
        got = BackboneDescriptor(network, layer=layer).describe_views(images)
        alone = BackboneDescriptor(nn.Sequential(network.stem, network.middle)).describe_views(images)
        torch.testing.assert_close(got, alone)

    def test_input_size_resizes(self, network: Pyramid):
        images = torch.rand(1, 1, 128, 128)
        got = BackboneDescriptor(network, layer=2, input_size=64).describe_views(images)
        assert got.shape == (1, 1, 49, 5)
        flat = torch.full((1, 1, 128, 128), 0.3)
        both = [BackboneDescriptor(network, layer=2, input_size=size).describe_views(flat) for size in (64, None)]
        torch.testing.assert_close(*both)

    def test_frozen_and_the_same_in_any_mode(self, network: Pyramid):
        descriptor, images = BackboneDescriptor(network, layer=2), torch.rand(1, 1, 64, 64)
        before = descriptor.describe_views(images)
        assert torch.equal(descriptor.train().describe_views(images), before)
        assert list(descriptor.parameters()) == []
        assert descriptor.state_dict() == {}
        assert all(parameter.requires_grad for parameter in network.parameters()), "the user's stays trainable"

    def test_gradient_in_float64(self, network: Pyramid):
        descriptor = BackboneDescriptor(network, layer=2, input_size=48)
        images = torch.rand(1, 2, 64, 64, dtype=torch.float64, requires_grad=True)
        direction, ramp = torch.randn_like(images), torch.arange(5)

        def value(x: Tensor) -> Tensor:
            return descriptor.describe_views(x).mul(ramp).sum()

        value(images).backward()
        assert images.grad is not None
        step = 1e-6 * direction
        expected = (value(images.detach() + step) - value(images.detach() - step)) / 2e-6
        torch.testing.assert_close((images.grad * direction).sum(), expected, rtol=1e-6, atol=1e-9)

    def test_one_grey_channel(self):
        descriptor = BackboneDescriptor(nn.Conv2d(1, 4, 8, stride=8), mean=[0.5], std=[0.25])
        assert descriptor.describe_views(torch.rand(1, 1, 64, 64)).shape == (1, 1, 9, 4)

    def test_settings_name_the_weights(self, network: Pyramid):
        descriptor = BackboneDescriptor(network, layer="middle")
        settings = json.loads(json.dumps(descriptor.settings()))
        assert settings["model"] == settings["weights"] == f"{__name__}.Pyramid"
        assert (settings["layer"], settings["input_size"]) == ("middle", None)
        assert settings["mean"] == [0.485, 0.456, 0.406]
        assert settings["fingerprint"] == BackboneDescriptor(network, layer="middle").fingerprint
        with torch.no_grad():
            network.middle.weight[0, 0, 0, 0] += 1e-3
        assert settings["fingerprint"] != BackboneDescriptor(network, layer="middle").fingerprint

    def test_is_for_views_alone(self, network: Pyramid):
        descriptor = BackboneDescriptor(network, layer=2)
        assert isinstance(descriptor, ViewDescriptor)
        with pytest.raises(TypeError, match=r"whole views, not PoI patches: call describe_views"):
            descriptor(torch.rand(2, 32, 32))

    def test_describes_rendered_views(self, network: Pyramid):
        """Renderer, descriptor and matcher: 0 for the same shape, a gradient for another."""
        renderer = SoftRenderer(cameras=hemisphere_rig()[[3, 9]], image_size=64)
        descriptor, matcher, sphere = BackboneDescriptor(network, layer=2), LocalizedMatcher(), icosphere(1)
        target = descriptor.describe_views(renderer(sphere).images)
        assert matcher(target, target).distance.max() == 0
        vertices = (0.5 * sphere.vertices).requires_grad_()
        distance = matcher(descriptor.describe_views(renderer(sphere.with_vertices(vertices)).images), target).distance
        assert distance.shape == (1, 2, 9)
        distance.sum().backward()
        assert vertices.grad is not None
        assert vertices.grad.isfinite().all()
        assert vertices.grad.any()


class TestErrors:
    def test_no_feature_map(self, network: Pyramid):
        images = torch.rand(1, 1, 64, 64)
        flat = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        with pytest.raises(ValueError, match=r"must give a feature map \(N, D, h, w\), it gives \(1, 3\)"):
            BackboneDescriptor(flat).describe_views(images)
        with pytest.raises(ValueError, match=r"Layer None of .*Pyramid must give .*, it gives list"):
            BackboneDescriptor(network).describe_views(images)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"layer": "attic"}, "Pyramid has no submodule 'attic'"),
            ({"weights": "a.safetensors"}, "load a network's weights before passing it"),
            ({"pretrained": True}, "load a network's weights before passing it"),
            ({"mean": [0.5]}, "one entry per channel"),
            ({"mean": [0.5], "std": [0.0]}, "std above 0"),
        ],
    )
    def test_of_a_network(self, network: Pyramid, options: dict[str, Any], message: str):
        with pytest.raises(ValueError, match=message):
            BackboneDescriptor(network, **options)

    @pytest.mark.parametrize("options", [{}, {"weights": "a.safetensors", "pretrained": True}])
    def test_random_weights_are_no_metric(self, options: dict[str, Any]):
        with pytest.raises(ValueError, match=r'"resnet18"\) needs either weights=.* or pretrained=True'):
            BackboneDescriptor("resnet18", **options)

    def test_timm_is_missing(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setitem(sys.modules, "timm", None)
        with pytest.raises(ImportError, match=r'needs timm .*pip install "dr_kfs\[backbones\]", or pass a network'):
            BackboneDescriptor("resnet18", pretrained=True)


class TestTimmAdapter:
    """What is asked of timm, and what is made of its answer, with a stand-in for timm."""

    @pytest.fixture
    def timm(self, monkeypatch: pytest.MonkeyPatch) -> types.SimpleNamespace:
        stand_in = types.SimpleNamespace(asked=None, network=None)

        def create_model(name: str, **options: Any) -> nn.Module:
            stand_in.asked = (name, options)
            if name == "nonsense":
                raise RuntimeError("Unknown model (nonsense)\nand more lines")
            return stand_in.network

        stand_in.create_model = create_model
        monkeypatch.setitem(sys.modules, "timm", stand_in)
        return stand_in

    @pytest.fixture
    def level(self) -> Callable[..., nn.Module]:
        """A feature network of one level, NCHW or NHWC."""

        class Level(nn.Module):
            def __init__(self, output_fmt: str, **config: Any) -> None:
                super().__init__()
                self.conv, self.output_fmt, self.pretrained_cfg = nn.Conv2d(3, 4, 8, stride=8), output_fmt, config

            def forward(self, images: Tensor) -> list[Tensor]:
                features = self.conv(images)
                return [features.permute(0, 2, 3, 1) if self.output_fmt == "NHWC" else features]

        return Level

    def test_asks_for_one_level_of_a_file(self, timm: Any, level: Any, tmp_path: Path):
        path = tmp_path / "mine.safetensors"
        save_file({"a": torch.zeros(1)}, path)
        timm.network = level("NCHW", mean=(0.5,) * 3, std=(0.25,) * 3, architecture="net", tag="in1k")
        descriptor = BackboneDescriptor("net", weights=str(path), layer=3)
        name, options = timm.asked
        assert name == "net"
        assert options["pretrained_cfg_overlay"]["file"] == str(path)
        assert options["features_only"] is True
        assert options["out_indices"] == (3,)
        settings = descriptor.settings()
        assert (settings["model"], settings["layer"], settings["weights"]) == ("net", 3, "mine.safetensors")
        assert settings["mean"] == [0.5, 0.5, 0.5]
        assert descriptor.describe_views(torch.rand(1, 2, 64, 64)).shape == (1, 2, 9, 4)

    def test_pretrained_weights_are_named(self, timm: Any, level: Any):
        timm.network = level("NCHW", architecture="net", tag="in1k")
        assert BackboneDescriptor("net", pretrained=True).settings()["weights"] == "net.in1k"
        assert timm.asked[1]["pretrained_cfg_overlay"] is None
        assert timm.asked[1]["out_indices"] == (-2,)

    def test_channels_last(self, timm: Any, level: Any):
        images = torch.rand(1, 1, 64, 64)
        found = []
        for layout in ("NCHW", "NHWC"):
            torch.manual_seed(0)
            timm.network = level(layout)
            found.append(BackboneDescriptor("net", pretrained=True).describe_views(images))
        torch.testing.assert_close(*found)

    def test_a_fixed_size_is_kept(self, timm: Any, level: Any):
        timm.network = level("NCHW", fixed_input_size=True, input_size=(3, 48, 48))
        descriptor = BackboneDescriptor("net", pretrained=True)
        assert descriptor.settings()["input_size"] == 48
        assert descriptor.describe_views(torch.rand(1, 1, 64, 64)).shape == (1, 1, 9, 4)

    def test_errors_of_timm_are_one_line(self, timm: Any):
        with pytest.raises(ValueError, match=r'^timm cannot give level -2 of "nonsense": Unknown model [^\n]*\.$'):
            BackboneDescriptor("nonsense", pretrained=True)

    @pytest.mark.usefixtures("timm")
    def test_arguments(self, tmp_path: Path):
        (tmp_path / "net.pth").touch()
        for weights in (tmp_path / "none.safetensors", tmp_path / "net.pth"):
            with pytest.raises(ValueError, match=r"Expected weights in a \.safetensors file that exists, got "):
                BackboneDescriptor("net", weights=str(weights))
        with pytest.raises(ValueError, match="is the index of a feature level, got 'layer3'"):
            BackboneDescriptor("net", pretrained=True, layer="layer3")


class TestTimm:
    """timm itself."""

    @pytest.mark.parametrize("model", ["resnet18", "vit_tiny_patch16_224"])
    def test_equals_its_features(self, model: str, tmp_path: Path):
        timm = pytest.importorskip("timm", reason="needs dr_kfs[backbones]", exc_type=ImportError)
        torch.manual_seed(0)
        whole = timm.create_model(model, pretrained=False).eval()
        save_file({key: value.contiguous() for key, value in whole.state_dict().items()}, tmp_path / "a.safetensors")
        descriptor = BackboneDescriptor(model, weights=str(tmp_path / "a.safetensors"))
        images = torch.rand(1, 1, 256, 256)
        config = whole.pretrained_cfg
        mean, std = (torch.tensor(config[key])[:, None, None] for key in ("mean", "std"))
        x = images
        if descriptor.input_size is not None:
            x = nn.functional.interpolate(x, (224, 224), mode="bilinear", antialias=True)
        intermediates = whole.forward_intermediates((x - mean) / std, indices=[-2 % 5] if "res" in model else [-2])[1]
        expected = nn.functional.normalize(pool_windows(intermediates[0], image_size=(256, 256)), dim=-1)
        torch.testing.assert_close(descriptor.describe_views(images)[0], expected.detach(), atol=1e-4, rtol=0)
