_base_ = 'clip4clip-seq-joint_vit-tiny-p16-res64_1xb64-f4-20e_moving-shapes-rgb.py'

model = dict(retrieval_weight=0.0)
