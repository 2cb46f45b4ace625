"""From a picture's bytes to an answer: decoding, model, encoding, each in its own threads."""

from __future__ import annotations

import asyncio
import io
from collections import deque
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from cfcontra.device import available_cores
from cfcontra.errors import InputError
from cfcontra.runtime import Prediction

from .batcher import Busy
from .decoding import TooManyPixelsError, picture_pixels, read_picture
from .models import ServedModel
from .problems import Problem, busy
from .settings import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator

T = TypeVar("T")
Finish = Callable[[NDArray[np.uint8], Prediction], T]


class Pictures:
    """Segments pictures for callers of one event loop.

    Args:
        limits: how many, how large, how long.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._budget = PixelBudget(limits.pixels_in_work)
        self._pool = ThreadPoolExecutor(available_cores(), thread_name_prefix="picture")
        self._inside = 0

    def check_room(self, count: int = 1) -> None:
        """Refuse pictures for which there is no place now, before they are read in.

        Raises:
            Problem: 429, too many places are taken; 413, there are never that many.
        """
        if count > self._limits.queue:
            raise Problem(413, f"Up to {self._limits.queue} pictures are taken in one request.")
        if self._inside + count > self._limits.queue:
            raise busy("Too many pictures wait to be segmented")

    @contextmanager
    def admit(self, count: int = 1) -> Iterator[None]:
        """A place for some pictures, for what has arrived: who sends slowly keeps none.

        Raises:
            Problem: as with `check_room`.
        """
        self.check_room(count)
        self._inside += count
        try:
            yield
        finally:
            self._inside -= count

    async def segment(self, data: bytes, model: ServedModel, finish: Finish[T]) -> T:
        """Segment one picture.

        Args:
            data: the picture's file.
            model: what to segment it with.
            finish: makes the answer of the decoded picture `[H, W, 3]` and its prediction.

        Raises:
            Problem: not a picture, too large, too many wait, or it took too long.
        """
        if not data:
            raise Problem(400, "The upload is empty. Send a picture's file.")
        try:
            async with asyncio.timeout(self._limits.request_seconds):
                return await self._segment(data, model, finish)
        except TimeoutError:
            raise Problem(
                504, f"The picture took more than {self._limits.request_seconds:g} s."
            ) from None
        except Busy as error:
            raise busy(str(error).capitalize()) from None
        except TooManyPixelsError as error:
            raise Problem(413, str(error)) from None
        except InputError as error:
            raise Problem(422, str(error)) from None

    async def _segment(self, data: bytes, model: ServedModel, finish: Finish[T]) -> T:
        most = self._limits.image_pixels
        pixels = await self._in_thread(picture_pixels, io.BytesIO(data), most)
        if pixels is None:
            raise Problem(415, "This is not a picture that can be read. JPEG, PNG and WebP work.")
        async with self._budget.take(pixels):
            image = await self._in_thread(read_picture, io.BytesIO(data), most)
            future = model.submit(image[None], alone=self._inside <= 1)
            prediction = await asyncio.wrap_future(future)
            return await self._in_thread(finish, image, prediction)

    async def _in_thread(self, function: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, function, *arguments)

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class PixelBudget:
    """Lets pictures in as long as all of them together have only so many pixels, in order."""

    def __init__(self, pixels: int) -> None:
        self._all = self._free = pixels
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def take(self, pixels: int) -> AsyncIterator[None]:
        """Wait for room, and keep it."""
        pixels = min(pixels, self._all)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((pixels, turn))
        self._next()
        try:
            await turn
            yield
        finally:
            if turn.done() and not turn.cancelled():
                self._free += pixels
            self._next()

    def _next(self) -> None:
        while self._waiting:
            pixels, turn = self._waiting[0]
            if not turn.done():
                if pixels > self._free:
                    return
                self._free -= pixels
                turn.set_result(None)
            self._waiting.popleft()
