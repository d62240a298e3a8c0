_base_ = 'clip4clip_vit-base-p32-res224-clip-pre_8xb16-u12-5e_msrvtt-9k-rgb.py'

# The paper's sampling: a frame a second, of more than 12 the last ones.
frames = dict(type='DecodeVideo', sampling=dict(type='SampleAtRate', fps=1, max_frames=12, cut='tail'))
train_pipeline = [frames, *_base_.train_pipeline[1:]]
test_pipeline = [frames, *_base_.test_pipeline[1:]]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
