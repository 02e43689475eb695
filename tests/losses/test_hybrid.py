"""The hybrid loss: what terms get, how weights act, gradients, schedules, state, ranks, and what it refuses."""

from __future__ import annotations

import copy
import socket

import pytest
import torch
from torch import Tensor, distributed, nn
from torch.utils.checkpoint import checkpoint

from dr_kfs import (
    DRKFSLoss,
    HybridLoss,
    Meshes,
    PointSets,
    SoftRenderer,
    VoxelGrid,
    hemisphere_rig,
    icosphere,
    soft_surface,
)
from dr_kfs.losses import (
    ChamferLoss,
    EdgeLengthLoss,
    ImageLoss,
    LossTerm,
    QALLoss,
    RunningValueBalancer,
    UniformLaplacianLoss,
    cosine,
    qal_loss,
    ramp,
    uniform_laplacian_loss,
)

BALANCES = ("fixed", "running-value", "gradient-ratio", "uncertainty", "gradnorm")


@pytest.fixture
def target() -> Meshes:
    sphere = icosphere(1)
    return sphere.with_vertices(sphere.vertices * torch.tensor([1.0, 0.6, 0.8]))


@pytest.fixture
def sphere() -> Meshes:
    sphere = icosphere(1)
    return sphere.with_vertices(sphere.vertices.clone().requires_grad_())


@pytest.fixture(scope="module")
def drkfs() -> DRKFSLoss:
    return DRKFSLoss(renderer=SoftRenderer(cameras=hemisphere_rig()[[9]], image_size=64))


def object_terms() -> dict[str, nn.Module]:
    return {"qal": QALLoss(), "chamfer": ChamferLoss(), "laplacian": UniformLaplacianLoss()}


def hybrid(**options) -> HybridLoss:
    return HybridLoss(object_terms(), samples=64, seed=3, **options)


def gradient_of(loss: Tensor, shape: Meshes) -> Tensor:
    return torch.autograd.grad(loss, shape.vertices)[0]


