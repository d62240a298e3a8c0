import pytest
import torch
from transformers import CLIPConfig, CLIPModel

from mmclip4clip.models import CLIPBackbone


@pytest.fixture
def backbone(tiny_clip):
    return CLIPBackbone(config=tiny_clip).eval()


def test_equals_transformers_own_features(backbone):
    frames, tokens = torch.randn(2, 3, 3, 64, 64), torch.tensor([[0, 5, 6, 1], [0, 7, 8, 1]])
    ones = torch.ones(2, 3, dtype=torch.long)
    expected = backbone.clip(input_ids=tokens, pixel_values=frames.flatten(0, 1))
    ours = torch.nn.functional.normalize(backbone.encode_frames(frames, ones), dim=-1)
    torch.testing.assert_close(ours.flatten(0, 1), expected.image_embeds)
    ours = torch.nn.functional.normalize(backbone.encode_text(tokens, torch.ones_like(tokens)), dim=-1)
    torch.testing.assert_close(ours, expected.text_embeds)


def test_padded_frames_are_not_encoded_and_change_nothing(backbone):
    frames, mask = torch.randn(2, 3, 3, 64, 64), torch.tensor([[1, 0, 0], [1, 1, 1]])
    seen = []
    backbone.clip.vision_model.register_forward_pre_hook(
        lambda module, args, kwargs: seen.append(len(kwargs['pixel_values'])), with_kwargs=True
    )
    features = backbone.encode_frames(frames, mask)
    assert seen == [4]
    assert features[0, 1:].abs().sum() == 0
    torch.testing.assert_close(features[:1, :1], backbone.encode_frames(frames[:1, :1], mask[:1, :1]))


def test_text_padding_changes_nothing(backbone):
    short = backbone.encode_text(torch.tensor([[0, 5, 1]]), torch.ones(1, 3))
    padded = backbone.encode_text(torch.tensor([[0, 5, 1, 9, 9]]), torch.tensor([[1, 1, 1, 0, 0]]))
    torch.testing.assert_close(short, padded)


def test_loads_a_local_folder_and_init_weights_keeps_it(tiny_clip, tmp_path):
    saved = CLIPModel(CLIPConfig(**tiny_clip))
    saved.save_pretrained(tmp_path)
    backbone = CLIPBackbone(pretrained=str(tmp_path))
    backbone.init_weights()
    for name, value in saved.state_dict().items():
        assert torch.equal(backbone.clip.state_dict()[name], value), name
    assert backbone.width == 32


def test_says_how_to_load_without_a_network(tmp_path):
    with pytest.raises(OSError, match='no/such-clip.*save_pretrained'):
        CLIPBackbone(pretrained='no/such-clip')
    with pytest.raises(OSError, match='save_pretrained'):
        CLIPBackbone(pretrained=str(tmp_path))


def test_refuses_pretrained_together_with_config(tiny_clip):
    with pytest.raises(ValueError, match='pretrained'):
        CLIPBackbone(pretrained='x', config=tiny_clip)


TOP = {
    'logit_scale',
    'text_projection.weight',
    'visual_projection.weight',
    'text_model.final_layer_norm.weight',
    'text_model.final_layer_norm.bias',
    'vision_model.post_layernorm.weight',
    'vision_model.post_layernorm.bias',
}


@pytest.mark.parametrize('frozen', [-1, 0, 1, 2])
def test_freezes_as_the_reference_does(tiny_clip, frozen):
    backbone = CLIPBackbone(config=tiny_clip, frozen_layers=frozen)
    trained = {n for n, p in backbone.clip.named_parameters() if p.requires_grad}
    everything = {n for n, _ in backbone.clip.named_parameters()}
    if frozen == -1:
        assert trained == everything
        return
    blocks = {n for n in everything if any(f'layers.{i}.' in n for i in range(frozen, 2))}
    assert trained == TOP | blocks
    assert 'vision_model.embeddings.patch_embedding.weight' not in trained


def test_frozen_parameters_stay_frozen_when_the_model_changes_mode(tiny_clip):
    backbone = CLIPBackbone(config=tiny_clip, frozen_layers=1)
    backbone.eval().train()
    assert not backbone.clip.text_model.embeddings.token_embedding.weight.requires_grad


def test_refuses_to_freeze_more_than_there_is(tiny_clip):
    with pytest.raises(ValueError, match='between -1 .* and 2 .* got 3'):
        CLIPBackbone(config=tiny_clip, frozen_layers=3)


def test_embedding_std_redraws_what_it_names(tiny_clip):
    clip = CLIPBackbone(config=tiny_clip, embedding_std=dict(text=0.5)).clip
    assert 0.45 < clip.text_model.embeddings.token_embedding.weight.std() < 0.55
    assert 0.45 < clip.text_model.embeddings.position_embedding.weight.std() < 0.55
    assert clip.vision_model.embeddings.position_embedding.weight.std() < 0.05
    clip = CLIPBackbone(config=tiny_clip, embedding_std=dict(vision=0.5)).clip
    assert clip.vision_model.embeddings.position_embedding.weight.std() > 0.3
    assert clip.text_model.embeddings.token_embedding.weight.std() < 0.05


def test_per_token_features_hold_the_captions_own_at_its_last_token(tiny_clip):
    backbone = CLIPBackbone(config=tiny_clip)
    tokens, mask = torch.tensor([[0, 5, 6, 1], [0, 7, 1, 1]]), torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]])
    every = backbone.encode_text(tokens, mask, per_token=True)
    assert every['tokens'].shape == (2, 4, 32) and torch.equal(every['text_mask'], mask)
    last = every['tokens'][torch.arange(2), torch.tensor([3, 2])]
    torch.testing.assert_close(backbone.encode_text(tokens, mask), last)
