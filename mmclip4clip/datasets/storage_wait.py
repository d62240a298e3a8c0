"""Wait for a storage that does not answer, instead of rejecting a video."""

import logging
import random
import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import torch
from mmengine.logging import print_log

from .video_readers import VideoUnavailableError

PAUSES = 0.5, 8.0  # first and longest pause in seconds; each pause is twice the previous one
T = TypeVar('T')


class StorageWait:
    """Retry with growing pauses while a video is unavailable.

    Args:
        seconds (float): Time for retries in seconds, from the first failure on, for all calls together.

    Examples:
        >>> wait = StorageWait(seconds=60)
        >>> wait(lambda: 'frames')
        'frames'
    """

    def __init__(self, seconds: float) -> None:
        self.seconds, self._pause = seconds, PAUSES[0]
        self._until: float | None = None

    def __call__(self, prepare: Callable[[], T]) -> T:
        """Call a function until it succeeds or the time is over, each time with the same random state.

        Raises:
            VideoUnavailableError: If the storage remains unavailable.
        """
        while True:
            states = random.getstate(), np.random.get_state(), torch.get_rng_state()
            try:
                prepared = prepare()
                # Available again, so the next failure gets the full time.
                self._until, self._pause = None, PAUSES[0]
                return prepared
            except VideoUnavailableError as error:
                if not self._sleep(str(error)):
                    raise
            random.setstate(states[0])
            np.random.set_state(states[1])
            torch.set_rng_state(states[2])

    def _sleep(self, reason: str) -> bool:
        """Pause, and return whether there is time for another attempt."""
        now = time.monotonic()
        if self._until is None:
            self._until = now + self.seconds
            print_log(
                f'{reason}. The storage may be temporarily unavailable: trying again for {self.seconds:g} s',
                logger='current',
                level=logging.WARNING,
            )
        if now >= self._until:
            return False
        time.sleep(min(self._pause, self._until - now))
        self._pause = min(2 * self._pause, PAUSES[1])
        return True
