/* element_cases.c: element-wise kernels over index spaces, and moves; all EXACT, and held to float64. */
#include "kernel_case.h"

#include "../../src/exact/binary.h"
#include "../../src/exact/unary.h"

/* ---- moves ---- */

typedef struct copy_case {
    const char *name;
    uint32_t size[6], ss[6], ds[6], source_at, target_at;
    size_t source, target; /* words */
} copy_case;

#define BACK(stride) (0u - (stride))

static void copies(kernel_builder *b)
{
    static const copy_case cases[] = {
        {"one", {1, 1, 1, 1, 1, 1}, {0}, {0}, 0, 0, 1, 1},
        {"all", {1, 1, 1, 1, 1, 4099}, {0, 0, 0, 0, 0, 1}, {0, 0, 0, 0, 0, 1}, 0, 0, 4099, 4099},
        {"dense", {2, 3, 5, 7, 4, 3}, {1260, 420, 84, 12, 3, 1}, {1260, 420, 84, 12, 3, 1}, 0, 0, 2520, 2520},
        {"channels-to-concat", {1, 1, 1, 2, 35, 13}, {0, 0, 0, 455, 13, 1}, {0, 0, 0, 1015, 29, 1}, 0, 16, 910, 2030},
        {"channels-from-concat", {1, 1, 1, 1, 70, 13}, {0, 0, 0, 0, 29, 1}, {0, 0, 0, 0, 13, 1}, 16, 0, 2030, 910},
        {"pad", {1, 2, 5, 6, 7, 3}, {0, 630, 126, 21, 3, 1}, {0, 1848, 264, 33, 3, 1}, 0, 333, 1260, 3696},
        {"transpose", {1, 1, 1, 3, 129, 67}, {0, 0, 0, 8643, 1, 129}, {0, 0, 0, 8643, 67, 1}, 0, 0, 25929, 25929},
        {"permute-six", {3, 2, 4, 3, 5, 2}, {1, 3, 90, 30, 6, 360}, {240, 120, 30, 10, 2, 1}, 0, 0, 720, 720},
        {"pixel-shuffle", {1, 2, 5, 2, 4, 6}, {0, 480, 96, 12, 24, 2}, {0, 480, 96, 48, 12, 2}, 1, 0, 960, 960},
        {"reversed", {1, 1, 1, 1, 33, 31}, {0, 0, 0, 0, BACK(31), BACK(1)}, {0, 0, 0, 0, 31, 1}, 1022, 0, 1023, 1023},
        {"every-third", {1, 1, 1, 1, 1, 1025}, {0, 0, 0, 0, 0, 3}, {0, 0, 0, 0, 0, 2}, 2, 1, 3075, 2050},
        {"broadcast", {1, 1, 1, 9, 11, 23}, {0, 0, 0, 0, 1, 0}, {0, 0, 0, 253, 23, 1}, 0, 0, 11, 2277},
    };
    for (size_t t = 0; t < 3 * sizeof cases / sizeof *cases; t++) {
        const copy_case *c = &cases[t / 3];
        const uint32_t accumulate = t % 3 > 0;
        const fill_kind kind = t % 3 == 0 ? FILL_BITS : t % 3 == 1 ? FILL_TINY : FILL_SPECIAL;
        struct actc_params_copy_nd p = {.n = 1, .source_at = c->source_at, .target_at = c->target_at, .accumulate = accumulate};
        for (int k = 0; k < 6; k++) {
            p.n *= c->size[k];
            p.size[k] = c->size[k];
            p.ss[k] = c->ss[k];
            p.ds[k] = c->ds[k];
        }
        kernel_begin(b, ACTC_KERNEL_copy_nd, element_groups(p.n), &p);
        kernel_view(b, 0, c->source, kind);
        kernel_view(b, 1, c->target, kind);
        kernel_end(b, "(%s,n=%u,accumulate=%u,fill=%s)", c->name, p.n, accumulate, fill_name(kind));
    }
}

