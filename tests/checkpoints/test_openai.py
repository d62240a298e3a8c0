import pytest
import torch

from mmclip4clip.checkpoints import convert, read
from mmclip4clip.models import CLIPBackbone

from . import plain
from .conftest import identical


def backbone_of(checkpoint, **config):
    backbone = CLIPBackbone(config=checkpoint.clip_config() | config).eval()
    backbone.load_state_dict({k.removeprefix('backbone.'): v for k, v in checkpoint.state_dict.items()})
    return backbone


@pytest.mark.parametrize('half', [False, True])
def test_both_towers_give_what_openais_tensors_give(saved, batch, close, half):
    weights = plain.halve(plain.draw_openai()) if half else plain.draw_openai()
    frames, mask, tokens, text_mask = batch
    backbone = backbone_of(read(saved(weights))[1])
    w = {key: value.double() for key, value in weights.items()}
    with torch.no_grad():
        native = backbone.encode_frames(frames, mask)
        assert close(native[0], plain.encode_frames(w, frames[0].double()))
        assert close(native[1, :1], plain.encode_frames(w, frames[1, :1].double()))
        for caption, features in zip(tokens, backbone.encode_text(tokens, text_mask)):
            assert close(features, plain.encode_text(w, caption))


@pytest.mark.parametrize('wrong', ['q and k', 'v and k', 'text_projection', 'visual.proj'])
def test_a_wrong_table_would_not_pass(saved, batch, close, wrong):
    weights = plain.draw_openai()
    checkpoint, w = read(saved(weights))[1], {key: value.double() for key, value in weights.items()}
    if ' and ' in wrong:
        one, other = (
            f'backbone.clip.text_model.encoder.layers.1.self_attn.{x}_proj.weight'
            for x in wrong.split(' and ')
        )
        checkpoint.state_dict[one], checkpoint.state_dict[other] = (
            checkpoint.state_dict[other],
            checkpoint.state_dict[one],
        )
    elif wrong == 'text_projection':  # square here, so that only the values tell
        checkpoint.state_dict['backbone.clip.text_projection.weight'] = weights['text_projection'].clone()
    else:
        checkpoint.state_dict['backbone.clip.visual_projection.weight'] = weights['visual.proj'].clone()
        with pytest.raises(RuntimeError, match='1 keys of wrong shape'):
            backbone_of(checkpoint)
        return
    frames, mask, tokens, text_mask = batch
    assert not close(
        backbone_of(checkpoint).encode_text(tokens[:1], text_mask[:1])[0], plain.encode_text(w, tokens[0])
    )


@pytest.mark.parametrize('half', [False, True])
def test_there_and_back_gives_identical_tensors(there_and_back, half):
    weights = plain.draw_published()
    weights = plain.halve(weights) if half else weights
    assert identical(there_and_back(weights, 'openai')[0], weights)


def test_a_torchscript_archive_is_read(tmp_path):
    class Node(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x

    weights, root = plain.halve(plain.draw_openai()), Node()
    for key, value in weights.items():
        *path, name = key.split('.')
        node = root
        for part in path:
            if part not in dict(node.named_children()):
                node.add_module(part, Node())
            node = getattr(node, part)
        node.register_parameter(name, torch.nn.Parameter(value))
    root.register_buffer('context_length', torch.tensor(12))
    torch.jit.save(torch.jit.script(root), tmp_path / 'archive.pt')
    done = convert(tmp_path / 'archive.pt', tmp_path / 'back', 'openai')
    assert done.source == 'openai'
    back = torch.load(tmp_path / 'back', weights_only=True)
    assert identical(back, weights | dict(context_length=torch.tensor(12)))


def test_missing_and_unknown_keys_are_listed(saved):
    weights = plain.draw_openai()
    del weights['visual.ln_post.bias'], weights['transformer.resblocks.1.attn.in_proj_bias']
    weights['visual.attn_mask'] = torch.zeros(1)
    with pytest.raises(
        ValueError,
        match=r'in.pt does not have .* 2 missing keys: .*in_proj_bias, '
        r'visual.ln_post.bias; 1 unknown key: visual.attn_mask',
    ):
        read(saved(weights))


def test_an_adapter_is_not_dropped_without_being_asked(saved, tmp_path):
    src = saved(plain.draw_reference('seqTransf'))
    with pytest.raises(ValueError, match='no place for SeqTransformerAdapter: --clip-only'):
        convert(src, tmp_path / 'clip.pt')
    assert not (tmp_path / 'clip.pt').exists()
    done = convert(src, tmp_path / 'clip.pt', clip_only=True)
    assert done.checkpoint.notes == ['left out SeqTransformerAdapter, 49 tensors']
    back = torch.load(tmp_path / 'clip.pt', weights_only=True)
    assert back.keys() == plain.draw_published().keys()
    assert back['visual.proj'].dtype == torch.float32


@pytest.mark.parametrize(
    'setting, message',
    [
        (
            dict(text_config=dict(num_attention_heads=4)),
            'text_config.num_attention_heads is 4, 2 is built in',
        ),
        (
            dict(vision_config=dict(hidden_act='gelu')),
            'vision_config.hidden_act is gelu, quick_gelu is built in',
        ),
        (dict(text_config=dict(eos_token_id=1)), 'text_config.eos_token_id is 1, 59 is built in'),
    ],
)
def test_what_openais_code_would_read_otherwise_is_refused(saved, tmp_path, setting, message):
    content = dict(meta=dict(settings=setting), state_dict=read(saved(plain.draw_openai()))[1].state_dict)
    with pytest.raises(ValueError, match=message):
        convert(saved(content, 'in.pth'), tmp_path / 'out.pt')
