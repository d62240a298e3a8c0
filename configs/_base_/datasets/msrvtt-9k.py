# 12 frames and 32 words; one item a caption in training, one a video in the test (1k-A).
dataset_type = 'VideoCaptionDataset'
data_root = 'data/video_retrieval/msrvtt'
tokenizer = dict(type='TokenizeCaptions', tokenizer='openai/clip-vit-base-patch32', max_words=32)

train_pipeline = [
    dict(type='DecordInit'),
    dict(type='TimeWindow'),
    dict(type='UniformSample', clip_len=12, num_clips=1),
    dict(type='DecordDecode'),
    dict(type='Resize', scale=(-1, 256)),
    dict(type='CenterCrop', crop_size=224),
    dict(type='FormatShape', input_format='NCHW'),
    tokenizer,
    dict(type='PackVideoCaptions')
]
test_pipeline = [
    dict(type='DecordInit'),
    dict(type='TimeWindow'),
    dict(type='UniformSample', clip_len=12, num_clips=1, test_mode=True),
    dict(type='DecordDecode'),
    dict(type='Resize', scale=(-1, 256)),
    dict(type='CenterCrop', crop_size=224),
    dict(type='FormatShape', input_format='NCHW'),
    tokenizer,
    dict(type='PackVideoCaptions')
]

train_dataloader = dict(
    batch_size=16,
    num_workers=8,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type=dataset_type,
        ann_file='train_9k.json',
        data_root=data_root,
        data_prefix=dict(video='videos'),
        caption_mode='each',
        pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=16,
    num_workers=8,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        ann_file='test_JSFUSION.json',
        data_root=data_root,
        data_prefix=dict(video='videos'),
        test_mode=True,
        pipeline=test_pipeline))
test_dataloader = val_dataloader

val_evaluator = dict(type='VideoTextRetrievalMetric')
test_evaluator = val_evaluator
