/* norm_cases.c: sums over rows, normalisation and softmax; all EXACT, and held to float64. */
#include "kernel_case.h"

/* ---- sums over rows ---- */

static const char *const reduce_ops[] = {"sum", "product", "square", "pair", "moments", "norm_columns", "norm_rows",
                                         "overlap", "overlap_squares", "overlap_labels", "overlap_labels_squares"};

static void reduce(kernel_builder *b, uint32_t op, uint32_t outer, uint32_t rows, uint32_t cols, fill_kind kind)
{
    const uint32_t chunks = (rows + ACTC_SUM_ROWS - 1) / ACTC_SUM_ROWS;
    const size_t n = (size_t)outer * rows * cols, columns = (size_t)outer * cols;
    const bool labels = op >= ACTC_REDUCE_OVERLAP_LABELS;
    const bool with_y = op == ACTC_REDUCE_PRODUCT || op == ACTC_REDUCE_PAIR || (op >= ACTC_REDUCE_NORM_COLUMNS && !labels);
    const size_t statistics = op == ACTC_REDUCE_SQUARE         ? columns
                              : op == ACTC_REDUCE_NORM_COLUMNS ? 2 * columns
                              : op == ACTC_REDUCE_NORM_ROWS    ? 2 * (size_t)outer * rows
                                                               : 0;
    struct actc_params_reduce_partial p = {0, op, outer, rows, cols, chunks};
    kernel_begin(b, ACTC_KERNEL_reduce_partial, output_groups(columns * chunks), &p);
    kernel_view(b, 0, n, kind);
    kernel_view(b, 1, labels ? (size_t)outer * rows : with_y ? n : 0, labels ? (int)KERNEL_FILL_LABELS : (int)kind);
    b->spec.classes = cols;
    kernel_view(b, 2, statistics, kind);
    kernel_view(b, 3, columns * chunks * ACTC_REDUCE_WIDTH(op), kind);
    kernel_end(b, "(op=%s,outer=%u,rows=%u,cols=%u,fill=%s)", reduce_ops[op], outer, rows, cols, fill_name(kind));
}

static void reduces(kernel_builder *b)
{
    static const uint32_t shapes[][3] = {
        {1, 1, 1},   {1, 64, 16}, {1, 65, 17},  {1, 1000, 8}, {1, 127, 10}, {1, 200, 700}, {1, 3, 257}, {1, 4096, 1},
        {1, 63, 64}, {3, 65, 14}, {2, 129, 31}, {5, 1, 3},    {1, 193, 128},
    };
    static const fill_kind kinds[] = {FILL_TINY, FILL_SPECIAL, FILL_NORMAL, FILL_EQUAL};
    for (uint32_t t = 0; t < sizeof shapes / sizeof *shapes; t++)
        for (uint32_t op = 0; op < ACTC_REDUCE_OPS; op++)
            reduce(b, op, shapes[t][0], shapes[t][1], shapes[t][2], kinds[(t + op) % 4]);
}

static void reduce_finals(kernel_builder *b)
{
    static const struct { uint32_t outer, chunks, width, cols, add; float scale; } cases[] = {
        {1, 1, 1, 1, 0, 1.0f},    {1, 64, 1, 16, 1, 1.0f},   {1, 65, 1, 16, 0, 0.125f}, {1, 1000, 1, 8, 1, 1.0f / 3},
        {1, 200, 2, 350, 0, 1.0f}, {1, 3, 1, 257, 1, 1.0f},  {1, 2048, 1, 1, 0, 1.0f},  {3, 33, 2, 7, 1, 1.0f / 1009},
        {2, 17, 1, 65, 0, 1.0f},  {1, 15, 2, 64, 1, 1.0f},
    };
    static const fill_kind kinds[] = {FILL_TINY, FILL_TINY, FILL_SPECIAL};
    for (size_t t = 0; t < sizeof cases / sizeof *cases; t++) {
        const uint32_t outer = cases[t].outer, chunks = cases[t].chunks, width = cases[t].width, cols = cases[t].cols;
        const size_t sums = (size_t)outer * cols;
        const fill_kind kind = kinds[t % 3];
        struct actc_params_reduce_final p = {0, outer, chunks, width, cols, cases[t].add, cases[t].scale};
        kernel_begin(b, ACTC_KERNEL_reduce_final, output_groups(sums * width), &p);
        kernel_view(b, 0, sums * chunks * width, kind);
        kernel_view(b, 1, sums, kind);
        kernel_view(b, 2, width == 2 ? sums : 0, kind);
        kernel_end(b, "(outer=%u,chunks=%u,width=%u,cols=%u,add=%u,fill=%s)", outer, chunks, width, cols, p.add, fill_name(kind));
    }
}

