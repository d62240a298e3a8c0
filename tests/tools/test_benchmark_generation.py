import json

import pytest

from mmclip4clip.models.decoders import CaptionDecoder

TINY = ('--videos', 2, '--beam', 2, '--tokens', 5, '--frames', 3, '--width', 16, '--layers', 1, '--heads', 2,
        '--vocabulary', 20, '--repeat', 1)


def test_a_cached_search_and_both_without_a_cache_are_timed(tool, capsys):
    tool('analysis_tools/benchmark_generation.py', *TINY, '--json')
    figures = json.loads(capsys.readouterr().out)
    assert list(figures) == ['cached', 'prefix', 'prefix, all logits']
    for taken in figures.values():
        assert taken['total'] > taken['step'] > 0 and taken['reorder'] > 0
        assert taken['times_the_cached'] == taken['total'] / figures['cached']['total']


def test_the_table_says_what_was_measured(tool, capsys):
    tool('analysis_tools/benchmark_generation.py', *TINY)
    printed = ' '.join(capsys.readouterr().out.split())
    assert '2 videos, beam 2, 5 tokens, 3 frames, width 16, 1 layers, vocabulary 20' in printed
    assert 'prefix, all logits' in printed


@pytest.mark.parametrize('flag', ['--repeat', '--tokens'])
def test_counts_below_1_are_refused(tool, capsys, flag):
    with pytest.raises(SystemExit):
        tool('analysis_tools/benchmark_generation.py', *TINY, flag, 0)
    assert f'{flag} must be at least 1, got 0' in capsys.readouterr().err


def test_searches_that_find_different_captions_are_not_timed(tool, monkeypatch):
    right = CaptionDecoder.step

    def wrong(self, tokens, state):
        logits, state = right(self, tokens, state)
        return -logits, state

    monkeypatch.setattr(CaptionDecoder, 'step', wrong)
    with pytest.raises(SystemExit, match='cached and prefix found different captions'):
        tool('analysis_tools/benchmark_generation.py', *TINY)
