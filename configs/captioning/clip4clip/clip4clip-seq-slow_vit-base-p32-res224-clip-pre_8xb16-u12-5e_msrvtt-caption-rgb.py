_base_ = 'clip4clip-seq-joint_vit-base-p32-res224-clip-pre_8xb16-u12-5e_msrvtt-caption-rgb.py'

# CLIP's rate is 1e-7, a thousandth of the decoder's.
optim_wrapper = dict(paramwise_cfg=dict(clip_lr_mult=0.01))
