"""Networks of others inside a loss."""

import copy
import pickle

import torch
from torch import nn

from dr_kfs.descriptors._frozen_network import FrozenNetwork, tensors_fingerprint


def small_network() -> nn.Sequential:
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Conv2d(4, 2, 3))
    network(torch.randn(8, 1, 8, 8))
    return network.eval()


class TestFrozenNetwork:
    def test_equals_the_network_in_evaluation_mode_and_stays_there(self):
        network, images = small_network(), torch.randn(3, 1, 8, 8)
        frozen = FrozenNetwork(network)
        expected = network(images).detach()
        for module in (frozen, frozen.train(), nn.Sequential(frozen).train()):
            assert torch.equal(module(images), expected)
        assert torch.equal(frozen(images), expected), "a forward in train mode changes no statistics"

    def test_owns_nothing(self):
        frozen = FrozenNetwork(small_network())
        assert list(frozen.parameters()) == []
        assert frozen.state_dict() == {}
        # As a part of a user's model, whose checkpoint has lost its metadata, as safetensors has none.
        model = nn.ModuleDict({"loss": frozen, "net": nn.Linear(2, 2)})
        model.load_state_dict(dict(model["net"].state_dict(prefix="net.")), strict=True)

    def test_leaves_the_network_alone_and_is_left_alone(self):
        network, images = small_network(), torch.randn(3, 1, 8, 8)
        frozen = FrozenNetwork(network.train())
        before = frozen(images)
        assert network.training
        assert all(parameter.requires_grad for parameter in network.parameters())
        with torch.no_grad():
            network[0].weight.zero_()
        assert torch.equal(frozen(images), before)

    def test_gradient_reaches_the_input_alone(self):
        images = torch.randn(1, 1, 6, 6, dtype=torch.float64, requires_grad=True)
        frozen = FrozenNetwork(small_network())
        assert torch.autograd.gradcheck(frozen, images)

    def test_tied_weights(self):
        network = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
        network[1].weight = network[0].weight
        vectors = torch.randn(4, 3)
        assert torch.equal(FrozenNetwork(network)(vectors), network(vectors).detach())

    def test_copies_and_pickles(self):
        frozen, images = FrozenNetwork(small_network()), torch.randn(2, 1, 8, 8)
        for other in (copy.deepcopy(frozen), pickle.loads(pickle.dumps(frozen))):
            assert torch.equal(other(images), frozen(images))


class TestTensorsFingerprint:
    def test_depends_on_names_types_shapes_and_values_not_on_the_order(self):
        tensors = {"a": torch.zeros(2, 3), "b": torch.tensor(1)}
        first = tensors_fingerprint(tensors)
        assert len(first) == 12
        assert tensors_fingerprint(dict(reversed(tensors.items()))) == first
        others = [
            {"a": torch.zeros(3, 2), "b": torch.tensor(1)},
            {"a": torch.zeros(2, 3), "b": torch.tensor(2)},
            {"a": torch.zeros(2, 3), "b": torch.tensor(1, dtype=torch.int32)},
            {"c": torch.zeros(2, 3), "b": torch.tensor(1)},
        ]
        assert len({first, *map(tensors_fingerprint, others)}) == 5

    def test_takes_any_tensor(self):
        odd = {"t": torch.eye(3, dtype=torch.bfloat16).T, "empty": torch.zeros(0), "bool": torch.tensor([True])}
        assert tensors_fingerprint(odd) == tensors_fingerprint({key: value.clone() for key, value in odd.items()})
