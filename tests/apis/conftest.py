"""A captioner that was tested by the runner, and models with each head from it."""

from types import SimpleNamespace

import pytest
import torch
from mmaction.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmclip4clip.apis import build_runner
from mmclip4clip.evaluation import read_dump

from ..tools.conftest import CONFIG, ROOT
from .onnx_exports import copied, encoder, exported, pair  # noqa: F401  fixtures

HEADS = dict(
    Mean=dict(type='MeanAdapter'),
    Seq=dict(type='SeqTransformerAdapter', width=32, num_layers=1, num_heads=2, max_frames=8, start='random'),
    LSTM=dict(type='SeqLSTMAdapter', width=32),
    Tight=dict(type='TightAdapter', width=32, num_layers=1, num_heads=2, max_frames=8, start='random'),
    WTI=dict(type='WTIAdapter', width=32, num_layers=1, num_heads=2, max_frames=8, start='random'),
    XPool=dict(type='XPoolAdapter', width=32),
)


@pytest.fixture(scope='session')
def tested(shapes, tmp_path_factory) -> SimpleNamespace:
    """The checkpoint of a captioner, its config, and the dump that its test writes."""
    folder = tmp_path_factory.mktemp('tested')
    init_default_scope('mmaction')
    (folder / 'tiny.py').write_text(CONFIG.format(root=ROOT, shapes=shapes))
    cfg = Config.fromfile(folder / 'tiny.py')
    cfg.work_dir = str(folder)
    cfg.default_hooks.pop('report')
    cfg.model.update(
        type='CLIP4ClipCaptioner',
        decoder=dict(type='CaptionDecoder', num_layers=1, num_heads=4),
        tokenizer=f'{shapes}/tokenizer',
        generation=dict(method='greedy', max_new_tokens=8),
    )
    dump = dict(type='RetrievalDump', out_file_path=str(folder / 'dump.pkl'))
    cfg.test_evaluator = [dict(type='VideoTextRetrievalMetric'), dump]
    torch.manual_seed(1)
    runner = build_runner(cfg, training=False)
    runner.test()
    runner.save_checkpoint(str(folder), 'captioner.pth', save_optimizer=False, save_param_scheduler=False)
    records = read_dump(folder / 'dump.pkl')
    files = [record['filename'] for record in records]
    return SimpleNamespace(path=folder / 'captioner.pth', cfg=cfg, records=records, files=files)


@pytest.fixture(scope='session')
def checkpoint_of(tested, tmp_path_factory):
    """Save the checkpoint of a model with a head, as a training does, and return its path and the model."""
    folder, saved = tmp_path_factory.mktemp('heads'), torch.load(tested.path, weights_only=True)

    def checkpoint_of(name):
        model = dict(tested.cfg.model.to_dict(), type='CLIP4ClipRetriever', adapter=HEADS[name])
        for key in ('decoder', 'tokenizer', 'generation'):
            del model[key]
        init_default_scope('mmaction')
        torch.manual_seed(2)
        built = MODELS.build(model).eval()
        text = f'model = {model!r}\ntest_dataloader = {tested.cfg.test_dataloader.to_dict()!r}\n'
        meta = dict(cfg=text, mmclip4clip=saved['meta']['mmclip4clip'])
        path = folder / f'{name}.pth'
        torch.save(dict(meta=meta, state_dict=built.state_dict()), path)
        return path, built

    return checkpoint_of
