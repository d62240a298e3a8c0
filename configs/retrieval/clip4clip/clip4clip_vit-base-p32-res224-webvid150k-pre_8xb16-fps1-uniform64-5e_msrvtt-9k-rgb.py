_base_ = 'clip4clip_vit-base-p32-res224-clip-pre_8xb16-u12-5e_msrvtt-9k-rgb.py'

# CLIP4Clip's weights of WebVid with the frames and pixels of their notebook: each full second by the integer
# frame rate, all of them (no clip of MSR-VTT has more than 64). tools/test.py tests the weights as they are.
clip = 'Searchium-ai/clip4clip-webvid150k'
decode = _base_.decode
decode.sampling.update(max_frames=64, reference_times=True)
pipeline = [decode, _base_.resize, _base_.format_shape, _base_.tokenize, _base_.pack]
train_dataloader = dict(dataset=dict(pipeline=pipeline))
val_dataloader = train_dataloader
test_dataloader = train_dataloader
