"""Languages with known probabilities, and searches through them written out in plain Python."""

import functools
import itertools
import math

import numpy as np
import torch
from transformers import GenerationMixin, GPT2Config, GPT2PreTrainedModel
from transformers.modeling_outputs import CausalLMOutput

from mmclip4clip.models.decoders import GenerationOptions, generate


@functools.cache
def logits_after(row, prefix, vocabulary=6):
    """Draw the logits of a row after a prefix, start token included, anew for every prefix."""
    return 2 * np.random.default_rng([row, *prefix]).standard_normal(vocabulary).astype('float32')


class TableModel(GPT2PreTrainedModel, GenerationMixin):
    """Continues prefixes, start included, by ``logits(row, prefix)``, and counts the rows of each step."""

    def __init__(self, logits=logits_after):
        super().__init__(GPT2Config(vocab_size=len(logits(0, (0,))), bos_token_id=None, eos_token_id=None))
        self.logits, self.steps = logits, []
        self.device_of_the_model = torch.nn.Parameter(torch.zeros(1))

    def prepare_inputs_for_generation(self, input_ids, rows, **kwargs):
        return dict(input_ids=input_ids, rows=rows)  # the whole prefix, whatever is cached

    def forward(self, input_ids, rows, attention_mask=None, return_dict=True):
        assert input_ids.dtype == torch.int64
        self.steps.append(len(rows))
        logits = [
            self.logits(row, tuple(prefix))
            for row, prefix in zip(rows.tolist(), input_ids.tolist(), strict=True)
        ]
        return CausalLMOutput(logits=torch.from_numpy(np.stack(logits))[:, None])


def run(rows, logits=logits_after, start=0, end=1, seeds=None, model=None, **options):
    """Generate captions of rows of a table."""
    first = torch.full((len(rows),), start) if isinstance(start, int) else torch.tensor(start)
    return generate(
        model or TableModel(logits),
        dict(rows=torch.tensor(list(rows))),
        first,
        end,
        GenerationOptions(**options),
        seeds,
    )


@functools.cache
def log_probs_after(row, prefix, logits=logits_after):
    """Normalize in double precision."""
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
            total = sum(
                log_probs_after(row, (start, *whole[:i]), logits)[token] for i, token in enumerate(whole)
            )
            scores[tokens] = total / len(whole) ** penalty
    return scores


def search(row, start, end, beams, most, least=0, penalty=1.0, ngram=0, logits=logits_after):
    """Follow ``beams`` prefixes until as many captions are finished; return the best one and its score."""
    running, finished = [(0.0, ())], []
    for length in range(1, most + 1):
        candidates = sorted(
            (
                (total + log_prob, tokens, token)
                for total, tokens in running
                for token, log_prob in enumerate(log_probs_after(row, (start, *tokens), logits))
                if allowed(tokens, token, end, least, ngram)
            ),
            reverse=True,
        )
        for total, tokens, token in candidates[:beams]:
            if token == end or length == most:
                finished.append((total / length**penalty, tokens if token == end else (*tokens, token)))
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
