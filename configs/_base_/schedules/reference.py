# The optimization of CLIP4Clip's training code: BertAdam, its schedule, both clippings and its
# decay (norms, embeddings and the logit scale decay, biases do not).
# The precision differs: the reference trains CLIP's linear, convolution and attention weights in
# fp16 with fp16 moments, which round the second moment of small gradients to 0, so its updates are
# larger. In fp32, CLIP's rate of 1e-7 is probably too small (not measured). Recipes that work in
# fp32 use 1e-6 (X-Pool) to 1e-5 (mmaction2): optim_wrapper.paramwise_cfg.clip_lr_mult=0.01 to 0.1.
# Bases cannot share a key, so the config that inherits this one sets the remaining settings of the
# reference: model.gather, model.loss and train_dataloader.drop_last.
train_cfg = dict(type='ResumableTrainLoop', max_epochs=5, val_begin=1, val_interval=1)
val_cfg = dict(type='VideoTextValLoop')
test_cfg = dict(type='VideoTextTestLoop')

# Without end, the schedule lasts as long as the training.
param_scheduler = [dict(type='RawCosineLR', warmup=0.1, by_epoch=True, convert_to_iter_based=True)]

# First all gradients are clipped together, then those of each tensor (max_grad_norm).
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(
        type='BertAdam', lr=1e-4, betas=(0.9, 0.98), eps=1e-6, weight_decay=0.2, max_grad_norm=1.0
    ),
    clip_grad=dict(max_norm=1.0),
    constructor='CLIPGroupsOptimWrapperConstructor',
    paramwise_cfg=dict(clip_lr_mult=1e-3, no_decay=['bias']),
)

# Global batch size, for any number of GPUs.
auto_scale_lr = dict(enable=False, base_batch_size=128)
