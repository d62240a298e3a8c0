_base_ = 'clip4clip-seq-joint_vit-base-p32-res224-clip-pre_8xb16-u12-5e_msrvtt-caption-rgb.py'

# The decoder alone, on what CLIP and a retrieval checkpoint (load_from) know.
model = dict(retrieval_weight=0.0, freeze_encoder=True)
