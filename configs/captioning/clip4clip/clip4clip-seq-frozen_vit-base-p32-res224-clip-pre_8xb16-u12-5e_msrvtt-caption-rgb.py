_base_ = 'clip4clip-seq-joint_vit-base-p32-res224-clip-pre_8xb16-u12-5e_msrvtt-caption-rgb.py'

# Train only the decoder, on the features of CLIP and a retrieval checkpoint (load_from).
model = dict(retrieval_weight=0.0, freeze_encoder=True)
