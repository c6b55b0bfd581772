"""The feed-forward Transformer of FastSpeech (arXiv:1905.09263, sec. 3.1): attention and convolutions, post-norm."""

from collections.abc import Sequence
from contextlib import nullcontext

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from modules.conv import Conv1d

# Excludes cuDNN's attention, which PyTorch prefers on a Hopper GPU: it builds kernels for every new length, and nearly
# every batch has a new one. A step of 64 utterances took 2.0 s on an H200, with the GPU busy for 50 ms.
_CUDA_ATTENTION = [SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]


class ResidualNorm(nn.LayerNorm):
    """The end of each half of a block: dropout, residual, layer norm. Compiled, it is one GPU kernel."""

    def __init__(self, channels: int, dropout: float) -> None:
        """Builds the layers.

        Args:
            channels: C.
            dropout: on the update, before it is added to the residual.
        """
        super().__init__(channels)
        self.dropout = nn.Dropout(dropout)

    def forward(  # type: ignore[override]  # a layer norm of a sum
        self, update: Tensor, x: Tensor, padding_mask: Tensor | None = None
    ) -> Tensor:
        """Adds the update to the residual and normalizes the sum.

        Args:
            update: [B, L, C] float.
            x: [B, L, C] float, the residual.
            padding_mask: [B, L] bool, True = padding; None: nothing is masked.

        Returns:
            [B, L, C] float, 0 on padding if there is a mask.
        """
        x = super().forward(self.dropout(update) + x)
        return x if padding_mask is None else x.masked_fill(padding_mask.unsqueeze(-1), 0)


class MultiHeadAttention(nn.Module):
    """Self-attention with its residual and its layer norm; logits are divided by sqrt(channels / heads)."""

    def __init__(self, channels: int, num_heads: int, dropout: float) -> None:
        """Builds the layers.

        Args:
            channels: C, a multiple of `num_heads`.
            num_heads: heads.
            dropout: on the output; the attention weights have none.
        """
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(channels, 3 * channels)  # queries, keys and values in one product
        self.output = nn.Linear(channels, channels)
        self.norm = ResidualNorm(channels, dropout)

    def forward(self, x: Tensor, padding_mask: Tensor, attention_mask: Tensor) -> Tensor:
        """Attends from every position to the valid ones.

        Args:
            x: [B, L, C] float.
            padding_mask: [B, L] bool, True = padding.
            attention_mask: [B, 1, 1, L] bool, True = may be attended to; at least one True per row.

        Returns:
            [B, L, C] float, 0 on padding.
        """
        batch, length, channels = x.shape
        qkv = self.qkv(x).view(batch, length, 3, self.num_heads, channels // self.num_heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)  # each [B, heads, L, C / heads]
        with sdpa_kernel(_CUDA_ATTENTION) if x.is_cuda else nullcontext():
            heads = F.scaled_dot_product_attention(query, key, value, attn_mask=attention_mask)
        heads = heads.transpose(1, 2).reshape(batch, length, channels)
        return self.norm(self.output(heads), x, padding_mask)


class ConvFeedForward(nn.Module):
    """Two convolutions with a ReLU between them, residual and layer norm."""

    def __init__(self, channels: int, hidden: int, kernel_sizes: Sequence[int], dropout: float) -> None:
        """Builds the layers.

        Args:
            channels: C.
            hidden: channels between the convolutions.
            kernel_sizes: taps of the two convolutions, odd.
            dropout: on the output.
        """
        super().__init__()
        first, second = kernel_sizes
        self.conv1 = Conv1d(channels, hidden, first)
        self.conv2 = Conv1d(hidden, channels, second)
        self.norm = ResidualNorm(channels, dropout)

    def forward(self, x: Tensor, padding_mask: Tensor) -> Tensor:
        """Convolves twice, adds the residual and normalizes.

        Args:
            x: [B, L, C] float, 0 on padding.
            padding_mask: [B, L] bool, True = padding.

        Returns:
            [B, L, C] float, undefined on padding.
        """
        hidden = F.relu(self.conv1(x))
        if self.conv2.kernel_size[0] > 1:  # else the second would read the first's output on padding
            hidden = hidden.masked_fill(padding_mask.unsqueeze(-1), 0)
        return self.norm(self.conv2(hidden), x)


class FFTBlock(nn.Module):
    """One feed-forward Transformer block."""

    def __init__(self, channels: int, num_heads: int, hidden: int, kernel_sizes: Sequence[int], dropout: float) -> None:
        """Builds the two halves; for the arguments see MultiHeadAttention and ConvFeedForward."""
        super().__init__()
        self.attention = MultiHeadAttention(channels, num_heads, dropout)
        self.feed_forward = ConvFeedForward(channels, hidden, kernel_sizes, dropout)

    def forward(self, x: Tensor, padding_mask: Tensor, attention_mask: Tensor) -> Tensor:
        """Applies self-attention, then the convolutions.

        Args:
            x: [B, L, C] float.
            padding_mask: [B, L] bool, True = padding.
            attention_mask: [B, 1, 1, L] bool, True = may be attended to.

        Returns:
            [B, L, C] float, undefined on padding: the next block does not attend to it.
        """
        return self.feed_forward(self.attention(x, padding_mask, attention_mask), padding_mask)


class FFTStack(nn.Module):
    """A sequence of FFT blocks: the encoder or the decoder of FastSpeech 2."""

    def __init__(
        self, num_blocks: int, channels: int, num_heads: int, hidden: int, kernel_sizes: Sequence[int], dropout: float
    ) -> None:
        """Builds the blocks.

        Args:
            num_blocks: number of blocks.
            channels: C.
            num_heads: attention heads.
            hidden: channels between a block's convolutions.
            kernel_sizes: taps of a block's two convolutions, odd.
            dropout: after each half of a block.
        """
        super().__init__()
        self.blocks = nn.ModuleList(
            FFTBlock(channels, num_heads, hidden, kernel_sizes, dropout) for _ in range(num_blocks)
        )

    def forward(self, x: Tensor, padding_mask: Tensor) -> Tensor:
        """Applies the blocks in sequence.

        Args:
            x: [B, L, C] float, with position encodings added.
            padding_mask: [B, L] bool, True = padding.

        Returns:
            [B, L, C] float, 0 on padding.
        """
        # A row of only padding attends to all of it: some kernels return NaN for a softmax over nothing.
        attention_mask = (~padding_mask | padding_mask.all(dim=1, keepdim=True))[:, None, None, :]
        for block in self.blocks:
            x = block(x, padding_mask, attention_mask)
        return x.masked_fill(padding_mask.unsqueeze(-1), 0)
