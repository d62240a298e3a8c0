"""The configs of ablations against their names and the published config."""

import re

import pytest
from mmaction.registry import TRANSFORMS

from .leaves import LEAVES, PUBLISHED, RETRIEVAL, difference, load
from .videos import at_rate, write_frames

ABLATIONS = sorted((RETRIEVAL / 'ablations').glob('*.py'))
MSRVTT = [path for path in LEAVES if path.stem.endswith('_msrvtt-9k-rgb')]
ALL = ('train', 'val', 'test')
VARIED = {  # what the names say, but for the sampling of a frame a second
    **{
        f'-u{n}-': {f'{part}_dataloader.dataset.pipeline.0.sampling.clip_len': n for part in ALL}
        for n in (1, 6, 24)
    },
    **{f'-lr{rate}-': {'optim_wrapper.optimizer.lr': float(rate)} for rate in ('1e-6', '5e-5')},
    **{
        f'-{name}-': {'model.backbone.frozen_layers': n}
        for name, n in (('train-all', -1), ('freeze6', 6), ('freeze9', 9), ('freeze12', 12))
    },
    **{
        f'_8xb{n}-': {'train_dataloader.batch_size': n, 'auto_scale_lr.base_batch_size': 8 * n}
        for n in (4, 32)
    },
    '-merge4-': {'model.backbone.token_merging': {'r': 4}},
    '-p32-3d-': {'model.backbone.linear_patch': '3d'},
    '-tight-paper_': {'model.adapter.type': 'TightAdapter', 'model.adapter.variant': 'paper'},
    'vit-base-p16-': {'model.backbone.pretrained': 'openai/clip-vit-base-patch16'},
    'vit-large-p14-': {'model.backbone.pretrained': 'openai/clip-vit-large-patch14'},
}


@pytest.mark.parametrize('path', MSRVTT, ids=lambda p: p.stem)
def test_an_ablation_changes_what_its_name_says(path):
    cfg, name, base = load(path), path.stem, load(RETRIEVAL / PUBLISHED)
    frames = cfg.test_dataloader.dataset.pipeline[0].sampling
    assert frames == cfg.val_dataloader.dataset.pipeline[0].sampling
    assert frames.get('clip_len', frames.get('max_frames')) == int(
        re.search(r'(?:-u|-head|-tail|-uniform)(\d+)-', name)[1]
    )
    cut = re.search(r'fps1-([a-z]+)', name)
    assert frames.get('cut') == (cut[1] if cut else 'uniform' if 'reference' in name else None)
    freeze = re.search(r'-freeze(\d+)-', name)
    assert cfg.model.backbone.frozen_layers == (
        int(freeze[1]) if freeze else -1 if 'train-all' in name else 0
    )
    assert cfg.model.backbone.get('linear_patch', '2d') == ('3d' if '-3d-' in name else '2d')
    rate = re.search(r'-lr(\S+?e-\d)-', name)
    if 'reference' not in name:
        assert cfg.optim_wrapper.optimizer.lr == (float(rate[1]) if rate else base.optim_wrapper.optimizer.lr)
    size, patch = re.search(r'vit-(base|large)-p(\d+)', name).groups()
    assert cfg.model.backbone.pretrained == f'openai/clip-vit-{size}-patch{patch}'
    heads = dict(lstm='SeqLSTM', seq='SeqTransformer', tight='Tight', wti='WTI', xpool='XPool')
    head, variant = re.match(r'clip4clip(?:-(\w+?)(-paper)?)?_', name).groups()
    assert cfg.model.adapter.type == heads.get(head, 'Mean') + 'Adapter'
    assert cfg.model.adapter.get('variant', 'reference') == ('paper' if variant else 'reference')


@pytest.mark.parametrize('path', ABLATIONS, ids=lambda p: p.stem)
def test_an_ablation_differs_from_the_published_config_by_what_it_varies_alone(path):
    names = {
        'model',
        'train_cfg',
        'param_scheduler',
        'optim_wrapper',
        'auto_scale_lr',
        'default_hooks',
        'val_evaluator',
        'test_evaluator',
        *(f'{part}_dataloader' for part in ALL),
    }
    cfg, base = ({name: load(p)[name] for name in names} for p in (path, RETRIEVAL / PUBLISHED))
    found = difference(cfg, base)
    if '-fps1-' in path.stem:
        assert set(found) == {f'{part}_dataloader.dataset.pipeline' for part in ALL}
        return
    expected = {k: v for name, keys in VARIED.items() if name in path.stem for k, v in keys.items()}
    if '-seq_' in path.stem:
        expected['model.adapter.type'] = 'SeqTransformerAdapter'
    if '-seq_vit-large' in path.stem:
        expected['model.adapter.width'] = 768
    assert found == expected and expected


def test_ablations_have_a_folder_of_their_own_and_no_twin():
    assert len(ABLATIONS) == len({path.name for path in LEAVES} & {path.name for path in ABLATIONS}) == 21
    assert len({path.name for path in LEAVES}) == len(LEAVES)
    assert not [path for path in RETRIEVAL.glob('*_msrvtt-9k-rgb.py') if any(n in path.stem for n in VARIED)]


def test_a_single_frame_is_drawn_in_training_and_the_middle_one_in_the_test(tmp_path):
    write_frames(tmp_path / 'v.mp4', at_rate(10.0, 31))
    cfg = load(next(path for path in ABLATIONS if '-u1-' in path.stem))
    train, test = (
        TRANSFORMS.build(loader.dataset.pipeline[0]) for loader in (cfg.train_dataloader, cfg.test_dataloader)
    )
    drawn, seen = (
        {tuple(decode(dict(filename=str(tmp_path / 'v.mp4')))['frame_inds']) for _ in range(6)}
        for decode in (train, test)
    )
    assert seen == {(15,)} and len(drawn) > 1 and {len(frames) for frames in drawn} == {1}
