# MSVD, 1200/100/670 videos with all captions.
_base_ = 'video-captions.py'

msvd = dict(data_root='data/video_retrieval/msvd')
train_dataloader = dict(dataset=msvd)
val_dataloader = dict(dataset=msvd)
test_dataloader = val_dataloader  # the base sets its ann_file
