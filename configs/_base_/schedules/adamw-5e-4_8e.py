# For small models trained from scratch: one epoch of warm-up, then the full rate until the model has
# learned the order of frames, then a cosine. The adapter has a higher rate.
train_cfg = dict(type='ResumableTrainLoop', max_epochs=8, val_begin=4, val_interval=4)
val_cfg = dict(type='VideoTextValLoop')
test_cfg = dict(type='VideoTextTestLoop')

param_scheduler = dict(
    type='WarmUpCosineLR', warmup=1, start_factor=0.02, cosine_begin=5, end=8, convert_to_iter_based=True
)

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=5e-4, betas=(0.9, 0.98), weight_decay=0.05),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0, custom_keys=dict(adapter=dict(lr_mult=2.0))),
)

auto_scale_lr = dict(enable=False, base_batch_size=64)
