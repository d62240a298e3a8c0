import pytest
import torch
from mmengine.config import Config

from mmclip4clip.checkpoints import read
from tests.checkpoints import plain

TOOL = 'model_converters/convert.py'


@pytest.fixture
def run(tool, capsys):
    """Run the converter and return what it prints."""

    def run(*args):
        tool(TOOL, *args)
        return capsys.readouterr().out

    return run


def test_it_says_what_it_read_wrote_and_kept_and_prints_a_config_that_fits(run, saved_reference):
    out = run('pytorch_model.bin', 'ours.pth')
    assert "read   pytorch_model.bin: the reference's pytorch_model.bin\n" in out
    assert (
        'ViT with 3d patches of 8 at 16 pixels; vision 2 x 192 with 3 heads; text 2 x 128 with 2 heads; '
        '60 tokens; D 128; SeqLSTMAdapter(width=128)' in out
    )
    assert 'wrote  ours.pth: a checkpoint of mmclip4clip, 82 tensors' in out
    assert 'kept   2 tensors that this package does not use, to convert them back: clip.visual.conv1.' in out
    config = Config.fromstring(out.split('use    ')[1], '.py')
    assert config.model.backbone.linear_patch == '3d' and config.model.adapter.type == 'SeqLSTMAdapter'
    assert '--sim_header seqLSTM --loose_type --linear_patch 3d' in run('ours.pth', 'back.bin')


def test_it_refuses_in_one_line(run, saved_reference):
    with pytest.raises(
        SystemExit, match='error: a CLIPModel of transformers cannot represent SeqLSTMAdapter'
    ):
        run('pytorch_model.bin', 'clip')
    out = run('pytorch_model.bin', 'clip', '--clip-only')
    assert 'note   left out SeqLSTMAdapter, 4 tensors\n' in out
    with pytest.raises(SystemExit, match='error: clip exists: --force'):
        run('pytorch_model.bin', 'clip', '--clip-only')
    run('pytorch_model.bin', 'clip', '--clip-only', '--force')


def test_heads_target_and_head_can_be_given(run, saved_reference):
    torch.save(plain.draw_reference('meanP', loose=False), 'mean.bin')
    run(
        'mean.bin',
        'mean.pth',
        '--head',
        'meanP',
        '--text-heads',
        '4',
        '--vision-heads',
        '6',
        '--to',
        'mmclip4clip',
    )
    kind, checkpoint = read(saved_reference.parent / 'mean.pth')
    config = checkpoint.clip_config()
    assert (kind, checkpoint.adapter) == ('mmclip4clip', 'MeanAdapter')
    assert config['text_config']['num_attention_heads'] == 4
    assert config['vision_config']['num_attention_heads'] == 6


def test_what_an_open_clip_file_does_not_tell_is_asked_and_taken_from_options(run, tmp_path):
    torch.save(dict(state_dict={f'module.{k}': v for k, v in plain.draw_openai().items()}), tmp_path / 'e.pt')
    with pytest.raises(SystemExit, match="error: e.pt has the keys of OpenAI's CLIP, .* Nothing specifies"):
        run('e.pt', 'clip')
    out = run('e.pt', 'clip', '--activation', 'gelu', '--text-heads', '4', '--vision-heads', '2')
    assert 'vision 2 x 192 with 2 heads and gelu; text 2 x 128 with 4 heads and gelu' in out
    assert "note   removed the prefix 'module.' of a wrapper from all keys\n" in out


@pytest.fixture
def saved_reference(tmp_path):
    path = tmp_path / 'pytorch_model.bin'
    torch.save(plain.draw_reference('seqLSTM', '3d'), path)
    return path


def test_published_weights_are_listed_without_a_source(tool, capsys):
    with pytest.raises(SystemExit) as done:
        tool(TOOL, '--presets')
    out = capsys.readouterr().out
    assert done.value.code == 0
    assert (
        "use      clip = 'Searchium-ai/clip4clip-webvid150k'\n" in out
        and 'config   configs/retrieval/' in out
    )
