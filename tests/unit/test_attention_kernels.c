/* test_attention_kernels.c: the CPU's attention against a scalar form, a query or a key at a time (kernel_check.h). */
#include "kernel_check.h"

#include "exact/attention.h"

static float *floats(size_t n)
{
    float *x = calloc(n ? n : 1, sizeof *x);
    assert_non_null(x);
    return x;
}

typedef struct attention_case {
    uint32_t batch, heads, tq, tk, head_dim, causal, dropout;
} attention_case;

/* Blocks of every length; one, two and three tiles of the others; head_dim of less than a vector, and of every block length. */
static const attention_case cases[] = {
    {1, 1, 1, 1, 1, 0, 0},   {2, 3, 5, 7, 3, 1, 1},    {1, 2, 64, 64, 16, 0, 1},  {1, 1, 65, 65, 64, 1, 0},  {1, 1, 97, 63, 17, 0, 0},
    {1, 1, 96, 129, 8, 0, 1}, {1, 1, 130, 131, 4, 1, 1}, {1, 1, 67, 33, 72, 0, 0}, {1, 1, 40, 65, 130, 1, 0}, {1, 2, 33, 31, 256, 0, 1},
};

typedef struct problem {
    struct actc_params_attention p;
    const float *q, *kv, *dout, *lse, *delta;
    const uint32_t *step;
} problem;

static float inner(const float *a, const float *b, uint32_t n)
{
    float s = 0;
    for (uint32_t d = 0; d < n; d++)
        s += ref_factor(a[d]) * ref_factor(b[d]);
    return s;
}

static const float *q_of(const problem *t, uint32_t b, uint32_t h, uint32_t i)
{
    return t->q + t->p.q_at + (b * t->p.tq + i) * t->p.q_row + h * t->p.head_dim;
}

static const float *kv_of(const problem *t, uint32_t at, uint32_t b, uint32_t h, uint32_t j)
{
    return t->kv + at + (b * t->p.tk + j) * t->p.kv_row + h * t->p.head_dim;
}

static size_t row_of(const problem *t, uint32_t b, uint32_t h, uint32_t i)
{
    return (size_t)(b * t->p.tq + i) * t->p.heads + h;
}

static float score(const problem *t, uint32_t b, uint32_t h, uint32_t i, uint32_t j)
{
    if (t->p.causal && j > i)
        return -INFINITY;
    return ref_flush(inner(q_of(t, b, h, i), kv_of(t, t->p.k_at, b, h, j), t->p.head_dim) * t->p.scale);
}

static bool kept(const problem *t, uint32_t b, uint32_t h, uint32_t i, uint32_t j)
{
    const uint32_t *s = t->step, quads = (t->p.tk + 3) / 4;
    if (!t->p.dropout)
        return true;
    actc_u32x4 r = actc_philox(i * quads + j / 4, t->p.path + 0x85ebca6bu * ((t->p.first + b) * t->p.heads + h + 1),
                               s[ACTC_STEP_STEP_LO], s[ACTC_STEP_STEP_HI], s[ACTC_STEP_SEED_LO], s[ACTC_STEP_SEED_HI]);
    return (j % 4 == 0 ? r.x : j % 4 == 1 ? r.y : j % 4 == 2 ? r.z : r.w) < t->p.threshold;
}

static bool tile_is_seen(const problem *t, uint32_t i, uint32_t j)
{
    return !t->p.causal || j / 64 <= i / 64;
}

/* Of query i: its output, and its log-sum-exp. */
static void forward(const problem *t, uint32_t b, uint32_t h, uint32_t i, float *out, float *lse)
{
    float m = -INFINITY, l = 0, o[256] = {0};
    for (uint32_t first = 0; first < t->p.tk && tile_is_seen(t, i, first); first += 64) {
        const uint32_t end = first + 64 < t->p.tk ? first + 64 : t->p.tk;
        float before = m, sum = 0, sums[256] = {0};
        for (uint32_t j = first; j < end; j++)
            m = score(t, b, h, i, j) > m ? score(t, b, h, i, j) : m;
        for (uint32_t j = first; j < end; j++) {
            float w = ref_factor(actc_exp(score(t, b, h, i, j) - m));
            sum += w;
            w = kept(t, b, h, i, j) ? w : 0;
            for (uint32_t d = 0; d < t->p.head_dim; d++)
                sums[d] += w * ref_factor(kv_of(t, t->p.v_at, b, h, j)[d]);
        }
        const float alpha = actc_exp(before - m);
        l = l * alpha + sum;
        for (uint32_t d = 0; d < t->p.head_dim; d++)
            o[d] = ref_flush(o[d] * alpha + sums[d]);
    }
    for (uint32_t d = 0; d < t->p.head_dim; d++)
        out[d] = ref_canon(o[d] * ref_flush(t->p.rescale * actc_reciprocal(l)));
    *lse = ref_canon(m + actc_log(l));
}

