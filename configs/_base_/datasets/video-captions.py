# How the paper reads a dataset: a frame a second, at most 12 of them spread over the video, 224 pixels, 32
# words; one item a caption in training, one a video in validation and test, where every caption is a query.
# A dataset inherits from this file and says what differs.
dataset_type = 'VideoCaptionDataset'
pipeline = [
    dict(type='DecodeVideo', sampling=dict(type='SampleAtRate', fps=1, max_frames=12, cut='uniform')),
    dict(type='ResizeCenterCrop', size=224),  # the reference's pixels, bit for bit
    dict(type='FormatShape', input_format='NCHW'),
    dict(type='TokenizeCaptions', tokenizer='openai/clip-vit-base-patch32', max_words=32),
    dict(type='PackVideoCaptions')
]
loader = dict(batch_size=16, num_workers=8, persistent_workers=True)

train_dataloader = dict(
    **loader,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type=dataset_type,
        ann_file='train.json',
        data_prefix=dict(video='videos'),
        caption_mode='each',
        pipeline=pipeline))
val_dataloader = dict(
    **loader,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        ann_file='val.json',
        data_prefix=dict(video='videos'),
        caption_mode='all',
        test_mode=True,
        pipeline=pipeline))
test_dataloader = dict(
    **loader,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        ann_file='test.json',
        data_prefix=dict(video='videos'),
        caption_mode='all',
        test_mode=True,
        pipeline=pipeline))

val_evaluator = dict(type='VideoTextRetrievalMetric')
test_evaluator = val_evaluator
