import math
import os
import pickle
import shutil
import sys
import threading
from collections import Counter

import pycocoevalcap.cider.cider
import pycocoevalcap.meteor.meteor
import pytest

from mmclip4clip.evaluation import caption_figures
from mmclip4clip.evaluation.functional import caption_scores
from mmclip4clip.evaluation.functional.caption_scores import check_scorers

from ..java import METEOR_OF_CHECKSUMS, PASSES_FOR_JAVA, fake_java, needs_java

REFERENCES = {
    'cook': ['a man is cooking in a kitchen', 'Someone cooks pasta.', "it's a chef (cooking)"],
    'dog': ['a dog runs on the beach', 'the dog is running'],
    'cat': ['a cat plays the piano in a room'],
    'odd': ['caf\xe9 \u2013 na\xefve ||| \u65e5\u672c', '...'],
}
GENERATED = {
    'cook': 'A man is cooking pasta!',
    'dog': 'a dog is\nrunning on a beach',
    'cat': '',
    'odd': 'a ||| caf\xe9',
}


def by_hand(references, generated, meteor=None):
    """Run pycocoevalcap as its own evaluation does, with METEOR if it is given."""
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.rouge.rouge import Rouge
    from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

    right = PTBTokenizer().tokenize({v: [dict(caption=c) for c in cs] for v, cs in references.items()})
    made = PTBTokenizer().tokenize({v: [dict(caption=c)] for v, c in generated.items()})
    bleu, _ = Bleu(4).compute_score(right, made)
    figures = {f'Bleu_{n}': bleu[n - 1] for n in (1, 2, 3, 4)}
    if meteor:
        figures['METEOR'] = meteor.compute_score(right, made)[0]
    figures['ROUGE_L'] = Rouge().compute_score(right, made)[0]
    figures['CIDEr'], each = Cider().compute_score(right, made)
    return {k: 100 * v for k, v in figures.items()}, [100 * v for v in each]


@needs_java
@pytest.mark.parametrize('real', [False, pytest.param(True, marks=pytest.mark.long)])  # the real METEOR
def test_figures_are_pycocoevalcaps_and_nothing_is_printed(capfd, monkeypatch, tmp_path, real):
    if not real:
        folder = fake_java(tmp_path, METEOR_OF_CHECKSUMS.format(java=shutil.which('java')))
        monkeypatch.setenv('PATH', f'{folder}{os.pathsep}{os.environ["PATH"]}')
    meteor = pycocoevalcap.meteor.meteor.Meteor()  # one for both, as it takes seconds to start
    expected, each = by_hand(REFERENCES, GENERATED, meteor)
    monkeypatch.setattr(pycocoevalcap.meteor.meteor, 'Meteor', lambda: meteor)
    capfd.readouterr()
    figures, cider = caption_figures(REFERENCES, GENERATED)
    assert capfd.readouterr() == ('', '')
    assert figures.pop('empty') == 1
    assert figures == pytest.approx(expected, abs=1e-9)
    assert list(cider.values()) == pytest.approx(each) and cider['cat'] == 0
    assert 'pycocoevalcap.spice.spice' not in sys.modules  # it would download its models
    assert meteor.meteor_p.returncode is not None  # ended


@pytest.fixture
def msvd(data):
    """Real captions, of each video one against the others."""
    captions = pickle.loads((data / 'annotations/msvd/raw-captions.pkl').read_bytes())
    videos = (data / 'annotations/msvd/test_list.txt').read_text().split()[:40]
    sentences = {video: [' '.join(words) for words in captions[video]] for video in videos}
    return {v: s[1:] for v, s in sentences.items()}, {v: s[0] for v, s in sentences.items()}


@needs_java
@pytest.mark.parametrize('meteor', [False, pytest.param(True, marks=pytest.mark.long)])
def test_figures_are_pycocoevalcaps_on_msvd(msvd, meteor):
    figures, cider = caption_figures(*msvd, java=meteor)  # both tokenizers agree on MSVD
    expected, each = by_hand(*msvd, meteor and pycocoevalcap.meteor.meteor.Meteor())
    assert figures.pop('empty') == 0
    assert len(expected) == 6 + meteor and figures == pytest.approx(expected, abs=1e-9)
    assert list(cider.values()) == pytest.approx(each)


