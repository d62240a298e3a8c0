"""Run one benchmark by its name, after a line about the machine and the versions.

    python tools/analysis_tools/benchmark.py training --rounds 3
    python tools/analysis_tools/benchmark.py ranking --help

What a part measures and its options: PART --help. docs/benchmarks.md has results.
"""

import argparse
import os
import platform
import runpy
import sys
from importlib import metadata
from pathlib import Path

PARTS = dict(  # tools beside this one
    machine='benchmark_machine.py',
    testing='benchmark_testing.py',
    training='benchmark_training.py',
    profile='benchmark_profile.py',
    memory='benchmark_training_memory.py',
    heads='benchmark_steps.py',
    merging='benchmark_token_merging.py',
    loss='benchmark_loss.py',
    loader='benchmark_loader.py',
    window='benchmark_window.py',
    tight='benchmark_tight.py',
    ranking='benchmark_ranking.py',
    generation='benchmark_generation.py',
    index='measure_indexing.py',
    stores='benchmark_stores.py',
    reranking='measure_reranking.py',
    onnx='benchmark_onnx.py',
    server='benchmark_server.py',
    startup='benchmark_startup.py',
    growth='benchmark_growth.py',
)
PACKAGES = ('mmclip4clip', 'torch', 'transformers', 'mmengine', 'mmaction2', 'numpy', 'av')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('part', choices=PARTS, help='what is measured')
    parser.add_argument('options', nargs=argparse.REMAINDER, help='options of the part')
    return parser.parse_args()


def describe_machine() -> str:
    """Return processor, cores, load, system and versions."""
    lines = Path('/proc/cpuinfo').read_text().splitlines() if Path('/proc/cpuinfo').exists() else []
    models = [line.partition(':')[2].strip() for line in lines if line.startswith('model name')]
    processor = (models or [platform.processor() or platform.machine()])[0]
    load = f', load {os.getloadavg()[0]:.1f}' if hasattr(os, 'getloadavg') else ''
    found = []
    for package in PACKAGES:
        try:
            found.append(f'{package} {metadata.version(package)}')
        except metadata.PackageNotFoundError:
            continue
    return (
        f'{processor}, {os.cpu_count()} cores{load}; {platform.system()}, '
        f'Python {platform.python_version()}, {", ".join(found)}'
    )


def main(args: argparse.Namespace) -> None:
    path = Path(__file__).with_name(PARTS[args.part])
    if not {'-h', '--help'} & set(args.options):
        print(describe_machine())
        print('$', 'benchmark.py', args.part, *args.options, flush=True)
    sys.argv = [str(path), *args.options]
    runpy.run_path(str(path), run_name='__main__')


if __name__ == '__main__':
    main(parse_args())
