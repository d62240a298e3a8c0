import pytest
import torch
from mmaction.registry import MODELS
from mmengine.config import Config
from mmengine.runner import load_checkpoint
from transformers import CLIPConfig

from mmclip4clip.checkpoints import convert, read
from mmclip4clip.checkpoints.clip_settings import clip_settings
from mmclip4clip.checkpoints.description import adapter_config
from mmclip4clip.checkpoints.native import trained_model

from . import plain
from .conftest import identical

BLOCKS = dict(width=32, num_layers=1, num_heads=2, start='random')


@pytest.fixture
def trained(tiny_clip, saved):
    """What mmengine saves of a training: the model and, as text, its config."""

    def trained(patch='2d', **adapter):
        model = dict(
            type='CLIP4ClipRetriever',
            adapter=adapter,
            backbone=dict(type='CLIPBackbone', config=tiny_clip, linear_patch=patch),
        )
        weights = MODELS.build(model).state_dict()
        cfg = Config(dict(model=model, lr=1e-3, hooks=[dict(type='X')])).pretty_text
        return saved(dict(meta=dict(epoch=3, cfg=cfg), state_dict=weights, optimizer={}), 'epoch_3.pth')

    return trained


@pytest.mark.parametrize('patch', ['2d', '3d'])
@pytest.mark.parametrize(
    'adapter',
    [
        dict(type='MeanAdapter'),
        dict(type='SeqLSTMAdapter', width=32),
        dict(type='SeqTransformerAdapter', **BLOCKS),
        dict(type='TightAdapter', **BLOCKS),
        dict(type='TightAdapter', variant='paper', **BLOCKS),
        dict(type='WTIAdapter', width=32, num_layers=0),
        dict(type='XPoolAdapter', width=32),
    ],
)
def test_a_trained_checkpoint_is_known_with_its_heads_and_tokens(trained, adapter, patch):
    kind, checkpoint = read(trained(patch, **adapter))
    assert (kind, checkpoint.adapter, checkpoint.linear_patch) == ('mmclip4clip', adapter['type'], patch)
    config = checkpoint.clip_config()
    assert config['text_config']['num_attention_heads'] == config['vision_config']['num_attention_heads'] == 2
    assert config['text_config']['eos_token_id'] == 1


def test_a_trained_checkpoint_becomes_a_folder_that_gives_the_same_features(trained, build, tmp_path):
    path = trained(type='MeanAdapter')
    convert(path, tmp_path / 'clip')
    model = build(read(path)[1])
    folder = MODELS.build(dict(type='CLIPBackbone', pretrained=str(tmp_path / 'clip'))).eval()
    frames, mask = torch.randn(1, 2, 3, 64, 64), torch.ones(1, 2)
    with torch.no_grad():
        assert torch.equal(folder.encode_frames(frames, mask), model.backbone.encode_frames(frames, mask))


def test_what_is_converted_says_how_its_clip_is_built(trained, tiny_clip, tmp_path):
    convert(trained(type='MeanAdapter'), tmp_path / 'clip')
    convert(tmp_path / 'clip', tmp_path / 'back.pth')
    told = torch.load(tmp_path / 'back.pth', weights_only=True)['meta']['mmclip4clip']['clip_config']
    assert told == clip_settings(CLIPConfig(**tiny_clip))
    content = torch.load(trained(type='MeanAdapter'), weights_only=True)
    content['meta'] = {}
    torch.save(content, tmp_path / 'untold.pth')  # heads and activation are assumed
    convert(tmp_path / 'untold.pth', tmp_path / 'alone.pth', clip_only=True)
    assert 'mmclip4clip' not in torch.load(tmp_path / 'alone.pth', weights_only=True)['meta']


def test_a_captioners_checkpoint_is_converted_without_its_decoder_and_that_is_said(trained, saved, tmp_path):
    path = trained(type='MeanAdapter')
    content = torch.load(path, weights_only=True)
    content['state_dict'].update(
        {'decoder.frame_norm.weight': torch.ones(32), 'decoder.transformer.ln_f.bias': torch.ones(32)}
    )
    notes = [
        convert(source, tmp_path / name).checkpoint.notes
        for source, name in ((saved(content, 'captioner.pth'), 'one'), (path, 'two'))
    ]
    assert 'left out the caption decoder, 2 tensors' in notes[0] and 'decoder' not in ' '.join(notes[1])
    assert identical(*(read(tmp_path / name)[1].state_dict for name in ('one', 'two')))


def test_the_bias_of_a_sigmoid_loss_is_left_out_and_that_is_said(trained, saved, tmp_path):
    path = trained(type='MeanAdapter')
    content = torch.load(path, weights_only=True)
    content['state_dict']['loss_module.logit_bias'] = torch.tensor(-4.0)
    done = convert(saved(content, 'sigmoid.pth'), tmp_path / 'one')
    assert done.checkpoint.notes == ['left out parameters of the loss: loss_module.logit_bias']
    convert(path, tmp_path / 'two')
    assert identical(*(read(tmp_path / name)[1].state_dict for name in ('one', 'two')))


