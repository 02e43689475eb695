from __future__ import annotations

from dr_kfs._settings_differences import settings_differences


def test_names_what_differs_however_deep() -> None:
    theirs = {"a": 1, "loss": {"sigma": 1e-5, "views": [1, 2], "preset": "fine"}, "gone": True}
    ours = {"a": 1, "loss": {"sigma": 1e-4, "views": [1, 3], "preset": "fine"}, "text": "x" * 200}
    assert settings_differences(theirs, ours) == (
        "gone: true there, null now; loss.sigma: 1e-05 there, 0.0001 now; loss.views: [1, 2] there, [1, 3] now; "
        f'text: null there, "{"x" * 116}... now'
    )
    assert settings_differences(ours, ours) == ""
