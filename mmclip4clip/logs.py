"""Logging for the parts of the package that run without mmengine."""

import logging
import sys


def print_log(message: str, logger: str = 'current', level: int = logging.INFO) -> None:
    """Log a message as mmengine's function of this name does, or without mmengine by ``logging``.

    Args:
        message (str): The message.
        logger (str): See ``mmengine.logging.print_log``; without mmengine it is ``mmclip4clip``.
        level (int): Level of the message.
    """
    if sys.modules.get('mmengine.logging') is not None:
        from mmengine import logging as mmengine_logging

        mmengine_logging.print_log(message, logger=logger, level=level)
    else:
        logging.getLogger('mmclip4clip').log(level, message)
