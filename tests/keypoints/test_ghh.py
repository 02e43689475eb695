"""The GHH detector: Eq. 1 against a direct convolution, and the calibrated PoI map."""

import pickle

import pytest
import torch
from safetensors.torch import save_file

from dr_kfs.keypoints import GHHDetector, ghh_response
from dr_kfs.keypoints.ghh import _KEPT_SIZES


def direct_response(images, filters, biases):
    """Eq. 1 with conv2d, filter by filter."""
    total = torch.zeros_like(images)
    for n in range(filters.shape[0]):
        responses = [
            torch.nn.functional.conv2d(images[:, None], filters[n, m][None, None], padding=filters.shape[-1] // 2)[:, 0]
            + biases[n, m]
            for m in range(filters.shape[1])
        ]
        total = total + (1 if n % 2 == 0 else -1) * torch.stack(responses).amax(0)
    return total


@pytest.fixture
def ghh():
    return torch.randn(4, 4, 25, 25, dtype=torch.float64), torch.randn(4, 4, dtype=torch.float64)


class TestGHHResponse:
    def test_equals_the_direct_convolution(self, ghh):
        images = torch.rand(2, 64, 48, dtype=torch.float64)
        torch.testing.assert_close(ghh_response(images, *ghh), direct_response(images, *ghh), atol=1e-10, rtol=0)

    def test_keeps_leading_dimensions_and_size(self, ghh):
        assert ghh_response(torch.rand(2, 3, 40, 40, dtype=torch.float64), *ghh).shape == (2, 3, 40, 40)

    def test_blank_is_exactly_the_biases_response(self, ghh):
        image = torch.zeros(1, 96, 96, dtype=torch.float64)
        image[0, 40:50, 40:50] = torch.rand(10, 10, dtype=torch.float64)
        response = ghh_response(image, *ghh)
        blank = ghh_response(torch.zeros_like(image), *ghh)
        far = torch.ones(96, 96, dtype=torch.bool)
        far[28:62, 28:62] = False
        assert torch.equal(response[0][far], blank[0][far])
        assert not torch.equal(response, blank)

    def test_gradcheck(self):
        filters, biases = torch.randn(2, 3, 5, 5, dtype=torch.float64), torch.randn(2, 3, dtype=torch.float64)
        images = torch.rand(1, 12, 12, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(lambda x: ghh_response(x, filters, biases), images)


class TestGHHDetector:
    def test_map_is_a_probability_and_zero_on_a_blank_image(self):
        detector = GHHDetector()
        images = torch.rand(2, 64, 64)
        images[1] = 0.0
        poi = detector(images)
        assert poi.shape == images.shape
        assert (poi >= 0).all()
        assert (poi < 1).all()
        assert (poi[1] == 0).all()

    def test_prefers_a_corner_to_an_edge_a_flat_face_and_the_background(self):
        image = torch.zeros(1, 96, 96)
        image[0, 48:, 48:] = 0.8
        poi = GHHDetector()(image)[0]
        corner = poi[44:53, 44:53].max()
        assert corner > 0.5
        assert corner > 3 * poi[70:80, 44:53].mean()
        assert corner > 3 * poi[70:80, 70:80].max()
        assert corner > 10 * poi[:30, :30].max()

    def test_owns_no_parameters_and_no_checkpoint_entries(self):
        detector = GHHDetector()
        assert list(detector.parameters()) == []
        assert detector.state_dict() == {}

    def test_missing_tensor_is_named(self, tmp_path):
        path = tmp_path / "half.safetensors"
        save_file({"filters": torch.zeros(4, 4, 25, 25)}, path)
        with pytest.raises(ValueError, match='lack the tensor "biases"'):
            GHHDetector(str(path))


def test_a_first_call_in_inference_mode_does_not_spoil_gradients():
    detector = GHHDetector()
    image = torch.rand(1, 40, 40)
    with torch.inference_mode():
        first = detector(image)
    leaf = image.clone().requires_grad_()
    second = detector(leaf)
    second.sum().backward()
    assert torch.equal(first.clone(), second.detach())
    assert leaf.grad.abs().sum() > 0


def test_what_is_kept_belongs_to_the_filters_that_are_there():
    detector = GHHDetector()
    images, filters = torch.rand(1, 64, 64), detector.filters.clone()
    for scale in (1.0, 0.9, 0.8, 0.7, 0.6, 0.5):  # freed buffers give their addresses to later ones
        detector.filters = filters * scale
        expected = ghh_response(images, detector.filters, detector.biases)
        torch.testing.assert_close(detector.response(images), expected, atol=1e-4, rtol=0)
    detector.filters.mul_(2.0)
    expected = ghh_response(images, detector.filters, detector.biases)
    torch.testing.assert_close(detector.response(images), expected, atol=1e-4, rtol=0)


def test_a_size_lets_go_of_the_one_that_is_oldest():
    """Those of the same pyramid stay: a recording of it must not make them anew."""
    detector = GHHDetector()
    for side in (*range(32, 32 + _KEPT_SIZES), 64):
        detector(torch.rand(1, side, side))
    assert [size for size, _ in detector._kept] == [(side, side) for side in (*range(33, 32 + _KEPT_SIZES), 64)]


def test_what_is_kept_is_not_pickled():
    detector = GHHDetector()
    before = len(pickle.dumps(detector))
    expected = detector(torch.rand(1, 64, 64))
    stored = pickle.dumps(detector)
    assert len(stored) == before
    assert pickle.loads(stored)(torch.rand(1, 64, 64)).shape == expected.shape
