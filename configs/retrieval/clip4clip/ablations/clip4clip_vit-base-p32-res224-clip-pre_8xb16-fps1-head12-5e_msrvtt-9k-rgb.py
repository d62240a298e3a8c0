_base_ = '../clip4clip_vit-base-p32-res224-clip-pre_8xb16-u12-5e_msrvtt-9k-rgb.py'

# The paper's sampling and resizing: one frame per second, or the first 12 if there are more.
decode = _base_.decode
decode.sampling.cut = 'head'
pipeline = [decode, _base_.resize, _base_.format_shape, _base_.tokenize, _base_.pack]
train_dataloader = dict(dataset=dict(pipeline=pipeline))
val_dataloader = train_dataloader
test_dataloader = train_dataloader
