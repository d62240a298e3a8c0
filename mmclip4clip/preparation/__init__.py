"""Offline work before training: official annotations converted, videos compressed and checked."""

from .converters import CONVERTERS, convert

__all__ = ['CONVERTERS', 'convert']
