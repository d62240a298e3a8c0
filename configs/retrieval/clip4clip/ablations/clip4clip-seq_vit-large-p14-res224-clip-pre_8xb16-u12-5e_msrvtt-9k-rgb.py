_base_ = '../clip4clip-seq_vit-base-p32-res224-clip-pre_8xb16-u12-5e_msrvtt-9k-rgb.py'

model = dict(backbone=dict(pretrained='openai/clip-vit-large-patch14'), adapter=dict(width=768))
