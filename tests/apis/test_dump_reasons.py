"""Captions of a dump, explained by the checkpoint that was tested."""

import runpy
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import mmclip4clip
from mmclip4clip.apis.dump_reasons import explain_caption
from mmclip4clip.evaluation.records import as_record

TOOL = Path(__file__).parents[2] / 'tools/analysis_tools/explain_dump.py'


@pytest.fixture(scope='module')
def model(tested):
    return mmclip4clip.load(tested.path, device='cpu')


@pytest.fixture(scope='module')
def records(tested):
    return [as_record(entry) for entry in tested.records]


def test_the_worst_caption_is_compared_with_its_best_videos(model, records):
    right = records[2]
    ranks = (right.scores >= right.scores[:, 2:3]).sum(axis=1)
    found = explain_caption(model, records, right.video_id, top=2)
    row = right.scores[ranks.argmax()]
    assert found.caption == right.captions[ranks.argmax()]
    others = [v for v in np.argsort(-row, kind='stable') if v != 2][:2]
    assert [answer.filename for answer in found.answers] == [records[v].filename for v in (2, *others)]
    assert found.notes[0].startswith(f'right video, rank {ranks.max()} of {len(records)}: ')
    assert found.notes[1].startswith('wrong video, rank ')
    for reasons, video in zip(found.reasons, (2, *others)):
        assert abs(reasons.score - row[video]) < 1e-4
        assert abs(sum(f.score * f.weight for f in reasons.frames) - row[video]) < 1e-4


def test_caption_videos_and_folder_are_chosen(model, records, tmp_path):
    moved = replace(records[0], filename='/elsewhere/' + Path(records[0].filename).name)
    shutil.copy(records[0].filename, tmp_path)
    shutil.copy(records[1].filename, tmp_path)
    changed = [moved, *records[1:]]
    options = dict(against=[records[1].video_id], folder=tmp_path)
    number = explain_caption(model, changed, moved.video_id, 1, **options)
    text = explain_caption(model, changed, moved.video_id, moved.captions[1], **options)
    assert number.reasons == text.reasons and number.caption == text.caption
    assert number.caption == moved.captions[1] and len(number.answers) == 2
    assert Path(number.answers[0].filename).parent == tmp_path and None not in number.reasons


def test_what_is_not_in_the_dump_is_named(model, records):
    name = records[0].video_id
    for arguments, message in (
        (dict(video='nothing'), "no video 'nothing'"),
        (dict(video=name, caption='nothing'), 'expected one of the captions'),
        (dict(video=name, caption=99), 'got 99'),
        (dict(video=name, against=['nothing']), "no video 'nothing'"),
    ):
        with pytest.raises(ValueError, match=message):
            explain_caption(model, records, **arguments)


def test_another_checkpoint_than_that_of_the_dump_is_noticed(model, records):
    wrong = [replace(record, scores=record.scores + 0.05) for record in records]
    with pytest.raises(ValueError, match='of another checkpoint'):
        explain_caption(model, wrong, records[0].video_id)


def test_the_tool_writes_a_sheet(tested, tmp_path, monkeypatch, capsys):
    dump, sheet = tested.path.parent / 'dump.pkl', tmp_path / 'why.html'
    monkeypatch.setattr(sys, 'argv', ['tool', *map(str, (dump, tested.path, sheet, '--top', 1))])
    runpy.run_path(str(TOOL), run_name='__main__')
    printed = capsys.readouterr().out.splitlines()
    page = sheet.read_text()
    assert page.count('<svg') == 2 and 'right video, rank ' in page and 'wrong video, rank ' in page
    assert f'<h1>{printed[-3]}</h1>' in page and ' best 0:0' in printed[-1]


def test_the_tool_says_that_no_video_is_where_it_looks(tested, tmp_path, monkeypatch):
    dump, sheet = tested.path.parent / 'dump.pkl', tmp_path / 'why.html'
    arguments = (dump, tested.path, sheet, '--videos', tmp_path)
    monkeypatch.setattr(sys, 'argv', ['tool', *map(str, arguments)])
    with pytest.raises(SystemExit, match='none of the videos can be read, .* give --videos'):
        runpy.run_path(str(TOOL), run_name='__main__')
    assert not sheet.exists()
