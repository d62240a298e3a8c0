"""Folders of transformers, as the weights of a backbone."""

import pytest
import torch
from mmengine.config import Config
from mmengine.model import BaseModule
from mmengine.runner import load_checkpoint
from safetensors.torch import load_file
from transformers import CLIPModel

from mmclip4clip import hub
from mmclip4clip.models import CLIPBackbone
from mmclip4clip.models.backbones import pretrained

from .folders import change_config, change_weights


def test_the_log_tells_from_where_how_much_and_in_which_precision(folder, log):
    change_weights(folder, lambda w: {k: v.half() for k, v in w.items()})
    CLIPBackbone(pretrained=str(folder))
    (message,) = log
    assert message == f'CLIP from {folder}: all 78 tensors, none missing, none left over, stored in float16'


@pytest.mark.parametrize(
    'change, message',
    [
        (
            lambda w: {k: v for k, v in w.items() if not k.startswith('text_model.')},
            r'36 missing keys; the first ones:\n  text_model.embeddings.token_embedding.weight \(missing\)',
        ),
        (lambda w: {k: v for k, v in w.items() if k != 'logit_scale'}, r'1 missing keys.*\n  logit_scale '),
        (lambda w: w | {'classifier.weight': torch.zeros(2)}, r'1 unexpected keys.*\n  classifier.weight'),
        (
            lambda w: w | {'visual_projection.weight': torch.zeros(16, 32)},
            r'1 keys of wrong shape.*\n  visual_projection.weight: \(16, 32\) instead of \(32, 32\)',
        ),
        (
            lambda w: {f'module.{k}': v for k, v in w.items()},
            "78 missing keys, 78 (.|\n)*begin with 'module.'",
        ),
        (lambda w: {f'model.{k}': v for k, v in w.items()}, "78 missing keys, 78 (.|\n)*begin with 'model.'"),
        (lambda w: {f'backbone.clip.{k}': v for k, v in w.items()}, "begin with 'backbone.clip.'"),
        (lambda w: {k: v.to(torch.int8) for k, v in w.items()}, 'not named floating-point tensors: .*int8'),
        (lambda w: {k: v for k, v in w.items() if 'layers.1.' not in k}, '32 missing keys'),
    ],
)
@pytest.mark.parametrize('name', ['model.safetensors', 'pytorch_model.bin'])
def test_weights_that_are_not_those_of_the_config_are_refused(folder, change, message, name):
    change_weights(folder, change, name)
    with pytest.raises(OSError, match=message) as error:
        CLIPBackbone(pretrained=str(folder))
    assert str(folder) in str(error.value)


def test_every_form_of_the_weights_is_loaded(folder, log):
    expected = load_file(folder / 'model.safetensors')
    CLIPModel.from_pretrained(folder).save_pretrained(folder.parent / 'parts', max_shard_size='100KB')
    assert len(list(folder.parent.glob('parts/model-*'))) > 1
    change_weights(
        folder,
        lambda w: (
            {f'clip.{k}': v for k, v in w.items()}
            | {'clip.text_model.embeddings.position_ids': torch.arange(24)[None]}
        ),
        'pytorch_model.bin',
    )
    for path in (folder, folder.parent / 'parts'):
        state = CLIPBackbone(pretrained=str(path)).clip.state_dict()
        assert state.keys() == expected.keys() and all(torch.equal(state[k], v) for k, v in expected.items())
        assert log.pop().endswith('none left over, stored in float32')


def test_the_config_of_a_user_cannot_ask_for_code_of_the_hub(tiny_clip):
    tiny_clip['text_config']['attn_implementation'] = tiny_clip['attn_implementation'] = 'someone/kernel'
    assert CLIPBackbone(config=tiny_clip).clip.text_model.config._attn_implementation == 'sdpa'


def test_a_name_on_the_hub_is_read_as_a_folder(folder, monkeypatch):
    asked = []

    def download(name, allow_patterns, local_files_only=False):
        if local_files_only:
            raise OSError('the cache is empty')
        asked.append(allow_patterns)
        return str(folder if 'pytorch_model.bin' in allow_patterns else folder.parent)  # without weights

    monkeypatch.setattr(pretrained, 'snapshot_download', download)
    monkeypatch.setattr(hub, 'hub_answers', lambda: True)
    change_weights(folder, dict, 'pytorch_model.bin')
    CLIPBackbone(pretrained='someone/clip')
    assert [patterns[2] for patterns in asked] == ['model.safetensors', 'pytorch_model.bin']
    change_config(folder, model_type='blip')
    with pytest.raises(OSError, match="someone/clip' was refused.* model_type='blip'"):
        CLIPBackbone(pretrained='someone/clip')


