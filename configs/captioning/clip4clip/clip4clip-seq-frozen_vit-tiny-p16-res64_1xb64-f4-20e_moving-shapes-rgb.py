_base_ = 'clip4clip-seq-joint_vit-tiny-p16-res64_1xb64-f4-20e_moving-shapes-rgb.py'

# The decoder alone, on what retrieval has learned; its embeddings are CLIP's, frozen too.
model = dict(retrieval_weight=0.0, freeze_encoder=True)
