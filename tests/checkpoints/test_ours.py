import pytest
import torch
from mmaction.registry import MODELS
from mmengine.config import Config
from mmengine.runner import load_checkpoint

from mmclip4clip.checkpoints import convert, read
from mmclip4clip.checkpoints.ours import trained_model

from . import plain
from .conftest import identical

BLOCKS = dict(width=32, num_layers=1, num_heads=2, start='random')


@pytest.fixture
def trained(tiny_clip, saved):
    """What mmengine saves of a training: the model and, as text, its config."""
    def trained(patch='2d', **adapter):
        model = dict(type='CLIP4ClipRetriever', adapter=adapter,
                     backbone=dict(type='CLIPBackbone', config=tiny_clip, linear_patch=patch))
        weights = MODELS.build(model).state_dict()
        cfg = Config(dict(model=model, lr=1e-3, hooks=[dict(type='X')])).pretty_text
        return saved(dict(meta=dict(epoch=3, cfg=cfg), state_dict=weights, optimizer={}), 'epoch_3.pth')

    return trained


@pytest.mark.parametrize('patch', ['2d', '3d'])
@pytest.mark.parametrize('adapter', [
    dict(type='MeanAdapter'), dict(type='SeqLSTMAdapter', width=32),
    dict(type='SeqTransformerAdapter', **BLOCKS), dict(type='TightAdapter', **BLOCKS),
    dict(type='WTIAdapter', width=32, num_layers=0),
    dict(type='XPoolAdapter', width=32)])
def test_a_trained_checkpoint_is_known_with_its_heads_and_tokens(trained, adapter, patch):
    kind, checkpoint = read(trained(patch, **adapter))
    assert (kind, checkpoint.adapter, checkpoint.linear_patch) == ('ours', adapter['type'], patch)
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


def test_a_captioners_checkpoint_is_converted_without_its_decoder_and_that_is_said(trained, saved, tmp_path):
    path = trained(type='MeanAdapter')
    content = torch.load(path, weights_only=True)
    content['state_dict'].update({'decoder.frame_norm.weight': torch.ones(32),
                                  'decoder.transformer.ln_f.bias': torch.ones(32)})
    notes = [convert(source, tmp_path / name).checkpoint.notes for source, name in (
        (saved(content, 'captioner.pth'), 'one'), (path, 'two'))]
    assert 'left out the caption decoder, 2 tensors' in notes[0] and 'decoder' not in ' '.join(notes[1])
    assert identical(*(read(tmp_path / name)[1].state_dict for name in ('one', 'two')))


def test_without_a_config_the_heads_are_assumed_and_that_is_said(trained, tmp_path):
    content = torch.load(trained(type='MeanAdapter'), weights_only=True)
    torch.save(dict(state_dict=content['state_dict']), tmp_path / 'bare.pth')
    notes = convert(tmp_path / 'bare.pth', tmp_path / 'one').checkpoint.notes
    assert len(notes) == 2
    assert 'the text tower: one every 64 channels is assumed; --text-heads says otherwise' in notes[0]
    done = convert(tmp_path / 'bare.pth', tmp_path / 'two', text_heads=2, vision_heads=4)
    assert not done.checkpoint.notes
    assert done.checkpoint.clip_config()['vision_config']['num_attention_heads'] == 4


def test_mmengine_loads_what_the_converter_writes(saved, build, tmp_path):
    convert(saved(plain.draw_reference('tightTransf', '3d')), tmp_path / 'ours.pth')
    model = build(read(tmp_path / 'ours.pth')[1])
    expected = {key: value.clone() for key, value in model.state_dict().items()}
    torch.nn.init.zeros_(model.adapter.score.weight)
    load_checkpoint(model, str(tmp_path / 'ours.pth'), strict=True)
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
    assert trained_model(dict(cfg=cfg)) == dict(a=[dict(b=[1, -2.5])], c=dict(d=None, e='f'))