def grams(text, n):
    words = text.split()
    return Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))


def plain_bleu(references, generated, order):
    """BLEU of a corpus (Papineni et al. 2002), the closest reference's length counting, in percent."""
    length = sum(len(c.split()) for c in generated.values())
    closest = sum(
        min((abs(len(r.split()) - len(c.split())), len(r.split())) for r in references[v])[1]
        for v, c in generated.items()
    )
    logs = 0
    for n in range(1, order + 1):
        right = total = 0
        for video, caption in generated.items():
            most = Counter()
            for reference in references[video]:
                most |= grams(reference, n)
            right += (grams(caption, n) & most).total()
            total += grams(caption, n).total()
        logs += math.log(right / total) / order
    return 100 * math.exp(logs + min(0, 1 - closest / length))


def plain_rouge(references, generated):
    """ROUGE-L with beta 1.2, best precision and best recall over the references, in percent."""

    def common(a, b):
        if not a or not b:
            return 0
        if a[0] == b[0]:
            return 1 + common(a[1:], b[1:])
        return max(common(a[1:], b), common(a, b[1:]))

    total = 0
    for video, caption in generated.items():
        pairs = [(common(caption.split(), r.split()), len(r.split())) for r in references[video]]
        precision = max(c for c, _ in pairs) / len(caption.split())
        recall = max(c / length for c, length in pairs)
        total += (1 + 1.44) * precision * recall / (recall + 1.44 * precision) if precision else 0
    return 100 * total / len(generated)


def plain_cider(references, generated):
    """CIDEr-D (arXiv:1411.5726, appendix) with sigma 6, times 100, of each video."""

    def vector(text, n):
        videos = [set().union(*(grams(r, n) for r in rs)) for rs in references.values()]
        return {
            g: count * math.log(len(videos) / max(1, sum(g in video for video in videos)))
            for g, count in grams(text, n).items()
        }

    scores = {}
    for video, caption in generated.items():
        total = 0
        for reference in references[video]:
            for n in (1, 2, 3, 4):
                a, b = vector(caption, n), vector(reference, n)
                norms = math.hypot(*a.values()) * math.hypot(*b.values())
                product = sum(min(a[g], b[g]) * b[g] for g in a if g in b)
                gap = len(caption.split()) - len(reference.split())
                total += product / norms * math.exp(-(gap**2) / 72) / 4 if norms else 0
        scores[video] = 1000 * total / len(references[video])
    return scores


def test_bleu_rouge_and_cider_equal_a_plain_computation():
    references = {
        'a': ['a man is cooking in a kitchen', 'someone cooks pasta'],
        'b': ['a dog runs on the beach today', 'the dog is running'],
        'c': ['a cat plays'],
    }
    generated = {'a': 'a man cooks in a kitchen', 'b': 'a dog runs on the sand', 'c': 'the cat plays a song'}
    figures, cider = caption_figures(references, generated, java=False)
    for n in (1, 2, 3, 4):
        assert figures[f'Bleu_{n}'] == pytest.approx(plain_bleu(references, generated, n), abs=1e-5)
    assert figures['ROUGE_L'] == pytest.approx(plain_rouge(references, generated))
    expected = plain_cider(references, generated)
    assert cider == pytest.approx(expected)
    assert figures['CIDEr'] == pytest.approx(sum(expected.values()) / 3)
    assert set(figures) == {'Bleu_1', 'Bleu_2', 'Bleu_3', 'Bleu_4', 'ROUGE_L', 'CIDEr', 'empty'}


def test_empty_captions_count_as_videos_and_score_nothing():
    references = {'a': ['a man runs away'], 'b': ['a dog eats food'], 'c': ['...', 'birds fly']}
    right = dict(a='a man runs away', b='a dog eats food')
    figures, cider = caption_figures(references, dict(right, c=' !'), java=False)
    assert figures['empty'] == 1 and cider['c'] == 0
    assert figures['ROUGE_L'] == pytest.approx(200 / 3)  # also where a reference has no word either
    assert figures['CIDEr'] == pytest.approx(2000 / 3)
    nothing, _ = caption_figures(references, dict.fromkeys(references, ''), java=False)
    assert nothing.pop('empty') == 3 and nothing == pytest.approx(dict.fromkeys(nothing, 0))
    assert caption_figures(references, dict(right, c='birds'), java=False).figures['empty'] == 0