class TestValue:
    def test_is_the_weighted_sum(self, sphere, target) -> None:
        loss_fn = hybrid(balance="fixed", weights={"laplacian": 0.5})
        loss = loss_fn(sphere, target)
        terms = loss_fn.terms
        assert list(terms) == ["qal", "chamfer", "laplacian"]
        assert [report.weight for report in terms.values()] == [1.0, 1.0, 0.5]
        assert loss.item() == pytest.approx(sum(report.contribution for report in terms.values()))
        assert terms["qal"].value == pytest.approx(qal_loss(sphere, target, samples=64, seed=3_000_009).item())
        assert terms["laplacian"].value == pytest.approx(uniform_laplacian_loss(sphere).item())
        assert loss_fn.scalars()["laplacian/weight"] == 0.5
        assert "qal/gradient_norm" not in loss_fn.scalars()

    def test_as_a_user_types_it(self, sphere, target, drkfs) -> None:
        terms = {"drkfs": drkfs, "qal": QALLoss(), "laplacian": UniformLaplacianLoss()}
        loss_fn = HybridLoss(terms, samples=64)
        assert loss_fn.terms == {}
        loss = loss_fn(sphere, target)
        loss.backward()
        assert sphere.vertices.grad.isfinite().all()
        assert loss_fn.terms["drkfs"].value == pytest.approx(drkfs(sphere, target).item())
        pulls = [report.weight * report.gradient_norm for report in loss_fn.terms.values()]
        assert pulls == pytest.approx([pulls[0]] * 3, rel=1e-4)
        assert loss_fn.terms["drkfs"].weight == 1.0

    def test_all_terms_of_points_see_the_same_points(self, sphere, target) -> None:
        seen = []

        def spy(ours: PointSets, theirs: PointSets) -> Tensor:
            seen.append((ours, theirs))
            return (ours.points - theirs.points).square().mean()

        terms = {name: LossTerm(spy, takes="points") for name in ("one", "other")}
        HybridLoss(terms | {"edges": EdgeLengthLoss()}, samples=16)(Meshes.cat([sphere, sphere]), target)
        assert seen[0][0] is seen[1][0]
        assert seen[0][1] is seen[1][1]
        assert len(seen[0][1]) == 2  # one target for all

    def test_a_target_of_its_own(self, sphere, target, drkfs) -> None:
        terms = {"drkfs": drkfs, "chamfer": ChamferLoss()}
        points, code = torch.rand(30, 3), drkfs.encode(target)
        loss_fn = HybridLoss(terms, balance="fixed", samples=64, seed=0)
        loss_fn(sphere, target, targets={"drkfs": code, "chamfer": points})
        with_code = loss_fn.terms
        loss_fn.steps_taken = 0
        loss_fn(sphere, target)
        assert with_code["drkfs"].value == pytest.approx(loss_fn.terms["drkfs"].value)
        assert with_code["chamfer"].value != pytest.approx(loss_fn.terms["chamfer"].value)
        loss_fn.steps_taken = 0
        loss_fn(sphere, code, targets={"chamfer": points})
        assert loss_fn.terms == with_code
        with pytest.raises(TypeError, match=r"'chamfer' needs points or a surface .* got a ShapeCode"):
            loss_fn(sphere, code)

    def test_points_alone(self) -> None:
        ours, theirs = torch.rand(2, 20, 3, requires_grad=True), torch.rand(2, 30, 3)
        loss_fn = HybridLoss({"qal": QALLoss(), "chamfer": ChamferLoss()}, balance="gradient-ratio")
        loss_fn(ours, theirs).backward()
        assert ours.grad.abs().sum() > 0
        assert loss_fn.terms["qal"].value == pytest.approx(qal_loss(ours, theirs).item())

    def test_a_volume_is_one_surface_for_all_terms(self, target) -> None:
        values = torch.randn(6, 6, 6, requires_grad=True)
        loss_fn = hybrid(balance="gradient-ratio")
        loss_fn(VoxelGrid.in_box(values, kind="logit"), target).backward()
        assert values.grad.abs().sum() > 0

    def test_a_soft_surface(self, target, drkfs) -> None:
        """Voxels that no sample is inside of yet: all terms that render see the same triangles."""
        values = torch.full((1, 8, 8, 8), 0.2).requires_grad_()
        surface = soft_surface(VoxelGrid.in_box(values, kind="probability"), explore=torch.ones_like(values).bool())
        terms = {"drkfs": drkfs, "image": ImageLoss(renderer=drkfs.renderer)}
        loss = HybridLoss(terms)(surface, target)
        loss.backward()
        assert values.grad.abs().max() > 0
        apart = {name: term(surface, target).item() for name, term in terms.items()}
        assert HybridLoss(terms, balance="fixed")(surface, target).item() == pytest.approx(sum(apart.values()))
        for name, term in {"qal": QALLoss(), "laplacian": UniformLaplacianLoss()}.items():
            with pytest.raises(TypeError, match=f"Term '{name}' needs a mesh, and a SoftSurface is none"):
                HybridLoss({**terms, name: term}, samples=16)(surface, target)

    def test_a_hidden_fault(self, drkfs) -> None:
        """A body inside another: no view shows it, samples of the surface find it."""
        outer = icosphere(2)
        inner = outer.with_vertices(0.4 * outer.vertices)
        faulty = Meshes.from_list(
            [torch.cat([outer.vertices, inner.vertices])], [torch.cat([outer.faces, inner.faces + len(outer.vertices)])]
        )
        loss_fn = HybridLoss({"drkfs": drkfs, "chamfer": ChamferLoss()}, samples=1024, seed=0).eval()
        noise = loss_fn(outer, outer)
        loss = loss_fn(faulty, outer)
        assert loss_fn.terms["drkfs"].value < 1e-6
        assert loss > 5 * noise


