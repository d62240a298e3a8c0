# Another CLIP, by its name on the Hugging Face hub or its folder: clip = '...' in a config, or
# --cfg-options clip=..., sets model.backbone.pretrained and the tokenizers of all pipelines.
clip = None

model = dict(
    type='CLIP4ClipRetriever',
    backbone=dict(type='CLIPBackbone', pretrained='openai/clip-vit-base-patch32', frozen_layers=0),
    adapter=dict(type='MeanAdapter'),
    data_preprocessor=dict(type='VideoCaptionPreprocessor'),
)
