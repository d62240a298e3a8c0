"""Description of a checkpoint, in words and as a config."""

from pathlib import Path
from typing import Any

from mmengine.config import Config
from transformers import CLIPConfig

from ..models.backbones.families import image_size
from ..models.backbones.frame_format import default_format
from ..models.backbones.pretrained_folder import settings_config
from .checkpoint import CLIP, NOT_IN_SHAPES, Checkpoint

NATIVE_POSITIONS = 'adapter.transformer.positions.weight'
REFERENCE_HEADS = dict(
    MeanAdapter='meanP',
    SeqLSTMAdapter='seqLSTM',
    SeqTransformerAdapter='seqTransf',
    TightAdapter='tightTransf',
)


def adapter_config(checkpoint: Checkpoint) -> dict:
    """Return the config of the adapter.

    Unless the checkpoint has the number of heads, there is one per 64 channels.
    """
    state, adapter = checkpoint.state_dict, checkpoint.adapter
    if adapter == 'SeqLSTMAdapter':
        return dict(type=adapter, width=state['adapter.lstm.weight_hh_l0'].shape[1])
    known = checkpoint.settings.get('adapter', {})
    if adapter == 'XPoolAdapter':
        return dict(
            type=adapter,
            width=state['adapter.linear_proj.weight'].shape[0],
            num_heads=known.get('num_heads', 1),
        )
    if adapter == 'WTIAdapter' and NATIVE_POSITIONS not in state:
        return dict(type=adapter, width=state['adapter.token_weight.0.weight'].shape[0], num_layers=0)
    if adapter not in ('SeqTransformerAdapter', 'TightAdapter', 'WTIAdapter'):
        return dict(known, type=adapter)
    positions, width = state[NATIVE_POSITIONS].shape
    heads = known.get('num_heads') or max(1, width // 64)
    depth = sum(key.startswith('adapter.') and key.endswith('.mlp.fc1.weight') for key in state)
    config = dict(
        type=adapter,
        width=width,
        num_layers=depth,
        num_heads=heads,
        max_frames=positions - (adapter == 'TightAdapter'),
    )
    if adapter == 'TightAdapter' and checkpoint.tight_variant != 'reference':
        config['variant'] = checkpoint.tight_variant
    text = checkpoint.clip_config()['text_config']
    if (
        (width, heads) != (text['hidden_size'], text['num_attention_heads'])
        or depth > text['num_hidden_layers']
        or positions > text['max_position_embeddings']
    ):
        config['start'] = 'random'  # it cannot be initialized from the text tower
    if known.get('start') == 'random':  # with QuickGELU, whatever the text tower uses
        config['start'] = 'random'
    return config


def model_config(checkpoint: Checkpoint) -> str:
    """Return the model config of a checkpoint as Python text.

    Defaults of :class:`transformers.CLIPConfig` (ViT-B/32) are left out.

    Examples:
        >>> import torch
        >>> from transformers import CLIPModel
        >>> with torch.device('meta'):  # shapes are enough
        ...     weights = CLIPModel(CLIPConfig()).state_dict()
        >>> print(model_config(Checkpoint({f'backbone.clip.{key}': w for key, w in weights.items()})))
        model = dict(
            adapter=dict(type='MeanAdapter'),
            backbone=dict(type='CLIPBackbone'),
            type='CLIP4ClipRetriever')
    """
    backbone: dict[str, Any] = dict(type='CLIPBackbone')
    config = checkpoint.encoder or _changed_from_default(checkpoint.clip_config())
    if config:
        backbone['config'] = config
    if checkpoint.frame_format:
        default = default_format(checkpoint.family, checkpoint.frame_format['size'])._asdict()
        changed = {key: value for key, value in checkpoint.frame_format.items() if value != default[key]}
        if changed:
            backbone['frame_format'] = changed
    if checkpoint.linear_patch == '3d':
        backbone['linear_patch'] = '3d'
    return Config(
        dict(model=dict(type='CLIP4ClipRetriever', backbone=backbone, adapter=adapter_config(checkpoint)))
    ).pretty_text


def _changed_from_default(config: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of :class:`transformers.CLIPConfig` that are not its defaults."""
    default = CLIPConfig()
    changed = {
        tower: {
            key: value
            for key, value in config[tower].items()
            if value != getattr(getattr(default, tower), key)
        }
        for tower in NOT_IN_SHAPES
    }
    if config['projection_dim'] != default.projection_dim:
        changed['projection_dim'] = config['projection_dim']
    return {key: value for key, value in changed.items() if value}


def usage(checkpoint: Checkpoint, kind: str, path: Path) -> str:
    """Return the config, code or command-line options that load a written checkpoint.

    Args:
        checkpoint (Checkpoint): The written checkpoint.
        kind (str): Its kind, one of ``KINDS``.
        path (Path): Its path.

    Examples:
        >>> import torch
        >>> from transformers import CLIPModel
        >>> with torch.device('meta'):  # shapes are enough
        ...     weights = CLIPModel(CLIPConfig()).state_dict()
        >>> checkpoint = Checkpoint({f'backbone.clip.{key}': w for key, w in weights.items()})
        >>> usage(checkpoint, 'reference', Path('clip.bin'))
        '--init_model clip.bin --sim_header meanP --loose_type --linear_patch 2d'
    """
    adapter = adapter_config(checkpoint)
    if kind == 'mmclip4clip':
        return model_config(checkpoint)
    if kind == 'transformers':
        without = '' if checkpoint.tokenizers else '  # the tokenizer is not in it'
        return f"backbone=dict(type='CLIPBackbone', pretrained='{path}'){without}"
    if kind == 'open_clip':
        folder = path.parent if path.suffix else path
        return f"open_clip.create_model_and_transforms('local-dir:{folder}')"
    if kind == 'openai':
        return f"clip.load('{path}')"
    if kind == 'mmaction':
        other = (
            dict(type='SimpleMeanAdapter')
            if adapter['type'] == 'MeanAdapter'
            else dict(
                type='TransformerAdapter',
                num_segs=adapter['max_frames'],
                transformer_width=adapter['width'],
                transformer_heads=adapter['num_heads'],
                transformer_layers=adapter['num_layers'],
            )
        )
        return Config(dict(adapter=other)).pretty_text
    head = REFERENCE_HEADS[adapter['type']]
    loose = '' if head == 'tightTransf' else ' --loose_type'
    depth = f' --cross_num_hidden_layers {adapter["num_layers"]}' if 'num_layers' in adapter else ''
    return f'--init_model {path} --sim_header {head}{loose}{depth} --linear_patch {checkpoint.linear_patch}'


def summary(checkpoint: Checkpoint) -> str:
    """Return the family, the sizes of towers and the adapter in one line.

    Examples:
        >>> import torch
        >>> from transformers import CLIPModel
        >>> with torch.device('meta'):  # shapes are enough
        ...     weights = CLIPModel(CLIPConfig()).state_dict()
        >>> text = summary(Checkpoint({f'backbone.clip.{key}': w for key, w in weights.items()}))
        >>> text.split('; ')[0]
        'CLIP: ViT with 2d patches of 32 at 224 pixels'
    """
    config = checkpoint.clip_config()
    text, vision = config['text_config'], config['vision_config']
    words = [
        f'{tower} {c["num_hidden_layers"]} x {c["hidden_size"]} with {c["num_attention_heads"]} heads'
        + f' and {c["hidden_act"]}' * (c['hidden_act'] != 'quick_gelu')
        for tower, c in (('vision', vision), ('text', text))
    ]
    size = image_size(settings_config(config)[1])[0]
    heads = (f'{CLIP}{key}.weight' for key in ('text_projection', 'text_model.head'))
    width = next(len(checkpoint.state_dict[key]) for key in heads if key in checkpoint.state_dict)
    adapter = adapter_config(checkpoint)
    details = ', '.join(f'{key}={value}' for key, value in adapter.items() if key != 'type')
    return (
        f'{checkpoint.family.name}: ViT with {checkpoint.linear_patch} patches of {vision["patch_size"]} at '
        f'{size} pixels; {"; ".join(words)}; {text["vocab_size"]} tokens; D {width}; '
        f'{adapter["type"]}({details})'
    )