class TestGradient:
    @pytest.mark.parametrize("balance", BALANCES)
    def test_is_the_weighted_sum_of_the_terms_gradients(self, balance, sphere, target) -> None:
        loss_fn = hybrid(balance=balance, weights={"chamfer": 2.0})
        total = gradient_of(loss_fn(sphere, target), sphere)
        parts = []
        for name, report in loss_fn.terms.items():
            alone = HybridLoss({name: object_terms()[name]}, samples=64, seed=3)
            parts.append(report.weight * gradient_of(alone(sphere, target), sphere))
        torch.testing.assert_close(total, sum(parts), rtol=1e-4, atol=1e-7)

    def test_float64_and_float32_terms(self, sphere, target) -> None:
        terms = {"chamfer": ChamferLoss(), "flat": LossTerm(lambda mesh: mesh.vertices.float().mean(), takes="mesh")}
        double = Meshes.to(sphere, dtype=torch.float64)
        assert HybridLoss(terms, samples=8)(double, target.to(dtype=torch.float64)).dtype == torch.float64

    def test_another_shared_tensor(self, target) -> None:
        sphere = icosphere(1)
        layer = nn.Parameter(torch.ones(3))
        loss_fn = hybrid(balance="gradient-ratio")
        loss_fn(sphere.with_vertices(sphere.vertices * layer), target, shared=layer).backward()
        single = ChamferLoss()(sphere.with_vertices(sphere.vertices * layer), target, samples=64, seed=3_000_009)
        (gradient,) = torch.autograd.grad(single, layer)
        assert loss_fn.terms["chamfer"].gradient_norm == pytest.approx(gradient.norm().item(), rel=1e-4)

    def test_weights_are_shares_of_the_pull(self, sphere, target) -> None:
        loss_fn = hybrid(balance="gradient-ratio", weights={"chamfer": 3.0})
        loss_fn(sphere, target)
        pulls = {name: report.weight * report.gradient_norm for name, report in loss_fn.terms.items()}
        assert pulls["chamfer"] == pytest.approx(3 * pulls["qal"], rel=1e-4)

    @pytest.mark.parametrize("balance", ["uncertainty", "gradnorm"])
    def test_the_optimiser_teaches_the_balancer(self, balance, sphere, target) -> None:
        loss_fn = hybrid(balance=balance)
        assert len(list(loss_fn.parameters())) == 1
        optimizer = torch.optim.SGD(loss_fn.parameters(), lr=0.1)
        loss_fn(sphere, target).backward()
        before = {name: report.weight for name, report in loss_fn.terms.items()}
        optimizer.step()
        loss_fn(sphere, target)
        assert all(report.weight != before[name] for name, report in loss_fn.terms.items())


class TestSteps:
    def test_a_term_of_weight_0_is_not_computed(self, sphere, target) -> None:
        def fail(mesh: Meshes) -> Tensor:
            raise AssertionError("computed")

        terms = {"qal": QALLoss(), "late": LossTerm(fail, takes="mesh")}
        loss_fn = HybridLoss(terms, weights={"late": ramp(0.0, 1.0, first=1, steps=1)}, samples=16)
        loss_fn(sphere, target)
        assert list(loss_fn.terms) == ["qal"]
        loss_fn(sphere, target)
        with pytest.raises(AssertionError, match="computed"):
            loss_fn(sphere, target)

    @pytest.mark.parametrize("balance", BALANCES)
    def test_a_late_term_joins_every_balance(self, balance, sphere, target) -> None:
        loss_fn = hybrid(balance=balance, weights={"qal": ramp(0.0, 1.0, first=1, steps=0)})
        for expected in (["chamfer", "laplacian"], ["qal", "chamfer", "laplacian"]):
            loss = loss_fn(sphere, target)
            assert gradient_of(loss, sphere).isfinite().all()
            assert list(loss_fn.terms) == expected

    def test_schedules_of_settings(self, sphere, target) -> None:
        loss_fn = hybrid(schedules={"qal.eps": cosine(0.2, 0.1, steps=2), "qal.lambda_attr": ramp(0.0, 1.0, steps=2)})
        qal = loss_fn.losses["qal"]
        found = []
        for _ in range(3):
            loss_fn(sphere, target)
            found.append((qal.eps, qal.lambda_attr))
        assert found == [(0.2, 0.0), (pytest.approx(0.15), 0.5), (0.1, 1.0)]

    def test_schedules_reach_inside(self, drkfs) -> None:
        own = copy.deepcopy(drkfs)
        loss_fn = HybridLoss({"drkfs": own}, schedules={"drkfs.matcher.temperature": lambda step: 0.1}).eval()
        loss_fn(icosphere(0), icosphere(0))
        assert own.matcher.temperature == 0.1

    def test_measuring_changes_nothing(self, sphere, target) -> None:
        loss_fn = hybrid(balance="running-value")
        loss_fn(sphere, target)
        state = copy.deepcopy(loss_fn.state_dict())
        weights = [report.weight for report in loss_fn.terms.values()]
        larger = sphere.with_vertices(2.0 * sphere.vertices)
        with torch.no_grad():
            loss_fn(larger, target)
        value = loss_fn.eval()(larger.detach(), target)
        assert [report.weight for report in loss_fn.terms.values()] == pytest.approx(weights)
        assert value.item() == pytest.approx(sum(report.contribution for report in loss_fn.terms.values()))
        assert all(torch.equal(state[name], now) for name, now in loss_fn.state_dict().items())

    def test_evaluation_before_any_step(self, sphere, target) -> None:
        for balance in BALANCES:
            assert hybrid(balance=balance).eval()(sphere.detach(), target).isfinite()


