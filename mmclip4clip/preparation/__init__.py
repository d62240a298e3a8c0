"""Prepare data before training: convert official annotations, compress videos, and check them."""

from .converters import CONVERTERS, convert

__all__ = ['CONVERTERS', 'convert']
