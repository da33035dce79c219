/* norm_cases.c: sums over rows, normalisation and softmax; all EXACT, and held to float64. */
#include "kernel_case.h"

/* ---- sums over rows ---- */

static const char *const reduce_ops[] = {"sum", "product", "square", "pair", "moments", "norm_columns", "norm_rows"};

static void reduce(kernel_builder *b, uint32_t op, uint32_t outer, uint32_t rows, uint32_t cols, fill_kind kind)
{
    const uint32_t chunks = (rows + ACTC_SUM_ROWS - 1) / ACTC_SUM_ROWS;
    const size_t n = (size_t)outer * rows * cols, columns = (size_t)outer * cols;
    const bool with_y = op == ACTC_REDUCE_PRODUCT || op == ACTC_REDUCE_PAIR || op >= ACTC_REDUCE_NORM_COLUMNS;
    const size_t statistics = op == ACTC_REDUCE_SQUARE         ? columns
                              : op == ACTC_REDUCE_NORM_COLUMNS ? 2 * columns
                              : op == ACTC_REDUCE_NORM_ROWS    ? 2 * (size_t)outer * rows
                                                               : 0;
    struct actc_params_reduce_partial p = {0, op, outer, rows, cols, chunks};
    kernel_begin(b, ACTC_KERNEL_reduce_partial, output_groups(columns * chunks), &p);
    kernel_view(b, 0, n, kind);
    kernel_view(b, 1, with_y ? n : 0, kind);
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

/* ---- large ones, for timing too ---- */

static void large(kernel_builder *b)
{
    static const uint32_t shapes[][2] = {{128 * 32 * 32, 64}, {64 * 64 * 64, 14}};
    static const uint32_t ops[] = {ACTC_REDUCE_SUM, ACTC_REDUCE_MOMENTS, ACTC_REDUCE_NORM_COLUMNS};
    for (size_t t = 0; t < sizeof shapes / sizeof *shapes; t++)
        for (size_t k = 0; k < sizeof ops / sizeof *ops; k++)
            reduce(b, ops[k], 1, shapes[t][0], shapes[t][1], FILL_NORMAL);
}

void parity_norm_cases(parity_list *list)
{
    kernel_builder b = {.list = list};
    reduces(&b);
    reduce_finals(&b);
    b.full = true;
    large(&b);
}
