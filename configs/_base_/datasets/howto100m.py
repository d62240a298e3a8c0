# HowTo100M, narrations with their start and end in long videos, for post-pretraining. Validated and
# tested on MSR-VTT (1k-A) without fine-tuning.
_base_ = 'video-captions.py'

msrvtt = dict(data_root='data/video_retrieval/msrvtt', ann_file='test_JSFUSION.json')
train_dataloader = dict(dataset=dict(data_root='data/video_retrieval/howto100m'))
val_dataloader = dict(dataset=msrvtt)
test_dataloader = val_dataloader
