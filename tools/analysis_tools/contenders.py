"""What the benchmarks of training and testing compare: this package, mmaction2, and a plain reference.

All use the same random weights of ViT-B/32, which :func:`write_weights` writes. Each runs in a process of its
own, :class:`Contender`, so that none has the memory or the patches of another.
"""

import mmclip4clip  # noqa: F401  # isort: skip  (first: mmaction2 itself refuses newer mmcv)

import gzip
import multiprocessing
import sys
import time
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

CONFIG = Path(__file__).parents[2] / (
    'configs/retrieval/clip4clip/clip4clip_vit-base-p32-res224-clip-pre_8xb16-u12-5e_msrvtt-9k-rgb.py'
)
NEEDS_CLIP = (
    'mmaction2 and the reference need the package clip, which is not installed: '
    'pip install --no-deps clip-anytorch. Benchmarks of training also run without both: --against'
)


class Contender:
    """Object of a class in a process of its own, whose methods are called from here.

    Args:
        kind (str): Its module and class, such as ``'training_contenders:OurTraining'``.
        *args: Arguments of the class.
    """

    def __init__(self, kind: str, *args: Any) -> None:
        context = multiprocessing.get_context('spawn')
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, kind, args))
        self.process.start()
        theirs.close()
        self.pipe.recv()

    def call(self, method: str, *args: Any) -> tuple[Any, float, float]:
        """Return the result of a method, its seconds, and the CPU seconds of the process and its workers."""
        self.pipe.send((method, args))
        return self.pipe.recv()

    def close(self) -> None:
        """End the process."""
        self.pipe.send(None)
        self.process.join()


def _serve(pipe: Any, kind: str, args: tuple) -> None:
    from benchmark_loader import cpu_seconds

    module, name = kind.split(':')
    contender = getattr(import_module(module), name)(*args)
    pipe.send(None)
    while (request := pipe.recv()) is not None:
        method, arguments = request
        begin, cpu = time.perf_counter(), cpu_seconds()
        result = getattr(contender, method)(*arguments)
        pipe.send((result, time.perf_counter() - begin, cpu_seconds() - cpu))


def check_clip(against: list[str]) -> None:
    """Raise an error if the package ``clip`` is needed and missing.

    Raises:
        SystemExit: If so.
    """
    if {'stock', 'reference'} & set(against) and find_spec('clip') is None:
        raise SystemExit(NEEDS_CLIP)


def write_weights(folder: Path, **config: Any) -> None:
    """Write a random CLIP, for transformers in ``clip`` and for OpenAI's package in ``clip.pt``."""
    import torch
    from transformers import CLIPConfig, CLIPModel

    from mmclip4clip.checkpoints import convert

    torch.manual_seed(0)
    # The package clip rounds weights to half precision, so they are rounded for all.
    CLIPModel(CLIPConfig(**config)).half().float().save_pretrained(folder / 'clip')
    convert(folder / 'clip', folder / 'clip.pt')


def write_tokenizer(folder: Path) -> None:
    """Write the tokenizer of the package ``clip`` for transformers."""
    from mmclip4clip.tokenizers.clip_tokenizer import create_tokenizer

    clip = import_clip()
    table = Path(clip.__file__).parent / 'bpe_simple_vocab_16e6.txt.gz'
    merges = gzip.decompress(table.read_bytes()).decode().split('\n')[1 : 49152 - 256 - 2 + 1]
    pairs = [tuple(line.split()) for line in merges]
    create_tokenizer(clip.clip._tokenizer.encoder, pairs).save_pretrained(folder)


def import_clip() -> ModuleType:
    """Import the package ``clip`` without the parts of torchvision and setuptools that it only names."""
    import packaging.version  # noqa: F401

    stubs = {name: ModuleType(name) for name in ('torchvision', 'torchvision.transforms', 'pkg_resources')}
    for name in ('Compose', 'Resize', 'CenterCrop', 'ToTensor', 'Normalize'):
        setattr(stubs['torchvision.transforms'], name, lambda *args, **kwargs: None)
    stubs['pkg_resources'].packaging = packaging
    hidden = {name: sys.modules.pop(name) for name in stubs if name in sys.modules}
    sys.modules.update(stubs)
    try:
        import clip
    finally:
        for name in stubs:
            del sys.modules[name]
        sys.modules.update(hidden)
    return clip


def read_model_config(folder: Path) -> Any:
    """Return the config of MSR-VTT with the CLIP of a folder, ready for training or tests."""
    from mmengine.registry import init_default_scope

    from mmclip4clip.apis import read_config
    from mmclip4clip.apis.clip_choice import use_clip

    init_default_scope('mmaction')
    cfg = read_config(CONFIG)
    cfg.clip = str(folder / 'clip')
    use_clip(cfg)
    return cfg


def stock_config() -> Path:
    """Return mmaction2's config of CLIP4Clip for MSR-VTT."""
    import mmaction

    (path,) = Path(mmaction.__file__).parent.glob('.mim/configs/retrieval/clip4clip/clip4clip_*.py')
    return path
