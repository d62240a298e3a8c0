import json
import re
from pathlib import Path

import pytest
import torch
from mmaction.registry import DATA_SAMPLERS, DATASETS, LOOPS, METRICS, MODELS, TRANSFORMS
from mmengine.config import Config

from mmclip4clip.preparation.converters import CONVERTERS

from .leaves import LEAVES, PUBLISHED, RETRIEVAL, ROOT, difference, load


@pytest.mark.parametrize('path', LEAVES, ids=lambda p: p.stem)
def test_every_config_names_what_is_registered(path):
    cfg = load(path)
    for part in ('train', 'val', 'test'):
        loader = cfg[f'{part}_dataloader']
        assert DATASETS.get(loader.dataset.type) and DATA_SAMPLERS.get(loader.sampler.type)
        for transform in loader.dataset.pipeline:
            assert TRANSFORMS.get(transform.type), transform.type
        decode = loader.dataset.pipeline[0]
        decode = decode.transforms[0] if decode.type == 'CacheFrames' else decode
        assert decode.type == 'DecodeVideo' and TRANSFORMS.build(decode)
    for metric in (cfg.val_evaluator, cfg.test_evaluator):
        assert all(METRICS.get(m.type) for m in (metric if isinstance(metric, list) else [metric]))
    assert LOOPS.get(cfg.val_cfg.type) and LOOPS.get(cfg.test_cfg.type)
    for part in ('backbone', 'adapter', 'data_preprocessor'):
        assert MODELS.get(cfg.model[part].type)


@pytest.mark.parametrize('path', LEAVES, ids=lambda p: p.stem)
def test_leaves_are_short_and_named_after_their_batch(path):
    assert len(path.read_text().splitlines()) <= 45
    cfg, name = load(path), path.stem
    gpus, batch = map(int, re.search(r'_(\d+)xb(\d+)-', name).groups())
    assert cfg.train_dataloader.batch_size == batch
    assert f'-{cfg.train_cfg.max_epochs}e_' in name
    assert cfg.auto_scale_lr.base_batch_size == gpus * batch


@pytest.mark.parametrize('path', [p for p in LEAVES if 'vit-tiny' in p.stem], ids=lambda p: p.stem)
def test_demo_models_can_be_built_without_a_network(path, shapes, monkeypatch):
    monkeypatch.setenv('MOVING_SHAPES', str(shapes))
    model = MODELS.build(Config.fromfile(path).model)
    assert model.backbone.width == 128


def test_the_published_config_has_the_published_recipe():
    cfg = load(RETRIEVAL / PUBLISHED)
    assert cfg.model.backbone == dict(
        type='CLIPBackbone', pretrained='openai/clip-vit-base-patch32', frozen_layers=0
    )
    assert cfg.train_dataloader.batch_size == 16 and cfg.auto_scale_lr.base_batch_size == 128
    assert cfg.optim_wrapper.optimizer.lr == 1e-5 and cfg.train_cfg.max_epochs == 5
    segments = dict(type='UniformSample', clip_len=12, num_clips=1)
    assert cfg.train_dataloader.dataset.pipeline[0] == dict(type='DecodeVideo', sampling=segments)
    assert cfg.test_dataloader.dataset.pipeline[0] == dict(
        type='DecodeVideo', sampling=dict(segments, test_mode=True)
    )
    assert 'save_best' not in cfg.default_hooks.checkpoint  # there is no validation split


def test_the_schedule_reaches_from_first_to_last_step():
    for path in LEAVES:
        cfg = load(path)
        if 'reference' in path.stem:  # the runner fills in the end
            assert cfg.param_scheduler == [
                dict(type='RawCosineLR', warmup=0.1, by_epoch=True, convert_to_iter_based=True)
            ]
            continue
        schedule = cfg.param_scheduler
        assert schedule.type == 'WarmUpCosineLR' and schedule.convert_to_iter_based
        begin = schedule.get('cosine_begin', schedule.warmup)
        assert 0 < schedule.warmup <= begin < schedule.end == cfg.train_cfg.max_epochs


# Where the warm-up ends, where the cosine begins and ends, in epochs; the factor of the first step.
SCHEDULES = {
    '5e': (0.5, 0.5, 5, 0.05),
    '8e': (1, 5, 8, 0.02),
    '3e': (1, 1, 3, 0.02),
    '20e': (1, 10, 20, 0.02),
}


@pytest.mark.parametrize('path', [p for p in LEAVES if 'reference' not in p.stem], ids=lambda p: p.stem)
def test_every_recipe_has_its_published_schedule(path):
    schedule = load(path).param_scheduler
    warmup, begin, end, first = SCHEDULES[re.search(r'-(\d+e)_', path.stem)[1]]
    assert (schedule.warmup, schedule.get('cosine_begin', warmup), schedule.end) == (warmup, begin, end)
    assert schedule.start_factor == first


