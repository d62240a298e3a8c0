# DiDeMo, the first 31 s of a video against a paragraph. 8395/1065/1004 videos.
_base_ = 'paragraphs.py'

didemo = dict(data_root='data/video_retrieval/didemo')
train_dataloader = dict(dataset=didemo)
val_dataloader = dict(dataset=didemo)
test_dataloader = val_dataloader  # but for its file, which is the base's
