_base_ = [
    '../../_base_/models/clip4clip_vit-base-p32.py',
    '../../_base_/datasets/howto100m.py',
    '../../_base_/schedules/modern.py',
    '../../_base_/default_runtime.py',
]

# The captions of a clip are a bag, see --neighbors of the converter.
model = dict(loss=dict(type='MILNCELoss'))
train_dataloader = dict(dataset=dict(caption_mode='all'))
# Not tuned. Narrations are noisy, so CLIP's rate is lower than in fine-tuning.
optim_wrapper = dict(optimizer=dict(lr=1e-6))
