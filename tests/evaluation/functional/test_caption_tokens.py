import csv
import json
import os
import pickle

import pytest

from mmclip4clip.evaluation import plain_tokens, ptb_tokens

from ..java import fake_java, needs_java

HARD = [
    '',
    "A man's dog, doesn't run (fast).",
    '',
    'one\rtwo\u2028three\x85four\x0bfive\nsix',
    '...',
    '  ',
    'caf\xe9 \u65e5\u672c \u201cquoted\u201d \u2013 dash\u2026',
    'a ||| b',
    "can't, cannot: 1,000 at 3:30?!",
    '',
    '',
]
TOKENS = [
    '',
    "a man 's dog does n't run -lrb- fast -rrb-",
    '',
    'one two three four five six',
    '',
    '',
    'caf\xe9 \u65e5\u672c quoted dash',
    'a | | | b',
    "ca n't can not 1,000 at 3:30 ?!",
    '',
    '',
]


@needs_java
def test_the_ptb_tokenizer_gives_each_caption_its_own_line():
    assert ptb_tokens(HARD) == TOKENS
    assert ptb_tokens([]) == [] and ptb_tokens(['']) == ['']


def test_the_plain_tokenizer_agrees_on_the_same_captions():
    assert plain_tokens(HARD) == TOKENS
    assert plain_tokens([]) == []
    assert plain_tokens(['a \ufffd man', '\ufffd']) == ['a man', '']


@needs_java
def test_the_ptb_tokenizer_is_pycocoevalcaps():
    from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

    lines = [caption for caption in HARD if caption.isprintable()]
    lines += ["gonna go to http://a.com/x :-) at 5 o'clock", 'Mr. T-shirt']
    theirs = PTBTokenizer().tokenize({i: [dict(caption=c)] for i, c in enumerate(lines)})
    assert [[tokens] for tokens in ptb_tokens(lines)] == [*theirs.values()]


@needs_java
@pytest.mark.parametrize(
    'dataset, count, different',
    [('msvd', 80827, 0), ('msrvtt', 1000, 0), ('didemo', 4021, 0), ('activitynet', 17505, 7)],
)
def test_both_tokenizers_agree_on_real_captions(data, dataset, count, different):
    folder = data / 'annotations' / dataset
    if dataset == 'msvd':
        videos = pickle.loads((folder / 'raw-captions.pkl').read_bytes())
        captions = [' '.join(words) for video in videos.values() for words in video]
    elif dataset == 'msrvtt':
        with (folder / 'MSRVTT_JSFUSION_test.csv').open() as file:
            captions = [row['sentence'] for row in csv.DictReader(file)]
    elif dataset == 'didemo':
        captions = [moment['description'] for moment in json.loads((folder / 'test_data.json').read_text())]
    else:
        videos = json.loads((folder / 'val_1.json').read_text()).values()
        captions = [sentence for video in videos for sentence in video['sentences']]
    assert len(captions) == count
    pairs = zip(ptb_tokens(captions), plain_tokens(captions))
    assert sum(ptb != plain for ptb, plain in pairs) == different


def test_a_tokenizer_that_fails_is_an_error_and_not_a_score(tmp_path, monkeypatch):
    monkeypatch.setenv('PATH', f'{fake_java(tmp_path, "echo no heap >&2; exit 3")}{os.pathsep}/usr/bin:/bin')
    with pytest.raises(RuntimeError, match='(?s)status 3 and 0 lines for 1 captions: no heap'):
        ptb_tokens(['a'])
