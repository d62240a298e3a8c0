# 12 frames and 32 words. An item is a caption in training, and a video in the test (1k-A). Sampling and
# resizing are those of mmaction2's CLIP4Clip, which differ from the paper's. The configs ...-fps1-...12-...
# have the paper's sampling and resizing, and ...-reference-... the exact frames of the paper's code.
_base_ = 'video-captions.py'

train_decode = dict(type='DecodeVideo', sampling=dict(type='UniformSample', clip_len=12, num_clips=1))
test_decode = dict(
    type='DecodeVideo', sampling=dict(type='UniformSample', clip_len=12, num_clips=1, test_mode=True)
)
resize_short_side = dict(type='Resize', scale=(-1, 256))
center_crop = dict(type='CenterCrop', crop_size=224)
after_decode = [resize_short_side, center_crop, _base_.format_shape, _base_.tokenize, _base_.pack]
tail = after_decode  # former name
train_pipeline = [train_decode, *after_decode]
test_pipeline = [test_decode, *after_decode]

msrvtt = dict(data_root='data/video_retrieval/msrvtt')
train_dataloader = dict(dataset=dict(**msrvtt, ann_file='train_9k.json', pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(**msrvtt, ann_file='test_JSFUSION.json', pipeline=test_pipeline))
test_dataloader = val_dataloader
