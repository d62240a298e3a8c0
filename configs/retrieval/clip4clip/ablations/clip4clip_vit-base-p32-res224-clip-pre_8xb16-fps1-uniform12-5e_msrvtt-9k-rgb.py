_base_ = '../clip4clip_vit-base-p32-res224-clip-pre_8xb16-u12-5e_msrvtt-9k-rgb.py'

# The paper's sampling and resizing: one frame per second, or 12 evenly spaced ones if there are more.
train_dataloader = dict(dataset=dict(pipeline=_base_.pipeline))
val_dataloader = train_dataloader
test_dataloader = train_dataloader
