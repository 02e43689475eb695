"""Cars: "body", "cabin", "roof", "pillar_left_0", "wheel_front_left", "mirror_left", "bumper_front", ..."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dr_kfs.datasets.choices import Choices, Requirement, StyleOptions
from dr_kfs.datasets.families.car_details import build_details
from dr_kfs.datasets.outlines import rounded_rectangle
from dr_kfs.datasets.primitives import Solid, box, cushion, cylinder, join, lathe, loft, sweep, torus

__all__ = ["OPTIONS", "Car", "build"]

_CLOSED = ("sedan", "hatchback", "wagon", "suv", "van", "pickup", "sports", "bus")
OPTIONS = StyleOptions(
    family="car",
    code=105,
    options={
        "body": {
            "sedan": 3,
            "hatchback": 2,
            "wagon": 1.5,
            "suv": 2,
            "van": 1.5,
            "pickup": 1.5,
            "sports": 2,
            "convertible": 1,
            "bus": 1,
            "truck": 1,
        },
        "rims": {"disc": 1, "spokes": 1.5, "dished": 1, "holes": 0.8},
        "spoiler": {"none": 4, "lip": 1, "wing": 1},
        "roof": {"plain": 4, "rails": 1, "sign": 0.5, "lightbar": 0.5},
        "lights": {"round": 1, "square": 1, "narrow": 1},
        "bumpers": {"flush": 2, "bar": 1.5, "bull": 0.5},
        "mirrors": {"pair": 4, "none": 1},
        "extra": {"none": 3, "exhaust": 1.5, "spare_wheel": 0.7, "antenna": 1},
    },
    requirements=(
        Requirement("spoiler", ("lip", "wing"), "body", ("sedan", "sports", "convertible")),
        Requirement("roof", ("rails",), "body", ("wagon", "suv", "van", "hatchback")),
        Requirement("roof", ("sign", "lightbar"), "body", ("sedan", "hatchback", "wagon", "suv", "van", "pickup")),
        Requirement("bumpers", ("bull",), "body", ("suv", "pickup")),
        Requirement("extra", ("spare_wheel",), "body", ("suv",)),
    ),
)


@dataclass(frozen=True)
class Car:
    """Main measures, wheels on y = 0, nose towards +z."""

    length: float
    width: float
    height: float
    wheel_radius: float
    wheel_width: float
    axles: tuple[float, ...]
    """z of the axles, front first."""
    belt: float
    """Height of the lower edge of the windows."""
    hood: float
    trunk: float
    floor: float
    hood_drop: float
    """How much lower the nose is than the foot of the windscreen."""
    glass: tuple[float, float, float, float]
    """z of the cabin: rear foot, rear top, front top, front foot."""

    @property
    def roof_width(self) -> float:
        """Half width of the roof."""
        return 0.5 * self.width * (0.93 if self.height > 0.3 * self.length and self.glass[0] < -0.4 else 0.8)


# Height and width over length; hood, trunk and belt over height; cabin z over length (rear foot, rear top,
# front top, front foot); front and rear axle over length.
_SHAPES = {
    "sedan": (0.31, 0.39, 0.60, 0.62, 0.66, (-0.36, -0.20, 0.03, 0.21), (0.31, -0.29)),
    "hatchback": (0.36, 0.42, 0.60, 0.62, 0.64, (-0.48, -0.36, 0.04, 0.24), (0.33, -0.32)),
    "wagon": (0.31, 0.38, 0.60, 0.62, 0.66, (-0.48, -0.42, 0.02, 0.21), (0.31, -0.29)),
    "suv": (0.39, 0.42, 0.62, 0.64, 0.66, (-0.48, -0.43, 0.05, 0.20), (0.31, -0.30)),
    "van": (0.40, 0.40, 0.52, 0.60, 0.58, (-0.49, -0.46, 0.20, 0.37), (0.33, -0.30)),
    "pickup": (0.34, 0.37, 0.60, 0.60, 0.62, (-0.13, -0.09, 0.07, 0.20), (0.32, -0.28)),
    "sports": (0.25, 0.42, 0.64, 0.70, 0.70, (-0.40, -0.16, -0.05, 0.15), (0.32, -0.29)),
    "convertible": (0.29, 0.40, 0.62, 0.66, 0.66, (-0.24, -0.16, 0.04, 0.15), (0.31, -0.29)),
    "bus": (0.30, 0.24, 0.40, 0.46, 0.46, (-0.495, -0.49, 0.46, 0.49), (0.30, -0.26)),
    "truck": (0.38, 0.31, 0.26, 0.26, 0.56, (0.17, 0.19, 0.36, 0.46), (0.33, -0.30)),
}


def build(choices: Choices) -> dict[str, Solid]:
    """Parts of a car; the body comes first."""
    car = _measures(choices)
    kind = choices.style["body"]
    parts = {"body": _body(choices, car)}
    if kind == "convertible":
        parts |= _open_cabin(choices, car)
    else:
        parts |= _cabin(choices, car)
    if kind == "pickup":
        parts |= _bed(choices, car)
    if kind == "truck":
        start, stop = -0.5 * car.length, car.length * (car.glass[0] - 0.02)
        tall = car.height * choices.size("box_height", 0.95, 1.2) - car.hood
        middle = (0, car.hood + tall / 2 - 0.004, (start + stop) / 2)
        parts["cargo_box"] = box((car.width, tall, stop - start), middle, bevel=0.008)
    parts |= _wheels(choices, car)
    return parts | build_details(choices, car)


def _measures(choices: Choices) -> Car:
    height, width, hood, trunk, belt, glass, axles = _SHAPES[choices.style["body"]]
    length = choices.size("length", 0.9, 1.05)
    tall = length * height * choices.size("height_ratio", 0.92, 1.1)
    shift = choices.size("cabin_shift", -0.02, 0.02) if choices.style["body"] not in ("bus", "van", "truck") else 0.0
    large = {"bus": 0.85, "truck": 0.9, "suv": 1.15, "pickup": 1.1, "sports": 0.9}.get(choices.style["body"], 1.0)
    radius = large * length * choices.size("wheel_radius", 0.062, 0.078)
    places = [length * axles[0], length * axles[1] * choices.size("wheelbase", 0.95, 1.06)]
    if choices.style["body"] in ("bus", "truck") and choices.count("axles", 2, 3) == 3:
        places.append(places[1] + 2.25 * radius)
    return Car(
        length=length,
        width=length * width * choices.size("width_ratio", 0.94, 1.06),
        height=tall,
        wheel_radius=radius,
        wheel_width=radius * choices.size("tyre_width", 0.5, 0.75),
        axles=tuple(places),
        belt=tall * belt * choices.size("belt_ratio", 0.95, 1.04),
        hood=tall * hood * choices.size("hood_ratio", 0.94, 1.04),
        trunk=tall * trunk * choices.size("trunk_ratio", 0.95, 1.03),
        hood_drop=tall * choices.size("hood_drop", 0.03, 0.1),
        floor=radius * choices.size("clearance", 0.45, 0.75),
        glass=(glass[0] + 0.5 * shift, glass[1] + shift, glass[2] + shift, glass[3] + shift),
    )


def _body(choices: Choices, car: Car) -> Solid:
    """Lower body: cross sections lofted along z, whose floor rises over the wheels."""
    half = 0.5 * car.length
    arch = 1.16 * car.wheel_radius
    angles = np.linspace(0, np.pi, 9)
    places = [np.linspace(-half, half, 25), [-half + 0.006, half - 0.006]]
    places += [axle + arch * np.cos(angles) for axle in car.axles] + [
        [axle - arch - 0.002, axle + arch + 0.002] for axle in car.axles
    ]
    stations = np.unique(np.concatenate(places))
    stations = stations[np.concatenate([[True], np.diff(stations) > 5e-4])]
    round_ = choices.size("nose_round", 0.02, 0.14) * (0.3 if choices.style["body"] in ("bus", "truck") else 1.0)
    rings = np.stack([_cross_section(choices, car, float(z), arch, round_) for z in stations])
    return loft(rings)


def _cross_section(choices: Choices, car: Car, z: float, arch: float, round_: float) -> np.ndarray:
    """Twelve corners of the body at z, from the left sill over the deck to the right sill."""
    half = 0.5 * car.length
    low = car.floor + 0.25 * car.floor * max(0.0, abs(z) / half - 0.8) * 5
    over = [np.sqrt(max(arch**2 - (z - axle) ** 2, 0.0)) for axle in car.axles if abs(z - axle) < arch]
    if over:
        low = max(low, car.wheel_radius + max(over))
    high = _deck(choices, car, z)
    end = max(0.0, (abs(z) / half - 0.86) / 0.14)
    high -= 0.5 * round_ * car.height * end**2
    wide = 0.5 * car.width * (1 - round_ * end**2.5)
    if abs(z) > half - 1e-9:
        low, high, wide = low + 0.008, high - 0.008, wide * 0.97
    high = max(high, low + 0.01)
    tall = high - low
    corners = [(0.94, 0.0), (0.99, 0.12), (1.0, 0.45), (0.985, 0.75), (0.95, 0.94), (0.86, 1.0)]
    left = [(wide * x, low + tall * y, z) for x, y in corners]
    return np.array(left + [(-x, y, z) for x, y, z in reversed(left)])


def _deck(choices: Choices, car: Car, z: float) -> float:
    """Height of the body's upper side: trunk, belt under the windows, hood falling to the nose."""
    rear, front = car.glass[0] * car.length, car.glass[3] * car.length
    half = 0.5 * car.length
    drop = car.hood_drop
    if choices.style["body"] == "bus":
        return car.belt
    if choices.style["body"] == "truck":
        return car.belt if z > rear - 0.01 else car.hood
    points = [
        (-half, car.trunk - 0.3 * drop),
        (rear - 0.02, car.trunk),
        (rear + 0.03, car.belt),
        (front - 0.03, car.belt),
    ]
    if choices.style["body"] == "pickup":
        points[:2] = [(-half, car.floor + 0.4 * car.hood), (rear - 0.012, car.floor + 0.4 * car.hood)]
        points[2] = (rear - 0.01, car.belt)
    points += [(front + 0.015, car.hood), (half, car.hood - drop)]
    return float(np.interp(z, [p[0] for p in points], [p[1] for p in points]))


