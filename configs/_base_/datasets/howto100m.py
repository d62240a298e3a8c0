# HowTo100M, narrations with their start and end inside long videos, for post-pretraining; validated and
# tested, without fine-tuning, on MSR-VTT (1k-A).
_base_ = 'video-captions.py'

msrvtt = dict(data_root='data/video_retrieval/msrvtt', ann_file='test_JSFUSION.json')
train_dataloader = dict(dataset=dict(data_root='data/video_retrieval/howto100m'))
val_dataloader = dict(dataset=msrvtt)
test_dataloader = val_dataloader
