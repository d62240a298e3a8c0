# ActivityNet Captions, videos against paragraphs: all sentences of a video joined. Evaluated on val_1,
# there being no other annotated split but val_2, of the same videos. 64 frames and 64 words.
dataset_type = 'VideoCaptionDataset'
data_root = 'data/video_retrieval/activitynet'
pipeline = [
    dict(type='DecordInit'),
    dict(type='TimeWindow'),
    dict(type='SampleAtRate', fps=1, max_frames=64, cut='uniform'),
    dict(type='DecordDecode'),
    # Of what mmcv offers, nearest to the reference's anti-aliased bicubic on large videos.
    dict(type='Resize', scale=(-1, 224), interpolation='area'),
    dict(type='CenterCrop', crop_size=224),
    dict(type='FormatShape', input_format='NCHW'),
    dict(type='TokenizeCaptions', tokenizer='openai/clip-vit-base-patch32', max_words=64),
    dict(type='PackVideoCaptions')
]

train_dataloader = dict(
    batch_size=16,
    num_workers=8,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type=dataset_type,
        ann_file='train.json',
        data_root=data_root,
        data_prefix=dict(video='videos'),
        caption_mode='paragraph',
        pipeline=pipeline))
val_dataloader = dict(
    batch_size=16,
    num_workers=8,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        ann_file='val_1.json',
        data_root=data_root,
        data_prefix=dict(video='videos'),
        caption_mode='paragraph',
        test_mode=True,
        pipeline=pipeline))
test_dataloader = val_dataloader

val_evaluator = dict(type='VideoTextRetrievalMetric', recall_at=(1, 5, 50))
test_evaluator = val_evaluator
