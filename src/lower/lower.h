/* lower.h: from operators to commands over virtual buffers.
 *
 * A `build` is everything about a network on a device that is known before memory is obtained: its programs (training,
 * update, evaluation), the virtual buffers that they share, and what the policy decided. The planner then gives every
 * virtual buffer a place.
 *
 * Operators emit through the functions below. Errors stick in the lowering, so that they need not check.
 */
#ifndef ACTC_LOWER_H
#define ACTC_LOWER_H

#include <actc/network.h>

#include "../plan/plan.h"
#include "../policy/policy.h"

enum { ACTC_PROGRAM_TRAIN, ACTC_PROGRAM_UPDATE, ACTC_PROGRAM_EVAL, ACTC_PROGRAM_INFER, ACTC_PROGRAM_COUNT };

/* Adapter of a user's codec to a host command. */
typedef struct actc_host_codec {
    struct actc_host_codec *next;
    const actc_codec_plan *plan;
    uint32_t tensor;
} actc_host_codec;

/* Where a parameter lies in the parameter, gradient and optimiser regions, which have the same layout: trained ones first,
 * then frozen ones, then states (no counters). */
typedef struct actc_parameter_place {
    uint64_t offset; /* bytes from the start of the region, multiple of ACTC_VIEW_ALIGNMENT */
    uint64_t elements;
    bool trained;    /* has a gradient */
} actc_parameter_place;

/* Something kept from forward to backward, for reports: a saved tensor, or what an operator keeps for itself. */
typedef struct actc_kept {
    const actc_saved *saved; /* NULL for what an operator keeps */
    const actc_op *op;       /* whose it is, */
    uint32_t slot;           /* and which of its own */
    uint32_t payload;        /* virtual buffers, UINT32_MAX where absent: of a codec; of a mask, or of what the operator keeps */
    uint32_t own;
    uint32_t capture;
    actc_view dense;         /* where a tensor kept as it is lies between forward and backward; bytes 0 where it is not */
    uint64_t dense_bytes, kept_bytes;
    const char *codec;       /* of what an operator keeps for itself: how, where that is not as it is; NULL else */
    bool idle;               /* kept dense instead of by its codec, the plan's peak would be no higher */
} actc_kept;

/* An input of the graph in a program. */
typedef struct actc_entry {
    const actc_tensor *tensor;
    uint32_t vbuf;           /* in the order of the host: N,C,... */
} actc_entry;

typedef struct actc_build {
    actc_context *context;
    actc_device *device;
    const actc_graph *graph;
    const actc_network_options *options;
    const uint64_t *budgets;       /* while it is being lowered, [tensor id]: bytes of a compressed tensor that may be restored at
                                    * once; NULL: a half of each */
    actc_shape *shapes[ACTC_PROGRAM_COUNT]; /* [tensor id], NULL where the program is not prepared */
    bool *live[ACTC_PROGRAM_COUNT];         /* [op id]: the program computes it */
    actc_autodiff autodiff;
    actc_policy policy;
    actc_program programs[ACTC_PROGRAM_COUNT]; /* n_commands 0 where not prepared */
    size_t command_capacity[ACTC_PROGRAM_COUNT];
    uint32_t n_forward;            /* commands of the training program before its backward pass */
    actc_vbuf *vbufs;
    size_t n_vbufs, vbufs_capacity;
    char **labels;
    size_t n_labels, labels_capacity;
    actc_host_codec *host_codecs;
    actc_parameter_place *places;  /* [parameter id] */
    uint64_t region_bytes, trained_bytes; /* of the parameter region; of its trained part */
    uint64_t state_offset;         /* where the states begin in it */
    uint32_t v_parameters, v_gradients, v_moments[2], v_staged, v_step, v_result;
    actc_entry *entries[ACTC_PROGRAM_COUNT]; /* [graph->n_inputs]: those that the program reads, vbuf ACTC_NO_BUFFER else */
    actc_view *outputs[ACTC_PROGRAM_COUNT];  /* [graph->n_outputs]: where they are after it, in virtual buffers */
    actc_kept *kept;
    size_t n_kept, kept_capacity;
    uint64_t forward_work, again_work; /* operations of the training program's forward pass, and of what is computed again */
    actc_plan plan;
    uint64_t planned_bytes;        /* all arenas, rounded as the device does, and what it needs besides */
    uint64_t category_bytes[ACTC_MEMORY_CATEGORIES];
    uint64_t transfer_bytes;       /* largest transfer between host and device */
} actc_build;

