# The decoder of CLIP4Clip is not public. Depth, tying to the text embeddings and beam 5 are those of UniVL
# (arXiv:2002.06353). Width, positions and vocabulary are those of CLIP's text tower.
# Another CLIP, by its name on the Hugging Face hub or its folder: clip = '...' in a config, or
# --cfg-options clip=..., sets model.backbone.pretrained and the tokenizers of all pipelines.
clip = None

model = dict(
    type='CLIP4ClipCaptioner',
    backbone=dict(type='CLIPBackbone', pretrained='openai/clip-vit-base-patch32', frozen_layers=0),
    adapter=dict(type='SeqTransformerAdapter'),
    decoder=dict(type='CaptionDecoder', num_layers=3, num_heads=8, dropout=0.1, tie_embeddings=True),
    tokenizer='openai/clip-vit-base-patch32',
    caption_loss=dict(type='CaptionCrossEntropy', label_smoothing=0.1),
    retrieval_weight=1.0,
    generation=dict(method='beam', beam_size=5, length_penalty=1.0, max_new_tokens=30),
    data_preprocessor=dict(type='VideoCaptionPreprocessor'),
)
