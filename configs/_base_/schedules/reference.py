# The rules of CLIP4Clip's training code, as printed: BertAdam, its schedule, both of its
# clippings, its decay (norms, embeddings and the logit scale decay, biases do not).
# Not its precision: it trains CLIP's linear, convolution and attention weights in fp16, with
# fp16 moments. There the second moment of small gradients is rounded to 0, which makes the
# steps longer than the rule's. In fp32, as here, CLIP's rate of 1e-7 is expected, not measured,
# to train too little. Recipes known to work in fp32 have 1e-6 (X-Pool) to 1e-5 (mmaction2):
# optim_wrapper.paramwise_cfg.clip_lr_mult=0.01 to 0.1.
# Bases cannot share a key, so the config that inherits this sets the rest of the reference's
# training: model.gather, model.loss and train_dataloader.drop_last.
train_cfg = dict(type='ResumableTrainLoop', max_epochs=5, val_begin=1, val_interval=1)
val_cfg = dict(type='VideoTextValLoop')
test_cfg = dict(type='VideoTextTestLoop')

# Without an end: as long as the training.
param_scheduler = [dict(type='RawCosineLR', warmup=0.1, by_epoch=True, convert_to_iter_based=True)]

# All gradients are clipped together first, then each tensor's (max_grad_norm).
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(
        type='BertAdam', lr=1e-4, betas=(0.9, 0.98), eps=1e-6, weight_decay=0.2, max_grad_norm=1.0
    ),
    clip_grad=dict(max_norm=1.0),
    constructor='CLIPGroupsOptimWrapperConstructor',
    paramwise_cfg=dict(clip_lr_mult=1e-3, no_decay=['bias']),
)

# The global batch, on any number of GPUs.
auto_scale_lr = dict(enable=False, base_batch_size=128)
