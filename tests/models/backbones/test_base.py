import pytest
import torch
from mmaction.registry import MODELS
from mmengine.model import BaseModule
from torch import nn

from mmclip4clip.models import BaseBackbone, CLIPBackbone

MASK = torch.tensor([[1, 1, 1], [1, 0, 0]])
FRAMES, TOKENS = torch.rand(2, 3, 3, 16, 16), torch.ones(4, 5, dtype=torch.long)


@MODELS.register_module(force=True)
class ColorBackbone(BaseBackbone):
    """The mean color of a frame, and the mean vector of a caption's words; faults are for the tests."""

    def __init__(self, fault=None):
        super().__init__()
        self.words, self.fault = nn.Embedding(9, 3), fault
        self.logit_scale = nn.Parameter(torch.zeros(2 if fault == 'scale' else ()))

    width = property(lambda self: '3' if self.fault == 'width' else 3)

    def encode_frames(self, frames, frame_mask):
        colors = frames.mean(dim=(-2, -1))
        return colors.flatten(0, 1) if self.fault == 'frames' else colors

    def encode_text(self, tokens, text_mask, per_token=False):
        words = self.words(tokens)
        if self.fault == 'text':
            return words
        return dict(tokens=words[0], text_mask=text_mask) if per_token else words.mean(dim=1)


def build(adapter='MeanAdapter', fault=None, **kwargs):
    adapter = dict(type=adapter, **kwargs)
    return MODELS.build(
        dict(type='CLIP4ClipRetriever', backbone=dict(type='ColorBackbone', fault=fault), adapter=adapter)
    )


def test_a_backbone_of_ones_own_needs_no_clip():
    model = build()
    videos = model.encode_videos(FRAMES, MASK)['video']
    unit = nn.functional.normalize
    for frames, mask, video in zip(FRAMES, MASK.bool(), videos):
        colors = unit(frames.mean(dim=(-2, -1))[mask], dim=-1).mean(dim=0)
        torch.testing.assert_close(video, unit(colors, dim=0))
    inputs = dict(
        frames=FRAMES,
        frame_mask=MASK,
        tokens=TOKENS,
        text_mask=torch.ones_like(TOKENS),
        video_index=torch.tensor([0, 0, 1, 1]),
        video_key=torch.tensor([0, 1]),
    )
    losses = model(inputs, mode='loss')
    (losses['loss_t2v'] + losses['loss_v2t']).backward()
    assert model.backbone.words.weight.grad.abs().sum() > 0


@pytest.mark.parametrize(
    'fault, message',
    [
        ('scale', r'logit_scale, a parameter with one element \(got shape \(2,\)\)'),
        ('width', "width, an int \\(got '3'\\)"),
    ],
)
def test_what_a_backbone_lacks_is_named(fault, message):
    with pytest.raises(TypeError, match=f'model.backbone=ColorBackbone is not a backbone .*{message}'):
        build(fault=fault)


def test_a_module_without_the_methods_is_refused():
    MODELS.register_module(name='NoBackbone', module=type('NoBackbone', (BaseModule,), {}), force=True)
    with pytest.raises(TypeError, match=r'NoBackbone .*encode_frames\(.*encode_text\(.*logit_scale.*width'):
        MODELS.build(
            dict(
                type='CLIP4ClipRetriever',
                backbone=dict(type='NoBackbone'),
                adapter=dict(type='MeanAdapter'),
            )
        )


def test_features_of_a_wrong_shape_are_refused():
    with pytest.raises(ValueError, match=r'encode_frames must return .*\(2, 3, 3\), got shape \(6, 3\)'):
        build(fault='frames').encode_videos(FRAMES, MASK)
    with pytest.raises(ValueError, match=r'encode_text must return .*\(4, 3\), got shape \(4, 5, 3\)'):
        build(fault='text').encode_text(TOKENS, TOKENS)
    adapter = dict(width=3, num_layers=1, num_heads=1, start='random')
    with pytest.raises(ValueError, match=r'per_token=True\) must return .*\(4, 5, 3\), got shape \(5, 3\)'):
        build('WTIAdapter', **adapter).encode_text(TOKENS, TOKENS)


def test_parts_that_start_from_clip_say_that_there_is_none():
    with pytest.raises(ValueError, match="ColorBackbone has none .*: give start='random'"):
        build('SeqTransformerAdapter', width=3, num_layers=1, num_heads=1)
    from mmclip4clip.models import CaptionDecoder

    with pytest.raises(ValueError, match='ColorBackbone has none .*: give tie_embeddings=False'):
        CaptionDecoder(ColorBackbone())
    decoder = CaptionDecoder(ColorBackbone(), tie_embeddings=False, vocab_size=9, num_heads=1, num_layers=1)
    logits = decoder(TOKENS, torch.ones(4, 5), torch.rand(4, 3, 3), torch.ones(4, 3))
    assert logits.shape == (4, 5, 9) and decoder.max_positions == 77


def test_clip_trains_its_vision_tower_without_a_retrieval_loss(tiny_clip):
    backbone = CLIPBackbone(config=tiny_clip)
    used = {id(parameter) for parameter in backbone.frame_parameters()}
    frames = torch.rand(2, 3, 3, 64, 64)
    backbone.encode_frames(frames, MASK).sum().backward()
    assert {id(p) for p in backbone.parameters() if p.grad is not None} == used
    assert ColorBackbone().frame_parameters()
