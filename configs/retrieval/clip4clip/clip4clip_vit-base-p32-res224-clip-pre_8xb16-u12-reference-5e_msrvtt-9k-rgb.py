# Training and frames of the reference: full seconds by its integer frame rate, 12 evenly spaced ones, its
# resize and crop. Two things differ: its fp16 weights and moments, and its model selection on the test split.
_base_ = [
    '../../_base_/models/clip4clip_vit-base-p32.py',
    '../../_base_/datasets/msrvtt-9k.py',
    '../../_base_/schedules/reference.py',
    '../../_base_/default_runtime.py',
]

model = dict(gather='local_gradient', loss=dict(type='SymmetricContrastiveLoss', same_video='negative'))
decode = _base_.decode
decode.sampling.reference_times = True
pipeline = [decode, _base_.resize, _base_.format_shape, _base_.tokenize, _base_.pack]
train_dataloader = dict(drop_last=True, dataset=dict(pipeline=pipeline))
val_dataloader = dict(dataset=dict(pipeline=pipeline))
test_dataloader = val_dataloader
