import pytest
import torch
from mmaction.registry import MODELS

from mmclip4clip.models.adapters import MeanAdapter, SeqTransformerAdapter


def test_an_adapter_with_the_earlier_spelling_of_contextualize_is_used_as_it_is():
    with pytest.warns(FutureWarning, match='Doubled.contextualise is called contextualize now'):

        class Doubled(MeanAdapter):
            def contextualise(self, frames, frame_mask):
                return 2 * super().contextualise(frames, frame_mask)

    assert Doubled().contextualize(torch.ones(1, 2, 3), torch.ones(1, 2)).tolist() == [[[2] * 3] * 2]


def test_the_earlier_spelling_calls_the_adapters_own_contextualize():
    adapter = SeqTransformerAdapter(width=8, num_layers=1, num_heads=2, max_frames=4, start='random').eval()
    frames, mask = torch.randn(2, 3, 8), torch.ones(2, 3)
    torch.testing.assert_close(adapter.contextualise(frames, mask), adapter.contextualize(frames, mask))
    assert not torch.equal(adapter.contextualize(frames, mask), frames)


def test_the_earlier_name_of_init_from_clip_is_called(tiny_clip):
    with pytest.warns(FutureWarning, match='Started.start_from is called init_from_clip now'):

        class Started(MeanAdapter):
            def start_from(self, backbone):
                self.width = backbone.width

    MODELS.register_module(module=Started, force=True)
    model = MODELS.build(
        dict(
            type='CLIP4ClipRetriever',
            backbone=dict(type='CLIPBackbone', config=tiny_clip),
            adapter=dict(type='Started'),
        )
    )
    assert model.adapter.width == model.backbone.width
