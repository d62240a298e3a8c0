# Videos against paragraphs: all descriptions of a video joined into one. 64 frames and 64 words.
_base_ = 'video-captions.py'

pipeline = [
    dict(type='DecodeVideo', sampling=dict(type='SampleAtRate', fps=1, max_frames=64, cut='uniform')),
    *_base_.pipeline[1:3],
    dict(type='TokenizeCaptions', tokenizer='openai/clip-vit-base-patch32', max_words=64),
    dict(type='PackVideoCaptions')
]
paragraphs = dict(caption_mode='paragraph', pipeline=pipeline)
train_dataloader = dict(dataset=paragraphs)
val_dataloader = dict(dataset=paragraphs)
test_dataloader = dict(dataset=paragraphs)