/* Of a pair: its weight where it is kept, and the gradient of its score. */
static float slope(const problem *t, uint32_t b, uint32_t h, uint32_t i, uint32_t j, float *weight)
{
    const size_t row = row_of(t, b, h, i);
    const bool keeps = kept(t, b, h, i, j);
    const float w = ref_factor(actc_exp(score(t, b, h, i, j) - ref_flush(t->lse[row])));
    float g = inner(t->dout + row * t->p.head_dim, kv_of(t, t->p.v_at, b, h, j), t->p.head_dim) * t->p.rescale;
    *weight = keeps ? w : 0;
    return ref_factor(w * ref_flush(ref_flush(keeps ? g : 0) - ref_flush(t->delta[row])));
}

static void backward_q(const problem *t, uint32_t b, uint32_t h, uint32_t i, float *dq)
{
    float total[256] = {0}, w;
    for (uint32_t first = 0; first < t->p.tk && tile_is_seen(t, i, first); first += 64) {
        float sums[256] = {0};
        for (uint32_t j = first; j < first + 64 && j < t->p.tk; j++) {
            const float ds = slope(t, b, h, i, j, &w);
            for (uint32_t d = 0; d < t->p.head_dim; d++)
                sums[d] += ds * ref_factor(kv_of(t, t->p.k_at, b, h, j)[d]);
        }
        for (uint32_t d = 0; d < t->p.head_dim; d++)
            total[d] += sums[d];
    }
    for (uint32_t d = 0; d < t->p.head_dim; d++)
        dq[d] = ref_canon(total[d] * t->p.scale);
}

static void backward_kv(const problem *t, uint32_t b, uint32_t h, uint32_t j, float *dk, float *dv)
{
    float total_k[256] = {0}, total_v[256] = {0}, w;
    for (uint32_t first = 0; first < t->p.tq; first += 64) {
        float sums_k[256] = {0}, sums_v[256] = {0};
        for (uint32_t i = first; tile_is_seen(t, first, j) && i < first + 64 && i < t->p.tq; i++) {
            const float ds = slope(t, b, h, i, j, &w);
            for (uint32_t d = 0; d < t->p.head_dim; d++) {
                sums_k[d] += ds * ref_factor(q_of(t, b, h, i)[d]);
                sums_v[d] += w * ref_factor(t->dout[row_of(t, b, h, i) * t->p.head_dim + d]);
            }
        }
        for (uint32_t d = 0; d < t->p.head_dim; d++) {
            total_k[d] += sums_k[d];
            total_v[d] += sums_v[d];
        }
    }
    for (uint32_t d = 0; d < t->p.head_dim; d++) {
        dk[d] = ref_canon(total_k[d] * t->p.scale);
        dv[d] = ref_canon(total_v[d] * t->p.rescale);
    }
}

static uint32_t groups(const attention_case *c, uint32_t rows)
{
    return c->batch * c->heads * ((rows + 63) / 64) * ((c->head_dim + 63) / 64);
}

