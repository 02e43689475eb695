"""In what two sets of settings differ, in words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

LONGEST = 120
"""Characters of a value."""


def settings_differences(theirs: dict[str, Any], ours: dict[str, Any]) -> str:
    """What differs, such as `loss.sigma: 1e-05 there, 0.0001 now`; nothing where they are equal.

    Args:
        theirs: of a file, JSON-able.
        ours: likewise.
    """
    return "; ".join(f"{name}: {_short(old)} there, {_short(new)} now" for name, old, new in _leaves(theirs, ours, ""))


def _leaves(theirs: Any, ours: Any, name: str) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for key in sorted({*theirs, *ours}):
            yield from _leaves(theirs.get(key), ours.get(key), f"{name}.{key}" if name else key)
    elif theirs != ours:
        yield name, theirs, ours


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."
