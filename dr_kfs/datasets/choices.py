"""Every choice that makes one shape: discrete style words and sizes, each drawn from its own random stream.

A draw depends on (family, seed, name of the choice) only. So fixing one choice by hand leaves all others as
they were: the same chair with a slatted back keeps its legs, its seat and its proportions.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from dr_kfs.datasets.outlines import Number

__all__ = ["Choices", "Requirement", "StyleOptions", "part_stream"]


@dataclass(frozen=True)
class Requirement:
    """These `words` of `option` go only with `allowed` words of `other`: bars need four legs."""

    option: str
    words: tuple[str, ...]
    other: str
    allowed: tuple[str, ...]

    def holds(self, style: Mapping[str, str]) -> bool:
        """True unless the style has both options and they contradict each other."""
        if style.get(self.option) not in self.words or self.other not in style:
            return True
        return style[self.other] in self.allowed


@dataclass(frozen=True)
class StyleOptions:
    """The discrete choices of a family: for each option its words with their frequencies."""

    family: str
    code: int
    """Fixed integer that separates the random streams of the families."""
    options: Mapping[str, Mapping[str, Number]]
    requirements: tuple[Requirement, ...] = ()

    def resolve(self, seed: int, given: Mapping[str, str]) -> dict[str, str]:
        """Complete style: the given words, the rest drawn among what goes with them.

        Raises:
            ValueError: unknown option or word, or two given words that exclude each other.
        """
        for option, word in given.items():
            if option not in self.options:
                raise ValueError(f"unknown style option {option!r} of {self.family}; it has {sorted(self.options)}")
            if word not in self.options[option]:
                words = list(self.options[option])
                raise ValueError(f"unknown word {word!r} for style option {option!r} of {self.family}; use {words}")
        for rule in self.requirements:
            if not rule.holds(given):
                word, other = given[rule.option], given[rule.other]
                raise ValueError(
                    f"style {rule.option}={word!r} of {self.family} needs {rule.other} to be one of "
                    f"{list(rule.allowed)}, got {other!r}; change one of the two"
                )
        chosen = self._complete(seed, dict(given))
        if chosen is None:
            raise ValueError(f"no {self.family} has the style {dict(given)}; fix fewer options")
        return {option: chosen[option] for option in self.options}

    def _complete(self, seed: int, chosen: dict[str, str]) -> dict[str, str] | None:
        """Depth-first: the drawn word of the first open option, or another one when nothing goes with it."""
        option = next((name for name in self.options if name not in chosen), None)
        if option is None:
            return chosen
        # What was chosen before agrees already: only rules about this option can fail now.
        rules = [rule for rule in self.requirements if option in (rule.option, rule.other)]
        words = self.options[option]
        fitting = [word for word in words if all(rule.holds({**chosen, option: word}) for rule in rules)]
        while fitting:
            edges = np.cumsum([self.options[option][word] for word in fitting])
            drawn = _uniform(self.code, seed, option) * edges[-1]
            word = fitting.pop(int(np.searchsorted(edges[:-1], drawn, side="right")))
            if complete := self._complete(seed, {**chosen, option: word}):
                return complete
        return None


class Choices:
    """The style of one shape, and its sizes, drawn when the builder asks for them and remembered by name."""

    def __init__(self, options: StyleOptions, seed: int, style: Mapping[str, str], sizes: Mapping[str, Number]):
        self.style: dict[str, str] = options.resolve(seed, style)
        self.sizes: dict[str, float] = {}
        self._given = dict(sizes)
        self._code, self._seed = options.code, seed

    def size(self, name: str, low: Number, high: Number) -> float:
        """A length, angle or ratio, uniform in [low, high] unless given by hand."""
        if name not in self.sizes:
            drawn = low + (high - low) * _uniform(self._code, self._seed, name)
            self.sizes[name] = float(self._given.get(name, drawn))
        return self.sizes[name]

    def count(self, name: str, low: int, high: int) -> int:
        """A whole number, uniform in low..high (both included) unless given by hand."""
        if name not in self.sizes:
            drawn = low + int(_uniform(self._code, self._seed, name) * (high - low + 1))
            self.sizes[name] = int(self._given.get(name, drawn))
        return int(self.sizes[name])

    def unused_sizes(self) -> list[str]:
        """Sizes given by hand that the builder never asked for."""
        return sorted(set(self._given) - set(self.sizes))


def _uniform(code: int, seed: int, name: str) -> float:
    stream = np.random.default_rng([code, seed, zlib.crc32(name.encode())])
    return float(stream.random())


def part_stream(seed: int, name: str) -> np.random.Generator:
    """Random numbers for an edit of one part, whatever other parts there are."""
    return np.random.default_rng([seed, zlib.crc32(name.encode())])
