"""Languages with known probabilities, and searches through them written out in plain Python."""
import itertools
import math

import numpy as np
import torch


def logits_after(row, prefix, vocabulary=6):
    """Draw the logits of a row after a prefix, start token included, anew for every prefix."""
    return 2 * np.random.default_rng([row, *prefix]).standard_normal(vocabulary).astype('float32')


class TableDecoder:
    """Continues prefixes by ``logits(row, prefix)``; the state is a list of (row, prefix).

    It counts the rows of each step, and refuses tokens after the end.
    """

    def __init__(self, logits=logits_after, end=1):
        self.logits, self.end, self.steps = logits, end, []

    def step(self, tokens, state):
        assert tokens.dtype == torch.int64 and self.end not in tokens.tolist()
        state = [(row, (*prefix, token)) for (row, prefix), token in zip(state, tokens.tolist(), strict=True)]
        self.steps.append(len(state))
        return torch.from_numpy(np.stack([self.logits(row, prefix) for row, prefix in state])), state

    def reorder(self, state, rows):
        return [state[row] for row in rows.tolist()]


def states(rows):
    """Give the states of rows before their first token."""
    return [(row, ()) for row in rows]


def log_probs_after(row, prefix, logits=logits_after):
    """Normalise in double precision."""
    values = [float(value) for value in logits(row, prefix)]
    total = math.log(sum(math.exp(value) for value in values))
    return [value - total for value in values]


def allowed(tokens, token, end, least, ngram):
    """Tell whether a caption may go on by a token."""
    if token == end:
        return len(tokens) >= least
    grams = list(zip(*[[*tokens, token][i:] for i in range(ngram)])) if ngram else []
    return len(set(grams)) == len(grams)


def score_every_caption(row, start, end, most, least, penalty, vocabulary, logits=logits_after):
    """Score all captions of a row, {tokens: score}."""
    scores = {}
    others = [token for token in range(vocabulary) if token != end]
    for length in range(least, most + 1):
        for tokens in itertools.product(others, repeat=length):
            whole = tokens if length == most else (*tokens, end)
            total = sum(log_probs_after(row, (start, *whole[:i]), logits)[token]
                        for i, token in enumerate(whole))
            scores[tokens] = total / len(whole) ** penalty
    return scores


def search(row, start, end, beams, most, least=0, penalty=1., ngram=0, logits=logits_after):
    """Follow ``beams`` prefixes until as many captions are finished; return the best one and its score."""
    running, finished = [(0., ())], []
    for length in range(1, most + 1):
        candidates = sorted(((total + log_prob, tokens, token) for total, tokens in running
                             for token, log_prob in enumerate(log_probs_after(row, (start, *tokens), logits))
                             if allowed(tokens, token, end, least, ngram)), reverse=True)
        for total, tokens, token in candidates[:beams]:
            if token == end or length == most:
                finished.append((total / length ** penalty, tokens if token == end else (*tokens, token)))
        running = [(total, (*tokens, token)) for total, tokens, token in candidates if token != end][:beams]
        if len(finished) >= beams:
            break
    score, tokens = max(finished)
    return tokens, score


def captions(found, end=1):
    """Read generated captions as tuples, checking lengths and padding."""
    read = []
    for tokens, length in zip(found.tokens.tolist(), found.lengths.tolist(), strict=True):
        assert end not in tokens[:length] and set(tokens[length:]) <= {end}
        read.append(tuple(tokens[:length]))
    assert found.tokens.shape[1] == max(map(len, read))
    return read
