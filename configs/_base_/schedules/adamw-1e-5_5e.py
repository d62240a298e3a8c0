# mmaction2's recipe for MSR-VTT: AdamW in fp32, half an epoch of warm-up, then a cosine.
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=5, val_begin=1, val_interval=1)
val_cfg = dict(type='VideoTextValLoop')
test_cfg = dict(type='VideoTextTestLoop')

param_scheduler = [
    dict(
        type='WarmUpLR',
        start_factor=0.05,
        by_epoch=True,
        begin=0,
        end=0.5,
        convert_to_iter_based=True),
    dict(
        type='CosineAnnealingLR',
        T_max=4.5,
        eta_min=0,
        by_epoch=True,
        begin=0.5,
        end=5,
        convert_to_iter_based=True)
]

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-5, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.05),
    paramwise_cfg=dict(norm_decay_mult=0., bias_decay_mult=0.))

# 8 GPUs x 16 videos
auto_scale_lr = dict(enable=False, base_batch_size=128)
