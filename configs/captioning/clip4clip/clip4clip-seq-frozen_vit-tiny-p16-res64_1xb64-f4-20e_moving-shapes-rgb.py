_base_ = 'clip4clip-seq-joint_vit-tiny-p16-res64_1xb64-f4-20e_moving-shapes-rgb.py'

# Train only the decoder, on the features of retrieval. Its embeddings are CLIP's, which are frozen too.
model = dict(retrieval_weight=0.0, freeze_encoder=True)
