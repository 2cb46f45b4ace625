"""Lorries, buses and trams."""

from __future__ import annotations

from functools import cache

from cfcontra.datasets.streets.cars import tyres_end_on, wheels
from cfcontra.datasets.streets.mesh import Material, Mesh, MeshBuilder, Paint, Surface

BUS_LENGTH, TRUCK_LENGTH, TRAM_LENGTH = 11.5, 8.5, 24.0


@cache
def truck(turned: bool, detail: int) -> Mesh:
    """A rigid lorry: cab and box body. `turned` decides which of the two is nearer."""
    build = MeshBuilder()
    half, rear, front, split = 1.22, -TRUCK_LENGTH / 2, TRUCK_LENGTH / 2, TRUCK_LENGTH / 2 - 2.1
    chassis = Surface("truck", (0.10, 0.10, 0.11))
    cargo = Surface("truck", paint=Paint.SECOND)
    cab = Surface("truck", paint=Paint.FIRST)
    glass = Surface("truck", (0.13, 0.16, 0.19), material=Material.AUTO_GLASS)
    line = Surface("truck", (0.75, 0.75, 0.75), paint=Paint.SECOND)

    def body() -> None:
        build.box((-half, half), (1.0, 3.5), (rear, split - 0.15), cargo, "rlfb")
        for x in (-half, half):
            for k in range(1, 4 if detail < 2 else 1):
                z = rear + k * (split - rear) / 4
                build.side(x * 1.002, [(z, 1.0), (z + 0.07, 1.0), (z + 0.07, 3.5), (z, 3.5)], line)
        build.box((-0.03, 0.03), (1.0, 3.45), (rear - 0.02, rear), chassis, "f")
        build.box((-half, half), (0.85, 1.02), (rear - 0.03, rear), chassis, "f")
        lamp = Surface("truck", (0.6, 0.05, 0.05), material=Material.TAILLAMP)
        for sign in (-1, 1):
            x = sign * (half - 0.25)
            build.box((x - 0.18, x + 0.18), (0.86, 1.0), (rear - 0.04, rear), lamp, "f")
        build.box(
            (-0.26, 0.26), (0.62, 0.74), (rear - 0.03, rear), Surface("truck", (0.9, 0.9, 0.8)), "f"
        )

    def cabin() -> None:
        build.box((-half + 0.04, half - 0.04), (0.5, 2.75), (split, front), cab, "rlfbt")
        for x in (-half + 0.03, half - 0.03):
            window = [
                (split + 0.7, 1.6),
                (front - 0.25, 1.6),
                (front - 0.35, 2.5),
                (split + 0.7, 2.5),
            ]
            build.side(x, window, glass)
        build.box((-1.08, 1.08), (1.6, 2.55), (front, front + 0.01), glass, "b")
        build.box((-1.0, 1.0), (0.95, 1.35), (front, front + 0.02), chassis, "b")
        lamp = Surface("truck", (0.9, 0.92, 0.95), material=Material.HEADLAMP)
        for sign in (-1, 1):
            x = sign * 0.88
            build.box((x - 0.22, x + 0.22), (0.6, 0.82), (front, front + 0.03), lamp, "b")

    build.box((-half + 0.2, half - 0.2), (0.55, 1.0), (rear + 0.1, front - 0.1), chassis, "frlb")
    tyres_end_on(build, "truck", half - 0.1, -rear - 0.6, 0.48)
    for part in (body, cabin) if turned else (cabin, body):
        part()
    wheels(build, "truck", half - 0.02, 0.48, (rear + 1.7, front - 1.2), detail)
    return build.build()


@cache
def bus(detail: int) -> Mesh:
    """A city bus."""
    return _coach("bus", BUS_LENGTH, 1.27, 3.05, 6, (-3.6, 3.0), detail)


@cache
def tram(detail: int) -> Mesh:
    """A tram, the one train that shares a street."""
    return _coach("train", TRAM_LENGTH, 1.30, 3.4, 11, (), detail)


def _coach(
    label: str,
    length: float,
    half: float,
    roof: float,
    bays: int,
    axles: tuple[float, ...],
    detail: int,
) -> Mesh:
    build = MeshBuilder()
    rear, front = -length / 2, length / 2
    body = Surface(label, paint=Paint.FIRST)
    band = Surface(label, paint=Paint.SECOND)
    dark = Surface(label, (0.10, 0.10, 0.11))
    glass = Surface(label, (0.14, 0.17, 0.20), material=Material.AUTO_GLASS)
    lit = Surface(label, (0.95, 0.62, 0.15), material=Material.SIGNAL)
    tail = Surface(label, (0.6, 0.05, 0.05), material=Material.TAILLAMP)
    head = Surface(label, (0.9, 0.92, 0.95), material=Material.HEADLAMP)
    if axles:
        tyres_end_on(build, label, half - 0.1, -rear - 0.9, 0.46)
    build.box((-half + 0.1, half - 0.1), (0.22, 0.5), (rear + 0.2, front - 0.2), dark, "frlb")
    build.box((-half, half), (0.35, roof), (rear, front), body, "rlfbt")
    bay = (length - 0.8) / bays
    for x in (-half, half):
        shell = [(rear, 0.35), (front, 0.35), (front, 1.0), (rear, 1.0)]
        build.side(x * 1.001, shell, band)
        strip = [(rear + 0.3, 1.35), (front - 0.3, 1.35), (front - 0.3, 2.5), (rear + 0.3, 2.5)]
        build.side(x * 1.002, strip, dark)
        for k in range(bays if detail < 2 else 0):
            z = rear + 0.4 + k * bay
            low = 0.55 if k in (bays // 3, bays - 1) else 1.42
            pane = [(z, low), (z + bay - 0.12, low), (z + bay - 0.12, 2.42), (z, 2.42)]
            build.side(x * 1.003, pane, glass)
    for z, face, lamp in ((rear, "f", tail), (front, "b", head)):
        at = (z - 0.01, z + 0.01)
        build.box((-half, half), (0.35, 1.0), at, band, face)
        build.box((-half + 0.1, half - 0.1), (1.15, 2.5), at, glass, face)
        build.box((-half + 0.35, half - 0.35), (2.62, 2.92), at, dark, face)
        build.box((-0.7, 0.45), (2.68, 2.86), at, lit, face)
        for sign in (-1, 1):
            x = sign * (half - 0.28)
            build.box((x - 0.17, x + 0.17), (0.72, 0.95), (z - 0.02, z + 0.02), lamp, face)
    if axles:
        wheels(build, label, half, 0.46, axles, detail)
    return build.build()
