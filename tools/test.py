"""Evaluate a checkpoint, or a pretrained CLIP without one (zero-shot)."""

import argparse
from pathlib import Path


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument(
        'checkpoint',
        nargs='?',
        help='checkpoint file; without one, load_from of the config, or else zero-shot: the pretrained CLIP, '
        'for heads without parameters of their own',
    )
    parser.add_argument(
        '--dump',
        metavar='RESULT.pkl',
        type=Path,
        help='write captions, features, ranks and the best retrieved videos to this file, for '
        'tools/analysis_tools/score_dump.py (default: none is written)',
    )
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
        action='extend',
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
    return parser.parse_intermixed_args()  # options may precede the checkpoint


if __name__ == '__main__':
    args = parse_args()  # before the imports, which take seconds

from mmclip4clip.apis import build_runner, check_zero_shot, leave_processes, load_config
from mmclip4clip.evaluation.metrics.dump import check_writable


def main(args: argparse.Namespace) -> None:
    if args.dump:
        check_writable(args.dump)
    cfg = load_config(args)
    if args.dump:
        metrics = cfg.test_evaluator
        cfg.test_evaluator = [
            *(metrics if isinstance(metrics, (list, tuple)) else [metrics]),
            dict(type='RetrievalDump', out_file_path=str(args.dump)),
        ]
    cfg.load_from, cfg.resume = args.checkpoint or cfg.get('load_from'), False
    runner = build_runner(cfg, training=False)
    if not cfg.load_from:
        check_zero_shot(runner)
    runner.test()
    leave_processes()


if __name__ == '__main__':
    main(args)