class TestState:
    def test_only_the_balancer_has_any(self, drkfs) -> None:
        terms = {"drkfs": drkfs, **object_terms()}
        assert set(HybridLoss(terms, balance="fixed").state_dict()) == {"_extra_state"}
        assert list(HybridLoss(terms).parameters()) == []
        for balance in BALANCES:
            names = set(HybridLoss(terms, balance=balance).state_dict()) - {"_extra_state"}
            assert all(name.startswith("balancer.") for name in names)

    def test_of_other_terms_is_refused(self, sphere, target) -> None:
        first = hybrid(balance="running-value")
        first(sphere, target)
        state = first.state_dict()
        terms = object_terms()
        for names in (("chamfer", "qal", "laplacian"), ("qal", "chamfer"), ("qal", "other", "laplacian")):
            other = HybridLoss({name: terms.get(name, QALLoss()) for name in names}, samples=64, balance="fixed")
            with pytest.raises((ValueError, RuntimeError), match="in another order"):
                other.load_state_dict({"_extra_state": state["_extra_state"]}, strict=False)
        old = hybrid(balance="running-value")
        old.load_state_dict({**state, "_extra_state": state["_extra_state"][:4]})  # before names were kept
        assert old.steps_taken == 1

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    @pytest.mark.parametrize("balance", BALANCES)
    def test_a_cast_of_the_model_changes_no_balance(self, balance, dtype, sphere, target) -> None:
        """Values of millimetres are beyond float16, and shares of a mean below bfloat16's digits."""
        large = target.with_vertices(1e3 * target.vertices)
        values = []
        for model in (hybrid(balance=balance), hybrid(balance=balance).to(dtype)):
            for step in range(1, 4):
                loss = model(sphere.with_vertices(1e3 * sphere.vertices / step), large)
            values.append(loss.item())
        assert values[0] == values[1]

    def test_a_step_that_would_be_made_again_is_refused(self, sphere, target, drkfs) -> None:
        drawn = DRKFSLoss(renderer=drkfs.renderer, views_per_step=1)
        for loss_fn in (hybrid(), hybrid(balance="fixed"), drawn):
            with pytest.raises(RuntimeError, match=r"leave the loss out of torch\.utils\.checkpoint"):
                checkpoint(
                    lambda vertices, loss_fn=loss_fn: loss_fn(sphere.with_vertices(vertices), target),
                    sphere.vertices,
                    use_reentrant=False,
                ).backward()

    @pytest.mark.parametrize("balance", BALANCES)
    def test_a_resumed_training_goes_on_as_it_would_have(self, balance, sphere, target, tmp_path) -> None:
        def train(loss_fn: HybridLoss, steps: int, vertices: Tensor) -> tuple[list[float], Tensor]:
            found = []
            parameters = list(loss_fn.parameters())
            for _ in range(steps):
                leaf = vertices.clone().requires_grad_()
                loss = loss_fn(sphere.with_vertices(leaf), target)
                gradient, *others = torch.autograd.grad(loss, [leaf, *parameters])
                vertices = vertices - 0.01 * gradient
                for parameter, other in zip(parameters, others, strict=True):
                    parameter.data -= 0.1 * other
                found.append(loss.item())
            return found, vertices

        def fresh() -> HybridLoss:
            return hybrid(
                balance=balance,
                weights={"qal": ramp(0.0, 1.0, first=1, steps=4)},
                schedules={"qal.lambda_attr": ramp(0.0, 1.0, steps=4)},
            )

        whole, _ = train(fresh(), 4, sphere.vertices.detach())
        first = fresh()
        begun, vertices = train(first, 2, sphere.vertices.detach())
        torch.save(first.state_dict(), tmp_path / "state.pt")
        second = fresh()
        second.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
        rest, _ = train(second, 2, vertices)
        assert begun + rest == whole

    def test_drawn_views_go_on_too(self, drkfs) -> None:
        def fresh() -> HybridLoss:
            stages = {"renderer": SoftRenderer(cameras=hemisphere_rig()[[1, 9, 24]], image_size=64)}
            terms = {"drkfs": DRKFSLoss(**stages, views_per_step=1), "edges": EdgeLengthLoss()}
            return HybridLoss(terms, balance="fixed")

        first, second = fresh(), fresh()
        shape = icosphere(0)
        for _ in range(2):
            first(shape, shape)
        second.load_state_dict(first.state_dict())
        assert (second.steps_taken, second.losses["drkfs"].steps_taken) == (2, 2)
        with pytest.raises(ValueError, match="of other terms than qal, chamfer, laplacian"):
            hybrid().load_state_dict(first.state_dict())

    def test_samples_depend_on_the_step_alone(self, sphere, target) -> None:
        values = []
        for _ in range(2):
            loss_fn = hybrid()
            values.append([loss_fn(sphere, target).item() for _ in range(2)])
        assert values[0] == values[1]
        assert values[0][0] != values[0][1]


