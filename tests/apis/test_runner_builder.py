import pytest
import torch
from mmaction.registry import MODELS
from mmengine.config import Config
from transformers import CLIPConfig, CLIPModel

from mmclip4clip.apis.runner_builder import read_entry, use_checkpoint_settings
from mmclip4clip.checkpoints.clip_settings import clip_settings
from mmclip4clip.models import CLIPBackbone, MeanAdapter
from mmclip4clip.models.backbones.families import FAMILIES
from mmclip4clip.models.backbones.frame_format import default_format
from mmclip4clip.tokenizers.loading import load_tokenizer
from mmclip4clip.tokenizers.saved_tokenizer import offered_tokenizer, pack_tokenizer

from ..encoders import small_encoder

SEQ = dict(type='SeqTransformerAdapter', width=32, num_layers=1, num_heads=2, max_frames=8)


@pytest.fixture
def save(tiny_clip, tmp_path, monkeypatch):
    """Save a checkpoint of a tiny model with what it tells of itself, ``c.pth``."""
    monkeypatch.chdir(tmp_path)

    def save(adapter=dict(type='MeanAdapter'), leave_out=None, prefix='', **entry):
        model = MODELS.build(
            dict(
                type='CLIP4ClipRetriever',
                adapter=adapter,
                backbone=dict(type='CLIPBackbone', config=tiny_clip),
            )
        )
        weights = {prefix + key: value for key, value in model.state_dict().items() if key != leave_out}
        entry = dict(dict(clip_config=clip_settings(CLIPConfig(**tiny_clip))), **entry)
        torch.save(dict(meta=dict(mmclip4clip=entry), state_dict=weights), 'c.pth')
        return entry['clip_config']

    return save


def use(training=False, resume=False, adapter=dict(type='MeanAdapter'), load_from='c.pth', **backbone):
    """Return what becomes of the backbone in a config that loads ``c.pth``, and what is logged."""
    cfg = Config(
        dict(
            load_from=load_from,
            resume=resume,
            model=dict(
                adapter=adapter, backbone=dict(dict(type='CLIPBackbone', pretrained='some/clip'), **backbone)
            ),
        )
    )
    note = use_checkpoint_settings(cfg, training)
    return cfg.model.backbone.to_dict(), note


@pytest.mark.parametrize('prefix', ['', 'module.'])
@pytest.mark.parametrize('training, resume', [(False, False), (True, True), (True, False)])
def test_the_checkpoint_stands_in_for_the_pretrained_clip(save, prefix, training, resume):
    settings = save(prefix=prefix)
    backbone, note = use(training, resume, frozen_layers=0)
    assert backbone == dict(type='CLIPBackbone', frozen_layers=0, config=settings)
    assert "pretrained='some/clip' is not loaded" in note


def test_a_resumed_run_needs_nothing_that_it_started_from(save):
    init_cfg = dict(type='Pretrained', checkpoint='gone.pth')
    save()
    assert 'init_cfg' not in use(True, True, init_cfg=init_cfg)[0]
    assert use(True, False, init_cfg=init_cfg)[0]['init_cfg'] == init_cfg


def test_an_adapter_that_starts_from_the_pretrained_clip_still_does(save):
    kept = dict(type='CLIPBackbone', pretrained='some/clip'), ''
    save()
    assert use(True, adapter=SEQ) == kept
    save(adapter=SEQ)
    assert 'config' in use(True, adapter=SEQ)[0]


@pytest.mark.parametrize('entry', [dict(leave_out='backbone.clip.logit_scale'), dict(clip_config=None)])
def test_what_is_not_whole_stands_in_for_nothing(save, entry):
    save(**entry)
    assert use() == (dict(type='CLIPBackbone', pretrained='some/clip'), '')


def test_a_config_that_describes_no_clip_is_refused_at_once(save, tiny_clip):
    settings = clip_settings(CLIPConfig(**tiny_clip))
    save(clip_config=dict(settings, projection_dim='x'))
    with pytest.raises(ValueError, match="checkpoint c.pth has a clip_config that describes no CLIP.*'x'"):
        use()
    settings['text_config']['num_hidden_layers'] = 10**9  # it is not tried
    save(clip_config=settings)
    assert use()[1] == ''


