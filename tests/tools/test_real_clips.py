"""The MSR-VTT config on real video files, many captions a video."""

import json
import shutil

import pytest

from ..encoders import KINDS, save_encoder
from .conftest import ROOT

MSRVTT = 'configs/retrieval/clip4clip/clip4clip_vit-base-p32-res224-clip-pre_8xb16-u12-5e_msrvtt-9k-rgb.py'
CONFIG = """
_base_ = '{base}'
clips = dict(data_root='{root}', ann_file='captions.json', data_prefix=dict(video='{videos}'))
train_dataloader = dict(
    batch_size=14, num_workers=2, persistent_workers=True, dataset=dict(**clips, caption_mode='all'))
val_dataloader = dict(num_workers=2, persistent_workers=False, dataset=clips)
test_dataloader = val_dataloader
model = dict(backbone=dict(pretrained=None, config=dict()))
env_cfg = dict(dist_cfg=dict(backend='gloo'))
"""
TINY = """
tower = dict(hidden_size=64, intermediate_size=256, num_hidden_layers=2, num_attention_heads=2)
model = dict(backbone=dict(
    pretrained=None, frozen_layers=-1, embedding_std=dict(text=0.2, vision=0.5),
    config=dict(text_config=dict(**tower, vocab_size=1000, bos_token_id=0, eos_token_id=1),
                vision_config=dict(**tower, image_size=224, patch_size=32), projection_dim=64)))
optim_wrapper = dict(optimizer=dict(lr=1e-3))
param_scheduler = None
"""

CACHED = """
decode = [dict(type='DecodeVideo', sampling=dict(type='UniformSample', clip_len=1, test_mode=True)),
          *_base_.test_pipeline[1:4]]
pipeline = [dict(type='CacheFrames', folder='{root}/cache', transforms=decode),
            dict(type='TokenizeCaptions', tokenizer='{root}/tokenizer', max_words=32),
            dict(type='PackVideoCaptions')]
for loader in (train_dataloader, val_dataloader):
    loader['dataset'].update(pipeline=pipeline)
    loader.update(num_workers=0, persistent_workers=False)
"""
CAPTIONER = """
train_dataloader['dataset'].update(caption_mode='random')
model.update(type='CLIP4ClipCaptioner', tokenizer='{root}/tokenizer', decoder=dict(
    type='CaptionDecoder', num_layers=2, num_heads=2, dropout=0.))
val_evaluator = [dict(type='VideoTextRetrievalMetric'), dict(type='VideoCaptionMetric', java=False)]
test_evaluator = val_evaluator
optim_wrapper.update(paramwise_cfg=dict(head_lr_mult=2.))
"""


def pipelines(**values) -> list:
    """Settings of the transforms of all three pipelines, by their place and argument."""
    return [
        f'{part}_dataloader.dataset.pipeline.{key}={value}'
        for part in ('train', 'val', 'test')
        for key, value in values.items()
    ]


@pytest.fixture
def clips(data, tool, tmp_path):
    """Write the MSR-VTT config for real MSVD clips with some captions, all of them or a few a video."""

    def clips(captions=None, extra='', frames=1, order=None):
        annotations = json.loads((data / 'clips/msvd/captions.json').read_text())
        annotations = {
            video: (sorted(own, key=order) if order else own)[:captions] for video, own in annotations.items()
        }
        (tmp_path / 'captions.json').write_text(json.dumps(annotations))
        tool('train_tokenizer.py', tmp_path / 'captions.json', tmp_path / 'tokenizer')
        path = tmp_path / 'msvd-clips.py'
        config = CONFIG.format(base=ROOT / MSRVTT, root=tmp_path, videos=data / 'clips/msvd')
        path.write_text(config + extra.replace('{root}', str(tmp_path)))
        options = pipelines(**{'4.tokenizer': tmp_path / 'tokenizer', '0.sampling.clip_len': frames})
        return str(path), options, annotations

    return clips


def last_entry(folder):
    return json.loads((folder / 'metrics.json').read_text())[-1]


def best_possible(annotations) -> tuple:
    """R@1 in percent of a perfect model, least and most.

    A caption that k videos share is right for at most one of them, and for none
    where rounding does not break the tie.
    """
    videos = {}
    for video, own in annotations.items():
        for caption in own:
            videos.setdefault(caption.strip().lower(), set()).add(video)
    total = sum(map(len, annotations.values()))
    shared = [len(v) for v in videos.values() if len(v) > 1]
    return 100 * (1 - sum(shared) / total), 100 * (1 - sum(k - 1 for k in shared) / total)


@pytest.mark.parametrize(
    'captions, frames, epochs',
    [(6, 1, 75), pytest.param(None, 2, 90, marks=pytest.mark.long)],
    ids=['short', 'all captions'],
)
def test_a_small_model_overfits_the_real_clips(clips, tool, tmp_path, captions, frames, epochs):
    config, options, annotations = clips(captions, TINY + CACHED if captions else TINY, frames)
    options.append('train_dataloader.dataset.pipeline.0.sampling.test_mode=True')  # as the evaluation
    tool(
        'train.py',
        config,
        '--seed',
        0,
        '--work-dir',
        'w',
        '--cfg-options',
        *([] if captions else options),  # the cached pipeline has it all
        f'train_cfg.max_epochs={epochs}',
        f'train_cfg.val_interval={epochs}',
        f'train_cfg.val_begin={epochs}',
        f'default_hooks.checkpoint.interval={epochs}',
        'default_hooks.report.gallery=0',
    )
    entry = last_entry(tmp_path / 'w')
    least, most = best_possible(annotations)
    assert (least, most) == pytest.approx((100, 100) if captions else (99.467, 99.645), abs=0.001)
    assert least - 1e-6 <= entry['retrieval/R1'] <= most + 1e-6
    assert entry['retrieval/R5'] == entry['retrieval/R10'] == 100
    assert entry['retrieval/v2t_R1'] == 100


