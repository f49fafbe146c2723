"""A warp over maps and places at once: for the study of warps across channels (`conf/study`)."""

from torch import Tensor

from stn.models.mnist import StCnn


class ChannelStCnn(StCnn):
    """An `StCnn` whose transformer takes its maps (B, K, H, W) for a volume, K maps deep.

    Its transform is one of volumes: a map of the output is read between the maps of the input, and
    from outside of them is 0. Arguments are those of `StCnn`; at `place` 0 there is one map only.
    """

    def forward(self, U: Tensor) -> Tensor:
        """Return the logits of U."""
        x = self.before(U)  # (B, K, H, W)
        V = self.transformer(x[:, None], seen=x)[:, 0]  # a volume of one channel, (B, 1, K, H, W)
        return self.classifier(self.pool(V))  # (B, num_classes)
