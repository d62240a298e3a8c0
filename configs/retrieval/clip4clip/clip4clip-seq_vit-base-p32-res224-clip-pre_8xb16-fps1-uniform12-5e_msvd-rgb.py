_base_ = 'clip4clip_vit-base-p32-res224-clip-pre_8xb16-fps1-uniform12-5e_msvd-rgb.py'

model = dict(adapter=dict(type='SeqTransformerAdapter'))
