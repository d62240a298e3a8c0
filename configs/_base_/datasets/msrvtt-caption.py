# MSR-VTT for captioning: 6513/497/2990 videos with 20 captions, which are the references of the test.
_base_ = 'msrvtt-9k.py'

train_dataloader = dict(dataset=dict(ann_file='caption_train.json'))
val_dataloader = dict(dataset=dict(ann_file='caption_val.json'))
test_dataloader = dict(dataset=dict(ann_file='caption_test.json'))
