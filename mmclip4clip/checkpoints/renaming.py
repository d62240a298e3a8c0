import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

WRAPPERS = ('module.', '_orig_mod.', 'model.')
EXACT_IN_FLOAT32 = (torch.float32, torch.float16, torch.bfloat16)


@dataclass(frozen=True)
class Rule:
    """A tensor of another project and its keys in this package, for renaming in both directions.

    Args:
        source (str): Key in the other project; ``{}`` is the number of a block.
        native (tuple[str, ...]): Keys in this package. If there are several, the source tensor is their
            concatenation along the first dimension.
        transposed (bool): Whether the source is (in, out), where this package has (out, in) of a Linear.

    Examples:
        >>> Rule('h.{}.ln.weight', ('blocks.{}.norm.weight',)).under('text.', 'decoder.').at(3).native
        ('decoder.blocks.3.norm.weight',)
    """

    source: str
    native: tuple[str, ...]
    transposed: bool = False

    def under(self, source: str, native: str) -> 'Rule':
        """Return the rule with prefixes for both sides."""
        return replace(self, source=source + self.source, native=tuple(native + key for key in self.native))

    def at(self, block: int) -> 'Rule':
        """Return the rule for one block."""
        return replace(
            self,
            source=self.source.replace('{}', str(block)),
            native=tuple(key.replace('{}', str(block)) for key in self.native),
        )


def layer_rules(source: str, native: str) -> list[Rule]:
    """Return the rules of a layer's weight and bias."""
    return [Rule(f'{source}.{end}', (f'{native}.{end}',)) for end in ('weight', 'bias')]


def expand(rules: Iterable[Rule], keys: Collection[str], side: str) -> Iterator[Rule]:
    """Yield each rule with ``{}`` once per block that the keys have, at least once.

    Args:
        rules (Iterable[Rule]): Rules, with or without ``{}``.
        keys (Collection[str]): Keys of the checkpoint.
        side (str): Side of the keys: ``'source'`` or ``'native'``.

    Raises:
        ValueError: If there is a gap in the numbers of the blocks.
    """
    numbers: dict[str, list[int]] = {}
    for rule in rules:
        stem, block, _ = (rule.source if side == 'source' else rule.native[0]).partition('{}')
        if not block:
            yield rule
            continue
        if stem not in numbers:
            found = {
                int(key[len(stem) :].split('.')[0])
                for key in keys
                if re.match(re.escape(stem) + r'(0|[1-9]\d{0,3})\.', key)
            }
            numbers[stem] = sorted(found) or [0]
            if numbers[stem] != list(range(len(numbers[stem]))):
                raise ValueError(
                    f'the blocks {stem}N must count from 0 without a gap, '
                    f'got N = {join_names(map(str, numbers[stem]))}'
                )
        yield from map(rule.at, numbers[stem])


def join_names(names: Iterable[str], most: int = 6) -> str:
    """Join the first names, followed by the number of remaining ones."""
    names = list(names)
    return ', '.join(names[:most]) + (f' and {len(names) - most} more' if len(names) > most else '')


def check_keys(expected: Collection[str], keys: Collection[str], name: str) -> None:
    """Compare the keys of a checkpoint with the expected ones.

    Raises:
        ValueError: If keys are missing or unknown; lists them.
    """
    present, wanted = set(keys), set(expected)
    missing = [key for key in expected if key not in present]
    unknown = [key for key in keys if key not in wanted]
    problems = [
        f'{len(found)} {what} key{"s" * (len(found) > 1)}: {join_names(found)}'
        for what, found in (('missing', missing), ('unknown', unknown))
        if found
    ]
    if problems:
        raise ValueError(f'{name} does not have the keys of its kind; ' + '; '.join(problems))


def rename_to_native(
    tensors: Mapping[str, Tensor], rules: Iterable[Rule], name: str, unused: Collection[str] = ()
) -> dict[str, Tensor]:
    """Rename the tensors of another project to this package's keys, in fp32.

    Args:
        tensors (Mapping[str, Tensor]): State dict of the other project.
        rules (Iterable[Rule]): Rules of its kind.
        name (str): Name of the checkpoint in error messages.
        unused (Collection[str]): Source keys that this package does not use.

    Raises:
        ValueError: If keys are missing or unknown, or fp32 cannot represent a tensor exactly.
    """
    rules, native = list(expand(rules, tensors, 'source')), {}
    check_keys([rule.source for rule in rules] + list(unused), tensors, name)
    for rule in rules:
        value = tensors[rule.source].detach()
        if value.dtype not in EXACT_IN_FLOAT32:
            raise ValueError(
                f'{name}: {rule.source} is {value.dtype}, expected one of '
                f'{join_names(map(str, EXACT_IN_FLOAT32))}'
            )
        if rule.transposed and value.ndim != 2 or len(rule.native) > 1 and len(value) % len(rule.native):
            raise ValueError(
                f'{name}: {rule.source} has the shape {tuple(value.shape)}, expected '
                + ('a matrix' if rule.transposed else f'{len(rule.native)} parts of one size')
            )
        value = value.T if rule.transposed else value
        parts = value.chunk(len(rule.native)) if len(rule.native) > 1 else [value]
        for key, part in zip(rule.native, parts):
            native[key] = part.to(torch.float32).clone(memory_format=torch.contiguous_format)
    return native


def rename_from_native(
    native: Mapping[str, Tensor], rules: Iterable[Rule], name: str, dtypes: Mapping[str, str] = {}
) -> dict[str, Tensor]:
    """Rename tensors of this package to the keys of another project; the inverse of :func:`rename_to_native`.

    Args:
        native (Mapping[str, Tensor]): A state dict of this package.
        rules (Iterable[Rule]): Rules of the other project.
        name (str): Name of the checkpoint in error messages.
        dtypes (Mapping[str, str]): Precision by source key, such as ``'float16'``. All other tensors, and
            those that would lose digits, are fp32.

    Raises:
        ValueError: If keys are missing or unknown.
    """
    rules, source = list(expand(rules, native, 'native')), {}
    check_keys([key for rule in rules for key in rule.native], native, name)
    for rule in rules:
        parts = [native[key].detach() for key in rule.native]
        value = torch.cat(parts) if len(parts) > 1 else parts[0]
        value = (value.T if rule.transposed else value).clone(memory_format=torch.contiguous_format)
        narrow = value.to(getattr(torch, dtypes.get(rule.source, 'float32')))
        source[rule.source] = narrow if torch.equal(narrow.to(value.dtype), value) else value
    return source


def unwrap(tensors: Mapping[str, Tensor]) -> tuple[Mapping[str, Tensor], str]:
    """Remove the prefix that wrappers such as DDP add to every key; return the tensors and the prefix."""
    prefix = ''
    while start := next((w for w in WRAPPERS if tensors and all(key.startswith(w) for key in tensors)), ''):
        tensors, prefix = {key.removeprefix(start): value for key, value in tensors.items()}, prefix + start
    return tensors, prefix


def narrow_dtypes(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """Return the precision of the tensors that are not fp32, by name."""
    return {
        key: str(value.dtype).removeprefix('torch.')
        for key, value in tensors.items()
        if value.dtype in EXACT_IN_FLOAT32 and value.dtype != torch.float32
    }
