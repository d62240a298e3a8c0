"""Files of open_clip: OpenAI's keys, but other activations and heads, which no tensor tells."""

import json

import pytest
import torch
from safetensors.torch import save_file

from mmclip4clip.checkpoints import convert
from mmclip4clip.models import CLIPBackbone

from . import plain

HEAD_WIDTH = 96  # of the vision tower, whose width is 192; as odd as the 80 of ViT-H/14
CONFIG = dict(
    embed_dim=plain.D,
    vision_cfg=dict(
        layers=plain.DEPTH,
        width=plain.VISION,
        head_width=HEAD_WIDTH,
        patch_size=plain.PATCH,
        image_size=plain.IMAGE,
    ),
    text_cfg=dict(
        context_length=plain.WORDS,
        vocab_size=plain.VOCAB,
        width=plain.TEXT,
        heads=4,
        layers=plain.DEPTH,
        hf_tokenizer_name=None,
    ),
)
OPTIONS = dict(activation='gelu', text_heads=4, vision_heads=2)


@pytest.fixture
def config(tmp_path):
    """Write a model config beside the checkpoint."""

    def config(name='open_clip_config.json', wrap=True, **changes):
        content = CONFIG | changes
        (tmp_path / name).write_text(json.dumps(dict(model_cfg=content) if wrap else content))
        return tmp_path / name

    return config


@pytest.fixture
def expected(batch, monkeypatch):
    """Features of the frames of the first video and of the captions, as open_clip computes them."""

    def expected(weights, heads=(4, 2), activation=lambda x: x * (1 + torch.erf(x / 2**0.5)) / 2):
        w = {key: value.double() for key, value in weights.items()}
        monkeypatch.setattr(plain, 'quick_gelu', activation)
        frames, _, tokens, _ = batch
        return (
            plain.encode_frames(w, frames[0].double(), heads[1]),
            torch.stack([plain.encode_text(w, caption, heads[0]) for caption in tokens]),
        )

    return expected


def features_of(folder, batch):
    backbone = CLIPBackbone(pretrained=str(folder)).eval()
    frames, mask, tokens, text_mask = batch
    with torch.no_grad():
        return backbone.encode_frames(frames[:1], mask[:1])[0], backbone.encode_text(tokens, text_mask)


def training_checkpoint(weights):
    """What open_clip saves after an epoch on several GPUs."""
    return dict(
        epoch=3,
        name='a run',
        optimizer=dict(state={}, param_groups=[dict(lr=1e-3)]),
        state_dict={f'module.{key}': value for key, value in weights.items()},
    )


@pytest.mark.parametrize('told', ['options', 'beside', 'own name', 'given'])
@pytest.mark.parametrize('wrap', [dict, training_checkpoint])
def test_features_are_open_clips_once_heads_and_activation_are_told(
    saved, tmp_path, batch, close, expected, config, told, wrap
):
    weights = plain.draw_openai()
    src, options = saved(wrap(weights), 'epoch_3.pt'), {}
    if told == 'options':
        options = OPTIONS
    elif told == 'given':
        (tmp_path / 'elsewhere').mkdir()
        options = dict(model_config=config('elsewhere/ViT-x.json', wrap=False))
    else:
        config('open_clip_config.json' if told == 'beside' else 'epoch_3.json', wrap=told == 'beside')
    notes = convert(src, tmp_path / 'clip', **options).checkpoint.notes
    for native, source in zip(features_of(tmp_path / 'clip', batch), expected(weights)):
        assert close(native, source)
    assert any('heads and activation are those of' in note for note in notes) == (told != 'options')
    assert any("removed the prefix 'module.'" in note for note in notes) == (wrap is training_checkpoint)


@pytest.mark.parametrize('wrong', [dict(activation='quick_gelu'), dict(vision_heads=3), dict(text_heads=2)])
def test_another_word_gives_other_features(saved, tmp_path, batch, close, expected, wrong):
    weights = plain.draw_openai()
    convert(saved(weights), tmp_path / 'clip', **OPTIONS | wrong)
    native, source = features_of(tmp_path / 'clip', batch), expected(weights)
    assert not all(close(*pair) for pair in zip(native, source))


@pytest.mark.parametrize(
    'told, asked',
    [
        ({}, 'attention heads of the text tower, the attention heads of the vision tower, the activation'),
        (
            dict(activation='gelu'),
            'attention heads of the text tower, the attention heads of the vision tower',
        ),
        (dict(text_heads=2, vision_heads=3), 'the activation'),
    ],
)
@pytest.mark.parametrize('target', ['clip', 'native.pth'])
def test_what_nobody_tells_is_asked(saved, tmp_path, told, asked, target):
    message = f'Nothing specifies (the )?{asked}. If it is built like OpenAI'
    with pytest.raises(ValueError, match=message) as error:
        convert(saved(plain.draw_openai()), tmp_path / target, **told)
    assert not (tmp_path / target).exists()
    words = str(error.value).split(', use ')[1].split('. Models')[0].split()
    assert (
        dict(zip(words[::2], words[1::2])).items()
        <= {'--text-heads': '2', '--vision-heads': '3', '--activation': 'quick_gelu'}.items()
    )


