"""Folders of transformers, whole and not."""

import json
import os

import pytest
import torch
from mmengine.config import Config
from mmengine.model import BaseModule
from mmengine.runner import load_checkpoint
from safetensors.torch import load_file, save_file
from transformers import CLIPConfig, CLIPModel

from mmclip4clip import hub
from mmclip4clip.models import CLIPBackbone
from mmclip4clip.models.backbones import clip, pretrained, pretrained_folder


@pytest.fixture
def folder(tiny_clip, tmp_path):
    CLIPModel(CLIPConfig(**tiny_clip)).save_pretrained(tmp_path / 'clip')
    return tmp_path / 'clip'


@pytest.fixture
def log(monkeypatch):
    log = []
    for module in (clip, pretrained, pretrained_folder):
        monkeypatch.setattr(module, 'print_log', lambda message, **kwargs: log.append(message))
    return log


def change_weights(folder, change, name='model.safetensors'):
    weights = load_file(folder / 'model.safetensors')
    weights = change(weights) or weights
    (folder / 'model.safetensors').unlink()
    save = torch.save if name.endswith('.bin') else lambda w, p: save_file(w, p, metadata=dict(format='pt'))
    save(weights, folder / name)


def change_config(folder, **changes):
    path = folder / 'config.json'
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


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
        (lambda w: {k: v.to(torch.int8) for k, v in w.items()}, 'not floating-point tensors: .*int8'),
        (lambda w: {k: v for k, v in w.items() if 'layers.1.' not in k}, '32 missing keys'),
    ],
)
@pytest.mark.parametrize('name', ['model.safetensors', 'pytorch_model.bin'])
def test_weights_that_are_not_those_of_the_config_are_refused(folder, change, message, name):
    change_weights(folder, change, name)
    with pytest.raises(OSError, match=message) as error:
        CLIPBackbone(pretrained=str(folder))
    assert str(folder) in str(error.value)


def test_every_form_of_the_weights_is_loaded(folder):
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


@pytest.mark.parametrize('size', [0, 5, 1000, 60_000])
@pytest.mark.parametrize('name', ['model.safetensors', 'pytorch_model.bin'])
def test_a_truncated_file_is_named(folder, name, size):
    change_weights(folder, dict, name)
    os.truncate(folder / name, size)
    with pytest.raises(OSError, match=f'{folder}/{name} is broken'):
        CLIPBackbone(pretrained=str(folder))


def test_a_part_that_is_absent_or_elsewhere_is_named(folder):
    for part in ('model-00002-of-00002.safetensors', '../clip/model.safetensors'):
        index = dict(weight_map={'a': 'part.safetensors', 'b': part})
        (folder / 'model.safetensors.index.json').write_text(json.dumps(index))
        (folder / 'model.safetensors').rename(folder / 'part.safetensors')
        with pytest.raises(OSError, match=f'names 2 files, of which 1 are not in the folder: {part}'):
            CLIPBackbone(pretrained=str(folder))
        (folder / 'part.safetensors').rename(folder / 'model.safetensors')


class RunsAFunction:
    def __reduce__(self):
        return os.mkdir, ('harmed',)


def test_code_in_the_weights_is_not_run(folder, monkeypatch):
    monkeypatch.chdir(folder)
    change_weights(folder, lambda w: w | dict(harm=RunsAFunction()), 'pytorch_model.bin')
    with pytest.raises(OSError, match='pytorch_model.bin is broken'):
        CLIPBackbone(pretrained=str(folder))
    assert not (folder / 'harmed').exists()


@pytest.mark.parametrize('kind', ['siglip', 'clip_text_model', 'chinese_clip', None])
def test_another_model_type_is_named(folder, kind):
    change_config(folder, model_type=kind)
    with pytest.raises(OSError, match=f'clip/config.json is of model_type={kind!r}, expected clip'):
        CLIPBackbone(pretrained=str(folder))


@pytest.mark.parametrize(
    'content',
    [
        '',
        '[]',
        '{"model_type": "clip", "text_config": 3}',
        '{' * 9999,
        '{"model_type": "clip", "vision_config": {"hidden_size": -5}}',
    ],
)
def test_a_config_that_describes_no_clip_is_named(folder, content):
    (folder / 'config.json').write_text(content)
    with pytest.raises(OSError, match='clip/config.json'):
        CLIPBackbone(pretrained=str(folder))


@pytest.mark.parametrize('where', [None, 'text_config', 'vision_config'])
def test_a_folder_cannot_ask_for_code_of_the_hub(folder, log, where):
    requests = dict(
        attn_implementation='someone/kernel',
        auto_map=dict(AutoModel='code.Model'),
        fusion_config=dict(x=1),
        transformers_weights='../x.safetensors',
    )
    config = json.loads((folder / 'config.json').read_text())
    change_config(folder, **(requests if where is None else {where: config[where] | requests}))
    loaded = CLIPBackbone(pretrained=str(folder)).clip
    for part in (loaded, loaded.text_model, loaded.vision_model):
        assert part.config._attn_implementation == 'sdpa'
        assert not hasattr(part.config, 'fusion_config') and not hasattr(part.config, 'auto_map')
    assert 'also asks for auto_map, attn_implementation, fusion_config, transformers_weights' in log[0]


def test_the_config_of_a_user_cannot_either(tiny_clip):
    tiny_clip['text_config']['attn_implementation'] = tiny_clip['attn_implementation'] = 'someone/kernel'
    assert CLIPBackbone(config=tiny_clip).clip.text_model.config._attn_implementation == 'sdpa'


def test_peft_adapters_and_quantized_weights_are_refused(folder):
    (folder / 'adapter_config.json').write_text('{"base_model_name_or_path": "someone/clip"}')
    with pytest.raises(OSError, match='adapter_config.json: its weights belong to a PEFT adapter'):
        CLIPBackbone(pretrained=str(folder))
    (folder / 'adapter_config.json').unlink()
    change_config(folder, quantization_config=dict(quant_method='bitsandbytes'))
    with pytest.raises(OSError, match='quantization_config, expected full weights'):
        CLIPBackbone(pretrained=str(folder))


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
    change_config(folder, model_type='siglip')
    with pytest.raises(OSError, match="someone/clip' was refused.* model_type='siglip'"):
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
