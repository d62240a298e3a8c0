NOT_GIVEN = '(not given)'


def check_arguments(
    pretrained: str | None,
    config: dict | None,
    linear_patch: str,
    embedding_std: dict[str, float] | None,
    init_cfg: dict | None,
    resized: int | None,
) -> None:
    """Check the arguments of :class:`CLIPBackbone` before anything is loaded.

    Raises:
        ValueError: If one is unknown, or they contradict each other.
    """
    if init_cfg is not None and (init_cfg.get('type') != 'Pretrained' or 'checkpoint' not in init_cfg):
        raise ValueError(
            "init_cfg of CLIPBackbone must be dict(type='Pretrained', checkpoint=FILE, "
            f"prefix='backbone.'), got {init_cfg}"
        )
    if linear_patch not in ('2d', '3d'):
        raise ValueError(f"linear_patch must be '2d' or '3d', got {linear_patch!r}")
    if pretrained is None and config is None:
        raise ValueError(
            'CLIPBackbone got pretrained=None and no config, so nothing says which CLIP it is: give '
            'config=dict(...) of that CLIP, or config=dict() for a random ViT-B/32, or leave pretrained '
            "as it was. mmaction2's init_recognizer sets pretrained to None: give it a config with "
            'model.backbone.config'
        )
    if pretrained in (None, NOT_GIVEN) and resized:
        raise ValueError(
            'image_size and text_length of CLIPBackbone change a pretrained encoder; for random weights give '
            'config.vision_config.image_size and config.text_config.max_position_embeddings'
        )
    if pretrained not in (None, NOT_GIVEN) and (config is not None or embedding_std is not None):
        raise ValueError(
            'CLIPBackbone takes either pretrained or, for random weights, config '
            f'and embedding_std; got pretrained={pretrained!r} with them'
        )
