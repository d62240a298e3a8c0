# MSVD, 1200/100/670 videos with all their captions. Its small videos are enlarged: bicubic, as the reference.
_base_ = 'video-captions.py'

resize = dict(type='Resize', scale=(-1, 224), interpolation='bicubic')
msvd = dict(
    data_root='data/video_retrieval/msvd',
    pipeline=[_base_.pipeline[0], resize, *_base_.pipeline[2:]])
train_dataloader = dict(dataset=msvd)
val_dataloader = dict(dataset=msvd)
test_dataloader = dict(dataset=msvd)