/* Lowers the graph and plans memory. compress false: everything dense, for comparison. budgets: as above, read now only. */
actc_status actc_build_create(actc_device *device, const actc_graph *graph, const actc_network_options *options,
                              bool compress, const uint64_t *budgets, actc_build **out);
/* With budgets for the least memory and, where they do not show in that, the fewest parts (slices.c). */
actc_status actc_build_best(actc_device *device, const actc_graph *graph, const actc_network_options *options, actc_build **out);
void actc_build_destroy(actc_build **build);

/* ---- for operators ---- */

typedef struct actc_again {
    const actc_op *op;
    uint32_t slot;            /* ACTC_MASK_SLOT: a mask of its output's sign */
    actc_view view;
} actc_again;
#define ACTC_MASK_SLOT UINT32_MAX

typedef struct actc_lower {
    actc_build *build;
    uint32_t program;
    bool training;
    const actc_shape *shapes;
    const bool *live;         /* [op id] */
    uint32_t *last_use;       /* [tensor id]: 1 + the last operator that reads it in the forward pass, 0 for none */
    actc_status status;       /* the first error */
    const actc_op *op;        /* being lowered, for labels */
    actc_view *values;        /* [tensor id]: where the forward value is */
    actc_view *gradients;     /* [tensor id]: bytes 0 where none yet */
    actc_view *restored;      /* [tensor id]: whole restored values, bytes 0 where not done */
    bool *parameter_written;  /* [parameter id]: this program has written its gradient */
    bool again;               /* forward commands for the backward pass, of operators that are computed again */
    bool *entered;            /* [segment]: has been computed again, and */
    struct actc_again *notes; /* what its operators kept for themselves then, in the order in which they did */
    size_t n_notes, notes_capacity;
} actc_lower;

#define ACTC_NO_VIEW ((actc_view){.buffer = ACTC_NO_BUFFER})

/* Whether two views begin at the same byte. */
static inline bool actc_same_place(actc_view a, actc_view b)
{
    return a.buffer == b.buffer && a.offset == b.offset;
}

uint64_t actc_lower_elements(const actc_lower *lower, const actc_tensor *tensor);
actc_view actc_lower_new(actc_lower *lower, actc_memory_category category, uint64_t bytes, const char *name);
/* Bytes [offset, offset + bytes) of a view; offset must keep the alignment. */
actc_view actc_lower_part(actc_view view, uint64_t offset, uint64_t bytes);

uint64_t actc_lower_bytes(const actc_lower *lower, const actc_tensor *tensor);

/* Forward: the value of an input; a new buffer for the output; the output in the place of an input of its size
 * whose storage nobody needs after this operator, the one just written if there is a choice (else a new buffer). The operator writes to what it gets; in place it must
 * read an element no later than it writes it. Operators whose output is their input, bytes and all, say so in their
 * definition (`alias`) and are not asked to emit anything. */
actc_view actc_lower_input(actc_lower *lower, const actc_op *op, uint32_t index);
actc_view actc_lower_output(actc_lower *lower, const actc_op *op);
actc_view actc_lower_output_inplace(actc_lower *lower, const actc_op *op);
/* Of an operator that spreads its first input: the output around that where it lies at the beginning of the memory (*inside), else a
 * new buffer. Whoever makes a tensor that such an operator is the next to read gets its output there by actc_lower_output. */
actc_view actc_lower_output_around(actc_lower *lower, const actc_op *op, bool *inside);
actc_view actc_lower_parameter(actc_lower *lower, const actc_parameter *parameter);
/* A state: as evaluation reads it, or in training the staged copy, which the operator reads and writes; it becomes the state
 * at the end of the batch, if that was finite. */
actc_view actc_lower_state(actc_lower *lower, const actc_parameter *state);
/* The number of a loss or metric among the network's: of its word in the result block and its norm in the step block; the
 * weight of a loss, and whether it is the first. */
uint32_t actc_lower_slot(const actc_lower *lower, const actc_op *op, double *weight, bool *first);
actc_view actc_lower_step_block(actc_lower *lower);
actc_view actc_lower_result_block(actc_lower *lower);

/* Backward: the gradient of the op's output; a buffer for the gradient of an input (in the place of the output's
 * gradient where `inplace` and nobody else needs that), handed in with commit when it has been written; a buffer for a
 * parameter's gradient, to be written in full or, where *add is set, added to. The output's gradient itself may be committed,
 * to several inputs too. */