def test_the_reference_config_has_the_references_training():
    cfg = load(RETRIEVAL / PUBLISHED.replace('-5e_', '-reference-5e_'))
    assert cfg.model.gather == 'local_gradient' and cfg.model.loss.same_video == 'negative'
    assert cfg.model.backbone.frozen_layers == 0 and cfg.train_dataloader.drop_last
    assert cfg.optim_wrapper.optimizer.type == 'BertAdam'
    assert 'save_best' not in cfg.default_hooks.checkpoint
    for part in ('train', 'val', 'test'):
        assert cfg[f'{part}_dataloader'].dataset.pipeline[0].sampling == dict(
            type='SampleAtRate', fps=1, max_frames=12, cut='uniform', reference_times=True
        )


@pytest.mark.parametrize('path', [p for p in LEAVES if 'vit-tiny' not in p.stem], ids=lambda p: p.stem)
def test_the_papers_frames_have_the_references_pixels_and_mmaction2s_their_own(path):
    cfg = load(path)
    paper = '-fps1-' in path.stem or '-reference-' in path.stem
    for part in ('train', 'val', 'test'):
        steps = cfg[f'{part}_dataloader'].dataset.pipeline
        pixels = [step for step in steps if 'Resize' in step.type or 'Crop' in step.type]
        assert pixels == (
            [dict(type='ResizeCenterCrop', size=224)]
            if paper
            else [dict(type='Resize', scale=(-1, 256)), dict(type='CenterCrop', crop_size=224)]
        )
        kinds = [step.type for step in steps]
        assert kinds[0] == 'DecodeVideo' and steps[-1].type == 'PackVideoCaptions'
        assert kinds[-3:-1] == ['FormatShape', 'TokenizeCaptions']


SIZES = {  # widths of text and vision, patch; the shared space is as wide as the text
    'base-patch32': (512, 768, 32),
    'base-patch16': (512, 768, 16),
    'large-patch14': (768, 1024, 14),
}


def clip_of_that_size(name: str) -> dict:
    """CLIP's published widths and head counts."""
    text, vision, patch = SIZES[name.removeprefix('openai/clip-vit-')]

    def tower(width):
        return dict(
            hidden_size=width,
            intermediate_size=4 * width,
            num_attention_heads=width // 64,
            num_hidden_layers=12,
        )

    return dict(
        text_config=tower(text),
        projection_dim=text,
        vision_config=dict(tower(vision), patch_size=patch, image_size=224),
    )


def test_every_head_fits_its_clip(shapes):
    paths = {}
    for path in LEAVES:
        if 'vit-tiny' not in path.stem:  # configs that differ by their data alone have one model
            paths.setdefault(json.dumps(load(path).model.to_dict(), sort_keys=True), []).append(path)
    assert len(paths) > 20
    for text, same in paths.items():
        model = json.loads(text)
        if 'tokenizer' in model:
            model['tokenizer'] = str(shapes / 'tokenizer')
        model['backbone']['config'] = clip_of_that_size(model['backbone'].pop('pretrained'))
        with torch.device('meta'):  # shapes are checked, and nothing is allocated
            built = MODELS.build(model)
        for path in same:
            assert built.adapter.uses_logit_scale != ('tight' in path.stem), path


def test_no_config_cuts_a_pipeline_by_index():
    for path in (ROOT / 'configs').rglob('*.py'):
        assert not re.search(r'pipeline\[|\[\d*:\d*\]', path.read_text()), path


@pytest.mark.parametrize('path', LEAVES, ids=lambda p: p.stem)
def test_validation_and_test_differ_by_the_file_alone(path):
    cfg = load(path)
    found = set(difference(cfg.val_dataloader, cfg.test_dataloader))
    kept = {'persistent_workers'} if 'moving-shapes' in path.stem else set()  # a test may have no workers
    assert found - kept <= {'dataset.ann_file'}


@pytest.mark.parametrize('path', LEAVES, ids=lambda p: p.stem)
def test_the_tokenizer_stays_where_the_command_line_sets_it(path):
    place = 3 - ('moving-shapes' in path.stem) if cuts_and_resizes_at_once(path) else 4
    for part in ('val', 'test'):
        assert load(path)[f'{part}_dataloader'].dataset.pipeline[place].type == 'TokenizeCaptions'


def cuts_and_resizes_at_once(path: Path) -> bool:
    """Whether a config has one step between decoding and FormatShape, or none."""
    return any(part in path.stem for part in ('-fps1-', '-reference-', 'moving-shapes'))


