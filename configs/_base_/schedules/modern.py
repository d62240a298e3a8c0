# AdamW with half an epoch of warm-up, then a cosine. The heads have ten times CLIP's rate.
# For heads without parameters, this is mmaction2's published recipe for MSR-VTT.
# fp32 by default. For bf16 autocast on a GPU: --amp --cfg-options optim_wrapper.dtype=bfloat16
train_cfg = dict(type='ResumableTrainLoop', max_epochs=5, val_begin=1, val_interval=1)
val_cfg = dict(type='VideoTextValLoop')
test_cfg = dict(type='VideoTextTestLoop')

param_scheduler = dict(
    type='WarmUpCosineLR', warmup=0.5, start_factor=0.05, end=5, convert_to_iter_based=True
)

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-5, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.05),
    constructor='CLIPGroupsOptimWrapperConstructor',
    paramwise_cfg=dict(head_lr_mult=10.0, no_decay=['bias', 'norm']),
)

# 8 GPUs x 16 videos
auto_scale_lr = dict(enable=False, base_batch_size=128)