def _cabin(choices: Choices, car: Car) -> dict[str, Solid]:
    """Glass, pillars at its corners and sides, and the roof."""
    foot, top = _window_ring(car, 0.0), _window_ring(car, 1.0)
    low, high = np.array([0, car.belt - 0.012, 0]), np.array([0, car.height - 0.008, 0])
    rings = [ring * (0.975, 1, 1) + level for ring, level in ((foot, low), (top, high))]
    parts: dict[str, Solid] = {"cabin": loft(np.stack(rings))}
    thick = choices.size("roof_thickness", 0.012, 0.022)
    centre = top.mean(axis=0)
    layers = [(1.03, 0.0), (1.04, 0.5), (0.97, 0.9), (0.75, 1.1)]
    roof = np.stack([(top - centre) * (s, 1, s) + centre + (0, car.height - thick + y * thick, 0) for s, y in layers])
    parts["roof"] = loft(roof)
    width = choices.size("pillar_width", 0.018, 0.032)
    count = {"bus": 7, "van": 4, "suv": 4, "wagon": 4, "pickup": 2, "truck": 2, "sports": 2}.get(
        choices.style["body"], 3
    )
    for i, share in enumerate(np.linspace(0, 1, count)):
        ends = np.stack([_side(car, share, 0.0) + low, _side(car, share, 1.0) + high])
        ends[1] = 0.94 * ends[1] + 0.06 * ends[0]  # stops inside the roof
        section = rounded_rectangle(width * (1.3 if share == 0 else 1.0), 0.014, 0.004)
        parts[f"pillar_left_{i}"] = sweep(ends, section, up=(1, 0, 0))
        parts[f"pillar_right_{i}"] = parts[f"pillar_left_{i}"].mirrored()
    return parts


