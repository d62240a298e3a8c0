_base_ = '../clip4clip_vit-base-p32-res224-clip-pre_8xb16-u12-5e_msrvtt-9k-rgb.py'

train_decode, test_decode = _base_.train_decode, _base_.test_decode
train_decode.sampling.clip_len = test_decode.sampling.clip_len = 1
train_pipeline = [train_decode, *_base_.after_decode]
test_pipeline = [test_decode, *_base_.after_decode]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