def test_the_tokenizers_of_the_newest_checkpoint_are_offered(save, shapes):
    save(tokenizers=dict(captions=pack_tokenizer(load_tokenizer(str(shapes / 'tokenizer')))))
    use()
    assert offered_tokenizer('captions', 'any')['name'] == str(shapes / 'tokenizer')
    use(load_from=None)
    assert offered_tokenizer('captions', 'any') is None


@pytest.mark.parametrize('content', [b'', b'PK no archive', 'list', 'code'])
def test_a_file_that_cannot_be_read_is_left_to_whoever_loads_it(tmp_path, content):
    path = tmp_path / 'c.pth'
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save([1] if content == 'list' else dict(meta=pytest.raises), path)
    assert read_entry(path) == read_entry(None) == read_entry('https://host/c.pth') == ({}, [])


def test_the_frames_of_the_checkpoint_stand_in_for_those_of_the_folder(save):
    format = default_format(FAMILIES['siglip'], 32)._asdict()
    settings = save(frame_format=format)
    backbone, _ = use(image_size=64, text_length=24)
    assert backbone == dict(type='CLIPBackbone', config=settings, frame_format=format)
    own = dict(mean=(1.0, 2.0, 3.0))
    assert use(frame_format=own)[0]['frame_format'] == own


@pytest.mark.parametrize(
    'change',
    [dict(size='64'), dict(mean=(1, 2)), dict(std=('a', 'b', 'c')), dict(interpolation='x'), dict(more=1)],
)
def test_frames_that_are_none_are_refused_at_once(save, change):
    save(frame_format={**default_format(FAMILIES['clip'], 32)._asdict(), **change})
    with pytest.raises(ValueError, match='the checkpoint c.pth has a frame_format that describes no frames'):
        use()


def test_a_folder_is_compared_at_the_size_of_the_config(save, tiny_clip, tmp_path):
    """A checkpoint of larger frames than its folder's was trained with image_size."""
    larger = {**tiny_clip, 'vision_config': {**tiny_clip['vision_config'], 'image_size': 128}}
    save(clip_config=clip_settings(CLIPConfig(**larger)))
    CLIPModel(CLIPConfig(**tiny_clip)).save_pretrained(tmp_path / 'clip')
    assert use(pretrained='clip', image_size=128)[0]['config']['vision_config']['image_size'] == 128
    with pytest.raises(ValueError, match='vision_config.image_size: 128 -> 64'):
        use(pretrained='clip')


def test_a_folder_of_another_family_is_named(save, tmp_path):
    save()
    CLIPBackbone(config=small_encoder('siglip')).clip.save_pretrained(tmp_path / 'siglip')
    with pytest.raises(ValueError, match="model_type='siglip', but the checkpoint c.pth has clip"):
        use(pretrained='siglip')


@pytest.mark.parametrize('size', [dict(image_size=128), dict(text_length=48)])
@pytest.mark.parametrize('training, resume', [(False, False), (True, True), (True, False)])
def test_sizes_that_the_checkpoint_does_not_have_are_refused(save, size, training, resume):
    save()
    with pytest.raises(ValueError, match='encoder comes from the checkpoint c.pth, which was trained with'):
        use(training, resume, **size)


def test_an_adapter_without_a_width_has_the_encoders(save):
    class Narrow(MeanAdapter):
        def __init__(self, width):
            super().__init__()
            self.layer = torch.nn.Linear(width, width)

    MODELS.register_module(name='Narrow', module=Narrow, force=True)
    try:
        save(adapter=dict(type='Narrow'))
        assert 'config' in use(True, adapter=dict(type='Narrow'))[0]
    finally:
        MODELS.module_dict.pop('Narrow')


def test_a_folder_that_cannot_be_read_is_named(save, tmp_path):
    save()
    (tmp_path / 'clip').mkdir()
    (tmp_path / 'clip/config.json').write_text('{')
    with pytest.raises(ValueError, match='clip/config.json cannot be read'):
        use(pretrained='clip')