def _side(car: Car, share: float, level: float) -> np.ndarray:
    """Point of the left window plane from windscreen (share 0) to rear (1), foot (level 0) or top (1)."""
    foot, top = _half_widths(car)
    rear, front = (car.glass[0], car.glass[3]) if level == 0 else (car.glass[1], car.glass[2])
    return np.array([foot if level == 0 else top, 0.0, car.length * (front + (rear - front) * share)])


def _half_widths(car: Car) -> tuple[float, float]:
    return 0.5 * car.width * 0.91, min(car.roof_width, 0.5 * car.width * 0.9)


def _window_ring(car: Car, level: float) -> np.ndarray:
    """Outline of the glass at its foot (level 0) or top (1): a rounded rectangle in the plane y = 0."""
    half = _half_widths(car)[int(level)]
    rear, front = (car.glass[0], car.glass[3]) if level == 0 else (car.glass[1], car.glass[2])
    outline = rounded_rectangle(2 * half, car.length * (front - rear), 0.16 * half, steps=2)
    z = outline[:, 1] + car.length * (front + rear) / 2
    return np.stack([outline[:, 0], np.zeros(len(outline)), z], axis=1)


def _open_cabin(choices: Choices, car: Car) -> dict[str, Solid]:
    """Windscreen frame, two seats, a steering wheel."""
    foot, top = _side(car, 0.0, 0.0), _side(car, 0.0, 1.0)
    foot[1], top[1] = car.belt - 0.01, car.height
    mirror = np.array([-1.0, 1.0, 1.0])
    section = rounded_rectangle(0.014, 0.014, 0.004)
    rails = [
        sweep(np.stack(ends), section) for ends in ((foot, top), (foot * mirror, top * mirror), (top, top * mirror))
    ]
    inset = np.array([0.004, 0.0, 0.0])
    pane = np.array([foot - inset, top - inset, (top - inset) * mirror, (foot - inset) * mirror])
    glass = loft(np.stack([pane, pane - (0, 0, 0.006)]))
    parts: dict[str, Solid] = {"windshield": glass, "windshield_frame": join(*rails)}
    wide, y, z = 0.32 * car.width, car.belt, car.length * (car.glass[0] + 0.06)
    tall = choices.size("seat_height", 0.07, 0.11)
    seat = join(
        cushion((wide, tall, 0.05), (0.22 * car.width, y + 0.35 * tall, z), rings=7),
        cushion((0.6 * wide, 0.04, 0.035), (0.22 * car.width, y + 0.9 * tall, z - 0.005), rings=7),
    )
    parts |= {"seat_left": seat, "seat_right": seat.mirrored()}
    wheel = torus(0.036, 0.005, segments=20, sides=8).rotated("x", 60)
    hub = np.array([0.22 * car.width, y + 0.03, car.length * car.glass[3] - 0.06])
    column = cylinder(0.005, (0, 0, 0), (0, -0.035, 0.06), sides=8)
    return parts | {"steering_wheel": join(wheel, column).translated(*hub)}


