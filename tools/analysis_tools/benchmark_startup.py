"""Measure how long imports, --help, a first training step and a first search take, in new processes.

With --other, the same is measured in another checkout, in turns.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STEP = """
import mmclip4clip
import torch
from mmaction.registry import MODELS
from mmengine.registry import init_default_scope
import mmclip4clip.models
init_default_scope("mmaction")
tower = dict(hidden_size=64, intermediate_size=128, num_hidden_layers=1, num_attention_heads=2)
clip = dict(text_config=dict(tower, vocab_size=99), vision_config=dict(tower, image_size=32, patch_size=16))
backbone = dict(type="CLIPBackbone", config=dict(clip, projection_dim=64))
adapter = dict(type="SeqTransformerAdapter", num_layers=1)
model = MODELS.build(dict(type="CLIP4ClipRetriever", backbone=backbone, adapter=adapter))
index, tokens = torch.arange(2), torch.ones(2, 7, dtype=torch.long)
batch = dict(frames=torch.rand(2, 3, 3, 32, 32), frame_mask=torch.ones(2, 3), tokens=tokens)
losses = model(dict(batch, text_mask=torch.ones(2, 7), video_index=index, video_key=index), mode="loss")
(losses["loss_t2v"] + losses["loss_v2t"]).backward()
"""
WORK = {
    'import mmclip4clip': ['-c', 'import mmclip4clip'],
    'mmclip4clip --help': ['-m', 'mmclip4clip', '--help'],
    'tools/train.py --help': ['tools/train.py', '--help'],
    'tools/test.py --help': ['tools/test.py', '--help'],
    'import mmclip4clip, torch, mmaction': ['-c', 'import mmclip4clip, torch, mmaction.models'],
    'import, model, first step': ['-c', STEP],
}


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--other', type=Path, help='another checkout to compare with (default: none)')
    parser.add_argument('--rounds', type=int, default=5, help='starts of each (default: %(default)s)')
    parser.add_argument('--only', nargs='+', choices=WORK, help='what is measured (default: all)')
    return parser.parse_args()


def start(root: Path, command: list[str]) -> tuple[float, float]:
    """Run Python in a checkout; return its seconds and CPU seconds.

    Raises:
        SystemExit: It failed.
    """
    env = dict(os.environ, PYTHONPATH=f'{root}{os.pathsep}{os.environ.get("PYTHONPATH", "")}')
    begin, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, *command], cwd=root, env=env, capture_output=True, text=True)
    wall, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f'{" ".join(command)[:80]} failed in {root}:\n{done.stderr}')
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main(args: argparse.Namespace) -> None:
    roots = [ROOT, *([args.other.resolve()] if args.other else [])]
    for name in args.only or WORK:
        times: dict[Path, list[tuple[float, float]]] = {root: [] for root in roots}
        for _ in range(args.rounds):
            for root in roots:
                times[root].append(start(root, WORK[name]))
        medians = [[statistics.median(column) for column in zip(*times[root])] for root in roots]
        shown = '   against   '.join(f'{wall:6.2f} s {cpu:6.2f} CPU s' for wall, cpu in medians)
        print(f'{name:28}{shown}', flush=True)


if __name__ == '__main__':
    main(parse_args())
