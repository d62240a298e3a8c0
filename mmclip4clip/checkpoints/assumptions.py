"""What is assumed of a checkpoint where neither its shapes nor anybody tells."""

from typing import NamedTuple

from .checkpoint import NOT_IN_SHAPES, Checkpoint


class Assumption(NamedTuple):
    """What is taken where nobody tells.

    Args:
        what (str): What is not told.
        value (str): What is assumed of it, in words.
        option (str): The converter's option that tells.
        argument (str): What the option takes to say what is assumed.
    """

    what: str
    value: str
    option: str
    argument: str


def list_assumptions(checkpoint: Checkpoint) -> list[Assumption]:
    """List what neither the shapes nor anybody told, and what is taken in its place."""
    known = {tower: checkpoint.settings.get(tower, {}) for tower in NOT_IN_SHAPES}
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
