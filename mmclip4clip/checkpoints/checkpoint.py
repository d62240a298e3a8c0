from copy import deepcopy
from dataclasses import dataclass, field

from torch import Tensor
from transformers import CLIPConfig

from ..models.backbones.families import FAMILIES, Family
from .clip_shapes import NOT_IN_SHAPES, clip_sizes, openai_differences

CLIP = 'backbone.clip.'
PATCH = f'{CLIP}vision_model.embeddings.patch_embedding.weight'
TYPES = 'adapter.types.weight'  # only TightAdapter of the paper's text has it
# Adapters by the prefix of a key; the first match counts. MeanAdapter has no keys.
ADAPTERS = {
    'adapter.lstm.': 'SeqLSTMAdapter',
    'adapter.score.': 'TightAdapter',
    'adapter.token_weight.': 'WTIAdapter',
    'adapter.linear_proj.': 'XPoolAdapter',
    'adapter.transformer.': 'SeqTransformerAdapter',
    'adapter.': 'an unknown adapter',
}


# Kinds of checkpoints whose code always builds OpenAI's CLIP, so that its settings are known.
OPENAI_ARCHITECTURE = ('reference', 'mmaction')
# Adapters with attention heads.
WITH_ATTENTION = ('SeqTransformerAdapter', 'TightAdapter', 'WTIAdapter', 'XPoolAdapter')


