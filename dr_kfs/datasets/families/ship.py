"""Ships and boats: "hull", "deck", "cabin_0", "funnel_0", "mast_0", "sail_0", "container_0", "rail_left", ..."""

from __future__ import annotations

from dr_kfs.datasets.choices import Choices, Requirement, StyleOptions
from dr_kfs.datasets.families.placement import on_floor
from dr_kfs.datasets.families.ship_decks import build_decks
from dr_kfs.datasets.families.ship_hull import build_hull
from dr_kfs.datasets.families.ship_rig import build_rig
from dr_kfs.datasets.primitives import Solid

__all__ = ["OPTIONS", "build"]

OPTIONS = StyleOptions(
    family="ship",
    code=111,
    options={
        "hull": {
            "clipper": 2,
            "yacht": 2,
            "motor": 1.5,
            "cargo": 2,
            "liner": 1.2,
            "tug": 1.2,
            "warship": 1.2,
            "rowing": 1.2,
            "catamaran": 1,
            "galley": 1,
        },
        "rig": {"none": 3, "sloop": 2, "schooner": 1, "square": 2, "lateen": 1},
        "sails": {"set": 3, "furled": 1, "bare": 0.7},
        "house": {"none": 1, "aft": 2, "middle": 2, "stepped": 1.2, "low": 1.2},
        "funnels": {"none": 2, "one": 1.5, "two": 1, "three": 0.6},
        "cargo": {"none": 1, "containers": 3, "cranes": 1.5, "guns": 0.8, "boats": 1, "benches": 1, "barrels": 0.8},
        "rails": {"none": 1.5, "posts": 1.5, "wall": 1},
        "stern": {"flat": 2, "round": 1, "castle": 0.8},
        "bow": {"plain": 2, "sprit": 1, "bulb": 1},
        "drive": {"none": 1, "rudder": 1.5, "screw": 1.2, "oars": 0.8, "outboard": 0.6},
    },
    requirements=(
        Requirement("hull", ("clipper",), "rig", ("square", "schooner")),
        Requirement("hull", ("yacht",), "rig", ("sloop", "schooner")),
        Requirement("hull", ("catamaran",), "rig", ("sloop",)),
        Requirement("hull", ("galley",), "rig", ("square", "lateen")),
        Requirement("hull", ("rowing",), "rig", ("none", "sloop", "lateen")),
        Requirement("hull", ("motor", "cargo", "liner", "tug", "warship"), "rig", ("none",)),
        Requirement("rig", ("none",), "sails", ("bare",)),
        Requirement("rig", ("sloop", "lateen"), "sails", ("set", "furled")),
        Requirement("hull", ("cargo",), "house", ("aft", "middle")),
        Requirement("hull", ("liner",), "house", ("stepped",)),
        Requirement("hull", ("warship",), "house", ("middle", "stepped")),
        Requirement("hull", ("tug",), "house", ("middle", "aft")),
        Requirement("hull", ("motor",), "house", ("low", "stepped", "middle")),
        Requirement("hull", ("yacht", "catamaran"), "house", ("low",)),
        Requirement("hull", ("clipper",), "house", ("none", "low")),
        Requirement("hull", ("rowing", "galley"), "house", ("none",)),
        Requirement("hull", ("clipper", "yacht", "rowing", "galley", "catamaran", "motor"), "funnels", ("none",)),
        Requirement("hull", ("tug",), "funnels", ("one",)),
        Requirement("hull", ("liner",), "funnels", ("one", "two", "three")),
        Requirement("hull", ("warship",), "funnels", ("one", "two")),
        Requirement("hull", ("cargo",), "funnels", ("one", "none")),
        Requirement("hull", ("cargo",), "cargo", ("containers", "cranes", "none")),
        Requirement("hull", ("warship",), "cargo", ("guns",)),
        Requirement("cargo", ("guns",), "hull", ("warship", "clipper")),
        Requirement("cargo", ("containers", "cranes"), "hull", ("cargo", "tug")),
        Requirement("hull", ("liner",), "cargo", ("boats",)),
        Requirement("hull", ("tug",), "cargo", ("none", "barrels", "cranes")),
        Requirement("cargo", ("boats",), "hull", ("liner", "clipper")),
        Requirement("hull", ("rowing", "galley"), "cargo", ("benches",)),
        Requirement("cargo", ("benches",), "hull", ("rowing", "galley")),
        Requirement("cargo", ("barrels",), "hull", ("tug", "clipper", "motor")),
        Requirement("hull", ("rowing", "galley", "catamaran"), "rails", ("none",)),
        Requirement("stern", ("castle",), "hull", ("clipper", "galley")),
        Requirement("hull", ("rowing", "galley", "catamaran"), "bow", ("plain",)),
        Requirement("bow", ("sprit",), "hull", ("clipper", "yacht")),
        Requirement("bow", ("bulb",), "hull", ("cargo", "liner", "warship", "tug")),
        Requirement("hull", ("rowing",), "drive", ("oars", "outboard", "rudder", "none")),
        Requirement("drive", ("oars",), "hull", ("rowing", "galley")),
        Requirement("drive", ("outboard",), "hull", ("rowing", "motor")),
        Requirement("drive", ("screw",), "hull", ("cargo", "liner", "warship", "tug", "motor")),
        Requirement("hull", ("catamaran",), "drive", ("none",)),
    ),
)


def build(choices: Choices) -> dict[str, Solid]:
    """Parts of a ship, its bow towards +z."""
    parts, hull = build_hull(choices)
    return on_floor(parts | build_decks(choices, hull) | build_rig(choices, hull))
