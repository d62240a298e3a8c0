import pytest
import torch
from mmaction.registry import MODELS

from mmclip4clip.checkpoints import convert, read

from . import plain
from .conftest import identical

ADAPTER = dict(
    type='TransformerAdapter',
    num_segs=5,
    transformer_width=plain.D,
    transformer_heads=2,
    transformer_layers=2,
)


def draw_mmaction(blocks=True):
    """A state dict with the adapter that mmaction2 itself builds, and the adapter."""
    adapter = MODELS.build(ADAPTER if blocks else dict(type='SimpleMeanAdapter'))
    for parameter in adapter.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    weights = plain.draw_openai('clip.') | {f'adapter.{k}': v for k, v in adapter.state_dict().items()}
    return weights, adapter


@pytest.mark.parametrize('blocks', [True, False])
def test_our_adapter_turns_frames_into_what_mmaction2s_averages(saved, build, blocks):
    weights, source = draw_mmaction(blocks)
    kind, checkpoint = read(saved(dict(meta=dict(epoch=5), state_dict=weights), 'epoch_5.pth'))
    adapter, frames = build(checkpoint).adapter, torch.randn(2, 5, plain.D)
    assert kind == 'mmaction'
    assert 'mmaction2 averages frames before they are normalized' in checkpoint.notes[0]
    with torch.no_grad():
        native = adapter.contextualize(frames, torch.ones(2, 5)).mean(1)
        torch.testing.assert_close(native, source(frames), rtol=1e-4, atol=1e-4)  # eps 1e-12 and 1e-5


@pytest.mark.parametrize('half', [True, False])
@pytest.mark.parametrize('blocks', [True, False])
def test_there_and_back_gives_identical_tensors(there_and_back, blocks, half):
    weights = draw_mmaction(blocks)[0] | {'data_preprocessor.imgs.mean': torch.rand(3, dtype=torch.float64)}
    weights = plain.halve(weights) if half else weights
    back, _ = there_and_back(dict(meta={}, state_dict=weights), 'mmaction')
    assert set(back) == {'meta', 'state_dict'}
    assert identical(back['state_dict'], weights)


def test_mmaction2_loads_our_adapter_strictly(saved, tmp_path):
    convert(saved(plain.draw_reference('seqTransf')), tmp_path / 'out.pth', to='mmaction')
    weights = torch.load(tmp_path / 'out.pth', weights_only=True)['state_dict']
    adapter = MODELS.build(ADAPTER | dict(num_segs=plain.WORDS, transformer_layers=3))
    adapter.load_state_dict(
        {k.removeprefix('adapter.'): v for k, v in weights.items() if k.startswith('adapter.')}, strict=True
    )


def test_the_heads_come_from_the_config_in_the_file(saved):
    cfg = "model = dict(adapter=dict(type='TransformerAdapter', transformer_heads=4), type='CLIPSimilarity')"
    checkpoint = read(saved(dict(meta=dict(cfg=cfg), state_dict=draw_mmaction()[0])))[1]
    assert checkpoint.settings['adapter'] == dict(type='SeqTransformerAdapter', num_heads=4)


def test_without_a_config_the_heads_of_its_adapter_are_assumed_with_a_note(saved, tmp_path):
    src = saved(dict(meta={}, state_dict=draw_mmaction()[0]))
    notes = convert(src, tmp_path / 'a.pth').checkpoint.notes
    assert notes[1:] == [
        'the checkpoint does not specify the attention heads of the adapter: one every 64 '
        'channels is assumed; --adapter-heads changes it'
    ]
    assert len(convert(src, tmp_path / 'b.pth', adapter_heads=4).checkpoint.notes) == 1


@pytest.mark.parametrize(
    'head, patch, message',
    [
        ('seqLSTM', '2d', 'no place for SeqLSTMAdapter'),
        ('tightTransf', '2d', 'no place for TightAdapter'),
        ('meanP', '3d', 'there is no 3d patch: --clip-only keeps the middle frame'),
    ],
)
def test_what_mmaction2_cannot_hold_is_refused(saved, tmp_path, head, patch, message):
    src = saved(plain.draw_reference(head, patch))
    with pytest.raises(ValueError, match=message):
        convert(src, tmp_path / 'out.pth', to='mmaction')
    convert(src, tmp_path / 'out.pth', to='mmaction', clip_only=True)
    assert read(tmp_path / 'out.pth')[0] == 'mmaction'