FAMILY = """
clip = '{root}/encoder'
model = dict(backbone=dict(frozen_layers=-1))
optim_wrapper = dict(optimizer=dict(lr=1e-3))
param_scheduler = None
for loader in (train_dataloader, val_dataloader):
    loader.update(num_workers=0, persistent_workers=False)
    loader['dataset'].update(pipeline=[dict(
        type='CacheFrames', folder='{root}/cache', transforms=[
            dict(type='DecodeVideo', sampling=dict(type='UniformSample', clip_len=1, test_mode=True)),
            *_base_.test_pipeline[1:4]]), *_base_.test_pipeline[4:]])
"""


@pytest.mark.parametrize(
    'kind',
    [kind if kind == 'siglip' else pytest.param(kind, marks=pytest.mark.long) for kind in KINDS],
)
def test_each_family_overfits_the_real_clips_as_clip_does(clips, tool, tmp_path, kind):
    config, _, annotations = clips(6, FAMILY)
    captions = [caption for own in annotations.values() for caption in own]
    save_encoder(tmp_path / 'encoder', kind, captions)
    epochs = 60 if kind == 'siglip2' else 45  # pieces of words, and no end token
    keys = ('train_cfg.max_epochs', 'train_cfg.val_interval', 'train_cfg.val_begin')
    options = [f'{key}={epochs}' for key in (*keys, 'default_hooks.checkpoint.interval')]
    options = ('--cfg-options', 'default_hooks.report.gallery=0', *options)
    tool('train.py', config, '--seed', 0, '--work-dir', 'w', *options)
    trained = last_entry(tmp_path / 'w')
    assert trained['retrieval/R1'] == trained['retrieval/v2t_R1'] == 100
    shutil.rmtree(tmp_path / 'encoder')  # a test needs only the checkpoint
    tool('test.py', config, f'w/epoch_{epochs}.pth', '--work-dir', 't', *options)
    tested = last_entry(tmp_path / 't')
    assert {k: v for k, v in tested.items() if k.startswith('retrieval')} == {
        k: v for k, v in trained.items() if k.startswith('retrieval')
    }


@pytest.mark.parametrize(
    'captions, epochs',
    [(2, 150), pytest.param(None, 1500, marks=pytest.mark.long)],
    ids=['short', 'all captions'],
)
def test_a_small_captioner_learns_the_captions_of_each_real_clip(clips, tool, tmp_path, captions, epochs):
    # Of a few, the shortest ones: what is cut at max_words could not be written as a whole.
    config, _, annotations = clips(captions, TINY + CACHED + CAPTIONER, order=len)
    tool(
        'train.py',
        config,
        '--seed',
        0,
        '--work-dir',
        'w',
        '--no-validate',
        '--cfg-options',
        f'train_cfg.max_epochs={epochs}',
        f'default_hooks.checkpoint.interval={epochs}',
    )
    tool(
        'test.py',
        config,
        f'w/epoch_{epochs}.pth',
        '--work-dir',
        't',
        '--cfg-options',
        'default_hooks.report.gallery=0',
        'default_hooks.report.page=3',
        'default_hooks.report.picture=3',
    )
    written = json.loads((tmp_path / 't/captions/test.json').read_text())
    assert {entry['video_id'] for entry in written} == set(annotations) and len(written) == 14

    def words(caption):  # letter case and the space before a full stop are the tokenizer's
        return caption.lower().replace('.', '').replace(',', '').split()

    own = [words(entry['generated']) in map(words, annotations[entry['video_id']]) for entry in written]
    # Of 40 captions a video it may put two together; then every four words in a row are of one of its own.
    assert all(own) if captions else sum(own) >= 12, written
    figures = last_entry(tmp_path / 't')
    assert figures['caption/Bleu_4'] == pytest.approx(100, abs=1e-6) and figures['caption/CIDEr'] > 100


@pytest.mark.long
def test_the_real_size_trains_and_tests(clips, command, tmp_path):
    config, options, _ = clips()
    command(
        'train.py',
        config,
        '--seed',
        0,
        '--work-dir',
        'w',
        '--no-validate',
        '--cfg-options',
        *options,
        'train_cfg.max_epochs=1',
        'default_hooks.checkpoint.save_optimizer=False',
        'default_hooks.checkpoint.save_param_scheduler=False',
    )
    command(
        'test.py', config, 'w/epoch_1.pth', '--work-dir', 't', '--dump', 'r.pkl', '--cfg-options', *options
    )
    entry = last_entry(tmp_path / 't')
    assert entry['retrieval/R10'] > 0 and (tmp_path / 'r.pkl').stat().st_size > 0
    assert (tmp_path / 'w/epoch_1.pth').stat().st_size > 500e6  # ViT-B/32 has 151 million weights