# The paper's settings: frames, words, K of the recalls, one training item, files of validation and test.
PAPER = dict(
    msvd=(12, 32, (1, 5, 10), 'each', 'val', 'test'),
    lsmdc=(12, 32, (1, 5, 10), 'each', 'val', 'test'),
    activitynet=(64, 64, (1, 5, 50), 'paragraph', 'val_1', 'val_1'),
    didemo=(64, 64, (1, 5, 10), 'paragraph', 'val', 'test'),
)


@pytest.mark.parametrize('head', ['clip4clip', 'clip4clip-seq'])
@pytest.mark.parametrize('name', PAPER)
def test_the_other_datasets_have_the_papers_settings(name, head):
    (path,) = RETRIEVAL.glob(f'{head}_*_{name}-rgb.py')
    cfg = load(path)
    frames, words, recall_at, mode, val, test = PAPER[name]
    for part in ('train', 'val', 'test'):
        decode, resize, _, tokens, _ = cfg[f'{part}_dataloader'].dataset.pipeline
        assert decode == dict(
            type='DecodeVideo', sampling=dict(type='SampleAtRate', fps=1, max_frames=frames, cut='uniform')
        )
        assert resize == dict(type='ResizeCenterCrop', size=224) and tokens.max_words == words
    datasets = [cfg[f'{part}_dataloader'].dataset for part in ('train', 'val', 'test')]
    assert [d.ann_file for d in datasets] == ['train.json', f'{val}.json', f'{test}.json']
    assert [d.caption_mode for d in datasets] == [mode] + ['all' if mode == 'each' else mode] * 2
    metric = METRICS.build(cfg.test_evaluator)
    assert metric.recall_at == recall_at and f'-uniform{frames}-' in path.stem
    assert ('SeqTransformer' in cfg.model.adapter.type) == ('seq' in head)


@pytest.mark.parametrize('name', ['msrvtt', 'howto100m', *PAPER])
def test_configs_read_what_the_converters_write(name):
    written = {f'{split.name}.json' for split in CONVERTERS[name](Path())}
    leaves = [load(path) for path in LEAVES if not path.stem.endswith('_moving-shapes-rgb')]
    datasets = [cfg[f'{part}_dataloader'].dataset for cfg in leaves for part in ('train', 'val', 'test')]
    datasets = [dataset for dataset in datasets if dataset.data_root == f'data/video_retrieval/{name}']
    assert datasets
    for dataset in datasets:
        assert dataset.ann_file in written
        assert dataset.data_prefix.video == 'videos'


CAPTIONING = [path for path in LEAVES if path.parent.parent.name == 'captioning']


@pytest.mark.parametrize('path', CAPTIONING, ids=lambda p: p.stem)
def test_captioning_configs_train_what_their_names_say(path):
    cfg = load(path)
    kind = re.match(r'clip4clip-seq-(joint|caption-only|frozen|slow)_', path.stem)[1]
    assert cfg.model.type == 'CLIP4ClipCaptioner' and cfg.model.adapter.type == 'SeqTransformerAdapter'
    assert cfg.model.get('retrieval_weight', 1) == (1 if kind in ('joint', 'slow') else 0)
    assert cfg.model.get('freeze_encoder', False) == (kind == 'frozen')
    assert cfg.optim_wrapper.paramwise_cfg.get('clip_lr_mult', 1) == (0.01 if kind == 'slow' else 1)
    assert {'VideoCaptionMetric', 'VideoTextRetrievalMetric'} <= {m.type for m in cfg.test_evaluator}
    assert cfg.val_evaluator == cfg.test_evaluator
    files = [cfg[f'{part}_dataloader'].dataset.ann_file for part in ('train', 'val', 'test')]
    prefix = 'caption_' if 'msrvtt' in path.stem else ''
    train = 'train_by_shape' if 'moving-shapes' in path.stem else 'train'
    assert files == [f'{prefix}{part}.json' for part in (train, 'val', 'test')]


def test_captioners_have_the_settings_that_their_readme_tells():
    for path in CAPTIONING:
        cfg = load(path)
        settings = [cfg.model.decoder.num_layers, cfg.model.generation.beam_size, cfg.train_cfg.max_epochs]
        if 'moving-shapes' in path.stem:
            assert settings == [3, 5, 20]
            assert dict(type='RandomShift', pixels=6) in cfg.train_dataloader.dataset.pipeline
            assert dict(type='RandomShift', pixels=6) not in cfg.test_dataloader.dataset.pipeline
            assert cfg.optim_wrapper.paramwise_cfg.custom_keys.decoder.lr_mult == 2
        else:
            assert settings == [3, 5, 5] and cfg.model.decoder.tie_embeddings
            assert cfg.model.caption_loss.label_smoothing == 0.1
            assert cfg.default_hooks.checkpoint.save_best == 'caption/CIDEr'  # a key of VideoCaptionMetric
            assert cfg.default_hooks.checkpoint.rule == 'greater'
