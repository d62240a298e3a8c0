_base_ = '../clip4clip_vit-base-p32-res224-clip-pre_8xb16-u12-5e_msrvtt-9k-rgb.py'

train_dataloader = dict(batch_size=32)
auto_scale_lr = dict(base_batch_size=256)
