from pathlib import Path

import pytest
from mmengine.config import Config

from mmclip4clip.apis import use_clip
from mmclip4clip.apis.clip_choice import typed_dicts

ROOT = Path(__file__).parents[2]
RETRIEVAL = 'configs/retrieval/clip4clip/clip4clip_vit-base-p32-res224-clip-pre_8xb16-u12-5e_msrvtt-9k-rgb.py'
CAPTIONING = (
    'configs/captioning/clip4clip/clip4clip-seq-joint_vit-base-p32-res224-clip-pre_8xb16-u12-5e_'
    'msrvtt-caption-rgb.py'
)
TINY = 'configs/retrieval/clip4clip/clip4clip_vit-tiny-p16-res64_1xb64-f4-8e_moving-shapes-rgb.py'


def read(path: str, **options) -> Config:
    cfg = Config.fromfile(ROOT / path)
    cfg.merge_from_dict(options)
    return cfg


def tokenizers(cfg: Config) -> set:
    loaders = [cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader]
    return {step.tokenizer for step in typed_dicts(loaders) if step['type'] == 'TokenizeCaptions'}


@pytest.mark.parametrize('path', [RETRIEVAL, CAPTIONING, TINY])
def test_one_variable_chooses_clip_and_every_tokenizer(path):
    cfg = read(path, clip='my/clip')
    use_clip(cfg)
    backbone = cfg.model.backbone
    assert backbone.pretrained == 'my/clip' and not {'config', 'embedding_std'} & set(backbone)
    assert tokenizers(cfg) == {'my/clip'}
    assert cfg.model.get('tokenizer') == ('my/clip' if path == CAPTIONING else None)


@pytest.mark.parametrize('path', [RETRIEVAL, CAPTIONING, TINY])
def test_without_it_nothing_changes(path):
    cfg, expected = read(path), read(path)
    use_clip(cfg)
    assert cfg.to_dict() == expected.to_dict()


def test_a_captioner_with_its_own_targets_keeps_their_tokenizer():
    cfg = read(CAPTIONING, clip='my/clip', **{'model.tokenizer': 'bert'})
    cfg.train_dataloader.dataset.pipeline.append(dict(type='mmaction.TokenizeTargets', tokenizer='bert'))
    use_clip(cfg)
    assert cfg.model.tokenizer == 'bert' and cfg.train_dataloader.dataset.pipeline[-1]['tokenizer'] == 'bert'
    assert tokenizers(cfg) == {'my/clip'}


def test_pipelines_inside_wrappers_are_reached():
    cfg = read(RETRIEVAL, clip='my/clip')
    inner = cfg.train_dataloader.dataset
    cfg.train_dataloader.dataset = dict(type='ConcatDataset', datasets=[inner, inner])
    use_clip(cfg)
    assert tokenizers(cfg) == {'my/clip'}


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(clip=5), 'clip must be a name on the Hugging Face hub or a local folder, got 5'),
        (dict(clip=''), "a local folder, got ''"),
        ({'clip': 'a', 'model.backbone.type': 'ResNet'}, "clip='a' needs a CLIPBackbone as model.backbone"),
    ],
)
def test_a_choice_that_cannot_be_made_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        use_clip(read(RETRIEVAL, **options))