class TestDistributed:
    @pytest.fixture
    def group(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        distributed.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=0, world_size=1)
        yield
        distributed.destroy_process_group()

    @pytest.mark.parametrize("balance", ["running-value", "gradient-ratio", "gradnorm"])
    def test_ranks_exchange_statistics(self, balance, group, monkeypatch, sphere, target) -> None:
        plain = hybrid(balance=balance)
        plain(sphere, target)
        alone = hybrid(balance=balance)
        alone(sphere, target)
        assert alone.terms == plain.terms

        # As if another rank had three times our numbers: the mean is twice ours.
        monkeypatch.setattr(distributed, "all_reduce", lambda numbers: numbers.mul_(4.0))
        monkeypatch.setattr(distributed, "get_world_size", lambda: 2)
        two = hybrid(balance=balance)
        two(sphere, target)
        remembered = [name for name in two.balancer.state_dict() if name in ("total", "initial")]
        for name in remembered:
            torch.testing.assert_close(two.balancer.state_dict()[name], 2 * alone.balancer.state_dict()[name])
        assert remembered

    def test_wrapped(self, group, sphere, target) -> None:
        loss_fn = hybrid(balance="uncertainty")
        wrapped = nn.parallel.DistributedDataParallel(loss_fn)
        wrapped(sphere, target).backward()
        assert loss_fn.balancer.log_variance.grad.abs().min() > 0
        assert sphere.vertices.grad is not None


class TestRefusals:
    def test_construction(self) -> None:
        with pytest.raises(ValueError, match="at least one term"):
            HybridLoss({})
        with pytest.raises(TypeError, match="MSELoss does not say what it takes"):
            HybridLoss({"mse": nn.MSELoss()})
        for name in ("", "a.b", "a b", "keys", "training"):
            with pytest.raises(ValueError, match="rename it"):
                HybridLoss({name: QALLoss()})
        with pytest.raises(ValueError, match=r"weights must name terms \(qal, chamfer, laplacian\), got lap"):
            hybrid(weights={"lap": 1.0})
        for weight in (-1.0, float("nan"), ramp(-1.0, 1.0, steps=3)):
            with pytest.raises(ValueError, match="finite weight of at least 0 for term 'qal'"):
                hybrid(weights={"qal": weight})
        for path in ("qal.epsilon", "lap.eps", "qal", "qal.eps.more"):
            with pytest.raises(ValueError, match="schedules must name settings of terms"):
                hybrid(schedules={path: ramp(0.0, 1.0, steps=1)})

    def test_terms(self, sphere, target) -> None:
        with pytest.raises(ValueError, match=r"'qal' must return a scalar, got shape \(1,\)"):
            HybridLoss({"qal": QALLoss(reduction="none")}, samples=8)(sphere, target)
        with pytest.raises(ValueError, match="weight above 0 at step 0"):
            hybrid(weights=dict.fromkeys(object_terms(), 0.0))(sphere, target)
        with pytest.raises(TypeError, match="samples=2048"):
            HybridLoss(object_terms())(sphere, target)
        with pytest.raises(ValueError, match="targets must name terms"):
            hybrid()(sphere, target, targets={"drkfs": target})

    def test_gradients(self, sphere, target) -> None:
        with pytest.raises(ValueError, match="shared tensor that requires one"):
            hybrid()(sphere.detach(), target)
        terms = {"edges": EdgeLengthLoss(), "bias": LossTerm(lambda mesh: torch.ones(()), takes="mesh")}
        with pytest.raises(ValueError, match="'bias' has no gradient at the shared tensor"):
            HybridLoss(terms, balance="gradnorm")(sphere, target)
        HybridLoss(terms, balance=RunningValueBalancer())(sphere, target).backward()  # by values it does

    def test_a_visual_term_needs_a_shape(self, target) -> None:
        renderer = SoftRenderer(cameras=hemisphere_rig()[[9]], image_size=64)
        with pytest.raises(TypeError, match="item 0: expected"):
            HybridLoss({"image": ImageLoss(renderer=renderer)})(torch.rand(9, 3), target)