def test_openais_own_entries_for_sizes_tell_that_it_is_openais(saved, tmp_path, config):
    config()  # of another model, by chance in the same folder
    done = convert(saved(plain.draw_published()), tmp_path / 'native.pth')
    assert done.checkpoint.settings['vision_config']['num_attention_heads'] == 3
    assert not done.checkpoint.notes
    with pytest.raises(ValueError, match='--activation=gelu does not fit: .*hidden_act is quick_gelu'):
        convert(saved(plain.draw_published()), tmp_path / 'x.pth', activation='gelu')


def test_entries_for_sizes_that_contradict_the_weights_are_refused(saved, tmp_path):
    weights = plain.draw_published() | dict(input_resolution=torch.tensor(224))
    with pytest.raises(ValueError, match='contradicts itself: input_resolution is 224, the weights have 16'):
        convert(saved(weights), tmp_path / 'x.pth')


def test_what_we_write_for_openai_is_known_again(saved, tmp_path):
    convert(
        saved(plain.draw_openai()),
        tmp_path / 'native.pth',
        activation='quick_gelu',
        text_heads=2,
        vision_heads=3,
    )
    convert(tmp_path / 'native.pth', tmp_path / 'folder')
    convert(tmp_path / 'folder', tmp_path / 'back.pt')
    assert not convert(tmp_path / 'back.pt', tmp_path / 'again.pth').checkpoint.notes


def test_safetensors_of_open_clip_are_read(tmp_path, config):
    save_file(plain.draw_openai(), tmp_path / 'open_clip_model.safetensors')
    config()
    done = convert(tmp_path / 'open_clip_model.safetensors', tmp_path / 'x.pth')
    assert done.found.count('and gelu') == 2 and 'vision 2 x 192 with 2 heads' in done.found


@pytest.mark.parametrize(
    'changes, message',
    [
        (dict(embed_dim=64), 'embed_dim=64, the weights 128'),
        (dict(vision_cfg=CONFIG['vision_cfg'] | dict(width=384)), 'hidden_size=384, the weights 192'),
        (dict(vision_cfg=CONFIG['vision_cfg'] | dict(mlp_ratio=2.0)), 'intermediate_size=384, the w'),
        (dict(text_cfg=CONFIG['text_cfg'] | dict(layers=5)), 'num_hidden_layers=5, the weights 2'),
        (
            dict(text_cfg=CONFIG['text_cfg'] | dict(heads=3)),
            '(not a multiple of the number of attention heads|must be divisible by num_heads)',
        ),
        (
            dict(vision_cfg=CONFIG['vision_cfg'] | dict(pool_type='avg')),
            "has vision_cfg.pool_type='avg'",
        ),
        (
            dict(text_cfg=CONFIG['text_cfg'] | dict(no_causal_mask=True)),
            'has text_cfg.no_causal_mask=True',
        ),
        (dict(text_cfg=CONFIG['text_cfg'] | dict(hf_model_name='bert')), "has .*hf_model_name='bert'"),
        (dict(init_logit_bias=-10), 'has init_logit_bias=-10'),
        (dict(vision_cfg=3), 'not a model config of a CLIP of open_clip'),
    ],
)
def test_a_config_of_another_model_is_refused(saved, tmp_path, config, changes, message):
    config(**changes)
    with pytest.raises(ValueError, match=message):
        convert(saved(plain.draw_openai()), tmp_path / 'x.pth')


def test_what_else_the_config_tells_is_noted(saved, tmp_path, config):
    path = config(text_cfg=CONFIG['text_cfg'] | dict(hf_tokenizer_name='bert'))
    path.write_text(
        json.dumps(json.loads(path.read_text()) | dict(preprocess_cfg=dict(mean=[0.5, 0.5, 0.5])))
    )
    notes = '\n'.join(convert(saved(plain.draw_openai()), tmp_path / 'x.pth').checkpoint.notes)
    assert 'normalized with mean=[0.5, 0.5, 0.5]' in notes and 'tokenized by bert' in notes


@pytest.mark.parametrize(
    'key, kind',
    [
        ('logit_bias', "trained with SigLIP's loss"),
        ('visual.trunk.blocks.0.norm1.weight', 'an image tower of timm'),
        ('text.transformer.encoder.layer.0.output.dense.bias', 'text tower of transformers'),
        ('text_decoder.ln_final.bias', 'a CoCa'),
        ('visual.attn_pool.query', 'attentional pooling'),
        ('transformer.resblocks.0.ls_1.gamma', 'layer scale'),
        ('visual.blocks.0.norm1.weight', 'an EVA-CLIP'),
        ('visual.layer1.0.conv1.weight', 'a CLIP with a ResNet'),
    ],
)
@pytest.mark.parametrize('prefix', ['', 'module.'])
def test_kinds_that_are_no_plain_clip_are_named(saved, tmp_path, key, kind, prefix):
    weights = {prefix + k: v for k, v in (plain.draw_openai() | {key: torch.zeros(1)}).items()}
    with pytest.raises(ValueError, match=f'in.pt is .*{kind}.* \\({key}\\); only CLIPs'):
        convert(saved(weights), tmp_path / 'x.pth', **OPTIONS)


def test_a_model_config_is_for_files_with_openais_keys(saved, tmp_path, config):
    with pytest.raises(ValueError, match='--model-config is for files with the keys of OpenAI'):
        convert(saved(plain.draw_reference('meanP')), tmp_path / 'x.pth', model_config=config())
