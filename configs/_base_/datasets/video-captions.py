# Data settings of the paper: one frame per second, at most 12 evenly spaced ones, 224 pixels and 32 words.
# An item is a caption in training, and a video in validation and test, where each caption is a query.
# Datasets inherit from this file and set what differs. Each step of the pipeline has a name, so a config can
# replace it: pipeline=[my_decode, _base_.resize, _base_.format_shape, ...].
dataset_type = 'VideoCaptionDataset'
decode = dict(type='DecodeVideo', sampling=dict(type='SampleAtRate', fps=1, max_frames=12, cut='uniform'))
# Bit-identical to the reference. An encoder that reads other frames changes it, see apis.follow_encoder.
resize = dict(type='ResizeCenterCrop', size=224)
format_shape = dict(type='FormatShape', input_format='NCHW')
tokenize = dict(type='TokenizeCaptions', tokenizer='openai/clip-vit-base-patch32', max_words=32)
pack = dict(type='PackVideoCaptions')
pipeline = [decode, resize, format_shape, tokenize, pack]

loader = dict(batch_size=16, num_workers=8, persistent_workers=True)
train_dataloader = dict(
    **loader,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type=dataset_type,
        ann_file='train.json',
        data_prefix=dict(video='videos'),
        caption_mode='each',
        pipeline=pipeline,
    ),
)
val_dataset = dict(
    type=dataset_type,
    ann_file='val.json',
    data_prefix=dict(video='videos'),
    caption_mode='all',
    test_mode=True,
    pipeline=pipeline,
)
# A worker decodes a batch alone. With small batches the first one comes soon, and the workers decode the next
# ones while the model encodes it. A batch of 4 videos has 48 frames.
val_dataloader = dict(
    **dict(loader, batch_size=4),
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=val_dataset,
)
test_dataloader = dict(val_dataloader, dataset=dict(val_dataset, ann_file='test.json'))

val_evaluator = dict(type='VideoTextRetrievalMetric')
test_evaluator = val_evaluator