/* ---- batch norm ---- */

static void bn_stats(kernel_builder *b)
{
    static const struct { uint32_t rows, cols; float epsilon, momentum; } cases[] = {
        {2, 1, 1e-5f, 0.1f},  {64, 8, 1e-5f, 0.1f},    {65, 9, 1e-3f, 1.0f},    {1000, 14, 1e-5f, 0.01f},
        {2048, 7, 1e-5f, 0.1f}, {2113, 3, 1e-12f, 0.1f}, {70000, 1, 1e-5f, 0.1f}, {129, 257, 1e-5f, 0.1f},
    };
    for (size_t t = 0; t < 4 * sizeof cases / sizeof *cases; t++) {
        const uint32_t rows = cases[t / 4].rows, cols = cases[t / 4].cols, chunks = (rows + ACTC_SUM_ROWS - 1) / ACTC_SUM_ROWS;
        const bool evaluate = t % 4 == 2, running = t % 4 != 1;
        const fill_kind kind = t % 4 == 3 ? FILL_SPECIAL : FILL_TINY;
        const float momentum = cases[t / 4].momentum;
        struct actc_params_bn_stats p = {0,
                                         evaluate ? 0 : chunks,
                                         rows,
                                         cols,
                                         evaluate,
                                         running,
                                         1.0f / (float)rows,
                                         cases[t / 4].epsilon,
                                         momentum,
                                         1.0f - momentum,
                                         (float)rows / (float)(rows - 1)};
        kernel_begin(b, ACTC_KERNEL_bn_stats, (cols + ACTC_BN_COLUMNS - 1) / ACTC_BN_COLUMNS, &p);
        kernel_view(b, 0, evaluate ? 0 : (size_t)chunks * 2 * cols, kind | KERNEL_FILL_POSITIVE);
        kernel_view(b, 1, 2 * (size_t)cols, kind);
        kernel_view(b, 2, running ? cols : 0, kind);
        kernel_view(b, 3, running ? cols : 0, kind | KERNEL_FILL_POSITIVE);
        kernel_end(b, "(rows=%u,cols=%u,epsilon=%g,momentum=%g,evaluate=%d,running=%d,fill=%s)", rows, cols, (double)p.epsilon,
                   (double)momentum, evaluate, running, fill_name(kind));
    }
}

/* What is not there has no view. */
static void bn_apply(kernel_builder *b, uint32_t rows, uint32_t cols, uint32_t parts, float cap, fill_kind kind)
{
    const uint32_t n = rows * cols;
    struct actc_params_bn_apply p = {0, n, cols, parts & 1, parts >> 1 & 1, parts >> 2 & 1, parts >> 3 & 1, parts >> 4 & 1, cap};
    kernel_begin(b, ACTC_KERNEL_bn_apply, element_groups(n), &p);
    kernel_view(b, 0, n, kind);
    kernel_view(b, 1, p.normalise ? 2 * (size_t)cols : 0, kind);
    kernel_view(b, 2, p.affine ? cols : 0, kind);
    kernel_view(b, 3, p.affine ? cols : 0, kind);
    kernel_view(b, 4, p.residual ? n : 0, kind);
    kernel_view(b, 5, n, kind);
    kernel_view(b, 6, p.mask ? (n + 31) / 32 : 0, kind);
    kernel_end(b, "(rows=%u,cols=%u,normalise=%u,affine=%u,residual=%u,relu=%u,mask=%u,cap=%g,fill=%s)", rows, cols, p.normalise,
               p.affine, p.residual, p.relu, p.mask, (double)cap, fill_name(kind));
}

