_base_ = '../clip4clip-tight_vit-base-p32-res224-clip-pre_8xb16-u12-5e_msrvtt-9k-rgb.py'

# The head of the paper's text: type embeddings and ReLU. The reference code has no such head.
model = dict(adapter=dict(variant='paper'))
