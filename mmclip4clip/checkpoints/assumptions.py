"""Assumptions about a checkpoint that neither its shapes nor its settings determine."""

from typing import NamedTuple

from .checkpoint import NOT_IN_SHAPES, Checkpoint


class Assumption(NamedTuple):
    """A property of a checkpoint that is unknown, and the value that is assumed.

    Args:
        what (str): The property, in words.
        value (str): The assumed value, in words.
        option (str): The option of the converter that sets it.
        argument (str): The argument of the option for the assumed value.

    Examples:
        >>> assumption = Assumption('the activation', 'quick_gelu', '--activation', 'quick_gelu')
        >>> f'{assumption.what}: use {assumption.option} to change it'
        'the activation: use --activation to change it'
    """

    what: str
    value: str
    option: str
    argument: str


def list_assumptions(checkpoint: Checkpoint) -> list[Assumption]:
    """List the unknown properties of a checkpoint, with the values that are assumed."""
    known = {tower: checkpoint.known_tower(tower) for tower in NOT_IN_SHAPES}
    config, adapter = checkpoint.clip_config(), checkpoint.settings.get('adapter', {})
    assumed = []
    for tower in NOT_IN_SHAPES:
        if 'num_attention_heads' not in known[tower]:
            name, heads = tower.removesuffix('_config'), config[tower]['num_attention_heads']
            assumed.append(
                Assumption(
                    f'the attention heads of the {name} tower',
                    'one every 64 channels',
                    f'--{name}-heads',
                    str(heads),
                )
            )
    if any('hidden_act' not in known[tower] for tower in NOT_IN_SHAPES):
        assumed.append(Assumption('the activation', "OpenAI's quick_gelu", '--activation', 'quick_gelu'))
    attentive = checkpoint.adapter == 'XPoolAdapter' or any(
        key.startswith('adapter.') and '.self_attn.' in key for key in checkpoint.state_dict
    )
    if attentive and not adapter.get('type') and 'num_heads' not in adapter:
        heads = 'one' if checkpoint.adapter == 'XPoolAdapter' else 'one every 64 channels'
        assumed.append(Assumption('the attention heads of the adapter', heads, '--adapter-heads', 'N'))
    return assumed
