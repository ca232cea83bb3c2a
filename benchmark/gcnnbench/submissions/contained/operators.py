"""The ATen operators that a submitted network's graph may call: they compute on tensors and do nothing else."""

from __future__ import annotations

_POINTWISE = """
abs acos acosh add addcdiv addcmul asin asinh atan atan2 atanh bitwise_and bitwise_not bitwise_or bitwise_xor ceil
clamp clamp_max clamp_min clip complex conj copysign cos cosh deg2rad div eq erf erfc exp exp2 expm1 fill floor
floor_divide fmod frac ge gt hypot imag isfinite isinf isnan le lerp log log10 log1p log2 logaddexp logical_and
logical_not logical_or logical_xor lt masked_fill maximum minimum mul nan_to_num ne neg polar pow rad2deg real
reciprocal remainder resolve_conj resolve_neg round rsqrt rsub sgn sigmoid sign sin sinc sinh special_erf
special_expit sqrt square sub tan tanh threshold trunc view_as_complex view_as_real where xlogy zero
"""
_ACTIVATIONS = """
celu elu gelu glu hardshrink hardsigmoid hardswish hardtanh leaky_relu log_sigmoid log_softmax mish prelu relu relu6
rrelu selu silu softmax softplus softshrink tanhshrink
"""
_LAYERS = """
_upsample_bicubic2d_aa _upsample_bilinear2d_aa
adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d
adaptive_max_pool3d affine_grid_generator alpha_dropout avg_pool1d avg_pool2d avg_pool3d batch_norm
batch_norm_update_stats bilinear channel_shuffle col2im constant_pad_nd conv1d conv2d conv3d conv_transpose1d
conv_transpose2d conv_transpose3d convolution dropout feature_alpha_dropout feature_dropout grid_sampler
grid_sampler_2d group_norm im2col instance_norm layer_norm linear lp_pool2d max_pool1d max_pool2d
max_pool2d_with_indices max_pool3d native_batch_norm native_dropout native_group_norm native_layer_norm pad
pixel_shuffle pixel_unshuffle reflection_pad1d reflection_pad2d reflection_pad3d replication_pad1d replication_pad2d
replication_pad3d rms_norm scaled_dot_product_attention upsample_bicubic2d upsample_bilinear2d upsample_linear1d
upsample_nearest1d upsample_nearest2d upsample_nearest3d
"""
_SHAPES = """
_to_copy _unsafe_view alias as_strided block_diag broadcast_tensors broadcast_to cat chunk clone concat concatenate
contiguous copy detach diag diag_embed diagonal dstack expand expand_as fft_fft fft_fft2 fft_fftn fft_fftshift
fft_ifft fft_ifft2 fft_ifftn fft_ifftshift fft_irfft fft_irfft2 fft_rfft fft_rfft2 flatten flip fliplr flipud gather
hsplit hstack index index_add index_copy index_put index_select lift_fresh lift_fresh_copy masked_scatter
masked_select meshgrid moveaxis movedim narrow permute ravel repeat repeat_interleave reshape reshape_as roll rot90
scatter scatter_add select select_scatter slice slice_scatter split split_with_sizes squeeze stack swapaxes swapdims t
take_along_dim tensor_split tile to transpose tril triu type_as unbind unflatten unfold unsqueeze view view_as vsplit
vstack
"""
_SUMS = """
addbmm addmm addmv addr all amax amin aminmax any argmax argmin argsort baddbmm bmm cdist chain_matmul
cosine_similarity count_nonzero cov cross cummax cummin cumprod cumsum dist dot einsum inner kron linalg_cross
linalg_det linalg_inv linalg_matmul linalg_matrix_exp linalg_multi_dot linalg_norm linalg_qr linalg_solve
linalg_vector_norm logcumsumexp logsumexp matmul matrix_exp max mean median min mm mv nanmean nansum norm outer prod
sort std std_mean sum tensordot topk trace trapezoid var var_mean
"""
_NEW = """
arange empty empty_like eye full full_like linspace logspace new_empty new_full new_ones new_tensor new_zeros ones
ones_like scalar_tensor zeros zeros_like
"""
_RANDOM = "bernoulli normal rand rand_like randint randint_like randn randn_like randperm uniform"

_NAMES = " ".join((_POINTWISE, _ACTIVATIONS, _LAYERS, _SHAPES, _SUMS, _NEW, _RANDOM)).split()
ATEN = frozenset(_NAMES) | frozenset(f"{name}_" for name in _NAMES)
"""Their names; what ends in `_` changes its first argument."""
