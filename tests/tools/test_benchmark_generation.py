import json

import pytest

from mmclip4clip.models.decoders import CaptionDecoder

TINY = (
    '--videos',
    2,
    '--beam',
    2,
    '--tokens',
    5,
    '--frames',
    3,
    '--width',
    16,
    '--layers',
    1,
    '--heads',
    2,
    '--vocabulary',
    20,
    '--repeat',
    1,
)


def test_generate_a_plain_loop_and_a_search_without_a_cache_are_timed(tool, capsys):
    tool('analysis_tools/benchmark_generation.py', *TINY, '--json')
    figures = json.loads(capsys.readouterr().out)
    assert list(figures) == ['generate', 'plain loop', 'no cache']
    for taken in figures.values():
        assert taken['seconds'] > 0
        assert taken['times_generate'] == taken['seconds'] / figures['generate']['seconds']


def test_the_table_says_what_was_measured(tool, capsys):
    tool('analysis_tools/benchmark_generation.py', *TINY)
    printed = ' '.join(capsys.readouterr().out.split())
    assert '2 videos, beam 2, 5 tokens, 3 frames, width 16, 1 layers, vocabulary 20' in printed
    assert 'plain loop' in printed and 'no cache' in printed


@pytest.mark.parametrize('flag', ['--repeat', '--tokens'])
def test_counts_below_1_are_refused(tool, capsys, flag):
    with pytest.raises(SystemExit):
        tool('analysis_tools/benchmark_generation.py', *TINY, flag, 0)
    assert f'{flag} must be at least 1, got 0' in capsys.readouterr().err


def test_searches_that_find_different_captions_are_not_timed(tool, monkeypatch):
    right = CaptionDecoder.generate

    def wrong(self, *args):
        found = right(self, *args)
        return found._replace(tokens=found.tokens + 1)

    monkeypatch.setattr(CaptionDecoder, 'generate', wrong)
    with pytest.raises(SystemExit, match='generate and plain loop found different captions'):
        tool('analysis_tools/benchmark_generation.py', *TINY)
