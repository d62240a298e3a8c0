_base_ = '../clip4clip_vit-base-p32-res224-clip-pre_8xb16-u12-5e_msrvtt-9k-rgb.py'

model = dict(backbone=dict(token_merging=dict(r=4)))