def test_cider_of_one_video_is_announced_as_meaningless(monkeypatch):
    said = []
    monkeypatch.setattr(caption_scores, 'print_log', lambda message, **kwargs: said.append(message))
    caption_figures(dict(a=['a man'], b=['a dog']), dict(a='a man', b='a dog'), java=False)
    assert said == []
    figures, _ = caption_figures(dict(a=['a man runs']), dict(a='a man runs'), java=False)
    assert figures['CIDEr'] == 0 and said[0].startswith('CIDEr is always 0 for a single video')


@pytest.mark.parametrize(
    'references, generated, message',
    [
        (dict(a=['x'], b=[]), dict(a='x', b='y'), r"video 'b': expected at least one reference .*got \[\]"),
        (dict(a=['x', ' ']), dict(a='x'), r"video 'a': .* no empty one, got \['x', ' '\]"),
        (dict(a='text'), dict(a='x'), "video 'a': .*got 'text'"),
        (dict(a=['x', None]), dict(a='x'), r"video 'a': .* no empty one, got \['x', None\]"),
        (dict(a=None), dict(a='x'), "video 'a': .*got None"),
        (dict(a=['x']), dict(a=None), "video 'a': expected a string for the generated caption, got None"),
        (dict(a=['x'], b=['y']), dict(a='x', c='z'), r"each of 2 videos, .*got 2; .*: \['b', 'c'\]"),
        ({}, {}, 'each of 0 videos, at least one'),
    ],
)
def test_captions_that_cannot_be_scored_are_named(references, generated, message):
    with pytest.raises(ValueError, match=message):
        caption_figures(references, generated, java=False)


def test_a_missing_package_is_named_with_the_extra_that_has_it(monkeypatch):
    for name in [name for name in sys.modules if name.startswith('pycocoevalcap')]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r"pip install 'mmclip4clip\[caption\]'"):
        check_scorers(java=False)


@pytest.mark.parametrize('script', [None, 'echo no runtime >&2; exit 1'])
def test_without_java_it_is_said_what_to_install_or_to_do_without(tmp_path, monkeypatch, script):
    monkeypatch.setenv('PATH', str(fake_java(tmp_path, script) if script else tmp_path / 'nothing'))
    with pytest.raises(RuntimeError, match='need Java, and java does not run here.*default-jre.*java=False'):
        check_scorers()
    check_scorers(java=False)


@pytest.mark.parametrize(
    'meteor',
    [
        'echo no heap >&2; exit 1',
        'read line; echo 1; read line; echo no heap >&2; exit 1',
        'while read line; do head -c 200000 /dev/zero | tr "\\0" x >&2; echo; done; echo no heap >&2',
    ],
)
def test_a_meteor_that_fails_is_an_error_that_ends_at_once(tmp_path, monkeypatch, meteor):
    folder = fake_java(tmp_path, PASSES_FOR_JAVA.format(meteor=meteor))
    monkeypatch.setenv('PATH', f'{folder}{os.pathsep}/usr/bin:/bin')
    failures = []

    def score():
        try:
            caption_figures(dict(a=['x y'], b=['z']), dict(a='x', b='z'))
        except RuntimeError as error:
            failures.append(str(error))

    thread = threading.Thread(target=score, daemon=True)  # a hang would be in a destructor
    thread.start()
    thread.join(30)
    assert not thread.is_alive() and failures[0].startswith('METEOR (java) failed')


def test_a_meteor_that_complains_at_length_does_not_hang(tmp_path, monkeypatch):
    meteor = (
        'while read line; do head -c 200000 /dev/zero | tr "\\0" x >&2; '
        'case $line in SCORE*) echo 1 2;; EVAL*) echo 0.5; echo 0.5; echo 0.25;; esac; done'
    )
    folder = fake_java(tmp_path, PASSES_FOR_JAVA.format(meteor=meteor))
    monkeypatch.setenv('PATH', f'{folder}{os.pathsep}/usr/bin:/bin')
    assert caption_figures(dict(a=['x y'], b=['z']), dict(a='x', b='z')).figures['METEOR'] == 25