static void run(const attention_case *c, uint32_t special, test_rng *r)
{
    const uint32_t width = c->heads * c->head_dim, rows = c->batch * c->tq * c->heads, q_row = width + 2, kv_row = 2 * width + 5;
    const size_t nq = (size_t)c->batch * c->tq * q_row, nkv = (size_t)c->batch * c->tk * kv_row, no = (size_t)rows * c->head_dim;
    float *q = fill(r, nq, special), *kv = fill(r, nkv, special), *dout = fill(r, no, special), *delta = fill(r, rows, special);
    float *o = floats(no), *lse = floats(rows), *old_q = fill(r, nq, 9), *old_kv = fill(r, nkv, 9), *dq = floats(nq), *dkv = floats(nkv);
    uint32_t step[ACTC_STEP_BLOCK_BYTES / 4];
    for (size_t i = 0; i < sizeof step / sizeof *step; i++)
        step[i] = rng_next(r);
    memcpy(dq, old_q, nq * sizeof *dq); /* what lies between rows stays */
    memcpy(dkv, old_kv, nkv * sizeof *dkv);
    problem t = {{0, c->batch, c->heads, c->head_dim, c->tq, c->tk, c->causal, 1, 1, q_row, 3, width + 4, kv_row, c->dropout, 77, 2,
                  0x90000000, 0.3f, c->dropout ? 16.0f / 9 : 1.0f},
                 q, kv, dout, lse, delta, step};
    for (uint32_t b = 0; b < c->batch; b++)
        for (uint32_t h = 0; h < c->heads; h++) {
            for (uint32_t i = 0; i < c->tq; i++)
                forward(&t, b, h, i, o + row_of(&t, b, h, i) * c->head_dim, lse + row_of(&t, b, h, i));
            for (uint32_t i = 0; i < c->tq; i++)
                backward_q(&t, b, h, i, dq + (q_of(&t, b, h, i) - q));
            for (uint32_t j = 0; j < c->tk; j++)
                backward_kv(&t, b, h, j, dkv + (kv_of(&t, t.p.k_at, b, h, j) - kv), dkv + (kv_of(&t, t.p.v_at, b, h, j) - kv));
        }
    const size_t blocks = sizeof step / sizeof *step;
    t.p.groups = groups(c, c->tq);
    CHECK(attention_fwd, t.p, t.p.groups, IN(q, nq), IN(kv, nkv), IN(step, blocks), OUT(o, no), OUT(lse, rows));
    CHECK(attention_bwd_q, t.p, t.p.groups, IN(q, nq), IN(kv, nkv), IN(dout, no), IN(lse, rows), IN(delta, rows),
          IN(step, blocks), INOUT(old_q, dq, nq));
    t.p.keep = 0;
    CHECK(attention_fwd, t.p, t.p.groups, IN(q, nq), IN(kv, nkv), IN(step, blocks), OUT(o, no), OUT(lse, 0));
    t.p.groups = groups(c, c->tk);
    CHECK(attention_bwd_kv, t.p, t.p.groups, IN(q, nq), IN(kv, nkv), IN(dout, no), IN(lse, rows), IN(delta, rows),
          IN(step, blocks), INOUT(old_kv, dkv, nkv));
    float *const all[] = {q, kv, dout, delta, o, lse, old_q, old_kv, dq, dkv};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
}

static void attention(void **state)
{
    (void)state;
    test_rng r = {31};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (uint32_t special = 0; special < 3; special += 2)
            run(&cases[i], special, &r);
}

static void delta(void **state)
{
    (void)state;
    static const uint32_t shapes[][2] = {{1, 1}, {16, 16}, {17, 64}, {259, 5}, {33, 129}};
    test_rng r = {32};
    for (size_t t = 0; t < 2 * sizeof shapes / sizeof *shapes; t++) {
        const uint32_t rows = shapes[t / 2][0], cols = shapes[t / 2][1];
        float *a = fill(&r, (size_t)rows * cols, t % 2 ? 10 : 0), *b = fill(&r, (size_t)rows * cols, 10), *sums = floats(rows);
        for (uint32_t i = 0; i < rows; i++) {
            float s[16] = {0};
            for (uint32_t c = 0; c < cols; c++)
                s[c % 16] += ref_factor(a[i * cols + c]) * ref_factor(b[i * cols + c]);
            for (uint32_t h = 8; h; h /= 2)
                for (uint32_t l = 0; l < h; l++)
                    s[l] += s[l + h];
            sums[i] = ref_canon(s[0]);
        }
        struct actc_params_attention_delta p = {(rows + 15) / 16, rows, cols};
        CHECK(attention_delta, p, p.groups, IN(a, (size_t)rows * cols), IN(b, (size_t)rows * cols), OUT(sums, rows));
        free(a);
        free(b);
        free(sums);
    }
}

static void every_kernel_checked(void **state)
{
    (void)state;
    for (int id = 0; id < ACTC_KERNEL_COUNT; id++)
        if (is_attention_kernel((actc_kernel_id)id) && !kernel_checked[id])
            fail_msg("%s is not checked", kernel_names[id]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(attention), cmocka_unit_test(delta), cmocka_unit_test(every_kernel_checked)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