def test_the_tight_head_of_the_paper_is_known_by_its_keys(trained, build, tmp_path):
    content = torch.load(trained(type='TightAdapter', variant='paper', **BLOCKS), weights_only=True)
    torch.save(dict(state_dict=content['state_dict']), tmp_path / 'bare.pth')
    checkpoint = read(tmp_path / 'bare.pth')[1]
    checkpoint.set_adapter_heads(2)
    assert adapter_config(checkpoint) == dict(
        type='TightAdapter',
        width=32,
        num_layers=1,
        num_heads=2,
        max_frames=76,
        variant='paper',
        start='random',
    )
    assert build(checkpoint).adapter.variant == 'paper'  # loads all tensors


@pytest.mark.parametrize(
    'to, message',
    [
        ('reference', "the reference has no place for TightAdapter with variant='paper': --clip-only leaves"),
        ('mmaction', 'mmaction2 has no place for TightAdapter: --clip-only leaves it out'),
        ('openai', "OpenAI's CLIP has no place for TightAdapter"),
        ('transformers', 'cannot represent TightAdapter'),
    ],
)
def test_no_other_format_takes_the_tight_head_of_the_paper(trained, tmp_path, tiny_clip, to, message):
    for tower in ('text_config', 'vision_config'):  # sizes that the formats can represent otherwise
        tiny_clip[tower] |= dict(hidden_size=64, intermediate_size=256, num_attention_heads=1)
    tiny_clip['text_config']['eos_token_id'] = tiny_clip['text_config']['vocab_size'] - 1
    source = trained(type='TightAdapter', variant='paper', **BLOCKS)
    with pytest.raises(ValueError, match=message):
        convert(source, tmp_path / 'out', to=to)
    assert not (tmp_path / 'out').exists()
    done = convert(source, tmp_path / 'out', to=to, clip_only=True)
    assert 'left out TightAdapter, 22 tensors' in done.checkpoint.notes


@pytest.mark.parametrize('change', ['types', 'pool_norm'])
def test_a_mix_of_both_tight_heads_is_refused(trained, tmp_path, change):
    content = torch.load(trained(type='TightAdapter', variant='paper', **BLOCKS), weights_only=True)
    if change == 'types':
        del content['state_dict']['adapter.types.weight']
    else:
        content['state_dict']['adapter.pool_norm.weight'] = torch.ones(32)
    torch.save(content, tmp_path / 'mixed.pth')
    with pytest.raises(ValueError, match='mixed.pth does not have .*adapter.pool_norm.weight'):
        convert(tmp_path / 'mixed.pth', tmp_path / 'out', clip_only=True)


def test_without_a_config_the_heads_are_assumed_and_that_is_said(trained, tmp_path):
    content = torch.load(trained(type='MeanAdapter'), weights_only=True)
    torch.save(dict(state_dict=content['state_dict']), tmp_path / 'bare.pth')
    notes = convert(tmp_path / 'bare.pth', tmp_path / 'one').checkpoint.notes
    assert len(notes) == 3
    assert 'the text tower: one every 64 channels is assumed; --text-heads changes it' in notes[0]
    assert "the activation: OpenAI's quick_gelu is assumed; --activation changes it" in notes[2]
    done = convert(tmp_path / 'bare.pth', tmp_path / 'two', text_heads=2, vision_heads=4, activation='gelu')
    assert not done.checkpoint.notes
    assert done.checkpoint.clip_config()['vision_config']['num_attention_heads'] == 4
    assert CLIPConfig.from_pretrained(tmp_path / 'two').text_config.hidden_act == 'gelu'


@pytest.mark.parametrize(
    'adapter',
    [
        dict(type='SeqTransformerAdapter', max_frames=24, **BLOCKS),
        dict(type='XPoolAdapter', width=32),
        dict(type='SeqLSTMAdapter', width=32),
    ],
)
def test_heads_of_an_adapter_are_assumed_with_a_note_or_told(trained, tmp_path, adapter):
    content = torch.load(trained(**adapter), weights_only=True)
    torch.save(dict(state_dict=content['state_dict']), tmp_path / 'bare.pth')
    told = dict(text_heads=2, vision_heads=2, activation='gelu', clip_only=True, to='mmclip4clip')
    notes = '\n'.join(convert(tmp_path / 'bare.pth', tmp_path / 'one', **told).checkpoint.notes)
    attentive = adapter['type'] != 'SeqLSTMAdapter'
    assert ('the attention heads of the adapter: one' in notes) == attentive
    if not attentive:
        with pytest.raises(ValueError, match='--adapter-heads=4 does not fit: SeqLSTMAdapter has an unknown'):
            convert(tmp_path / 'bare.pth', tmp_path / 'two', adapter_heads=4, **told)
        return
    done = convert(tmp_path / 'bare.pth', tmp_path / 'two', adapter_heads=4, **told)
    assert 'num_heads=4' in done.found and 'of the adapter: one' not in '\n'.join(done.checkpoint.notes)
    done = convert(tmp_path / 'bare.pth', tmp_path / 'three', adapter_heads=2, **told)
    from_text = 'blocks are assumed to have started from the text tower, with its activation, gelu'
    assert (from_text in '\n'.join(done.checkpoint.notes)) == (adapter['type'] == 'SeqTransformerAdapter')


