"""Let mmengine train on machines without an accelerator, with several processes and in bfloat16."""

import functools
import os
import subprocess
import warnings


@functools.cache
def distribute_without_gpu() -> None:
    """Make ``--launcher pytorch`` and ``slurm`` work on machines without an accelerator.

    Symptom: mmengine <= 0.10.7 calls ``torch.cuda.set_device`` for every backend, and passes DDP a device id,
    which is not allowed for a model on the CPU.

    Safe because the replacements only act without an accelerator, where the originals fail.
    """
    import torch.distributed as torch_dist
    from mmengine.device import get_device
    from mmengine.dist import utils
    from mmengine.runner import Runner

    init_dist_pytorch, wrap_model = utils._init_dist_pytorch, Runner.wrap_model
    init_dist_slurm = utils._init_dist_slurm

    def init_dist_on_cpu(backend, init_backend='torch', **kwargs) -> None:
        if get_device() != 'cpu':
            return init_dist_pytorch(backend, init_backend=init_backend, **kwargs)
        return torch_dist.init_process_group('gloo' if backend == 'nccl' else backend, **kwargs)

    def init_slurm_on_cpu(backend, port: int | None = None, **kwargs) -> None:
        if get_device() != 'cpu':
            init_dist_slurm(backend, port=port, **kwargs)
            return
        slurm = dict(RANK='SLURM_PROCID', WORLD_SIZE='SLURM_NTASKS', LOCAL_RANK='SLURM_LOCALID')
        os.environ.update({name: os.environ[theirs] for name, theirs in slurm.items()})
        if port is not None:
            os.environ['MASTER_PORT'] = str(port)
        os.environ.setdefault('MASTER_PORT', '29500')  # torch's default
        if 'MASTER_ADDR' not in os.environ:
            shown = ['scontrol', 'show', 'hostnames', os.environ['SLURM_NODELIST']]
            found = subprocess.run(shown, capture_output=True, text=True, check=True)
            os.environ['MASTER_ADDR'] = found.stdout.split()[0]
        init_dist_on_cpu(backend, **kwargs)

    def wrap_model_on_cpu(self, model_wrapper_cfg, model):
        if get_device() == 'cpu' and self.distributed and model_wrapper_cfg is None:
            model_wrapper_cfg = dict(
                type='MMDistributedDataParallel',
                device_ids=None,
                broadcast_buffers=False,
                find_unused_parameters=self.cfg.get('find_unused_parameters', False),
            )
        return wrap_model(self, model_wrapper_cfg, model)

    utils._init_dist_pytorch, Runner.wrap_model = init_dist_on_cpu, wrap_model_on_cpu
    utils._init_dist_slurm = init_slurm_on_cpu


@functools.cache
def mix_precision_without_gpu() -> None:
    """Let ``AmpOptimWrapper`` train in bfloat16 on machines without an accelerator.

    Symptom: mmengine <= 0.10.7 refuses to build it there, although its ``autocast`` has bfloat16 on the CPU.

    Safe because it only acts without an accelerator, where the original fails. bfloat16 has the range of
    float32, so the loss scaler is off, as torch's own is without a GPU. float16 stays an error: mmengine's
    ``autocast`` does not have it on the CPU.
    """
    import torch
    from mmengine.device import get_device
    from mmengine.optim.optimizer import amp_optimizer_wrapper as amp

    init = amp.AmpOptimWrapper.__init__

    def init_on_cpu(self, loss_scale='dynamic', dtype=None, use_fsdp: bool = False, **kwargs) -> None:
        if get_device() != 'cpu' or amp.is_cuda_available():
            init(self, loss_scale=loss_scale, dtype=dtype, use_fsdp=use_fsdp, **kwargs)
            return
        if dtype not in (None, 'bfloat16', torch.bfloat16):
            raise ValueError(
                f"optim_wrapper.dtype={str(dtype)!r} needs a GPU; on the CPU it must be 'bfloat16'"
            )
        amp.OptimWrapper.__init__(self, **kwargs)
        self._scale_update_param, self.cast_dtype = None, torch.bfloat16
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', FutureWarning)  # that torch.cuda.amp has another name
            self.loss_scaler = amp.GradScaler(enabled=False)

    amp.AmpOptimWrapper.__init__ = init_on_cpu