actc_view actc_lower_output_gradient(actc_lower *lower, const actc_op *op);
actc_view actc_lower_input_gradient(actc_lower *lower, const actc_op *op, uint32_t index, bool inplace);
/* Of an operator that spreads its first input: where that one's gradient may lie at the beginning of the output's, to be written when
 * nothing else of it is needed any more; bytes 0 where it may not. */
actc_view actc_lower_gradient_inside(const actc_lower *lower, const actc_op *op);
void actc_lower_commit_gradient(actc_lower *lower, const actc_op *op, uint32_t index, actc_view gradient);
/* For build.c: an operator that is its input; an input of the graph; a gradient that has been used up. */
void actc_lower_output_alias(actc_lower *lower, const actc_op *op);
void actc_lower_settle(actc_lower *lower, const actc_tensor *tensor, actc_view view);
void actc_lower_drop_gradient(actc_lower *lower, const actc_tensor *tensor);
actc_view actc_lower_parameter_gradient(actc_lower *lower, const actc_parameter *parameter, bool *add);
/* One that lies elsewhere already: copied, or added to what was accumulated before. */
void actc_lower_give_parameter_gradient(actc_lower *lower, const actc_parameter *parameter, actc_view gradient);

/* Saved values. slices: in how many parts a tensor holds to its budget (1: whole). restore gives samples [first, first + count);
 * restore_planes counts depth planes through all samples, where the codec keeps each by itself (has_planes). */
uint32_t actc_lower_slices(const actc_lower *lower, const actc_tensor *tensor);
bool actc_lower_has_planes(const actc_lower *lower, const actc_tensor *tensor);
/* In how many equal parts, of whole planes and with aligned views, to go through a tensor and others of its shape, when one part
 * does not depend on the others: about `slices`, or 1. */
uint32_t actc_lower_parts(const actc_lower *lower, const actc_tensor *tensor);
actc_view actc_lower_restore(actc_lower *lower, const actc_tensor *tensor, uint32_t first, uint32_t count);
actc_view actc_lower_restore_planes(actc_lower *lower, const actc_tensor *tensor, uint32_t first, uint32_t count);
actc_view actc_lower_restore_all(actc_lower *lower, const actc_tensor *tensor);
/* Whether the backward pass finds the values of a saved tensor as they were, kept or computed again. */
bool actc_lower_is_exact(const actc_lower *lower, const actc_tensor *tensor);
/* Whether the operator keeps this input normalised, and packs it so in the forward pass: what is restored is that, then. */
bool actc_lower_normalised(const actc_lower *lower, const actc_tensor *tensor);
void actc_lower_pack_normalised(actc_lower *lower, const actc_tensor *tensor, actc_view xhat);
/* Depth planes of a tensor through all samples: samples where it has no depth. */
uint32_t actc_lower_planes(const actc_lower *lower, const actc_tensor *tensor);
/* Saved sign of an operator's own output. mask: *is_mask true, else the values. */
actc_view actc_lower_sign(actc_lower *lower, const actc_tensor *tensor, bool *is_mask);
bool actc_lower_wants_mask(const actc_lower *lower, const actc_tensor *tensor);
/* A buffer for the mask of an operator's own output (training only). */
actc_view actc_lower_keep_mask(actc_lower *lower, const actc_op *op, uint64_t bytes);
/* A buffer for what else an operator keeps for its backward, in slots that it numbers itself (training only): an index
 * (ACTC_MEMORY_MASKS), statistics or probabilities (ACTC_MEMORY_KEPT_DENSE). kept gives it back in the backward pass. */
actc_view actc_lower_keep(actc_lower *lower, const actc_op *op, uint32_t slot, actc_memory_category category, uint64_t bytes);
actc_view actc_lower_kept(actc_lower *lower, const actc_op *op, uint32_t slot);
/* The bits of a slope where the operator keeps its slopes (training only), 0 where it needs values as ever; a buffer for them, to
 * be given back by kept with slot 0. */
uint32_t actc_lower_slope_bits(const actc_lower *lower, const actc_op *op);
actc_view actc_lower_keep_slopes(actc_lower *lower, const actc_op *op);
/* Whether the operator has a backward in this program that reads what it keeps now: else nothing need be kept. Operators that are
 * computed again keep nothing the first time. */