def _bed(choices: Choices, car: Car) -> dict[str, Solid]:
    """Open load bed of a pickup: two sides, a tailgate, and the wall behind the cabin."""
    low, high = car.floor + 0.35 * car.hood, car.hood * choices.size("bed_height", 1.0, 1.12)
    back, front = -0.49 * car.length, car.length * car.glass[0] - 0.008
    wall, half, y = 0.018, 0.475 * car.width, (low + high) / 2
    left = box((wall, high - low, front - back), (half, y, (front + back) / 2), bevel=0.003)
    return {
        "bed_left": left,
        "bed_right": left.mirrored(),
        "tailgate": box((2 * half, high - low, wall), (0, y, back + wall / 2), bevel=0.003),
        "bed_front": box((2 * half, high - low, wall), (0, y, front - wall / 2), bevel=0.003),
    }


def _wheels(choices: Choices, car: Car) -> dict[str, Solid]:
    wheel = build_wheel(choices, car.wheel_radius, car.wheel_width)
    names = ("front", "back", "rear") if len(car.axles) == 3 else ("front", "back")
    parts = {}
    for name, z in zip(names, car.axles, strict=True):
        left = wheel.translated(0.5 * car.width - 0.42 * car.wheel_width, car.wheel_radius, z)
        parts[f"wheel_{name}_left"], parts[f"wheel_{name}_right"] = left, left.mirrored()
    for i, z in enumerate(car.axles):
        half = 0.5 * car.width - 0.5 * car.wheel_width
        ends = ((-half, car.wheel_radius, z), (half, car.wheel_radius, z))
        parts[f"axle_{i}"] = cylinder(0.12 * car.wheel_radius, *ends, sides=8)
    return parts


def build_wheel(choices: Choices, radius: float, width: float) -> Solid:
    """Tyre and rim around the x axis, outer side towards +x."""
    hole = choices.size("rim_ratio", 0.55, 0.72) * radius
    half = width / 2
    tyre = [
        (hole, -half),
        (0.93 * radius, -half),
        (radius, -0.6 * half),
        (radius, 0.6 * half),
        (0.93 * radius, half),
    ]
    tyre = lathe(np.array([*tyre, (hole, half)]), segments=22, closed=True)
    kind = choices.style["rims"]
    bowl = {
        "disc": [
            (0.0, -0.5 * half),
            (hole, -0.5 * half),
            (hole, 0.75 * half),
            (0.5 * hole, 0.9 * half),
            (0.0, 0.85 * half),
        ],
        "dished": [
            (0.0, -0.5 * half),
            (hole, -0.5 * half),
            (hole, 0.9 * half),
            (0.3 * hole, 0.0),
            (0.2 * hole, 0.5 * half),
        ],
    }.get(kind, [(0.0, -0.6 * half), (hole, -0.6 * half), (hole, -0.3 * half), (0.0, -0.2 * half)])
    solids = [tyre, lathe(np.array(bowl), segments=18)]
    if kind in ("spokes", "holes"):
        count = choices.count("spokes", 4, 7) if kind == "spokes" else 3
        size = (0.92 * hole, 0.5 * half, (0.24 if kind == "spokes" else 0.5) * hole)
        spoke = box(size, (0.5 * hole, 0.6 * half, 0))
        solids += [spoke.rotated("y", 90 + i * 360 / count) for i in range(count)]
        solids.append(lathe(np.array([(0.25 * hole, 0.2 * half), (0.2 * hole, 0.95 * half)]), segments=14))
    return join(*solids).rotated("z", -90)
