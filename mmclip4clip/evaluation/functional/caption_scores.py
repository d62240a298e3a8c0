"""Score generated captions with pycocoevalcap."""

import logging
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

from mmengine.logging import print_log

from .caption_tokens import plain_tokens, ptb_tokens

NO_SCORERS = "scoring captions needs pycocoevalcap: pip install 'mmclip4clip[caption]'"
NO_JAVA = (
    'METEOR and the PTB tokenizer need Java, and {}: install Java (apt-get install '
    'default-jre-headless, or conda install openjdk) and add it to the PATH; or set java=False '
    '(score_dump.py: --no-java) for BLEU, ROUGE-L and CIDEr with a plain tokenizer, without METEOR'
)


class CaptionScores(NamedTuple):
    """Metrics of all generated captions, and CIDEr of each video; scores are multiplied by 100.

    Args:
        figures (dict[str, float]): Metrics of all videos.
        cider (dict[str, float]): CIDEr of each video, by its id.

    Examples:
        >>> CaptionScores({'CIDEr': 50.0}, {'v1': 40.0, 'v2': 60.0}).cider['v2']
        60.0
    """

    figures: dict[str, float]
    cider: dict[str, float]


def check_scorers(java: bool = True) -> None:
    """Check that the programs for scoring captions are installed, before an evaluation starts.

    Raises:
        ImportError: If pycocoevalcap is not installed.
        RuntimeError: If ``java`` is true and Java does not run.
    """
    try:
        import pycocoevalcap.cider.cider  # noqa: F401  the top package is a namespace package
    except ImportError as error:
        raise ImportError(NO_SCORERS) from error
    if java:
        try:
            subprocess.run(['java', '-version'], capture_output=True, check=True, timeout=60)
        except (OSError, subprocess.SubprocessError) as error:
            raise RuntimeError(NO_JAVA.format(f'java does not run here ({error})')) from error


def caption_figures(
    references: dict[str, list[str]], generated: dict[str, str], java: bool = True
) -> CaptionScores:
    """Score one generated caption per video against its references.

    BLEU and METEOR are computed over the corpus. ROUGE-L and CIDEr are means over the videos. As in
    captioning papers, all scores are multiplied by 100, so the maximum of CIDEr is 1000. CIDEr weights words
    by how rare they are in the references of the evaluated videos. For a single video it is always 0, and a
    warning says so.

    Args:
        references (dict[str, list[str]]): Reference captions by video id.
        generated (dict[str, str]): Generated caption by video id. A caption without words scores 0.
        java (bool): Whether to use the PTB tokenizer and METEOR, as in published results. False uses
            :func:`plain_tokens` without METEOR.

    Returns:
        CaptionScores: ``Bleu_1`` to ``Bleu_4``, ``METEOR``, ``ROUGE_L``, ``CIDEr`` and ``empty``, the number
        of generated captions without words.

    Raises:
        ImportError: If pycocoevalcap is not installed.
        RuntimeError: If Java is needed and fails.
        ValueError: If there are no videos, the ids differ, references are missing or empty, or a caption is
            not a string.

    Examples:
        >>> references = dict(v1=['a red cat sleeps'], v2=['two dogs play'])
        >>> generated = dict(v1='a red cat sleeps', v2='two dogs run')
        >>> round(caption_figures(references, generated, java=False).figures['Bleu_1'], 1)
        85.7
    """
    check_scorers(java)
    _check_captions(references, generated)
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.rouge.rouge import Rouge

    references, hypotheses = _tokenize(references, generated, java)
    bleu, _ = Bleu(4).compute_score(references, hypotheses, verbose=0)
    figures = {f'Bleu_{n}': value for n, value in enumerate(bleu, 1)}
    if java:
        figures['METEOR'] = _meteor(references, hypotheses)
    rouge = Rouge()  # scores a caption without words as equal to a reference such as '...'
    figures['ROUGE_L'] = sum(
        rouge.calc_score(hypotheses[v], references[v]) for v in hypotheses if hypotheses[v][0]
    ) / len(hypotheses)
    figures['CIDEr'], cider = Cider().compute_score(references, hypotheses)
    if len(hypotheses) == 1:
        print_log(
            'CIDEr is always 0 for a single video, because it weights words by the number of '
            'videos without them',
            logger='current',
            level=logging.WARNING,
        )
    figures = {name: 100 * float(figure) for name, figure in figures.items()}
    figures['empty'] = float(sum(caption == [''] for caption in hypotheses.values()))
    return CaptionScores(figures, {video: 100 * float(score) for video, score in zip(hypotheses, cider)})


def _check_captions(references: dict[str, list[str]], generated: dict[str, str]) -> None:
    """Check the captions, and raise a ValueError that names the first invalid video."""
    if not references or references.keys() != generated.keys():
        odd = sorted(references.keys() ^ generated.keys())[:5]
        raise ValueError(
            f'expected a generated caption for each of {len(references)} videos, at least one, '
            f'got {len(generated)}; first ids that only one of them has: {odd}'
        )
    for video, captions in references.items():
        if (
            not isinstance(captions, (list, tuple))
            or not captions
            or not all(isinstance(c, str) and c.strip() for c in captions)
        ):
            raise ValueError(
                f'video {video!r}: expected at least one reference caption and no empty one, '
                f'got {captions!r:.200}'
            )
        if not isinstance(generated[video], str):
            raise ValueError(
                f'video {video!r}: expected a string for the generated caption, got {generated[video]!r:.200}'
            )


def _tokenize(
    references: dict[str, list[str]], generated: dict[str, str], java: bool
) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Tokenize all captions at once, and return them as dicts of lists for the scorers."""
    tokenize = ptb_tokens if java else plain_tokens
    words = iter(tokenize([c for video in references for c in (*references[video], generated[video])]))
    tokenized, hypotheses = {}, {}
    for video, captions in references.items():
        tokenized[video], hypotheses[video] = [next(words) for _ in captions], [next(words)]
    return tokenized, hypotheses


def _meteor(references: dict[str, list[str]], hypotheses: dict[str, list[str]]) -> float:
    """Score a tokenized corpus by METEOR 1.5."""
    with _meteor_process() as meteor:
        return meteor.compute_score(references, hypotheses)[0]


@contextmanager
def _meteor_process() -> Iterator:
    """Start METEOR, and always terminate it.

    The wrapper of pycocoevalcap hangs if METEOR fails: an error leaves a lock acquired, its destructor waits
    for this lock, and the error output of METEOR is never read.
    """
    from pycocoevalcap.meteor.meteor import Meteor

    meteor, errors = Meteor(), []
    process = meteor.meteor_p
    reader = threading.Thread(target=lambda: errors.extend(process.stderr), daemon=True)
    reader.start()
    try:
        yield meteor
    except (OSError, ValueError) as error:  # a broken pipe, or output that is not a number
        process.kill()
        reader.join()
        last = b''.join(errors)[-500:].decode(errors='replace')
        raise RuntimeError(f'METEOR (java) failed: {last or error}') from error
    finally:
        meteor.lock = threading.Lock()
        process.kill()
        process.wait()
        reader.join()
        for pipe in (process.stdin, process.stdout, process.stderr):
            with suppress(OSError):
                pipe.close()
