# ActivityNet Captions, evaluated on val_1. The only other annotated split, val_2, has the same videos.
_base_ = 'paragraphs.py'

activitynet = dict(data_root='data/video_retrieval/activitynet')
train_dataloader = dict(dataset=activitynet)
val_dataloader = dict(dataset=dict(**activitynet, ann_file='val_1.json'))
test_dataloader = val_dataloader

val_evaluator = dict(recall_at=(1, 5, 50))
test_evaluator = val_evaluator
