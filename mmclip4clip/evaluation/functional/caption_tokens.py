"""Captions cut into words, as the captioning metrics want them: lower case, without punctuation."""

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
DROPPED = set('\'"`“”.?!,:;-–—…\ufffd')  # the last is what bytes decode to that are no text


def ptb_tokens(captions: list[str]) -> list[str]:
    r"""Tokenize captions as pycocoevalcap does, with Stanford's PTB tokenizer, in Java.

    The program and the list of punctuation to drop are those of
    ``pycocoevalcap.tokenizer.PTBTokenizer``, which itself writes into its own
    folder and, of a caption with a line break of a kind other than ``\n``, makes
    two, so that all later captions go to wrong videos.

    Args:
        captions (list[str]): Captions; white space of any kind is one space.

    Returns:
        list[str]: Words joined by spaces, '' for a caption without a word.

    Raises:
        RuntimeError: If Java fails, with what it said.
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
            f'the PTB tokenizer (java) ended with status {done.returncode} and '
            f'{len(tokenized)} lines for {len(captions)} captions: '
            f'{done.stderr.decode(errors="replace")[-500:]}'
        )
    dropped = set(ptbtokenizer.PUNCTUATIONS)
    return [' '.join(word for word in line.split(' ') if word not in dropped).strip() for line in tokenized]


def plain_tokens(captions: list[str]) -> list[str]:
    """Tokenize captions nearly as :func:`ptb_tokens` does, without Java.

    Lower case; ``don't`` and ``man's`` are cut before ``n't`` and ``'s``; brackets become
    ``-lrb-`` and so on; words with inner hyphens, numbers such as 1,000 and ``mr.``
    stay whole; the punctuation that pycocoevalcap drops is dropped. All of MSVD's
    80,827 captions, the 1,000 of MSR-VTT's 1k-A test and DiDeMo's 4,021 test captions come out as from
    the PTB tokenizer, and all but 7 of 17,505 of ActivityNet. Known to differ:
    ``gonna``, ``o'clock``, ``'tis`` and such, ``at&t``, addresses, tags and emoticons, fractions in one
    character, letters with combining accents, and spaces of no width.

    Args:
        captions (list[str]): Captions.

    Returns:
        list[str]: Words joined by spaces, '' for a caption without a word.
    """
    tokenized = []
    for caption in captions:
        words = PLAIN_WORD.findall(caption.lower().replace('’', "'").replace('‘', "'"))
        tokenized.append(' '.join(BRACKETS.get(word, word) for word in words if word not in DROPPED))
    return tokenized
