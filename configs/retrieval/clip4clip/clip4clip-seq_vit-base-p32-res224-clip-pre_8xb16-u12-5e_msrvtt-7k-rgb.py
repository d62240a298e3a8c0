_base_ = 'clip4clip-seq_vit-base-p32-res224-clip-pre_8xb16-u12-5e_msrvtt-9k-rgb.py'

train_dataloader = dict(dataset=dict(ann_file='train_7k.json'))
