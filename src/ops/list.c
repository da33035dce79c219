/* list.c: every operator there is. */
#include "../graph/op.h"

extern const actc_op_def actc_add_def, actc_batch_norm_def, actc_conv_def, actc_count_correct_def, actc_cross_entropy_def,
    actc_dropout_def, actc_flatten_def, actc_gelu_def, actc_global_avg_pool_def, actc_linear_def, actc_log_softmax_def,
    actc_max_pool2d_def, actc_mul_def, actc_nll_loss_def, actc_relu_def, actc_scale_def, actc_sigmoid_def, actc_silu_def, actc_tanh_def;

const actc_op_def *const actc_op_defs[] = {
    &actc_add_def,         &actc_batch_norm_def,  &actc_conv_def,       &actc_count_correct_def, &actc_cross_entropy_def,
    &actc_dropout_def,     &actc_flatten_def,     &actc_gelu_def,       &actc_global_avg_pool_def, &actc_linear_def,
    &actc_log_softmax_def, &actc_max_pool2d_def,  &actc_nll_loss_def,   &actc_relu_def,          &actc_scale_def,
    &actc_sigmoid_def,     &actc_silu_def,        &actc_tanh_def,       &actc_mul_def,
};
const size_t actc_n_op_defs = sizeof actc_op_defs / sizeof *actc_op_defs;
