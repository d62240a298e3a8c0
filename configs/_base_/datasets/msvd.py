# MSVD, 1200/100/670 videos with all their captions.
_base_ = 'video-captions.py'

msvd = dict(data_root='data/video_retrieval/msvd')
train_dataloader = dict(dataset=msvd)
val_dataloader = dict(dataset=msvd)
test_dataloader = val_dataloader  # but for its file, which is the base's
