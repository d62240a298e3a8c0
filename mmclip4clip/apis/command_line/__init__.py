"""The subcommands of ``mmclip4clip``; their arguments are in ``mmclip4clip/command_arguments.py``."""

from .running import run_command

__all__ = ['run_command']
