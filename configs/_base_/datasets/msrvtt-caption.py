# MSR-VTT for captioning: 6513/497/2990 videos of 20 captions, all of them references in validation and test.
_base_ = 'msrvtt-9k.py'

train_dataloader = dict(dataset=dict(ann_file='caption_train.json'))
val_dataloader = dict(dataset=dict(ann_file='caption_val.json'))
test_dataloader = dict(dataset=dict(ann_file='caption_test.json'))