/* Permutation of (N,H,W,C) to (N,C,H,W), one of whole lines, and one accumulation, for timing. */
static void large_copies(kernel_builder *b)
{
    const uint32_t batch = 32, pixels = 56 * 56, channels = 64, n = batch * pixels * channels;
    const struct actc_params_copy_nd cases[] = {
        {0, n, {1, 1, 1, batch, channels, pixels}, {0, 0, 0, n / batch, 1, channels}, {0, 0, 0, n / batch, pixels, 1}, 0, 0, 0},
        {0, n, {1, 1, 1, 1, n / channels, channels}, {0, 0, 0, 0, channels, 1}, {0, 0, 0, 0, 2 * channels, 1}, 0, 64, 0},
        {0, n, {1, 1, 1, 1, n / channels, channels}, {0, 0, 0, 0, 2 * channels, 1}, {0, 0, 0, 0, channels, 1}, 64, 0, 1},
    };
    static const char *const names[] = {"transpose", "to-concat", "from-concat"};
    for (size_t t = 0; t < 3; t++) {
        kernel_begin(b, ACTC_KERNEL_copy_nd, element_groups(n), &cases[t]);
        kernel_view(b, 0, t == 2 ? 2 * (size_t)n : n, FILL_NORMAL);
        kernel_view(b, 1, t == 1 ? 2 * (size_t)n : n, FILL_NORMAL);
        kernel_end(b, "(%s,n=%u,accumulate=%u,fill=normal)", names[t], n, cases[t].accumulate);
    }
}

/* ---- functions of one number ---- */

#define NAME(op, name, saved) #name,
static const char *const unary_ops[] = {ACTC_UNARY_LIST(NAME)};

static void unary(kernel_builder *b, uint32_t op, uint32_t n, fill_kind kind)
{
    const float a = 1.75f, c = n % 2 ? -0.3f : 0.0f;
    const struct actc_params_unary p = {0, n, op, a, c};
    kernel_begin(b, ACTC_KERNEL_unary, element_groups(n), &p);
    kernel_view(b, 0, n, kind);
    kernel_view(b, 1, n, kind);
    kernel_end(b, "(op=%s,n=%u,fill=%s)", unary_ops[op], n, fill_name(kind));
    const struct actc_params_unary_bwd q = {0, n, op, a};
    kernel_begin(b, ACTC_KERNEL_unary_bwd, element_groups(n), &q);
    kernel_view(b, 0, n, kind);
    kernel_view(b, 1, op == ACTC_UNARY_SCALE ? 0 : n, kind);
    kernel_view(b, 2, n, kind);
    kernel_end(b, "(op=%s,n=%u,fill=%s)", unary_ops[op], n, fill_name(kind));
}

static void slopes(kernel_builder *b, uint32_t op, uint32_t bits, uint32_t n, fill_kind kind)
{
    const uint32_t last = (1u << bits) - 1, zero = op < ACTC_UNARY_SILU ? 0 : bits == 8 ? 26 : bits / 4;
    const uint32_t one = op == ACTC_UNARY_SIGMOID ? 4 * last : last - 2 * zero;
    const struct actc_params_unary_slopes p = {0, n, op, bits, zero, (float)one};
    kernel_begin(b, ACTC_KERNEL_unary_slopes, element_groups(n), &p);
    kernel_view(b, 0, n, kind);
    kernel_view(b, 1, n, kind);
    kernel_view(b, 2, (n * bits + 31) / 32, FILL_NORMAL);
    kernel_end(b, "(op=%s,bits=%u,n=%u,fill=%s)", unary_ops[op], bits, n, fill_name(kind));
    const struct actc_params_unary_bwd_slopes q = {0, n, bits, zero, 1.0f / (float)one};
    kernel_begin(b, ACTC_KERNEL_unary_bwd_slopes, element_groups(n), &q);
    kernel_view(b, 0, n, kind);
    kernel_view(b, 1, (n * bits + 31) / 32, FILL_BITS);
    kernel_view(b, 2, n, kind);
    kernel_end(b, "(op=%s,bits=%u,n=%u,fill=%s)", unary_ops[op], bits, n, fill_name(kind));
}

