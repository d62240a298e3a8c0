from .launch import add_common_arguments, load_config

__all__ = ['add_common_arguments', 'load_config']