static void bn_bwd(kernel_builder *b, uint32_t rows, uint32_t cols, bool normalised, bool affine, bool constant, fill_kind kind)
{
    const uint32_t n = rows * cols;
    struct actc_params_bn_bwd p = {0, n, cols, normalised, affine, constant, 1.0f / (float)rows};
    kernel_begin(b, ACTC_KERNEL_bn_bwd, element_groups(n), &p);
    kernel_view(b, 0, n, kind);
    kernel_view(b, 1, constant ? 0 : n, kind);
    kernel_view(b, 2, 2 * (size_t)cols, kind);
    kernel_view(b, 3, affine ? cols : 0, kind);
    kernel_view(b, 4, constant ? 0 : cols, kind);
    kernel_view(b, 5, constant ? 0 : cols, kind);
    kernel_view(b, 6, n, kind);
    kernel_end(b, "(rows=%u,cols=%u,normalised=%u,affine=%u,constant=%u,fill=%s)", rows, cols, normalised, affine, constant,
               fill_name(kind));
}

static void batch_norm(kernel_builder *b)
{
    static const uint32_t shapes[][2] = {{1, 1},   {2, 1},     {1009, 1}, {64, 16},  {73, 14},  {1025, 3},
                                         {5, 257}, {33, 128},  {2, 600},  {3, 2048}, {2, 3001}, {127, 31}};
    static const struct { uint32_t parts; float cap; } applied[] = {
        {1, INFINITY}, {3, INFINITY}, {7, INFINITY}, {11, 6.0f}, {15, 0.5f}, {27, INFINITY}, {31, 0.75f}, {31, INFINITY}, {2, 1.0f}, {28, 0.25f}};
    for (size_t t = 0; t < sizeof shapes / sizeof *shapes; t++) {
        const uint32_t rows = shapes[t][0], cols = shapes[t][1];
        for (size_t k = 0; k < sizeof applied / sizeof *applied; k++)
            bn_apply(b, rows, cols, applied[k].parts, applied[k].cap, (t + k) % 3 == 2 ? FILL_SPECIAL : FILL_TINY);
        for (uint32_t k = 0; k < 7; k++)
            bn_bwd(b, rows, cols, k & 1, k >> 1 & 1, k >> 2, (t + k) % 3 == 1 ? FILL_SPECIAL : FILL_TINY);
    }
}

/* ---- along rows ---- */

static void ln_fwd(kernel_builder *b, uint32_t rows, uint32_t cols, bool affine, bool keep, fill_kind kind)
{
    const size_t n = (size_t)rows * cols;
    struct actc_params_ln_fwd p = {0, rows, cols, affine, keep, 1.0f / (float)cols, keep ? 1e-5f : 1e-12f};
    kernel_begin(b, ACTC_KERNEL_ln_fwd, rows, &p);
    kernel_view(b, 0, n, kind);
    kernel_view(b, 1, affine ? cols : 0, kind);
    kernel_view(b, 2, affine ? cols : 0, kind);
    kernel_view(b, 3, n, kind);
    kernel_view(b, 4, keep ? 2 * (size_t)rows : 0, kind);
    kernel_end(b, "(rows=%u,cols=%u,affine=%u,keep=%u,fill=%s)", rows, cols, affine, keep, fill_name(kind));
}

static void ln_bwd(kernel_builder *b, uint32_t rows, uint32_t cols, bool normalised, bool affine, fill_kind kind)
{
    const size_t n = (size_t)rows * cols;
    struct actc_params_ln_bwd p = {0, rows, cols, normalised, affine, 1.0f / (float)cols};
    kernel_begin(b, ACTC_KERNEL_ln_bwd, rows, &p);
    kernel_view(b, 0, n, kind);
    kernel_view(b, 1, n, kind);
    kernel_view(b, 2, 2 * (size_t)rows, kind);
    kernel_view(b, 3, affine ? cols : 0, kind);
    kernel_view(b, 4, n, kind);
    kernel_end(b, "(rows=%u,cols=%u,normalised=%u,affine=%u,fill=%s)", rows, cols, normalised, affine, fill_name(kind));
}

