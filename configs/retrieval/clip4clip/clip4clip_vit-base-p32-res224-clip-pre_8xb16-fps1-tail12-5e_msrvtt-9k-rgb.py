_base_ = 'clip4clip_vit-base-p32-res224-clip-pre_8xb16-u12-5e_msrvtt-9k-rgb.py'

# The paper's sampling and pixels: a frame a second, of more than 12 the last ones.
frames = dict(type='DecodeVideo', sampling=dict(type='SampleAtRate', fps=1, max_frames=12, cut='tail'))
pipeline = [frames, *_base_.pipeline[1:]]
train_dataloader = dict(dataset=dict(pipeline=pipeline))
val_dataloader = dict(dataset=dict(pipeline=pipeline))
test_dataloader = val_dataloader
