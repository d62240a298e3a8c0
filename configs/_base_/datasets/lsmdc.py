# LSMDC, validated on the official validation split, tested on the 1000 clips of the challenge with one
# caption each.
_base_ = 'video-captions.py'

lsmdc = dict(data_root='data/video_retrieval/lsmdc')
train_dataloader = dict(dataset=lsmdc)
val_dataloader = dict(dataset=lsmdc)
test_dataloader = val_dataloader  # the base sets its ann_file
