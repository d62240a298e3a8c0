# Videos and paragraphs, the joined descriptions of each video. 64 frames and 64 words.
_base_ = 'video-captions.py'

decode, tokenize = _base_.decode, _base_.tokenize
decode.sampling.max_frames = tokenize.max_words = 64
pipeline = [decode, _base_.resize, _base_.format_shape, tokenize, _base_.pack]

train_dataloader = dict(dataset=dict(caption_mode='paragraph', pipeline=pipeline))
val_dataloader = train_dataloader
test_dataloader = train_dataloader