def test_the_clip_that_a_training_notes_tells_heads_and_activation(trained, tiny_clip, tmp_path):
    content = torch.load(trained(type='MeanAdapter'), weights_only=True)
    for tower in ('text_config', 'vision_config'):
        tiny_clip[tower] |= dict(num_attention_heads=4, hidden_act='gelu')
    content['meta'] = dict(
        mmclip4clip=dict(clip_config=tiny_clip),
        cfg="model = dict(backbone=dict(pretrained='someone/clip'), adapter=dict(type='MeanAdapter'))",
    )
    torch.save(content, tmp_path / 'noted.pth')
    done = convert(tmp_path / 'noted.pth', tmp_path / 'clip')
    assert not done.checkpoint.notes and '2 x 32 with 4 heads and gelu' in done.found


@pytest.mark.parametrize(
    'pretrained, notes', [('openai/clip-vit-base-patch32', 0), ('laion/CLIP-ViT-H-14', 3)]
)
def test_only_of_openais_names_nothing_is_assumed(trained, tmp_path, pretrained, notes):
    content = torch.load(trained(type='MeanAdapter'), weights_only=True)
    content['meta'] = dict(
        cfg=f"model = dict(backbone=dict(pretrained='{pretrained}'), adapter=dict(type='MeanAdapter'))"
    )
    torch.save(content, tmp_path / 'named.pth')
    assert len(convert(tmp_path / 'named.pth', tmp_path / 'clip').checkpoint.notes) == notes


@pytest.mark.parametrize(
    'settings',
    [
        dict(adapter=dict(type='os.mkdir', path='harmed')),
        dict(adapter=dict(type='CLIPBackbone')),
        dict(text_config=dict(attn_implementation='someone/kernel'), adapter=dict(type='antigravity')),
    ],
)
def test_settings_in_a_file_build_nothing_but_adapters(trained, tmp_path, monkeypatch, settings):
    monkeypatch.chdir(tmp_path)
    content = torch.load(trained(type='MeanAdapter'), weights_only=True)
    for meta in (dict(settings=settings), dict(cfg=f'model = dict(adapter={settings["adapter"]})')):
        torch.save(content | dict(meta=meta), 'forged.pth')
        with pytest.raises(ValueError, match='forged.pth specifies the adapter .*not registered'):
            convert(tmp_path / 'forged.pth', tmp_path / 'clip')
        assert not (tmp_path / 'harmed').exists()


def test_mmengine_loads_what_the_converter_writes(saved, build, tmp_path):
    convert(saved(plain.draw_reference('tightTransf', '3d')), tmp_path / 'native.pth')
    model = build(read(tmp_path / 'native.pth')[1])
    expected = {key: value.clone() for key, value in model.state_dict().items()}
    torch.nn.init.zeros_(model.adapter.score.weight)
    load_checkpoint(model, str(tmp_path / 'native.pth'), strict=True)
    assert identical(dict(model.state_dict()), expected)


def test_a_checkpoint_that_is_not_whole_is_refused(trained, saved):
    content = torch.load(trained(type='SeqLSTMAdapter', width=32), weights_only=True)
    del content['state_dict']['adapter.lstm.bias_hh_l0']
    content['state_dict']['encoder.weight'] = torch.zeros(1)
    with pytest.raises(ValueError, match='1 missing key: adapter.lstm.bias_hh_l0; 1 unknown key: encoder.w'):
        read(saved(content, 'broken.pth'))


def test_the_config_in_a_file_is_read_and_never_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    harmful = "import os; model = dict(type='X', harm=os.mkdir('harmed'))"
    for cfg in (harmful, 'model = (', 'model = 3', 'model = [' * 2000, None, 'lr = 1'):
        assert trained_model(dict(cfg=cfg)) == {}
    assert not (tmp_path / 'harmed').exists()
    cfg = "model = dict(type='X')\nmodel = dict(a=[dict(b=(1, -2.5))], c=dict(d=None, e='f'))"
    assert trained_model(dict(cfg=cfg)) == dict(a=[dict(b=(1, -2.5))], c=dict(d=None, e='f'))
