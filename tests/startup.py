"""What ``import mmclip4clip`` does, and what each start of a run does, reported by fresh processes as JSON.

Run as a module, it prints what the import loads. ``main`` takes the names of what a start patches.
Each start has a fork of its own, whose imports are shared: importing takes seconds.
"""

import argparse
import gc
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]
TINY = dict(hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2)
CLIP = dict(text_config=TINY, vision_config=dict(TINY, image_size=32, patch_size=16), projection_dim=32)
BACKBONE = dict(type='CLIPBackbone', config=CLIP)
MODEL = dict(type='CLIP4ClipRetriever', backbone=BACKBONE, adapter=dict(type='MeanAdapter'))
CONFIG = 'configs/retrieval/clip4clip/clip4clip_vit-base-p32-res224-clip-pre_8xb16-u12-5e_msrvtt-9k-rgb.py'
BAD_URL = 'https://example.org/bad.pth'  # it is in the cache of downloads, and makes a folder if it is run


def in_fork(work: Callable[[], object]) -> object:
    """Return what work returns in a fork, or the error that it raises there."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        try:
            result = work()
        except Exception as error:  # it is reported, and no test expects one that it does not name
            result = f'{type(error).__name__}: {error}'
        os.write(writer, json.dumps(result).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, 'rb') as file:
        result = json.load(file)
    os.wait()
    return result


def attributes(names: list[str] | None = None) -> dict[str, int]:
    """Identify every function, class and method of the packages that may be patched, by its full name.

    With names, look at the modules of these alone, which takes no second.
    """
    found = {}
    for name, module in list(sys.modules.items()):
        if names is not None and not any(n.startswith(f'{name}.') for n in names):
            continue
        if name.split('.')[0] in ('torch', 'mmengine', 'mmaction', 'mmcv', 'transformers', 'numpy'):
            for key, value in list(getattr(module, '__dict__', {}).items()):
                if callable(value) or type(value) is type(sys):
                    found[f'{name}.{key}'] = id(value)
                if isinstance(value, type) and value.__module__ == name:
                    found.update({f'{name}.{key}.{k}': id(v) for k, v in list(vars(value).items())})
    return found


def allowed_globals() -> list | None:
    """Return what checkpoints may name; torch before 2.5 has no such list."""
    import torch

    return getattr(torch.serialization, 'get_safe_globals', lambda: None)()


def lazy_import() -> dict:
    """Import the package alone: what is loaded then, and what it offers."""
    import mmclip4clip

    heavy = ('torch', 'mmcv', 'mmengine', 'mmaction', 'transformers', 'matplotlib', 'av', 'cv2')
    loaded = [name for name in heavy if name in sys.modules]
    rooms = [name for name in sys.modules if name.startswith('mmclip4clip.')]
    return dict(
        heavy=heavy,
        loaded=loaded,
        modules=sorted(rooms),
        offered=[name for name in dir(mmclip4clip) if name in mmclip4clip.SUBPACKAGES],
        subpackage=mmclip4clip.tokenizers.__name__,
    )


def lookups() -> dict[str, bool]:
    """Look classes up in each of the ways of mmengine."""
    import mmengine.registry
    from mmaction.registry import DATASETS, MODELS
    from mmengine.registry import init_default_scope

    def found(cls: type | None) -> bool:
        return cls is not None and cls.__module__.startswith('mmclip4clip.')

    result = dict(
        contains='CLIP4ClipRetriever' in MODELS,
        scoped=found(mmengine.registry.MODELS.get('mmaction.MeanAdapter')),
        dataset=found(DATASETS.get('VideoCaptionDataset')),
    )
    init_default_scope('mmaction')
    built = mmengine.registry.MODELS.build(dict(type='SymmetricContrastiveLoss'))
    return dict(result, root=found(type(built)))


def lookup_before() -> bool:
    """Import the package after a registry has had its first lookup."""
    from mmaction.registry import METRICS

    before = METRICS.get('AccMetric') is not None and 'mmclip4clip' not in sys.modules
    import mmclip4clip  # noqa: F401

    return before and METRICS.get('VideoTextRetrievalMetric') is not None


def build_backbone() -> None:
    from mmclip4clip.models import CLIPBackbone

    CLIPBackbone(config=CLIP)


def look_up_a_hook() -> None:
    from mmaction.registry import HOOKS

    HOOKS.get('IterTimerHook')


def look_up_an_inferencer() -> None:
    from mmaction.registry import INFERENCERS

    INFERENCERS.get('ActionRecogInferencer')


def unpickle_a_dataset() -> None:
    from mmclip4clip.datasets import VideoCaptionDataset

    VideoCaptionDataset.__new__(VideoCaptionDataset).__setstate__({})


def read_a_config() -> None:
    from mmengine.config import Config

    Config.fromfile(ROOT / CONFIG)


def launch() -> None:
    from mmclip4clip.apis import add_common_arguments, load_config

    parser = argparse.ArgumentParser()
    add_common_arguments(parser)
    Path('plain.py').write_text('model = dict()')
    load_config(argparse.Namespace(**vars(parser.parse_args([])), config='plain.py'))


def load_by_a_recognizer() -> None:
    from mmaction.apis import init_recognizer
    from mmengine.config import Config

    init_recognizer(Config(dict(model=MODEL)), BAD_URL, device='cpu')


def load_by_an_inferencer() -> None:
    from mmengine.infer import BaseInferencer

    class Inferencer(BaseInferencer):
        _init_pipeline = visualize = preprocess = postprocess = None

    Inferencer(model=str(ROOT / CONFIG), weights=BAD_URL)


def load_by_the_backbone() -> None:
    from mmclip4clip.models import CLIPBackbone

    CLIPBackbone(config=CLIP, init_cfg=dict(type='Pretrained', checkpoint=BAD_URL)).init_weights()


def read_to_convert() -> None:
    from mmclip4clip.checkpoints.io import read_file

    read_file(Path(os.environ['TORCH_HOME'], 'hub/checkpoints/bad.pth'))


def what_changed(
    before: dict[str, int], start: Callable[[], None] = lambda: None, names: list[str] | None = None
) -> list[str]:
    """Name the attributes, or those of these names, that are others than before, after a start."""
    start()
    now = attributes(names)
    looked_at = before if names is None else before.keys() & names
    return sorted(name for name in looked_at if now.get(name) != before[name])


def main(patched: list[str]) -> None:
    import mmaction.apis
    import mmaction.datasets
    import mmaction.models  # noqa: F401
    import mmengine.infer
    import mmengine.runner  # noqa: F401

    report = dict(lookup_before=in_fork(lookup_before))
    before, allowed = attributes(), allowed_globals()

    import mmclip4clip

    report['changed'], report['counted'] = what_changed(before), len(before)
    report['allowed'] = allowed_globals() == allowed

    import mmclip4clip.apis
    import mmclip4clip.checkpoints
    import mmclip4clip.moving_shapes  # noqa: F401

    report['changed_by_subpackages'] = what_changed(before, names=patched)
    gc.freeze()  # forks copy no memory to look through it
    report['lookups'] = in_fork(lookups)
    starts = (
        build_backbone,
        look_up_a_hook,
        look_up_an_inferencer,
        unpickle_a_dataset,
        read_a_config,
        launch,
    )
    report['starts'] = {s.__name__: in_fork(lambda s=s: what_changed(before, s, patched)) for s in starts}
    loads = (load_by_a_recognizer, load_by_an_inferencer, load_by_the_backbone, read_to_convert)
    report['loads'] = {load.__name__: in_fork(load) for load in loads}
    Path('report.json').write_text(json.dumps(report))


if __name__ == '__main__':
    print(json.dumps(lazy_import()))
