"""Encoders of each family between folders of transformers and files of this package."""

import json

import pytest
import torch
from mmaction.registry import MODELS
from mmengine.config import Config
from safetensors.torch import load_file
from tokenizers import Tokenizer, models
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from mmclip4clip.checkpoints import convert, model_config, read, summary
from mmclip4clip.checkpoints.clip_settings import clip_settings
from mmclip4clip.models import CLIPBackbone
from mmclip4clip.models.backbones.families import FAMILIES
from mmclip4clip.models.backbones.pretrained import read_frame_format
from mmclip4clip.models.backbones.pretrained_folder import read_config
from tests.encoders import KINDS, small_encoder
from tests.models.backbones.test_families import captions

from .conftest import identical

OTHERS = [kind for kind in KINDS if kind != 'clip']
MEAN, STD = [0.1, 0.2, 0.3], [0.4, 0.5, 0.6]


def save_encoder(kind: str, folder, dtype: torch.dtype = torch.float32):
    """Save a small encoder with weights that are not tiny, a tokenizer, and an image processor."""
    clip = CLIPBackbone(config=small_encoder(kind)).clip
    for parameter in clip.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    clip.to(dtype).save_pretrained(folder)
    vocab = {'<s>': 0, '<pad>': 1, 'a': 2, '</s>': 3, 'dog': 4, '<unk>': 5}
    tokenizer = Tokenizer(models.WordLevel(vocab, unk_token='<unk>'))
    words = dict(pad_token='<pad>', bos_token='<s>', eos_token='</s>', unk_token='<unk>')
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **words).save_pretrained(folder)
    processor = dict(image_mean=MEAN, image_std=STD, resample=2, do_resize=True)
    (folder / 'preprocessor_config.json').write_text(json.dumps(processor))
    return folder


@pytest.fixture(params=KINDS)
def kind(request) -> str:
    return request.param


def trained(kind: str, path, patch: str = '2d', **adapter):
    """A checkpoint as a training saves it: the encoder's settings in the metadata."""
    backbone = dict(type='CLIPBackbone', config=small_encoder(kind), linear_patch=patch)
    model = MODELS.build(dict(type='CLIP4ClipRetriever', backbone=backbone, adapter=adapter))
    entry = dict(
        clip_config=clip_settings(model.backbone.clip.config),
        frame_format=dict(model.backbone.frame_format._asdict(), mean=(1.0, 2.0, 3.0)),
    )
    cfg = Config(dict(model=dict(adapter=adapter, backbone=dict(pretrained='someone/encoder')))).pretty_text
    torch.save(dict(meta=dict(cfg=cfg, mmclip4clip=entry), state_dict=model.state_dict()), path)
    return model.eval()


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_a_folder_comes_back_with_identical_weights_config_frames_and_tokens(kind, dtype, tmp_path):
    source = save_encoder(kind, tmp_path / 'source', dtype)
    done = convert(source, tmp_path / 'native.pth')
    assert done.checkpoint.family.model_type == kind and not done.checkpoint.notes
    convert(tmp_path / 'native.pth', tmp_path / 'back')
    assert identical(*(load_file(path / 'model.safetensors') for path in (source, tmp_path / 'back')))
    configs = [read_config(path)[1] for path in (source, tmp_path / 'back')]
    assert clip_settings(configs[0]) == clip_settings(configs[1])
    formats = [read_frame_format(path) for path in (source, tmp_path / 'back')]
    assert formats[0] == formats[1]
    assert formats[1].interpolation == 'bilinear' and formats[1].mean == tuple(255 * x for x in MEAN)
    ids = [AutoTokenizer.from_pretrained(path)('a dog')['input_ids'] for path in (source, tmp_path / 'back')]
    assert ids[0] == ids[1] and ids[0]


@torch.no_grad()
def test_the_printed_config_gives_the_features_of_the_folder(kind, tmp_path):
    source = save_encoder(kind, tmp_path / 'source')
    checkpoint = convert(source, tmp_path / 'native.pth').checkpoint
    model = MODELS.build(Config.fromstring(model_config(checkpoint), '.py').model).eval()
    model.load_state_dict(torch.load(tmp_path / 'native.pth', weights_only=True)['state_dict'])
    folder = CLIPBackbone(pretrained=str(source)).eval()
    assert model.backbone.frame_format == folder.frame_format
    frames, mask = torch.randn(1, 2, 3, 32, 32), torch.ones(1, 2)
    assert torch.equal(model.backbone.encode_frames(frames, mask), folder.encode_frames(frames, mask))
    tokens = captions()
    assert torch.equal(model.backbone.encode_text(*tokens), folder.encode_text(*tokens))


@torch.no_grad()
def test_a_training_becomes_a_folder_with_its_features_and_frames(kind, tmp_path):
    model = trained(kind, tmp_path / 'epoch_1.pth', type='SeqLSTMAdapter', width=small_width(kind))
    with pytest.raises(ValueError, match=f'{FAMILIES[kind].name}Model of transformers cannot represent SeqL'):
        convert(tmp_path / 'epoch_1.pth', tmp_path / 'folder')
    convert(tmp_path / 'epoch_1.pth', tmp_path / 'folder', clip_only=True)
    folder = CLIPBackbone(pretrained=str(tmp_path / 'folder')).eval()
    assert folder.frame_format.mean == (1.0, 2.0, 3.0)
    frames, mask = torch.randn(1, 2, 3, 32, 32), torch.ones(1, 2)
    assert torch.equal(model.backbone.encode_frames(frames, mask), folder.encode_frames(frames, mask))
    tokens = captions()
    expected, found = model.backbone.encode_text(*tokens), folder.encode_text(*tokens)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-6)


