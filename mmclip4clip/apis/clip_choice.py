"""The variable ``clip`` of a config, which chooses CLIP and its tokenizer in one place."""

from collections.abc import Iterator

from mmengine.config import Config
from mmengine.logging import print_log

TOKENIZE, TOKENIZE_TARGETS = 'TokenizeCaptions', 'TokenizeTargets'


def use_clip(cfg: Config) -> None:
    """Set ``model.backbone.pretrained`` and all tokenizers of CLIP to the config's ``clip``, if it has one.

    A random CLIP (``model.backbone.config``) is replaced. The tokenizer of a captioner follows too, unless
    its targets have their own tokenizer (``TokenizeTargets``).

    Args:
        cfg (Config): Config of a run; changed in place.

    Raises:
        ValueError: If ``clip`` is not a name or a folder, or the config has no backbone that loads a CLIP.

    Examples:
        >>> cfg = Config(dict(
        ...     clip='my_clip',
        ...     model=dict(type='CLIP4ClipRetriever', backbone=dict(type='CLIPBackbone', pretrained='other')),
        ...     test_dataloader=dict(dataset=dict(pipeline=[dict(type='TokenizeCaptions', max_words=32)])),
        ... ))
        >>> use_clip(cfg)
        >>> cfg.model.backbone.pretrained, cfg.test_dataloader.dataset.pipeline[0].tokenizer
        ('my_clip', 'my_clip')
    """
    name = cfg.get('clip')
    if name is None:
        return
    model = cfg.get('model') or {}
    backbone = model.get('backbone')
    if not isinstance(name, str) or not name:
        raise ValueError(f'clip must be a name on the Hugging Face hub or a local folder, got {name!r}')
    if not isinstance(backbone, dict) or class_name(backbone) != 'CLIPBackbone':
        raise ValueError(f'clip={name!r} needs a CLIPBackbone as model.backbone, got {backbone!r}')
    for key in ('config', 'embedding_std'):
        backbone.pop(key, None)
    backbone['pretrained'] = name
    loaders = [cfg.get(f'{split}_dataloader') for split in ('train', 'val', 'test')]
    steps = [step for step in typed_dicts(loaders) if class_name(step) in (TOKENIZE, TOKENIZE_TARGETS)]
    tokenizing = [step for step in steps if class_name(step) == TOKENIZE]
    for step in tokenizing:
        step['tokenizer'] = name
    follows = 'tokenizer' in model and len(tokenizing) == len(steps)
    if follows:
        model['tokenizer'] = name
    print_log(
        f'clip={name!r} sets model.backbone.pretrained, {len(tokenizing)} tokenizers of pipelines'
        + ', model.tokenizer' * follows,
        logger='current',
    )


def class_name(cfg: dict) -> str:
    """Return the name of the class that a config builds, without scope and module."""
    kind = cfg.get('type')
    return kind.rsplit('.')[-1] if isinstance(kind, str) else getattr(kind, '__name__', '')


def typed_dicts(value: object) -> Iterator[dict]:
    """Yield all dicts with a ``type`` in nested lists and dicts."""
    if isinstance(value, dict):
        if 'type' in value:
            yield value
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from typed_dicts(item)
