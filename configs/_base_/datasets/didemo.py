# DiDeMo, paragraphs and the first 31 s of each video. 8395/1065/1004 videos.
_base_ = 'paragraphs.py'

didemo = dict(data_root='data/video_retrieval/didemo')
train_dataloader = dict(dataset=didemo)
val_dataloader = dict(dataset=didemo)
test_dataloader = val_dataloader  # the base sets its ann_file
