"""The command ``mmclip4clip``, also as ``python -m mmclip4clip``."""

import sys

from .command_arguments import parse_args
from .command_start import clear_imports


def main() -> None:
    """Run the command with the arguments of this process, and exit with its code."""
    args = parse_args()
    with clear_imports(args):
        from .apis.command_line import run_command
    sys.exit(run_command(args))


if __name__ == '__main__':
    main()
