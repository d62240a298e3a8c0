"""The machine: GPU, cores, memory, disk, limits, Java and the model hub."""

import os
import resource
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import torch
from huggingface_hub import constants

from ...hub import hub_answers
from .finding import OK, PROBLEM, WARNING, Finding

GIB = 2**30
LOW_DISK, FULL_DISK, LOW_SHARED_MEMORY, LOW_MEMORY = 10 * GIB, GIB, GIB, 4 * GIB  # bytes
LOW_FILES = 1024  # open files per process
OFFLINE = ('HF_HUB_OFFLINE', 'TRANSFORMERS_OFFLINE')


def examine_machine(folder: Path, network: bool) -> Iterator[Finding]:
    """Yield a finding for each resource.

    Args:
        folder (Path): Where runs will write.
        network (bool): Whether to ask the model hub for an answer.
    """
    yield check_gpu()
    # macOS has no affinity of processes.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1
    yield check_cores(cores, os.getloadavg()[0])
    free = available_memory()
    if free is not None:
        yield check_free('memory', free, LOW_MEMORY, 'use a smaller batch_size or num_workers')
    shared = Path('/dev/shm')
    if shared.is_dir():
        advice = 'loader processes pass frames through it: docker run --shm-size=8g, or num_workers=0'
        yield check_free('shared memory', shutil.disk_usage(shared).free, LOW_SHARED_MEMORY, advice)
    yield check_disk(folder)
    yield check_open_files(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    yield check_java()
    yield check_hub(network)


def check_gpu() -> Finding:
    """Report the GPUs, and a build for CUDA that sees none."""
    if torch.cuda.is_available():
        devices = (torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count()))
        shown = ', '.join(f'{device.name} ({device.total_memory / GIB:.0f} GiB)' for device in devices)
        return Finding('gpu', OK, f'CUDA {torch.version.cuda}: {shown}')
    if torch.version.cuda is None:
        return Finding('gpu', OK, 'none: this torch is built for the CPU')
    return Finding(
        'gpu',
        WARNING,
        f'none is visible, though torch is built for CUDA {torch.version.cuda}',
        'compare with nvidia-smi: the driver may be too old, or CUDA_VISIBLE_DEVICES may be empty',
    )


def check_cores(cores: int, load: float) -> Finding:
    """Report the cores of this process, and other programs that use them."""
    threads = f'{cores} cores, {torch.get_num_threads()} threads of torch, load {load:.1f}'
    if load > 1.5 * cores:
        return Finding(
            'cores',
            WARNING,
            threads,
            'others use the cores too: set OMP_WAIT_POLICY=PASSIVE, or fewer threads',
        )
    return Finding('cores', OK, threads)


def available_memory() -> int | None:
    """Return the free bytes of the machine, or of a container that has less; None if not on Linux."""
    lines = dict(line.split(':', 1) for line in _read('/proc/meminfo').splitlines())
    if 'MemAvailable' not in lines:
        return None
    free = int(lines['MemAvailable'].split()[0]) * 1024
    limit, used = _read('/sys/fs/cgroup/memory.max'), _read('/sys/fs/cgroup/memory.current')
    if limit.isdigit() and used.isdigit():
        free = min(free, int(limit) - int(used))
    return free


def _read(path: str) -> str:
    """Return the text of a file of the system, '' if there is none."""
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ''


def check_free(name: str, free: int, low: int, advice: str) -> Finding:
    """Compare free bytes with a bound below which runs often fail."""
    shown = f'{free / GIB:.1f} GiB free'
    return Finding(name, OK, shown) if free >= low else Finding(name, WARNING, shown, advice)


def check_disk(folder: Path) -> Finding:
    """Report the free disk space of a folder, and whether it can be written."""
    free = shutil.disk_usage(folder).free
    shown = f'{free / GIB:.1f} GiB free in {folder.resolve()}'
    if not os.access(folder, os.W_OK):
        return Finding('disk', PROBLEM, f'{folder.resolve()} cannot be written', 'choose another --work-dir')
    if free < FULL_DISK:
        return Finding('disk', PROBLEM, shown, 'a checkpoint of ViT-B/32 has 1.8 GB: remove old work dirs')
    if free < LOW_DISK:
        return Finding('disk', WARNING, shown, 'lower default_hooks.checkpoint.max_keep_ckpts')
    return Finding('disk', OK, shown)


def check_open_files(limit: int) -> Finding:
    """Compare the limit of open files with what loader processes need."""
    if limit == resource.RLIM_INFINITY or limit >= LOW_FILES:
        return Finding(
            'open files', OK, 'no limit' if limit == resource.RLIM_INFINITY else f'at most {limit}'
        )
    return Finding('open files', WARNING, f'at most {limit}', 'ulimit -n 4096, for many loader processes')


def check_java() -> Finding:
    """Report the Java that METEOR and the PTB tokenizer run in."""
    try:
        done = subprocess.run(['java', '-version'], capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        advice = 'only for METEOR and the PTB tokenizer of captions: apt-get install default-jre-headless'
        return Finding('java', WARNING, 'not found', advice)
    return Finding('java', OK, (done.stderr or done.stdout).splitlines()[0])


def check_hub(network: bool) -> Finding:
    """Report the endpoint and cache of the model hub, and whether it answers if that is asked."""
    shown = f'{constants.ENDPOINT}, cache {constants.HF_HUB_CACHE}'
    offline = [name for name in OFFLINE if os.environ.get(name, '0').lower() not in ('', '0', 'false', 'no')]
    if offline:
        return Finding('model hub', OK, f'{shown}, not asked because of {", ".join(offline)}')
    if not network:
        return Finding('model hub', OK, f'{shown}, not asked without --network')
    if hub_answers():
        return Finding('model hub', OK, f'{shown}, answers')
    return Finding(
        'model hub',
        WARNING,
        f'{shown}, gives no answer',
        'use local folders: clip=FOLDER, or set HF_ENDPOINT',
    )