@pytest.mark.parametrize(
    'drop, add', [('.logit_scale', None), (None, 'backbone.clip.more'), ('backbone.', None)]
)
@pytest.mark.parametrize('prefix', ['', 'module.'])
def test_part_of_a_backbone_is_refused_by_loaders_that_are_not_strict(tiny_clip, tmp_path, drop, add, prefix):
    model = torch.nn.Module()
    model.backbone, model.head = CLIPBackbone(config=tiny_clip), torch.nn.Linear(1, 1)
    weights = {prefix + k: v for k, v in model.state_dict().items() if not drop or drop not in k}
    weights |= {prefix + add: torch.zeros(1)} if add else {}
    torch.save(dict(state_dict=weights), tmp_path / 'part.pth')
    with pytest.raises(RuntimeError, match='does not contain the CLIP of this CLIPBackbone: .* keys; the'):
        load_checkpoint(model, str(tmp_path / 'part.pth'))
    if not prefix:
        with pytest.raises(RuntimeError, match='does not contain the CLIP'):
            model.load_state_dict(weights, strict=False)


def test_a_pretrained_backbone_may_be_left_alone_by_a_checkpoint(folder):
    model = BaseModule()
    model.backbone, model.head = CLIPBackbone(pretrained=str(folder)), torch.nn.Linear(1, 1)
    model.load_state_dict({'head.weight': torch.zeros(1, 1)}, strict=False)
    assert model.head.weight == 0


def recognizer(backbone):
    return Config(
        dict(
            model=dict(
                type='CLIP4ClipRetriever',
                backbone=dict(type='CLIPBackbone', **backbone),
                adapter=dict(type='MeanAdapter'),
            )
        )
    )


def test_mmaction2s_init_recognizer_gives_the_model_or_an_error(folder, tiny_clip, tmp_path):
    from mmaction.apis import init_recognizer

    trained = init_recognizer(recognizer(dict(config=tiny_clip)), device='cpu')
    torch.save(dict(state_dict=trained.state_dict()), tmp_path / 'trained.pth')
    with pytest.raises(ValueError, match='pretrained=None and no config.* init_recognizer sets'):
        init_recognizer(recognizer(dict(pretrained=str(folder))), str(tmp_path / 'trained.pth'), 'cpu')
    with pytest.raises(RuntimeError, match='keys of wrong shape'):
        init_recognizer(
            recognizer(dict(config=tiny_clip | dict(projection_dim=16))), str(tmp_path / 'trained.pth'), 'cpu'
        )
    again = init_recognizer(recognizer(dict(config=tiny_clip)), str(tmp_path / 'trained.pth'), 'cpu')
    for key, value in trained.state_dict().items():
        assert torch.equal(again.state_dict()[key], value)


def test_without_pretrained_and_config_it_is_vit_b_32():
    with torch.device('meta'):
        assert CLIPBackbone().clip.config.vision_config.hidden_size == 768


def test_init_cfg_needs_the_whole_backbone_and_says_what_it_loads(tiny_clip, tmp_path, log):
    weights = {f'backbone.{k}': v for k, v in CLIPBackbone(config=tiny_clip).state_dict().items()}

    def init(content, **kwargs):
        torch.save(content, tmp_path / 'c.pth')
        backbone = CLIPBackbone(
            config=tiny_clip, init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'c.pth'), **kwargs)
        )
        backbone.init_weights()
        return backbone

    for content in (weights, dict(state_dict={f'module.{k}': v for k, v in weights.items()})):
        loaded = init(content, prefix='backbone')
        assert all(torch.equal(v, weights[f'backbone.{k}']) for k, v in loaded.state_dict().items())
    assert f'CLIP from {tmp_path}/c.pth: all 78 tensors of backbone.*, none missing' in log[-1]
    part = {k: v for k, v in weights.items() if 'text_model' not in k}
    with pytest.raises(RuntimeError, match='init_cfg of CLIPBackbone: .*c.pth.* 36 missing keys'):
        init(part)
    with pytest.raises(RuntimeError, match="c.pth, keys that begin with 'backbone.': .*78 missing keys"):
        init({f'_orig_mod.{k}': v for k, v in weights.items()})
