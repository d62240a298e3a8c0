"""Let mmengine format the text of a config once."""

import functools


@functools.cache
def format_configs_once() -> None:
    """Format the text of a config once, not at each of its uses.

    Symptom: mmengine <= 0.10.7 lets yapf format the whole config for the file in the work dir, for its hook
    of runtime information and for each checkpoint, which takes most of a second each time.

    Safe because the output depends on the text and the style alone, and both are compared.
    """
    from mmengine.config import config

    if not hasattr(config, 'FormatCode'):  # onedl-mmengine imports it when it is used
        return
    format_code = config.FormatCode
    known: dict[tuple[str, str, str], tuple[str, bool]] = {}

    def format_once(text: str, style_config: dict, **options) -> tuple[str, bool]:
        key = text, repr(style_config), repr(options)
        formatted = known.get(key)
        if formatted is None:
            formatted = format_code(text, style_config=style_config, **options)
            known.clear()  # a run has one config
            known[key] = formatted
        return formatted  # another thread may have replaced it in known

    config.FormatCode = format_once
