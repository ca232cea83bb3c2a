"""The table of operations: which handler follows which of torch's operations."""

from __future__ import annotations

from gcnnbench.equivariance.certificate.operations import constant, copy, nothing, pointwise, same
from gcnnbench.equivariance.certificate.rearranging import pad, patches, shuffle, slices
from gcnnbench.equivariance.certificate.reductions import (
    batch_norm,
    decided_in_python,
    layer_norm,
    product,
    reduction,
    softmax,
)
from gcnnbench.equivariance.certificate.sampling import convolution, pool, tried
from gcnnbench.equivariance.certificate.tracing import Handler
from gcnnbench.equivariance.certificate.views import cat, expand, flip, permute, pick, strided, turn, view


def _table(handler: Handler, names: str) -> dict[str, Handler]:
    return dict.fromkeys(names.split(), handler)


HANDLERS: dict[str, Handler] = {
    **_table(convolution, "convolution _convolution conv1d conv2d conv3d mkldnn_convolution cudnn_convolution"),
    **_table(
        pool,
        "max_pool2d_with_indices max_pool3d_with_indices max_pool1d max_pool2d max_pool3d mkldnn_max_pool2d "
        "avg_pool1d avg_pool2d avg_pool3d",
    ),
    **_table(
        tried,
        "_adaptive_avg_pool2d adaptive_max_pool2d adaptive_avg_pool2d upsample_nearest2d upsample_bilinear2d "
        "upsample_bicubic2d _upsample_nearest_exact2d _upsample_bilinear2d_aa _upsample_bicubic2d_aa",
    ),
    **_table(pad, "pad_circular constant_pad_nd reflection_pad1d reflection_pad2d replication_pad1d replication_pad2d"),
    **_table(slices, "slice"),
    **_table(shuffle, "pixel_shuffle pixel_unshuffle"),
    **_table(patches, "im2col"),
    **_table(pointwise, "hardswish _prelu_kernel rsub xlogy masked_fill"),
    **_table(
        same,
        "log_sigmoid_forward clone _to_copy detach alias contiguous lift_fresh lift native_dropout _conj resolve_conj",
    ),
    **_table(strided, "as_strided"),
    **_table(constant, "zeros_like ones_like full_like"),
    **_table(nothing, "empty_like new_empty new_zeros new_ones new_full new_empty_strided sym_size is_same_size"),
    **_table(copy, "copy"),
    **_table(view, "view _unsafe_view reshape squeeze unsqueeze _reshape_alias flatten unflatten"),
    **_table(expand, "expand"),
    **_table(permute, "permute transpose t"),
    **_table(flip, "flip"),
    **_table(turn, "rot90"),
    **_table(pick, "select split split_with_sizes unbind index_select index unsafe_split chunk"),
    **_table(cat, "cat"),
    **_table(reduction, "mean sum amax amin max min var std var_mean logsumexp linalg_vector_norm norm any all prod"),
    **_table(
        batch_norm,
        "native_batch_norm _native_batch_norm_legit_no_training _native_batch_norm_legit cudnn_batch_norm batch_norm "
        "native_group_norm _batch_norm_no_update miopen_batch_norm",
    ),
    **_table(layer_norm, "native_layer_norm"),
    **_table(softmax, "_softmax _log_softmax _safe_softmax"),
    **_table(product, "mm bmm addmm baddbmm mv linear"),
    **_table(decided_in_python, "_local_scalar_dense equal nonzero item is_nonzero"),
}
"""The operations whose effect on pixels is known, by name; entrywise ones are known by torch's own tag."""
