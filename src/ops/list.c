/* list.c: every operator there is. */
#include "../exact/unary.h"
#include "../graph/op.h"

extern const actc_op_def actc_add_def, actc_attention_def, actc_avg_pool_def, actc_batch_norm_def, actc_concat_def, actc_conv_def, actc_count_correct_def,
    actc_cross_entropy_def, actc_dice_loss_def, actc_distance_loss_def, actc_dropout_def, actc_flatten_def,
    actc_global_avg_pool_def, actc_layer_norm_def, actc_linear_def, actc_log_softmax_def,
    actc_max_pool_def, actc_mul_def, actc_nll_loss_def, actc_pad_def, actc_parameter_def, actc_patchify_def, actc_permute_def,
    actc_pixel_shuffle_def, actc_relu_def, actc_reshape_def, actc_resize_def, actc_slice_def, actc_softmax_def,
    actc_unpatchify_def;
#define DECLARE(op, name, saved) extern const actc_op_def actc_##name##_def;
ACTC_UNARY_LIST(DECLARE)

const actc_op_def *const actc_op_defs[] = {
    &actc_add_def, &actc_attention_def, &actc_avg_pool_def, &actc_batch_norm_def, &actc_concat_def, &actc_conv_def, &actc_count_correct_def,
    &actc_cross_entropy_def, &actc_dice_loss_def, &actc_distance_loss_def, &actc_dropout_def, &actc_flatten_def,
    &actc_global_avg_pool_def, &actc_layer_norm_def, &actc_linear_def, &actc_log_softmax_def,
    &actc_max_pool_def, &actc_mul_def, &actc_nll_loss_def, &actc_pad_def, &actc_parameter_def, &actc_patchify_def, &actc_permute_def,
    &actc_pixel_shuffle_def, &actc_relu_def, &actc_reshape_def, &actc_resize_def,
    &actc_slice_def, &actc_softmax_def, &actc_unpatchify_def,
#define ENTRY(op, name, saved) &actc_##name##_def,
    ACTC_UNARY_LIST(ENTRY)
};
const size_t actc_n_op_defs = sizeof actc_op_defs / sizeof *actc_op_defs;
