"""Waiting for a storage that does not answer, rather than giving a video up."""

import logging
import random
import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import torch
from mmengine.logging import print_log

from .video_readers import VideoUnavailableError

PAUSES = 0.5, 8.0  # seconds, the first one and the longest; each is twice the one before
T = TypeVar('T')


class StorageWait:
    """Try again, with growing pauses, what fails because a video is not there now.

    Args:
        seconds (float): The time for waiting and trying again, from the first failure on and for all
            calls together.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds, self._pause = seconds, PAUSES[0]
        self._until: float | None = None

    def __call__(self, prepare: Callable[[], T]) -> T:
        """Run something until it succeeds or the time is over; each time with the same random numbers.

        Raises:
            VideoUnavailableError: If the storage stays away.
        """
        while True:
            states = random.getstate(), np.random.get_state(), torch.get_rng_state()
            try:
                prepared = prepare()
                self._until, self._pause = None, PAUSES[0]  # it is back: the next time it may be away as long
                return prepared
            except VideoUnavailableError as error:
                if not self._sleep(str(error)):
                    raise
            random.setstate(states[0])
            np.random.set_state(states[1])
            torch.set_rng_state(states[2])

    def _sleep(self, reason: str) -> bool:
        """Pause, and tell whether there is time to try again."""
        now = time.monotonic()
        if self._until is None:
            self._until = now + self.seconds
            print_log(
                f'{reason}. The storage may be away for a moment: trying again for {self.seconds:g} s',
                logger='current',
                level=logging.WARNING,
            )
        if now >= self._until:
            return False
        time.sleep(min(self._pause, self._until - now))
        self._pause = min(2 * self._pause, PAUSES[1])
        return True
