from __future__ import annotations

import pytest
from jaxtyping import TypeCheckError

from dr_kfs.losses import Schedule, cosine, object_space_first, ramp, warm_up


class TestSchedule:
    def test_values(self) -> None:
        straight, curved = ramp(2.0, 4.0, first=10, steps=4), cosine(2.0, 4.0, first=10, steps=4)
        assert [straight(step) for step in (0, 10, 11, 12, 14, 99)] == [2.0, 2.0, 2.5, 3.0, 4.0, 4.0]
        assert [curved(step) for step in (0, 10, 12, 14, 99)] == pytest.approx([2.0, 2.0, 3.0, 4.0, 4.0])
        assert curved(11) == pytest.approx(2.0 + 2.0 * 0.5 * (1 - 0.5**0.5))
        assert [warm_up(3.0, steps=3)(step) for step in range(5)] == pytest.approx([0.0, 1.0, 2.0, 3.0, 3.0])

    def test_without_steps_it_jumps(self) -> None:
        jump = ramp(1.0, 0.0, first=2, steps=0)
        assert [jump(step) for step in range(4)] == [1.0, 1.0, 0.0, 0.0]

    def test_object_space_first(self) -> None:
        weights = object_space_first(visual=["drkfs"], objects=["qal"], switch=5, steps=10, keep=0.2)
        assert (weights["drkfs"](5), weights["qal"](5)) == (0.0, 1.0)
        assert (weights["drkfs"](10), weights["qal"](10)) == pytest.approx((0.5, 0.6))
        assert (weights["drkfs"](15), weights["qal"](15)) == (1.0, 0.2)
        with pytest.raises(ValueError, match=r"\['qal'\] as both"):
            object_space_first(visual=["qal"], objects=["qal"], switch=0, steps=1)

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"end": float("nan")}, "finite"),
            ({"steps": -1}, "at least 0"),
            ({"first": -1}, "at least 0"),
            ({"course": "steep"}, "course"),
        ],
    )
    def test_bad_settings(self, settings, message) -> None:
        with pytest.raises((ValueError, TypeCheckError), match=message):
            Schedule(**{"start": 0.0, "end": 1.0, "steps": 1} | settings)
