from pathlib import Path

import pytest
import torch
from transformers import CLIPConfig, CLIPModel

from mmclip4clip import hub
from mmclip4clip.checkpoints import convert, read, recognize
from mmclip4clip.checkpoints.formats import kind_from_suffix
from mmclip4clip.models.backbones import pretrained

from . import plain


@pytest.mark.parametrize(
    'name, kind',
    [
        ('a.pth', 'mmclip4clip'),
        ('A.PTH', 'mmclip4clip'),
        ('pytorch_model.BIN', 'reference'),
        ('a.pt', 'openai'),
        ('pytorch_model.bin', 'reference'),
        ('pytorch_model.bin.3', 'reference'),
        ('pytorch_model.bin.x.3', 'reference'),
        ('folder', 'transformers'),
    ],
)
def test_the_ending_tells_what_to_write(name, kind):
    assert kind_from_suffix(Path('x.y') / name) == kind


def test_another_ending_needs_a_word(tmp_path, saved):
    with pytest.raises(ValueError, match='clip-b.32 does not determine .* --to with one of mmclip4clip'):
        convert(saved(plain.draw_published()), tmp_path / 'clip-b.32')
    convert(saved(plain.draw_published()), tmp_path / 'clip-b.32', to='transformers')
    assert read(tmp_path / 'clip-b.32')[0] == 'transformers'


def test_the_means_of_mmaction2_and_the_reference_are_told_apart_by_their_wrapping():
    keys = list(plain.draw_openai('clip.'))
    assert recognize(keys, False, 'x') == 'reference'
    assert recognize(keys, True, 'x') == 'mmaction'
    assert recognize([*keys, 'adapter.positional_embedding'], False, 'x') == 'mmaction'


@pytest.mark.parametrize(
    'content, message',
    [
        (
            dict(a=torch.ones(1), b=torch.ones(1)),
            "is not one of: .*reference's pytorch_model.bin.* 2 keys: a, b$",
        ),
        (
            dict(state_dict={f'k{i}': torch.ones(1) for i in range(20)}),
            '20 keys: k0, k1, k2, k3, k4, k5 and 14',
        ),
        ({'text_model.x': torch.ones(1)}, 'give the folder, which has its config.json'),
        ({'visual.layer1.0.conv1.weight': torch.ones(1)}, 'is a CLIP with a ResNet'),
        (torch.ones(2), 'in.pt contains a Tensor, expected a dict of tensors by name'),
        ({3: torch.ones(2)}, 'in.pt contains a dict, expected a dict of tensors by name'),
    ],
)
def test_an_unknown_file_is_refused_with_what_was_seen(saved, content, message):
    with pytest.raises(ValueError, match=message):
        read(saved(content))


def test_what_is_no_tensor_is_named(saved):
    with pytest.raises(ValueError, match=r'contains entries that are not tensors: vocab_size \(int\)'):
        read(saved(plain.draw_openai() | dict(vocab_size=60)))


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='in.pt does not exist'):
        read(tmp_path / 'in.pt')


def test_a_name_on_the_hub_is_downloaded_and_read(tiny_clip, tmp_path, monkeypatch):
    asked = []
    CLIPModel(CLIPConfig(**tiny_clip)).save_pretrained(tmp_path / 'snapshot')

    def download(name, allow_patterns, local_files_only=False):
        asked.append(name)
        return str(tmp_path / 'snapshot')

    monkeypatch.setattr(pretrained, 'snapshot_download', download)
    done = convert(Path('someone/clip'), tmp_path / 'out.pth')
    assert asked == ['someone/clip'] and done.source == 'transformers'
    local = read(tmp_path / 'snapshot')[1].state_dict
    for key, value in read(tmp_path / 'out.pth')[1].state_dict.items():
        assert torch.equal(value, local[key])


@pytest.mark.parametrize('name', ['clip_folder', 'work/epoch_8.pth', '/someone/clip', 'a/b/c'])
def test_only_an_owner_and_a_name_are_looked_for_on_the_hub(name, monkeypatch):
    monkeypatch.setattr(pretrained, 'snapshot_download', lambda *args, **kwargs: pytest.fail('asked'))
    with pytest.raises(FileNotFoundError, match=f'{Path(name)} does not exist$'):
        read(Path(name))


def test_a_name_that_the_hub_does_not_know_says_so(monkeypatch):
    monkeypatch.setattr(hub.constants, 'HF_HUB_OFFLINE', True)
    hub.hub_answers.cache_clear()
    with pytest.raises(FileNotFoundError, match='does not exist, and is not the name of a CLIP .*offline'):
        read(Path('someone/none'))
    hub.hub_answers.cache_clear()


def test_the_destination_is_checked_before_the_source_is_read(saved, tmp_path):
    src = saved('no checkpoint')
    (tmp_path / 'out.pth').write_text('precious')
    with pytest.raises(FileExistsError, match='out.pth exists: --force'):
        convert(src, tmp_path / 'out.pth')
    with pytest.raises(ValueError, match='contains a str'):
        convert(src, tmp_path / 'out.pth', force=True)
    assert (tmp_path / 'out.pth').read_text() == 'precious'


def test_force_replaces_file_and_folder(saved, tmp_path):
    src = saved(plain.draw_published())
    for name in ('out.pth', 'out'):
        for _ in range(2):
            convert(src, tmp_path / name, force=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ['in.pt', 'out', 'out.pth']


def test_a_file_is_not_converted_into_itself(saved):
    path = saved(plain.draw_published())
    with pytest.raises(ValueError, match='cannot be converted into itself'):
        convert(path, path, force=True)


def test_ours_to_ours_is_refused(saved, tmp_path):
    convert(saved(plain.draw_published()), tmp_path / 'a.pth')
    with pytest.raises(ValueError, match='a.pth is a checkpoint of mmclip4clip already'):
        convert(tmp_path / 'a.pth', tmp_path / 'b.pth')


def test_a_head_is_for_the_references_files(saved, tmp_path):
    with pytest.raises(ValueError, match="--head is for the reference's files; .*in.pt is OpenAI's CLIP"):
        convert(saved(plain.draw_published()), tmp_path / 'a.pth', head='meanP')


def test_what_the_target_has_no_use_for_is_not_dropped_silently(saved, tmp_path):
    src = saved(plain.draw_reference('seqTransf', loose=False))
    assert convert(src, tmp_path / 'a.pth').checkpoint.notes == []
    for path in (src, tmp_path / 'a.pth'):
        notes = convert(path, tmp_path / 'm.pth', to='mmaction', force=True).checkpoint.notes
        start = "left out 43 tensors of the reference's pytorch_model.bin"
        assert sum(note.startswith(start) for note in notes) == 1


def test_precision_is_given_back_only_to_where_it_came_from(saved, tmp_path):
    convert(saved(plain.draw_reference('seqTransf')), tmp_path / 'a.pth')
    convert(tmp_path / 'a.pth', tmp_path / 'b.pth', to='mmaction')
    for name in ('a.pth', 'b.pth'):
        weights = torch.load(tmp_path / name, weights_only=True)['state_dict']
        assert {value.dtype for value in weights.values()} == {torch.float32}
