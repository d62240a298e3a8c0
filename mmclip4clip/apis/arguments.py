"""Command-line options that training and testing share.

The tools read this file by its path and parse before they import the package, which takes seconds. So it
imports nothing but argparse.
"""

import argparse


def add_arguments(parser: argparse.ArgumentParser, options: type[argparse.Action] | str = 'extend') -> None:
    """Add the common options of tools/train.py and tools/test.py, which are those of OpenMMLab.

    Args:
        parser (argparse.ArgumentParser): The parser.
        options (type | str): Action of ``--cfg-options``. ``'extend'`` keeps the words, for
            :func:`parse_options`.

    Examples:
        >>> parser = argparse.ArgumentParser()
        >>> add_arguments(parser)
        >>> parser.parse_args(['--seed', '1', '--cfg-options', 'a=1', 'b=2']).cfg_options
        ['a=1', 'b=2']
    """
    parser.add_argument(
        '--work-dir',
        help='folder for logs, checkpoints and reports (default: work_dirs/ and the name of CONFIG)',
    )
    parser.add_argument('--seed', type=int, help='random seed (default: that of the config, or a random one)')
    parser.add_argument(
        '--deterministic', action='store_true', help='use only deterministic algorithms (default: off)'
    )
    parser.add_argument(
        '--diff-rank-seed', action='store_true', help='use a different seed in each process (default: off)'
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=options,
        metavar='KEY=VALUE',
        help='settings that override the config; lists as KEY="[a,b]", nested keys with dots (default: none)',
    )
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='job launcher (default: %(default)s)',
    )
    parser.add_argument(
        '--tensorboard',
        action='store_true',
        help='send losses, metrics and pictures to TensorBoard: event files in the work dir (default: off)',
    )
    parser.add_argument(
        '--wandb', metavar='PROJECT', help='send the same to this project of Weights & Biases (default: off)'
    )
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)
