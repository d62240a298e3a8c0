import pytest
import torch

from mmclip4clip.checkpoints import convert, read

from . import plain
from .conftest import identical

ADAPTERS = dict(
    meanP='MeanAdapter',
    seqLSTM='SeqLSTMAdapter',
    seqTransf='SeqTransformerAdapter',
    tightTransf='TightAdapter',
)


@pytest.mark.parametrize('patch', ['2d', '3d'])
@pytest.mark.parametrize('head', plain.HEADS)
def test_our_model_scores_as_the_references_tensors_do(saved, build, batch, close, head, patch):
    weights = plain.draw_reference(head, patch)
    kind, checkpoint = read(saved(weights, 'pytorch_model.bin.3'))
    model = build(checkpoint)
    assert (kind, type(model.adapter).__name__) == ('reference', ADAPTERS[head])
    assert model.backbone.linear_patch == patch
    frames, mask, tokens, text_mask = batch
    w = {key.removeprefix('clip.'): value.double() for key, value in weights.items()}
    with torch.no_grad():
        native = model.similarity(model.encode_text(tokens, text_mask), model.encode_videos(frames, mask))
        # In the reference padded frames are zeros and go through the 3d patch as neighbors.
        videos = [plain.encode_frames(w, f.double())[: m.sum()] for f, m in zip(frames, mask)]
        source = torch.stack(
            [
                torch.stack([plain.score(w, head, plain.encode_text(w, caption), video) for video in videos])
                for caption in tokens
            ]
        )
    assert close(native, source)
    assert source.std() > 0.01 * source.abs().max()  # the scores differ by more than the tolerance


@pytest.mark.parametrize('patch', ['2d', '3d'])
@pytest.mark.parametrize('loose', [True, False])
@pytest.mark.parametrize('head', plain.HEADS)
def test_there_and_back_gives_identical_tensors(there_and_back, head, loose, patch):
    weights = plain.draw_reference(head, patch, loose)
    options = dict(head='meanP') if head == 'meanP' and not loose else {}
    back, notes = there_and_back(weights, 'reference', **options)
    assert identical(back, weights)
    assert not notes


def test_what_only_the_reference_has_starts_as_it_does_there(saved, tmp_path):
    weights = plain.draw_reference('seqLSTM', '3d')
    convert(saved(weights), tmp_path / 'native.pth')
    content = torch.load(tmp_path / 'native.pth', weights_only=True)
    assert set(content['unused']) == {'clip.visual.conv1.weight', 'frame_position_embeddings.weight'}
    # What training with us would leave of it:
    saved(dict(meta={}, state_dict=content['state_dict']), 'trained.pth')
    done = convert(tmp_path / 'trained.pth', tmp_path / 'back.bin')
    back = torch.load(tmp_path / 'back.bin', weights_only=True)
    assert back.keys() == weights.keys()
    assert torch.equal(back['clip.visual.conv1.weight'], weights['clip.visual.conv2.weight'][:, :, 1].float())
    assert torch.equal(back['frame_position_embeddings.weight'], weights['clip.positional_embedding'])
    assert {value.dtype for value in back.values()} == {torch.float32}
    notes = '\n'.join(done.checkpoint.notes)
    assert 'conv1.weight, which the reference saves but does not use, is the middle frame' in notes
    assert "frame_position_embeddings.weight, which the reference saves but does not use, is CLIP's" in notes


def test_only_the_user_can_tell_a_mean_that_was_not_loose_from_the_tight_head(saved):
    path = saved(plain.draw_reference('meanP', loose=False))
    tight, mean = read(path)[1], read(path, head='meanP')[1]
    assert tight.adapter == 'TightAdapter' and '--head meanP' in tight.notes[0]
    assert mean.adapter == 'MeanAdapter' and not mean.notes
    assert set(mean.unused) == set(plain.draw_cross())
    with pytest.raises(ValueError, match='has the keys of tightTransf, not of --head seqTransf'):
        read(path, head='seqTransf')


@pytest.mark.parametrize('head', plain.HEADS)
def test_missing_and_unknown_keys_are_listed(saved, head):
    weights = plain.draw_reference(head, '3d')
    missing = dict(
        meanP='clip.visual.conv1.weight',
        seqLSTM='frame_position_embeddings.weight',
        seqTransf='transformerClip.resblocks.2.ln_1.bias',
        tightTransf='cross.pooler.ln_pool.bias',
    )
    del weights[missing[head]]
    weights['cross.embeddings.type.weight' if head == 'tightTransf' else 'decoder.weight'] = torch.zeros(1)
    with pytest.raises(ValueError, match=f'1 missing key: {missing[head]}; 1 unknown key: (cross|decoder)'):
        read(saved(weights))


def test_two_heads_in_one_file_are_refused(saved):
    with pytest.raises(ValueError, match='unknown keys: transformerClip.resblocks.0'):
        read(saved(plain.draw_reference('seqTransf') | plain.draw_reference('seqLSTM')))


def test_blocks_with_a_gap_are_refused(saved):
    weights = plain.draw_reference('seqTransf')
    weights = {key: value for key, value in weights.items() if 'Clip.resblocks.1' not in key}
    with pytest.raises(
        ValueError,
        match=r'transformerClip.resblocks.N must count from 0 without a gap, '
        'got N = 0, 2',
    ):
        read(saved(weights))


@pytest.mark.parametrize(
    'change, message',
    [
        (
            lambda c: c.settings.update(adapter=dict(type='SeqTransformerAdapter', num_heads=4)),
            'one attention head every 64 channels; SeqTransformerAdapter has 4 for 128',
        ),
        (
            lambda c: c.state_dict.update({'adapter.transformer.positions.weight': torch.zeros(8, 128)}),
            'as many positions of frames as of text, 12; SeqTransformerAdapter has 8',
        ),
        (
            lambda c: c.state_dict.update(
                {
                    f'adapter.{side}_weight.{layer}.{kind}': torch.zeros(shape)
                    for side in ('token', 'frame')
                    for layer, kind, shape in (
                        (0, 'weight', (128, 128)),
                        (0, 'bias', 128),
                        (2, 'weight', (1, 128)),
                        (2, 'bias', 1),
                    )
                }
            ),
            'no place for WTIAdapter',
        ),
    ],
)
def test_what_the_reference_would_read_otherwise_is_refused(saved, tmp_path, change, message):
    checkpoint = read(saved(plain.draw_reference('seqTransf')))[1]
    change(checkpoint)
    saved(dict(meta=dict(settings=checkpoint.settings), state_dict=checkpoint.state_dict), 'in.pth')
    with pytest.raises(ValueError, match=message):
        convert(tmp_path / 'in.pth', tmp_path / 'out.bin')
