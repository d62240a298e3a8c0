default_scope = 'mmaction'
custom_imports = dict(imports=['mmclip4clip', 'mmclip4clip.run_start'], allow_failed_imports=False)

default_hooks = dict(
    runtime_info=dict(type='RuntimeInfoHook'),
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=20, ignore_last=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='SafeCheckpointHook', interval=1, max_keep_ckpts=3),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    sync_buffers=dict(type='SyncBuffersHook'),
    work_dir_lock=dict(type='WorkDirLockHook'),
    random_states=dict(type='RandomStateHook'),
    non_finite_guard=dict(type='NonFiniteGuardHook'),
    stop_signal=dict(type='StopSignalHook'),
    bad_videos=dict(type='BadVideoHook'),
    video_check=dict(type='VideoCheckHook'),
    architecture_check=dict(type='ArchitectureCheckHook'),
    input_check=dict(type='InputCheckHook'),
    preprocessing_check=dict(type='PreprocessingCheckHook'),
    report=dict(type='EvaluationReportHook'),
    training_size=dict(type='TrainingSizeHook'),
)

env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'),
)

log_processor = dict(type='LogProcessor', window_size=20, by_epoch=True)
vis_backends = [dict(type='LocalVisBackend')]
visualizer = dict(type='ActionVisualizer', vis_backends=vis_backends)

log_level = 'INFO'
full_log = False  # True: mmengine's log of the config, the environment, all hooks and every parameter
load_from = None
resume = False
