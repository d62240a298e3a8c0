_base_ = 'clip4clip_vit-base-p32-res224-clip-pre_8xb16-fps1-uniform64-5e_activitynet-rgb.py'

model = dict(adapter=dict(type='SeqTransformerAdapter'))
