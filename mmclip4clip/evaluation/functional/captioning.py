"""The figures of generated captions, by pycocoevalcap's scorers."""

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
    'METEOR and the PTB tokenizer need Java, and {}: install one (apt-get install '
    'default-jre-headless, or conda install openjdk) and put java on the PATH; or give java=False '
    '(score_dump.py: --no-java) for BLEU, ROUGE-L and CIDEr with a plain tokenizer, without METEOR'
)


class CaptionScores(NamedTuple):
    """Figures of all videos, and ``cider`` of each video by its id; scores are times 100."""

    figures: dict[str, float]
    cider: dict[str, float]


def check_scorers(java: bool = True) -> None:
    """Raise now what scoring captions would raise later for want of a program.

    Raises:
        ImportError: If pycocoevalcap is not installed.
        RuntimeError: If ``java`` is wanted and does not run.
    """
    try:
        import pycocoevalcap.cider.cider  # noqa: F401  the package itself is a mere folder
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
    """Score one generated caption a video against its references.

    BLEU and METEOR are of the corpus, ROUGE-L and CIDEr means over the videos, as
    pycocoevalcap computes them and captioning papers print them: times 100. CIDEr
    can so be up to 1000. It weighs words by how few of the evaluated videos have
    them in a reference; of a single video it is always 0, which a warning says.

    Args:
        references (dict[str, list[str]]): The reference captions of each video id.
        generated (dict[str, str]): The generated caption of the same ids. One without a
            word scores 0 in everything.
        java (bool): Whether to use the PTB tokenizer and METEOR, as published figures
            do. False: :func:`plain_tokens`, and no METEOR.

    Returns:
        CaptionScores: ``Bleu_1`` to ``Bleu_4``, ``METEOR``, ``ROUGE_L``, ``CIDEr`` and ``empty``,
        the number of generated captions without a word.

    Raises:
        ImportError: If pycocoevalcap is not installed.
        RuntimeError: If Java is needed and fails.
        ValueError: If there is no video, the ids differ, a video has no or an empty reference, or
            something else than a string for a caption.
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
    rouge = Rouge()  # to it, no word equals no word, in a reference such as '...'
    figures['ROUGE_L'] = sum(
        rouge.calc_score(hypotheses[v], references[v]) for v in hypotheses if hypotheses[v][0]
    ) / len(hypotheses)
    figures['CIDEr'], cider = Cider().compute_score(references, hypotheses)
    if len(hypotheses) == 1:
        print_log(
            'CIDEr is 0 whatever the caption, as there is one video only: it weighs words by the '
            'videos that lack them',
            logger='current',
            level=logging.WARNING,
        )
    figures = {name: 100 * float(figure) for name, figure in figures.items()}
    figures['empty'] = float(sum(caption == [''] for caption in hypotheses.values()))
    return CaptionScores(figures, {video: 100 * float(score) for video, score in zip(hypotheses, cider)})


def _check_captions(references: dict[str, list[str]], generated: dict[str, str]) -> None:
    """Raise a ValueError that names the first video whose captions cannot be scored."""
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
    """Tokenize all captions at once, and put them into the dicts of lists that the scorers take."""
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
    """Start METEOR, and end it whatever happens.

    pycocoevalcap's own wrapper hangs when METEOR fails: an error leaves its lock
    taken, for which its destructor waits, and nobody reads what METEOR complains of.
    """
    from pycocoevalcap.meteor.meteor import Meteor

    meteor, said = Meteor(), []
    process = meteor.meteor_p
    reader = threading.Thread(target=lambda: said.extend(process.stderr), daemon=True)
    reader.start()
    try:
        yield meteor
    except (OSError, ValueError) as error:  # a pipe that broke, or no number
        process.kill()
        reader.join()
        last = b''.join(said)[-500:].decode(errors='replace')
        raise RuntimeError(f'METEOR (java) failed: {last or error}') from error
    finally:
        meteor.lock = threading.Lock()
        process.kill()
        process.wait()
        reader.join()
        for pipe in (process.stdin, process.stdout, process.stderr):
            with suppress(OSError):
                pipe.close()
