"""Tokenize captions for captioning metrics: lower case, without punctuation."""

import re
import subprocess
from pathlib import Path

PLAIN_WORD = re.compile(
    r"""
    \d+(?:[.,:]\d+)+                            # 1,000 and 3:30
    | (?:[a-z]\.){2,} | (?:mr|mrs|ms|dr|st|vs|jr|sr)\.
    | can(?=not\b) | n't\b | '(?:s|re|ve|ll|d|m)\b
    | (?:[^\W_](?!n't\b))*[^\W_](?=n't\b)       # the do of don't
    | [^\W_]+(?:[-_&@/][^\W_]+)*
    | [?!]{2,} | [^\s\w] | _""",
    re.VERBOSE,
)
BRACKETS = {'(': '-lrb-', ')': '-rrb-', '[': '-lsb-', ']': '-rsb-', '{': '-lcb-', '}': '-rcb-'}
DROPPED = set('\'"`“”.?!,:;-–—…\ufffd')  # the last one replaces bytes that are not valid text


def ptb_tokens(captions: list[str]) -> list[str]:
    r"""Tokenize captions with Stanford's PTB tokenizer in Java, like pycocoevalcap.

    The program and the list of dropped punctuation are those of
    ``pycocoevalcap.tokenizer.PTBTokenizer``. That class is not used because it writes files into its
    installation folder, and splits a caption at line breaks other than ``\n``, which assigns all later
    captions to the wrong videos.

    Args:
        captions (list[str]): Captions; each run of white space counts as one space.

    Returns:
        list[str]: Words joined by spaces, '' for a caption without words.

    Raises:
        RuntimeError: If Java fails; contains its error message.

    Examples:
        >>> ptb_tokens(["A man's dog runs."])  # needs Java  # doctest: +SKIP
        ["a man 's dog runs"]
    """
    from pycocoevalcap.tokenizer import ptbtokenizer

    jar = Path(ptbtokenizer.__file__).with_name(ptbtokenizer.STANFORD_CORENLP_3_4_1_JAR)
    lines = ''.join(' '.join(caption.split()) + '\n' for caption in captions)
    done = subprocess.run(
        ['java', '-cp', str(jar), 'edu.stanford.nlp.process.PTBTokenizer', '-preserveLines', '-lowerCase'],
        input=lines.encode(errors='replace'),
        capture_output=True,
    )
    tokenized = done.stdout.decode(errors='replace').split('\n')[:-1]
    if done.returncode or len(tokenized) != len(captions):
        raise RuntimeError(
            f'the PTB tokenizer (java) exited with status {done.returncode} and '
            f'{len(tokenized)} lines for {len(captions)} captions: '
            f'{done.stderr.decode(errors="replace")[-500:]}'
        )
    dropped = set(ptbtokenizer.PUNCTUATIONS)
    return [' '.join(word for word in line.split(' ') if word not in dropped).strip() for line in tokenized]


def plain_tokens(captions: list[str]) -> list[str]:
    """Tokenize captions almost like :func:`ptb_tokens`, without Java.

    Captions are converted to lower case. ``don't`` and ``man's`` are split before ``n't`` and ``'s``.
    Brackets become ``-lrb-`` and so on. Words with inner hyphens, numbers such as 1,000, and ``mr.`` are not
    split. The punctuation that pycocoevalcap drops is dropped.

    The result equals that of the PTB tokenizer for all 80,827 captions of MSVD, the 1,000 captions of
    MSR-VTT's 1k-A test, DiDeMo's 4,021 test captions, and all but 7 of the 17,505 captions of ActivityNet.
    Known differences are ``gonna``, ``o'clock``, ``'tis`` and similar words, ``at&t``, addresses, tags,
    emoticons, fractions in one character, letters with combining accents, and zero-width spaces.

    Args:
        captions (list[str]): Captions.

    Returns:
        list[str]: Words joined by spaces, '' for a caption without words.

    Examples:
        >>> plain_tokens(["A man's dog runs."])
        ["a man 's dog runs"]
    """
    tokenized = []
    for caption in captions:
        words = PLAIN_WORD.findall(caption.lower().replace('’', "'").replace('‘', "'"))
        tokenized.append(' '.join(BRACKETS.get(word, word) for word in words if word not in DROPPED))
    return tokenized