bool actc_lower_has_backward(const actc_lower *lower, const actc_op *op);

/* Commands. params: the kernel's struct; `groups` is filled in. */
void actc_emit_kernel(actc_lower *lower, actc_kernel_id id, uint32_t groups, const void *params, const actc_view *views,
                      uint32_t n_views);
/* An element-wise kernel over n elements: ACTC_GROUP_ELEMENTS a group; params begins with groups and n. */
void actc_emit_elementwise(actc_lower *lower, actc_kernel_id id, const void *params, const actc_view *views, uint32_t n_views);
/* The same over a region that may be larger than a device lets a kernel see, in as many launches as that takes: views of
 * 4 n bytes are cut, others are whole in each. params->n is filled in, and where first_word is not 0 that word of the
 * parameters gets the number of the launch's first element. */
void actc_emit_region(actc_lower *lower, actc_kernel_id id, uint64_t n, const void *params, uint32_t first_word,
                      const actc_view *views, uint32_t n_views);
/* Where the command before is a batch norm that wrote y, it adds `other`, or clips y and writes the mask (ACTC_NO_VIEW: none) as well;
 * false where it is not, and nothing is emitted. fuse.c */
bool actc_emit_fused_add(actc_lower *lower, actc_view other, actc_view y);
bool actc_emit_fused_relu(actc_lower *lower, actc_view y, actc_view mask, float cap);
/* views: a, b, bias, c */
void actc_emit_gemm(actc_lower *lower, const actc_gemm *gemm, const actc_view views[4]);
/* views: as actc_conv says, without the workspace */
void actc_emit_conv(actc_lower *lower, const actc_conv *conv, const actc_view views[4]);
void actc_emit_fill(actc_lower *lower, actc_view view, uint32_t word);
void actc_emit_copy(actc_lower *lower, actc_view source, actc_view target);
/* sum = a + b, element by element; sum may be a or b. */
void actc_emit_add(actc_lower *lower, actc_view a, actc_view b, actc_view sum);
/* target += source */
void actc_emit_accumulate(actc_lower *lower, actc_view source, actc_view target);
/* sums (outer,cols) = scale * the sum over rows of an op's terms (reduce_partial in kernel_params.h says which views it reads);
 * the second of sums is of its second term. Added to where `add`. */
void actc_emit_reduce(actc_lower *lower, uint32_t op, actc_view x, actc_view y, actc_view statistics, uint32_t outer, uint32_t rows,
                      uint32_t cols, float scale, const actc_view sums[2], bool add);
/* gradient (cols) = sum over rows of x (rows, cols); added to where `add`. */
void actc_emit_column_sum(actc_lower *lower, actc_view x, uint32_t rows, uint32_t cols, actc_view sum, bool add);
/* Keeps the values of a saved tensor that has just been produced. */
void actc_emit_pack(actc_lower *lower, const actc_saved *saved, actc_view value);

#define ACTC_EMIT(lower, kernel, groups, params, ...)                                                    \
    actc_emit_kernel(lower, ACTC_KERNEL_##kernel, groups, params, (const actc_view[]){__VA_ARGS__},      \
                     sizeof((const actc_view[]){__VA_ARGS__}) / sizeof(actc_view))
#define ACTC_EMIT_ELEMENTWISE(lower, kernel, params, ...)                                                \
    actc_emit_elementwise(lower, ACTC_KERNEL_##kernel, params, (const actc_view[]){__VA_ARGS__},         \
                          sizeof((const actc_view[]){__VA_ARGS__}) / sizeof(actc_view))

#define ACTC_EMIT_REGION(lower, kernel, n, params, first_word, ...)                                              \
    actc_emit_region(lower, ACTC_KERNEL_##kernel, n, params, first_word, (const actc_view[]){__VA_ARGS__},       \
                     sizeof((const actc_view[]){__VA_ARGS__}) / sizeof(actc_view))

/* Groups of ACTC_GROUP_SIZE that cover n. */
static inline uint32_t actc_groups(uint64_t n)
{
    return (uint32_t)((n + ACTC_GROUP_SIZE - 1) / ACTC_GROUP_SIZE);
}

/* Groups of ACTC_GROUP_ELEMENTS that cover n. */
static inline uint32_t actc_element_groups(uint64_t n)
{
    return (uint32_t)((n + ACTC_GROUP_ELEMENTS - 1) / ACTC_GROUP_ELEMENTS);
}

#endif
