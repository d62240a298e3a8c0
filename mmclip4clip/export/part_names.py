"""Names of inputs and outputs of graphs, for those who write and those who run them."""

FRAME_MASK, TEXT_MASK = 'frame_mask', 'text_mask'
TEXT_PREFIX, VIDEO_PREFIX = 'text.', 'video.'  # before the parts of heads that compare more than a vector
VECTOR = 'shortlist_vector'  # the output that selects candidates
