import math
from dataclasses import dataclass, field

from torch import Tensor
from transformers import CLIPConfig

CLIP = 'backbone.clip.'
PATCH = f'{CLIP}vision_model.embeddings.patch_embedding.weight'
# What the shapes of a CLIP's weights do not tell.
NOT_IN_SHAPES = dict(
    text_config=(
        'num_attention_heads',
        'hidden_act',
        'layer_norm_eps',
        'bos_token_id',
        'eos_token_id',
        'pad_token_id',
    ),
    vision_config=('num_attention_heads', 'hidden_act', 'layer_norm_eps'),
)
# By how a key begins that the adapters before it do not have. MeanAdapter has none at all.
ADAPTERS = {
    'adapter.lstm.': 'SeqLSTMAdapter',
    'adapter.score.': 'TightAdapter',
    'adapter.token_weight.': 'WTIAdapter',
    'adapter.linear_proj.': 'XPoolAdapter',
    'adapter.transformer.': 'SeqTransformerAdapter',
    'adapter.': 'an unknown adapter',
}


# Kinds of checkpoints whose code builds OpenAI's CLIP: of their towers nothing is assumed.
OPENAI_BUILT = ('reference', 'mmaction')
# Those with attention heads.
ATTENTIVE = ('SeqTransformerAdapter', 'TightAdapter', 'WTIAdapter', 'XPoolAdapter')


