from .bert_adam import BertAdam
from .clip_groups import CLIPGroupsOptimWrapperConstructor

__all__ = ['BertAdam', 'CLIPGroupsOptimWrapperConstructor']
