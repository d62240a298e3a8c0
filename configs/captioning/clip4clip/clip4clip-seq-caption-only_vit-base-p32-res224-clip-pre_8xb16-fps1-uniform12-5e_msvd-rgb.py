_base_ = 'clip4clip-seq-joint_vit-base-p32-res224-clip-pre_8xb16-fps1-uniform12-5e_msvd-rgb.py'

model = dict(retrieval_weight=0.0)