@dataclass
class Checkpoint:
    """Weights under our names, and all that is known about them.

    Args:
        state_dict (dict[str, Tensor]): fp32, by the keys of :class:`CLIP4ClipRetriever`.
        origin (str): The kind of checkpoint that they were converted from.
        dtypes (dict[str, str]): Precision of the origin's tensors that were not
            fp32, by the origin's keys.
        unused (dict[str, Tensor]): The origin's tensors that have no place in our model.
        settings (dict): What shapes do not tell, where it is known: ``text_config``
            and ``vision_config`` with the keys of ``NOT_IN_SHAPES``, ``adapter``.
        notes (list[str]): What whoever converts should know.
    """

    state_dict: dict[str, Tensor]
    origin: str = 'mmclip4clip'
    dtypes: dict[str, str] = field(default_factory=dict)
    unused: dict[str, Tensor] = field(default_factory=dict)
    settings: dict = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def adapter(self) -> str:
        """Class name of the adapter."""
        found = (
            name for start, name in ADAPTERS.items() if any(key.startswith(start) for key in self.state_dict)
        )
        return self.settings.get('adapter', {}).get('type') or next(found, 'MeanAdapter')

    @property
    def linear_patch(self) -> str:
        """``'2d'`` or ``'3d'``."""
        return '3d' if self.state_dict[PATCH].ndim == 5 else '2d'

    def without_adapter(self) -> None:
        """Leave CLIP alone, with a 2d patch; notes say what that drops."""
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
        """Read off the shapes what they tell of CLIP's config.

        Raises:
            ValueError: If the image is not square.
        """
        shapes = {key.removeprefix(CLIP): value.shape for key, value in self.state_dict.items()}
        patch = shapes['vision_model.embeddings.patch_embedding.weight']
        patches = shapes['vision_model.embeddings.position_embedding.weight'][0] - 1
        side = math.isqrt(patches)
        if side * side != patches:
            raise ValueError(f'the vision tower has positions of {patches} patches, expected a square number')
        vocabulary, width = shapes['text_model.embeddings.token_embedding.weight']
        positions = shapes['text_model.embeddings.position_embedding.weight'][0]
        towers = {
            tower: dict(
                intermediate_size=shapes[f'{tower}_model.encoder.layers.0.mlp.fc1.weight'][0],
                num_hidden_layers=sum(
                    key.startswith(f'{tower}_model.') and key.endswith('.mlp.fc1.weight') for key in shapes
                ),
            )
            for tower in ('text', 'vision')
        }
        return dict(
            text_config=dict(
                hidden_size=width, vocab_size=vocabulary, max_position_embeddings=positions, **towers['text']
            ),
            vision_config=dict(
                hidden_size=patch[0],
                num_channels=patch[1],
                patch_size=patch[-1],
                image_size=patch[-1] * side,
                **towers['vision'],
            ),
            projection_dim=shapes['text_projection.weight'][0],
        )

    def clip_config(self) -> dict:
        """Return the arguments of :class:`transformers.CLIPConfig`, all that matter.

        Where nothing is known, they are OpenAI's: one head every 64 channels,
        the features of a caption at its highest token.
        """
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

    def learn(self, config: CLIPConfig, name: str) -> None:
        """Take from a config what the shapes do not tell.

        Raises:
            ValueError: If the config contradicts the shapes, naming both values.
        """
        for tower, keys in NOT_IN_SHAPES.items():
            told = getattr(config, tower)
            for key, size in self.sizes()[tower].items():
                if getattr(told, key) != size:
                    raise ValueError(
                        f'{name}: the config says {tower}.{key}={getattr(told, key)}, the weights {size}'
                    )
            self.settings[tower] = {key: getattr(told, key) for key in keys if hasattr(told, key)}

    def set_heads(self, **heads: int | None) -> None:
        """Take the attention heads of the towers, ``text`` and ``vision``, from the user; None leaves them.

        Raises:
            ValueError: If a number is known to be another, or does not divide the width.
        """
        for tower, number in heads.items():
            known = self.settings.setdefault(f'{tower}_config', {})
            width = self.sizes()[f'{tower}_config']['hidden_size']
            if number is None:
                continue
            if number < 1 or width % number or known.get('num_attention_heads', number) != number:
                raise ValueError(
                    f'--{tower}-heads={number} does not fit: the {tower} tower has '
                    f'{known.get("num_attention_heads", "an unknown number of")} heads and a '
                    f'width of {width}'
                )
            known['num_attention_heads'] = number

    def set_activation(self, activation: str | None) -> None:
        """Take the activation of both towers from the user; None leaves it.

        Raises:
            ValueError: If it is known to be another.
        """
        for tower in NOT_IN_SHAPES if activation else ():
            known = self.settings.setdefault(tower, {})
            if known.get('hidden_act', activation) != activation:
                raise ValueError(
                    f'--activation={activation} does not fit: {tower}.hidden_act is {known["hidden_act"]}'
                )
            known['hidden_act'] = activation

    def set_adapter_heads(self, heads: int | None) -> None:
        """Take the attention heads of the adapter from the user; None leaves them.

        Raises:
            ValueError: If the adapter has none, or is known to have another number.
        """
        if heads is None:
            return
        known = self.settings.setdefault('adapter', {})
        if self.adapter not in ATTENTIVE or heads < 1 or known.get('num_heads', heads) != heads:
            raise ValueError(
                f'--adapter-heads={heads} does not fit: {self.adapter} has '
                f'{known.get("num_heads", "an unknown number of")} heads'
            )
        self.settings['adapter'] = dict(known, num_heads=heads)

    def check_fits_openai(self, target: str, patches: tuple = ('2d',)) -> None:
        """Compare with what OpenAI's code takes for granted.

        Args:
            target (str): What errors call the code that is to load the weights.
            patches (tuple[str, ...]): The linear patches that it knows.

        Raises:
            ValueError: Listing what it would take for something else.
        """
        config = self.clip_config()
        wanted = {
            f'{tower}.{key}': (config[tower][key], value)
            for tower in NOT_IN_SHAPES
            for key, value in dict(
                num_attention_heads=config[tower]['hidden_size'] // 64,
                hidden_act='quick_gelu',
                layer_norm_eps=1e-5,
                intermediate_size=4 * config[tower]['hidden_size'],
            ).items()
        }
        text = config['text_config']
        if text['eos_token_id'] != 2:  # 2 is transformers' word for "the highest"
            wanted['text_config.eos_token_id'] = text['eos_token_id'], text['vocab_size'] - 1
        problems = [
            f'{key} is {value}, {built_in} is built in'
            for key, (value, built_in) in wanted.items()
            if value != built_in
        ]
        if self.linear_patch not in patches:
            problems.append('there is no 3d patch: --clip-only keeps the middle frame of it')
        if problems:
            raise ValueError(f'{target} cannot hold this model: ' + '; '.join(problems))