def small_width(kind: str) -> int:
    return 32 if kind.startswith('siglip') else 16


@pytest.mark.parametrize(
    'adapter',
    [
        dict(type='SeqTransformerAdapter', num_layers=1, num_heads=2, start='random'),
        dict(type='XPoolAdapter'),
    ],
    ids=['SeqTransformer', 'XPool'],
)
def test_adapters_on_any_encoder_are_read(kind, adapter, tmp_path):
    adapter = dict(adapter, width=small_width(kind))
    trained(kind, tmp_path / 'epoch_1.pth', patch='2d' if kind == 'siglip2' else '3d', **adapter)
    checkpoint = read(tmp_path / 'epoch_1.pth')[1]
    assert checkpoint.adapter == adapter['type'] and checkpoint.family.model_type == kind
    assert summary(checkpoint).startswith(f'{FAMILIES[kind].name}: ViT with ')
    assert f'D {small_width(kind)}; {adapter["type"]}' in summary(checkpoint)
    convert(tmp_path / 'epoch_1.pth', tmp_path / 'clip.pth', clip_only=True)
    assert read(tmp_path / 'clip.pth')[1].linear_patch == '2d'


@pytest.mark.parametrize('target', ['openai', 'reference', 'mmaction'])
@pytest.mark.parametrize('kind', OTHERS)
def test_targets_with_openais_architecture_refuse_other_families(kind, target, tmp_path):
    trained(kind, tmp_path / 'epoch_1.pth', type='MeanAdapter')
    family = f'cannot represent {FAMILIES[kind].name} \\(model_type={kind!r}\\), only CLIP with OpenAI'
    with pytest.raises(ValueError, match=family):
        convert(tmp_path / 'epoch_1.pth', tmp_path / 'out', to=target)
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize('kind', OTHERS)
def test_the_settings_of_another_family_cannot_be_changed(kind, tmp_path):
    trained(kind, tmp_path / 'epoch_1.pth', type='MeanAdapter')
    for wrong in (dict(text_heads=4), dict(vision_heads=1), dict(activation='other')):
        with pytest.raises(ValueError, match='does not fit'):
            convert(tmp_path / 'epoch_1.pth', tmp_path / 'out', **wrong)
    convert(tmp_path / 'epoch_1.pth', tmp_path / 'out', text_heads=2, vision_heads=2)


@pytest.mark.parametrize('kind', ['siglip', 'siglip2'])
def test_a_siglip_gets_the_bias_that_its_sigmoid_loss_trained(kind, tmp_path):
    trained(kind, tmp_path / 'epoch_1.pth', type='MeanAdapter')
    content = torch.load(tmp_path / 'epoch_1.pth', weights_only=True)
    content['state_dict']['loss_module.logit_bias'] = torch.tensor(-4.25)
    torch.save(content, tmp_path / 'epoch_1.pth')
    done = convert(tmp_path / 'epoch_1.pth', tmp_path / 'folder')
    saved = load_file(tmp_path / 'folder/model.safetensors')
    assert saved['logit_bias'].tolist() == [-4.25]
    assert not any('loss' in note for note in done.checkpoint.notes)


@pytest.mark.parametrize('kind', ['chinese_clip', 'altclip', 'siglip', 'siglip2'])
def test_a_file_without_the_settings_of_its_encoder_says_so(kind, tmp_path):
    model = trained(kind, tmp_path / 'epoch_1.pth', type='MeanAdapter')
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'bare.pth')
    with pytest.raises(ValueError, match='bare.pth has an encoder that is not CLIP, but not its settings'):
        read(tmp_path / 'bare.pth')


@pytest.mark.parametrize(
    'change, message',
    [
        (lambda w: {k: v for k, v in w.items() if 'layer_norm1' not in k}, 'missing key.*layer_norm1'),
        (lambda w: w | dict(more=torch.zeros(1)), '1 unknown key: more'),
    ],
    ids=['incomplete', 'foreign'],
)
def test_an_incomplete_or_foreign_file_is_refused(kind, change, message, tmp_path):
    trained(kind, tmp_path / 'epoch_1.pth', type='MeanAdapter')
    content = torch.load(tmp_path / 'epoch_1.pth', weights_only=True)
    torch.save(dict(content, state_dict=change(content['state_dict'])), tmp_path / 'broken.pth')
    with pytest.raises(ValueError, match=message):
        convert(tmp_path / 'broken.pth', tmp_path / 'out')


def test_an_image_processor_is_the_one_that_transformers_loads(kind, tmp_path):
    """Squeezed or cropped, as the family is; see also the processors' own class in the written file."""
    trained(kind, tmp_path / 'epoch_1.pth', type='MeanAdapter')
    convert(tmp_path / 'epoch_1.pth', tmp_path / 'folder')
    content = json.loads((tmp_path / 'folder/preprocessor_config.json').read_text())
    crop = dict(height=32, width=32)
    expected = dict(
        siglip=dict(size=crop, do_center_crop=False, image_processor_type='SiglipImageProcessor'),
        siglip2=dict(patch_size=16, max_num_patches=4, image_processor_type='Siglip2ImageProcessor'),
        chinese_clip=dict(crop_size=crop, image_processor_type='ChineseCLIPImageProcessor'),
    ).get(kind, dict(size=dict(shortest_edge=32), crop_size=crop, do_center_crop=True))
    assert expected.items() <= content.items()
    assert [255 * x for x in content['image_mean']] == [1.0, 2.0, 3.0]
    assert content['resample'] == (2 if kind == 'siglip2' else 3)