static void capped_relu(kernel_builder *b, uint32_t n, float cap, fill_kind kind)
{
    const struct actc_params_relu_fwd p = {0, n, cap};
    static const actc_kernel_id ids[] = {ACTC_KERNEL_relu_fwd, ACTC_KERNEL_relu_fwd_mask, ACTC_KERNEL_relu_bwd_value};
    for (uint32_t k = 0; k < 3; k++) {
        kernel_begin(b, ids[k], element_groups(n), &p);
        kernel_view(b, 0, n, kind);
        kernel_view(b, 1, n, kind);
        if (k > 0)
            kernel_view(b, 2, k == 1 ? (n + 31) / 32 : n, kind);
        kernel_end(b, "(n=%u,cap=%g,fill=%s)", n, (double)cap, fill_name(kind));
    }
}

static void functions(kernel_builder *b)
{
    static const uint32_t sizes[] = {1, 3, 255, 1024, 1025, 4099};
    static const fill_kind kinds[] = {FILL_TINY, FILL_SPECIAL, FILL_EQUAL, FILL_WIDE};
    for (uint32_t t = 0; t < sizeof sizes / sizeof *sizes; t++) {
        for (uint32_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
            for (uint32_t op = 0; op < ACTC_UNARY_OPS; op++)
                unary(b, op, sizes[t], kinds[k]);
            for (uint32_t op = 0; op < ACTC_UNARY_SCALE; op++)
                slopes(b, op, 2u << (op + t + k) % 3, sizes[t], kinds[k]);
            capped_relu(b, sizes[t], k % 2 ? 6.0f : 0.5f, kinds[k]);
            capped_relu(b, sizes[t], 1.25f, kinds[k]); /* the value of FILL_EQUAL */
        }
    }
}

/* ---- functions of two numbers ---- */

static const char *const binary_ops[] = {"add", "sub", "mul", "axpy"};

typedef struct binary_case {
    const char *name;
    uint32_t size[4], sa[4], sb[4];
    size_t a, b; /* words */
} binary_case;

static void binary(kernel_builder *b, const binary_case *c, uint32_t op, fill_kind kind)
{
    struct actc_params_binary p = {.n = 1, .op = op, .alpha = 0.3f};
    for (int k = 0; k < 4; k++) {
        p.n *= c->size[k];
        p.size[k] = c->size[k];
        p.sa[k] = c->sa[k];
        p.sb[k] = c->sb[k];
    }
    kernel_begin(b, ACTC_KERNEL_binary, element_groups(p.n), &p);
    kernel_view(b, 0, c->a, kind);
    kernel_view(b, 1, c->b, kind);
    kernel_view(b, 2, p.n, kind);
    kernel_end(b, "(op=%s,%s,n=%u,fill=%s)", binary_ops[op], c->name, p.n, fill_name(kind));
}

static void binaries(kernel_builder *b)
{
    static const binary_case cases[] = {
        {"one", {1, 1, 1, 1}, {0}, {0}, 1, 1},
        {"flat", {1, 1, 1, 1025}, {0, 0, 0, 1}, {0, 0, 0, 1}, 1025, 1025},
        {"flat", {2, 3, 5, 141}, {2115, 705, 141, 1}, {2115, 705, 141, 1}, 4230, 4230},
        {"channels", {1, 1, 131, 13}, {0, 0, 13, 1}, {0, 0, 0, 1}, 1703, 13},
        {"gate", {3, 1, 77, 7}, {539, 0, 7, 1}, {7, 0, 0, 1}, 1617, 21},
        {"pixels", {1, 2, 345, 3}, {0, 1035, 3, 1}, {0, 345, 1, 0}, 2070, 690},
        {"first-broadcast", {4, 5, 6, 7}, {0, 7, 0, 1}, {210, 42, 7, 1}, 35, 840},
        {"transposed", {1, 1, 33, 31}, {0, 0, 1, 33}, {0, 0, 31, 1}, 1023, 1023},
    };
    for (size_t t = 0; t < sizeof cases / sizeof *cases; t++)
        for (uint32_t op = 0; op < ACTC_BINARY_OPS; op++)
            for (uint32_t k = 0; k < 2; k++)
                binary(b, &cases[t], op, k ? FILL_SPECIAL : FILL_TINY);
}

void parity_element_cases(parity_list *list)
{
    kernel_builder b = {.list = list};
    copies(&b);
    functions(&b);
    binaries(&b);
    b.full = true;
    large_copies(&b);
    for (uint32_t op = 0; op < ACTC_UNARY_OPS; op++)
        unary(&b, op, 1u << 22, FILL_NORMAL);
}
