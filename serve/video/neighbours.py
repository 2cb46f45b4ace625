"""Points that come and go, and how far the nearest other of each is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_BLOCK = 128  # points whose differences stay in the processor's cache


class Neighbours:
    """Keeps the nearest other of each point, in time and memory linear in the points.

    Of a point that comes or goes only those look anew that had it for their nearest.

    Attributes:
        nearest: Euclidean distance of each point to its nearest other `[N]`, infinite if there is
            none.
    """

    def __init__(self) -> None:
        self._points = np.zeros((0, 0), np.float32)  # with room for more than there are
        self._count = 0
        self.nearest = np.zeros(0, np.float32)
        self._which = np.zeros(0, np.intp)

    def distances(self, point: NDArray[np.float32]) -> NDArray[np.float32]:
        """From a point `[D]` to all that are held `[N]`."""
        if not self._count:
            return np.zeros(0, np.float32)
        squares = np.empty(self._count, np.float32)
        room = np.empty((min(_BLOCK, self._count), point.size), np.float32)
        for start in range(0, self._count, _BLOCK):
            held = self._points[start : min(start + _BLOCK, self._count)]
            differences = np.subtract(held, point, out=room[: len(held)])
            np.multiply(differences, differences, out=differences)
            np.add.reduce(differences, axis=1, out=squares[start : start + len(held)])
        return np.sqrt(squares)

    def distances_of(self, index: int) -> NDArray[np.float32]:
        """From a point that is held to all of them `[N]`, infinite to itself."""
        distances = self.distances(self._points[index])
        distances[index] = np.inf
        return distances

    def add(self, point: NDArray[np.float32]) -> None:
        """Hold another one, behind the others."""
        distances = self.distances(point)
        number = self._count
        if number == len(self._points):
            room = np.zeros((max(64, 2 * number), point.size), np.float32)
            if number:
                room[:number] = self._points
            self._points = room
        self._points[number] = point
        self._count += 1
        closer = distances < self.nearest
        self.nearest = np.append(np.where(closer, distances, self.nearest), np.float32(np.inf))
        self._which = np.append(np.where(closer, number, self._which), -1)
        if number:
            self._look(number, distances)

    def remove(self, index: int) -> None:
        """Let one go; those behind it move up."""
        self._points[index : self._count - 1] = self._points[index + 1 : self._count]
        self._count -= 1
        self.nearest = np.delete(self.nearest, index)
        which = np.delete(self._which, index)
        bereft = np.flatnonzero(which == index)
        self._which = which - (which > index)
        for one in bereft:
            self._look(int(one), self.distances_of(int(one)))

    def _look(self, index: int, distances: NDArray[np.float32]) -> None:
        found = int(distances.argmin())
        self._which[index], self.nearest[index] = found, distances[found]
