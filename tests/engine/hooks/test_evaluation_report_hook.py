import json
import logging
from types import SimpleNamespace

import pytest
from mmaction.registry import HOOKS, METRICS
from mmengine.evaluator import BaseMetric

from mmclip4clip.evaluation import ReportContext


@pytest.fixture
def runner(shapes, tmp_path, caplog):
    """A runner that has tested a captioner which repeats the first reference of all but two videos."""
    caplog.set_level(logging.INFO, logger='captions')
    entries = json.loads((shapes / 'test.json').read_text())
    samples = [
        dict(
            video_id=e['video'],
            filename=str(shapes / 'videos' / e['video']),
            captions=e['captions'],
            generated=e['captions'][0],
            start=0.0,
        )
        for e in entries
    ]
    samples[1].update(generated='<b>nothing</b>', filename=str(tmp_path / 'none.mp4'), unreadable='is empty')
    samples[2]['generated'] = 'ein Würfel'
    metric = METRICS.build(dict(type='VideoCaptionMetric', java=False))
    metric.process(None, samples)
    runner = SimpleNamespace(work_dir=str(tmp_path), logger=logging.getLogger('captions'))
    runner._train_loop, runner.visualizer = None, SimpleNamespace(_vis_backends={})
    runner.metrics = metric.evaluate(len(samples))
    loop = SimpleNamespace(evaluator=SimpleNamespace(metrics=[metric]))
    loop.dataloader = SimpleNamespace(dataset=SimpleNamespace(ann_file='test.json'))
    runner.test_loop = runner.val_loop = loop
    return runner


def test_list_page_and_picture_are_written(runner, tmp_path, caplog):
    hook = HOOKS.build(dict(type='CaptionReportHook', page=9, picture=3))
    hook.after_test_epoch(runner, runner.metrics)
    folder = tmp_path / 'captions'
    assert sorted(p.name for p in folder.iterdir()) == ['test.html', 'test.json', 'test.png']
    assert '16 generated captions' in caplog.text and 'CIDEr' in caplog.text

    listed = json.loads((folder / 'test.json').read_text(encoding='utf-8'))
    assert len(listed) == 16
    assert set(listed[0]) == {'video_id', 'window', 'references', 'generated', 'CIDEr'}
    assert listed[2]['generated'] == 'ein Würfel' and listed[2]['window'] == [0.0, None]
    assert listed[1]['generated'] == '' and listed[1]['CIDEr'] == 0 and listed[1]['unreadable'] == 'is empty'
    assert listed[0]['generated'] == listed[0]['references'][0] and listed[0]['CIDEr'] > 100
    mean = sum(video['CIDEr'] for video in listed) / 16
    assert mean == pytest.approx(runner.metrics['caption/CIDEr'])

    page = (folder / 'test.html').read_text(encoding='utf-8')
    assert page.count('<section>') == 9 and page.count('data:image/jpeg') == 8
    assert 'place 1 of 16' in page and 'place 16 of 16' in page and 'ein Würfel' in page
    assert 'cannot be read is empty' in page and '<b>' not in page


def test_validations_have_files_of_their_own(runner, tmp_path):
    HOOKS.build(dict(type='CaptionReportHook', page=1, picture=1)).after_val_epoch(runner, runner.metrics)
    assert sorted(p.name for p in (tmp_path / 'captions').iterdir()) == ['val.html', 'val.json', 'val.png']


def test_without_captions_there_is_nothing_to_report(runner, tmp_path):
    runner.test_loop.evaluator.metrics = [METRICS.build(dict(type='VideoTextRetrievalMetric'))]
    HOOKS.build(dict(type='CaptionReportHook')).after_test_epoch(runner, {})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('name', ['page', 'picture'])
def test_a_report_of_nothing_is_refused(name):
    with pytest.raises(ValueError, match=f'{name} must be at least 1, got 0'):
        HOOKS.build({'type': 'CaptionReportHook', name: 0})


def test_the_table_is_of_the_metrics_own_prefix_and_only_of_what_has_run(runner, caplog):
    (metric,) = runner.test_loop.evaluator.metrics
    metric.prefix = 'mine'
    other = METRICS.build(dict(type='VideoCaptionMetric', java=False, prefix='caption'))
    runner.test_loop.evaluator.metrics = [other, metric]
    hook = HOOKS.build(dict(type='CaptionReportHook', page=1, picture=1))
    hook.after_test_epoch(runner, {'mine/CIDEr': 12.34, 'caption/CIDEr': 56.78})
    assert '12.3' in caplog.text and '56.8' not in caplog.text
    assert caplog.text.count('generated captions, shown in') == 1


class Counted(BaseMetric):
    """A user's metric with a report, which no part of the package knows."""

    def process(self, data_batch, data_samples):
        """Keep nothing."""

    def compute_metrics(self, results):
        """Compute nothing."""
        return {}

    def report(self, context):
        """Keep what came."""
        self.context = context


def test_every_metric_that_has_a_report_is_asked_for_it_and_others_are_not(runner, tmp_path):
    mine = Counted()
    runner.test_loop.evaluator.metrics = [SimpleNamespace(), mine]
    runner._train_loop, runner._load_from = None, 'c.pth'
    runner.visualizer = SimpleNamespace(add_scalars=lambda figures: None)
    HOOKS.build(dict(type='EvaluationReportHook', gallery=2, page=5)).after_test_epoch(runner, {'a/b': 1.0})
    dataset = runner.test_loop.dataloader.dataset
    assert mine.context == ReportContext(
        'test', tmp_path, {'a/b': 1.0}, dataset, gallery=2, page=5, logger=runner.logger
    )
    (entry,) = json.loads((tmp_path / 'metrics.json').read_text())
    assert (entry['a/b'], entry['checkpoint'], entry['ann_file']) == (1.0, 'c.pth', 'test.json')


def test_the_two_former_hooks_each_do_their_part_and_name_the_new_one(runner, tmp_path):
    mine = Counted()
    runner.test_loop.evaluator.metrics = [mine]
    with pytest.warns(FutureWarning, match='CaptionReportHook is now EvaluationReportHook'):
        captions = HOOKS.build(dict(type='CaptionReportHook', page=9, picture=4))
    captions.after_test_epoch(runner, {'a/b': 1.0})
    assert (mine.context.gallery, mine.context.page, mine.context.picture) == (None, 9, 4)
    assert not (tmp_path / 'metrics.json').exists()
    with pytest.warns(FutureWarning, match='RetrievalReportHook is now EvaluationReportHook'):
        retrieval = HOOKS.build(dict(type='RetrievalReportHook', gallery=0, top=2))
    runner._train_loop = runner._load_from = None
    retrieval.after_val_epoch(runner, {'a/b': 1.0})
    assert (mine.context.gallery, mine.context.top, mine.context.page) == (0, 2, None)
    assert (tmp_path / 'metrics.json').exists()
