from mmaction.registry import MODELS
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from .base import PooledAdapter


@MODELS.register_module()
class SeqLSTMAdapter(PooledAdapter):
    """Run an LSTM over the frames of a video, then average them.

    The sequential similarity of CLIP4Clip with an LSTM (arXiv:2104.08860,
    section 3.3), the reference's ``seqLSTM``: one layer in one direction, and a
    residual from the input before the mean of :class:`MeanAdapter`.

    Args:
        width (int): Width D of the frame features.

    Examples:
        >>> import torch
        >>> adapter = SeqLSTMAdapter(width=8)
        >>> adapter.encode(torch.rand(2, 3, 8), torch.tensor([[1, 1, 1], [1, 0, 0]]))['video'].shape
        torch.Size([2, 8])
    """

    def __init__(self, width: int = 512) -> None:
        super().__init__()
        self.lstm = nn.LSTM(width, width, batch_first=True)

    def contextualize(self, frames: Tensor, frame_mask: Tensor) -> Tensor:
        """Add the hidden state of the LSTM to each real frame, (V, T, D)."""
        lengths = frame_mask.sum(dim=1).cpu()  # real frames come first
        packed = pack_padded_sequence(frames, lengths, batch_first=True, enforce_sorted=False)
        hidden, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=frames.shape[1])
        return frames + hidden