@dataclass
class Checkpoint:
    """Weights with the keys of this package, and everything else that is known about a checkpoint.

    Args:
        state_dict (dict[str, Tensor]): fp32 weights by the keys of :class:`CLIP4ClipRetriever`.
        origin (str): Kind of checkpoint that they were converted from.
        dtypes (dict[str, str]): Precision of the original tensors that were not fp32, by their
            original keys.
        unused (dict[str, Tensor]): Original tensors that this package does not use.
        settings (dict): Known settings that shapes do not determine: ``text_config`` and
            ``vision_config`` with the keys of ``NOT_IN_SHAPES``, and ``adapter``.
        notes (list[str]): Notes for the user of the converter.
        encoder (dict): Output of :func:`clip_settings` for encoders of other families than CLIP. It is
            complete, so neither shapes nor ``settings`` describe their towers.
        frame_format (dict, optional): Fields of :class:`FrameFormat`, if the source has them.
        tokenizers (dict[str, dict]): Output of :func:`pack_tokenizer` by role, if the source has them.

    Examples:
        >>> from mmclip4clip.models import CLIPBackbone
        >>> tower = dict(hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2)
        >>> vision = dict(tower, image_size=32, patch_size=16)
        >>> backbone = CLIPBackbone(config=dict(text_config=tower, vision_config=vision))
        >>> weights = {f'backbone.{key}': value for key, value in backbone.state_dict().items()}
        >>> checkpoint = Checkpoint(weights)
        >>> checkpoint.adapter, checkpoint.sizes()['vision_config']['image_size']
        ('MeanAdapter', 32)
    """

    state_dict: dict[str, Tensor]
    origin: str = 'mmclip4clip'
    dtypes: dict[str, str] = field(default_factory=dict)
    unused: dict[str, Tensor] = field(default_factory=dict)
    settings: dict = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    encoder: dict = field(default_factory=dict)
    frame_format: dict | None = None
    tokenizers: dict[str, dict] = field(default_factory=dict)

    @property
    def family(self) -> Family:
        """Family of the encoder."""
        return FAMILIES[self.encoder.get('model_type', 'clip')]

    @property
    def adapter(self) -> str:
        """Class name of the adapter."""
        found = (
            name for start, name in ADAPTERS.items() if any(key.startswith(start) for key in self.state_dict)
        )
        return self.settings.get('adapter', {}).get('type') or next(found, 'MeanAdapter')

    @property
    def tight_variant(self) -> str:
        """``variant`` of :class:`TightAdapter`, by its keys."""
        return 'paper' if TYPES in self.state_dict else 'reference'

    @property
    def linear_patch(self) -> str:
        """``'2d'`` or ``'3d'``."""
        return '3d' if self.state_dict[PATCH].ndim == 5 else '2d'

    def drop_adapter(self) -> None:
        """Keep only CLIP, with a 2d patch, and note what is dropped."""
        dropped = [key for key in self.state_dict if not key.startswith(CLIP)]
        if dropped or self.adapter != 'MeanAdapter':
            self.notes.append(f'left out {self.adapter}, {len(dropped)} tensors')
        if self.linear_patch == '3d':
            self.notes.append('left out the first and the last frame of the 3d patch')
            self.state_dict[PATCH] = self.state_dict[PATCH][:, :, 1]
        for key in dropped:
            del self.state_dict[key]
        self.unused, self.settings['adapter'] = {}, {}

    def sizes(self) -> dict:
        """Return the part of CLIP's config that the shapes determine, see :func:`clip_sizes`.

        Raises:
            ValueError: If the vision tower is not for square images.
        """
        return clip_sizes({key.removeprefix(CLIP): value for key, value in self.state_dict.items()})

    def clip_config(self) -> dict:
        """Return the argument ``config`` of :class:`CLIPBackbone` for this checkpoint.

        Unknown settings of a CLIP are OpenAI's: one head per 64 channels, caption features at the highest
        token.
        """
        if self.encoder:
            return deepcopy(self.encoder)
        config = self.sizes()
        for tower in NOT_IN_SHAPES:
            config[tower].update(
                num_attention_heads=max(1, config[tower]['hidden_size'] // 64),
                hidden_act='quick_gelu',
                layer_norm_eps=1e-5,
            )
        last = config['text_config']['vocab_size'] - 1
        config['text_config'].update(bos_token_id=last - 1, eos_token_id=last, pad_token_id=1)
        for tower in NOT_IN_SHAPES:
            config[tower].update(self.settings.get(tower, {}))
        return config

    def update_from_config(self, config: CLIPConfig, name: str) -> None:
        """Take the settings that shapes do not determine from a config.

        Raises:
            ValueError: If the config contradicts the shapes.
        """
        for tower, keys in NOT_IN_SHAPES.items():
            tower_config = getattr(config, tower)
            for key, size in self.sizes()[tower].items():
                if getattr(tower_config, key) != size:
                    raise ValueError(
                        f'{name}: the config says {tower}.{key}={getattr(tower_config, key)}, '
                        f'the weights {size}'
                    )
            self.settings[tower] = {
                key: getattr(tower_config, key) for key in keys if hasattr(tower_config, key)
            }

    def known_tower(self, tower: str) -> dict:
        """Return the known settings of ``text_config`` or ``vision_config``, to read or to change."""
        return self.encoder[tower] if self.encoder else self.settings.setdefault(tower, {})

    def set_heads(self, **heads: int | None) -> None:
        """Set the attention heads of the towers ``text`` and ``vision``; None keeps them.

        Raises:
            ValueError: If a number contradicts the known one, or does not divide the width.
        """
        for tower, number in heads.items():
            if number is None:
                continue
            known = self.known_tower(f'{tower}_config')
            width = self.clip_config()[f'{tower}_config']['hidden_size']
            if number < 1 or width % number or known.get('num_attention_heads', number) != number:
                raise ValueError(
                    f'--{tower}-heads={number} does not fit: the {tower} tower has '
                    f'{known.get("num_attention_heads", "an unknown number of")} heads and a '
                    f'width of {width}'
                )
            known['num_attention_heads'] = number

    def set_activation(self, activation: str | None) -> None:
        """Set the activation of both towers; None keeps it.

        Raises:
            ValueError: If it contradicts the known one.
        """
        for tower in NOT_IN_SHAPES if activation else ():
            known = self.known_tower(tower)
            if known.get('hidden_act', activation) != activation:
                raise ValueError(
                    f'--activation={activation} does not fit: {tower}.hidden_act is {known["hidden_act"]}'
                )
            known['hidden_act'] = activation

    def set_adapter_heads(self, heads: int | None) -> None:
        """Set the attention heads of the adapter; None keeps them.

        Raises:
            ValueError: If the adapter has no attention, or the number contradicts the known one.
        """
        if heads is None:
            return
        known = self.settings.setdefault('adapter', {})
        if self.adapter not in WITH_ATTENTION or heads < 1 or known.get('num_heads', heads) != heads:
            raise ValueError(
                f'--adapter-heads={heads} does not fit: {self.adapter} has '
                f'{known.get("num_heads", "an unknown number of")} heads'
            )
        self.settings['adapter'] = dict(known, num_heads=heads)

    def check_openai_compatible(self, target: str, patches: tuple = ('2d',)) -> None:
        """Check the settings that code for OpenAI's CLIP hard-codes.

        Args:
            target (str): Name of the code that will load the weights, for error messages.
            patches (tuple[str, ...]): The linear patches that it supports.

        Raises:
            ValueError: If it is not a CLIP, or settings differ; lists them.
        """
        if self.encoder:
            raise ValueError(
                f'{target} cannot represent {self.family.name} (model_type={self.family.model_type!r}), only '
                "CLIP with OpenAI's architecture: --to transformers writes a folder of this family"
            )
        problems = openai_differences(self.clip_config())
        if self.linear_patch not in patches:
            problems.append('there is no 3d patch: --clip-only keeps the middle frame of it')
        if problems:
            raise ValueError(f'{target} cannot represent this model: ' + '; '.join(problems))
