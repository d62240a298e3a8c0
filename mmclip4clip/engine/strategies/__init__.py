from .fsdp import ResumableFSDPStrategy

__all__ = ['ResumableFSDPStrategy']