static void softmax(kernel_builder *b, uint32_t rows, uint32_t cols, uint32_t log, fill_kind kind)
{
    const size_t n = (size_t)rows * cols;
    const uint64_t groups = cols <= ACTC_SOFTMAX_SERIAL ? output_groups(rows) : rows;
    struct actc_params_softmax_fwd p = {0, rows, cols, log};
    kernel_begin(b, ACTC_KERNEL_softmax_fwd, groups, &p);
    kernel_view(b, 0, n, kind);
    kernel_view(b, 1, n, kind);
    kernel_end(b, "(rows=%u,cols=%u,log=%u,fill=%s)", rows, cols, log, fill_name(kind));
    p.causal = rows / 2;
    if (p.causal) {
        kernel_begin(b, ACTC_KERNEL_softmax_fwd, groups, &p);
        kernel_view(b, 0, n, kind);
        kernel_view(b, 1, n, kind);
        kernel_end(b, "(rows=%u,cols=%u,log=%u,causal=%u,fill=%s)", rows, cols, log, p.causal, fill_name(kind));
    }
    kernel_begin(b, ACTC_KERNEL_softmax_bwd, groups, &p);
    for (uint32_t v = 0; v < 3; v++)
        kernel_view(b, v, n, kind);
    kernel_end(b, "(rows=%u,cols=%u,log=%u,fill=%s)", rows, cols, log, fill_name(kind));
}

static void along_rows(kernel_builder *b)
{
    static const uint32_t shapes[][2] = {{1, 1},    {128, 10}, {300, 7}, {700, 3}, {257, 2},  {65, 64},  {63, 65},
                                         {5, 1000}, {3, 255},  {4, 256}, {7, 257}, {2, 2049}, {197, 192}};
    static const fill_kind kinds[] = {FILL_TINY, FILL_SPECIAL, FILL_EQUAL};
    for (uint32_t t = 0; t < sizeof shapes / sizeof *shapes; t++) {
        const uint32_t rows = shapes[t][0], cols = shapes[t][1];
        for (uint32_t k = 0; k < 3; k++) {
            softmax(b, rows, cols, 0, kinds[k]);
            softmax(b, rows, cols, 1, kinds[k]);
        }
        for (uint32_t k = 0; k < 4; k++) {
            ln_fwd(b, rows, cols, k & 1, k >> 1, kinds[(t + k) % 3]);
            ln_bwd(b, rows, cols, k & 1, k >> 1, kinds[(t + k) % 3]);
        }
        ln_fwd(b, rows, cols, true, true, FILL_NORMAL);
        ln_bwd(b, rows, cols, false, true, FILL_NORMAL);
    }
}

/* ---- large ones, for timing too ---- */

static void large(kernel_builder *b)
{
    static const uint32_t shapes[][2] = {{128 * 32 * 32, 64}, {64 * 64 * 64, 14}};
    static const uint32_t ops[] = {ACTC_REDUCE_SUM, ACTC_REDUCE_MOMENTS, ACTC_REDUCE_NORM_COLUMNS, ACTC_REDUCE_OVERLAP_LABELS};
    for (size_t t = 0; t < sizeof shapes / sizeof *shapes; t++)
        for (size_t k = 0; k < sizeof ops / sizeof *ops; k++)
            reduce(b, ops[k], 1, shapes[t][0], shapes[t][1], FILL_NORMAL);
    reduce(b, ACTC_REDUCE_OVERLAP_SQUARES, 1, 96 * 96 * 96, 3, FILL_NORMAL);
    for (size_t t = 0; t < sizeof shapes / sizeof *shapes; t++) {
        bn_apply(b, shapes[t][0], shapes[t][1], 3, INFINITY, FILL_NORMAL);
        bn_apply(b, shapes[t][0], shapes[t][1], 27, INFINITY, FILL_NORMAL);
        bn_bwd(b, shapes[t][0], shapes[t][1], false, true, false, FILL_NORMAL);
    }
    ln_fwd(b, 32 * 197, 768, true, true, FILL_NORMAL);
    ln_bwd(b, 32 * 197, 768, false, true, FILL_NORMAL);
    softmax(b, 12 * 197 * 8, 197, 0, FILL_NORMAL);
    softmax(b, 1 << 20, 3, 1, FILL_NORMAL);
}

void parity_norm_cases(parity_list *list)
{
    kernel_builder b = {.list = list};
    reduces(&b);
    reduce_finals(&b);
    bn_stats(&b);
    batch_norm(&b);
    along_rows(&b);
    b.full = true;
    large(&b);
}
