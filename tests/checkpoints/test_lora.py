"""Checkpoints that were trained with LoRA, converted into plain ones."""

import pytest
import torch
from mmaction.registry import MODELS
from mmengine.config import Config

from mmclip4clip.checkpoints import convert, read
from mmclip4clip.models import CLIPBackbone

from ..encoders import KINDS, small_encoder
from ..extras import needs_peft
from .conftest import identical

pytestmark = needs_peft
LORA = dict(r=4, alpha=6, target_modules='all-linear')
RECORD = dict(preprocessing=dict(mean=[1.0]), tokenizers={})


@pytest.fixture
def trained(tiny_clip, saved):
    """A model with LoRA that has an effect, and what mmengine saves of its training."""

    def trained(patch='2d', **adapter):
        backbone = dict(type='CLIPBackbone', config=tiny_clip, linear_patch=patch, lora=LORA)
        config = dict(type='CLIP4ClipRetriever', adapter=adapter, backbone=backbone)
        model = MODELS.build(config).eval()
        for name, parameter in model.named_parameters():
            if 'lora_B' in name:
                torch.nn.init.normal_(parameter, std=0.3)
        cfg = Config(dict(model=config)).pretty_text
        meta = dict(epoch=3, cfg=cfg, mmclip4clip=dict(RECORD, run=dict(id='x')))
        return model, saved(dict(meta=meta, state_dict=model.state_dict(), optimizer={}), 'epoch_3.pth')

    return trained


def features(model):
    with torch.no_grad():
        text, videos = model(
            dict(
                frames=torch.linspace(-2, 2, 2 * 2 * 3 * 64 * 64).view(2, 2, 3, 64, 64).sin(),
                frame_mask=torch.ones(2, 2),
                tokens=torch.tensor([[0, 5, 6, 1], [0, 7, 8, 1]]),
                text_mask=torch.ones(2, 4, dtype=torch.long),
            )
        )
        return model.similarity(text, videos), *text.values()


def assert_close(these, those):
    for a, b in zip(these, those, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-5 * float(b.abs().max()))


@pytest.mark.parametrize(
    'patch, adapter',
    [
        ('2d', dict(type='MeanAdapter')),
        ('3d', dict(type='SeqTransformerAdapter', width=32, num_layers=1, num_heads=2, max_frames=8)),
    ],
)
def test_a_merged_checkpoint_gives_the_outputs_of_the_model_with_lora(
    trained, build, tmp_path, patch, adapter
):
    model, path = trained(patch, **adapter)
    done = convert(path, tmp_path / 'merged.pth')
    assert done.checkpoint.notes == [f'merged LoRA into the weights of {path}']
    content = torch.load(tmp_path / 'merged.pth', weights_only=True)
    assert not any('lora' in key for key in content['state_dict'])
    kept = content['meta']['mmclip4clip']
    assert kept == RECORD and 'optimizer' not in content
    plain = build(read(tmp_path / 'merged.pth')[1])
    assert_close(features(plain), features(model))
    with torch.no_grad():
        for layer in model.modules():
            if hasattr(layer, 'lora_A'):
                layer.lora_B.default.weight.zero_()
    assert not torch.allclose(features(model)[1], features(plain)[1], atol=1e-2)


def test_other_kinds_get_the_merged_weights(trained, tmp_path):
    model, path = trained(type='MeanAdapter')
    convert(path, tmp_path / 'merged.pth')
    convert(path, tmp_path / 'clip')
    backbone = MODELS.build(dict(type='CLIPBackbone', pretrained=str(tmp_path / 'clip'))).eval()
    merged = torch.load(tmp_path / 'merged.pth', weights_only=True)['state_dict']
    assert identical({f'backbone.{key}': value for key, value in backbone.state_dict().items()}, merged)
    with pytest.raises(ValueError, match='epoch_3.pth was trained with LoRA, .*leave out heads'):
        convert(path, tmp_path / 'again.pth', text_heads=4)
    with pytest.raises(ValueError, match='merged.pth is a checkpoint of mmclip4clip already'):
        convert(tmp_path / 'merged.pth', tmp_path / 'again.pth')


def test_a_captioners_decoder_stays_in_this_packages_file_alone(trained, saved, tmp_path):
    path = trained(type='MeanAdapter')[1]
    content = torch.load(path, weights_only=True)
    decoder = {'decoder.frame_norm.weight': torch.ones(32), 'decoder.transformer.ln_f.bias': torch.ones(32)}
    content['state_dict'].update(decoder)
    captioner = saved(content, 'captioner.pth')
    notes = {
        name: convert(captioner, tmp_path / name, **options).checkpoint.notes
        for name, options in (('a.pth', {}), ('b.pth', dict(clip_only=True)), ('clip', {}))
    }
    dropped = 'left out the caption decoder, 2 tensors'
    assert {name for name in notes if dropped in notes[name]} == {'b.pth', 'clip'}
    assert all('merged LoRA' in ' '.join(notes[name]) for name in notes)
    written = torch.load(tmp_path / 'a.pth', weights_only=True)['state_dict']
    assert identical({key: written[key] for key in written if key.startswith('decoder.')}, decoder)


@pytest.mark.parametrize('kind', KINDS)
def test_encoders_of_every_family_are_merged(saved, tmp_path, kind):
    model = CLIPBackbone(config=small_encoder(kind), lora=LORA)
    for name, parameter in model.named_parameters():
        if 'lora_B' in name:
            torch.nn.init.normal_(parameter, std=0.3)
    weights = {f'backbone.{key}': value for key, value in model.state_dict().items()}
    convert(saved(dict(state_dict=weights), 'epoch_3.pth'), tmp_path / 'merged.pth')
    merged = torch.load(tmp_path / 'merged.pth', weights_only=True)['state_dict']
    plain = CLIPBackbone(config=small_encoder(kind))
    plain.load_state_dict({key.removeprefix('backbone.'): value for key, value in merged.items()})
    frames, mask = torch.randn(1, 2, 3, 32, 32), torch.ones(1, 2)
    with torch.no_grad():
        assert_close(*([x.eval().encode_frames(frames, mask)] for x in (plain, model)))


@pytest.mark.parametrize('part', ['lora_A.weight', 'lora_B.weight', 'lora_scaling'])
def test_incomplete_lora_is_refused(trained, saved, part):
    content = torch.load(trained(type='MeanAdapter')[1], weights_only=True)
    key = next(key for key in content['state_dict'] if key.endswith(part))
    del content['state_dict'][key]
    with pytest.raises(ValueError, match=f'broken.pth: the LoRA of backbone.clip.*{part}'):
        read(saved(content, 'broken.pth'))
