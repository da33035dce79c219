/* conv_bwd_filter.cu: weight gradients as partial sums over chunks of output pixels, pixels ascending.
 *
 * A tile of weight positions (kz,ky,kx,i) x output channels of one chunk a group: channels fastest, then positions, then
 * chunks; run by run. Where each pixel of the run begins in x is worked out once, into shared memory. */
#include "conv.cuh"

struct pixel_table {
    uint base[ACTC_FILTER_PIXELS];
    int z[ACTC_FILTER_PIXELS], y[ACTC_FILTER_PIXELS], x[ACTC_FILTER_PIXELS];
};

/* Rows are weight positions, k is a pixel. */
template <uint B, uint BK> struct position_loader : actc_tile_slots<B, BK> {
    typedef actc_tile_slots<B, BK> slots;
    const actc_params_conv &p;
    const float *x;
    const pixel_table &table;
    uint first, end; /* pixels of the run */
    uint channel, at;
    actc_tap tap;

    __device__ __forceinline__ position_loader(const actc_params_conv &p_, const float *x_,
                                               const pixel_table &table_, uint first_, uint end_, uint first_row)
        : p(p_), x(x_), table(table_), first(first_), end(end_), at(0u), tap(p_, p_.ic)
    {
        channel = first_row + slots::row(0u, false); /* the same for every slot */
        const bool exists = channel < p.kd * p.kh * p.kw * p.ic;
        tap.find(p, channel);
        tap.dy = exists ? tap.dy : ACTC_CONV_OUTSIDE;
    }
    __device__ __forceinline__ uint place(uint j) const { return slots::place(j, false); }
    __device__ __forceinline__ void step(uint k) { at = k; }
    __device__ __forceinline__ float load(uint j) const
    {
        const uint pixel = at + slots::k(j, false);
        if (pixel >= end)
            return 0.0f;
        const uint e = pixel - first;
        const uint iz = (uint)(table.z[e] + tap.dz), iy = (uint)(table.y[e] + tap.dy), ix = (uint)(table.x[e] + tap.dx);
        return iz < p.id && iy < p.ih && ix < p.iw
                   ? ACTC_TILE_FACTOR(x[table.base[e] + ((iz * p.ih + iy) * p.iw + ix) * p.ic + channel])
                   : 0.0f;
    }
};

template <uint N>
static __device__ __forceinline__ void tile(const actc_params_conv &p, uint group, float *shared,
                                            pixel_table &table, const float *x, const float *dy, float *partial)
{
    typedef actc_tile_shape<N> shape;
    const uint length = p.kd * p.kh * p.kw * p.ic, pixels = p.batch * p.od * p.oh * p.ow;
    const uint tiles_n = ACTC_CUDA_TILES(p.oc, shape::BN), tiles_m = ACTC_CUDA_TILES(length, shape::BM);
    const uint col = group % tiles_n * shape::BN, row = group / tiles_n % tiles_m * shape::BM;
    const uint chunk = group / tiles_n / tiles_m;
    const actc_divisor by_ow = actc_divide_by(p.ow), by_oh = actc_divide_by(p.oh), by_od = actc_divide_by(p.od);
    float *const out = partial + chunk * p.oc * length;
    for (uint run = 0u; run < p.runs; run++) {
        const uint first = (chunk * p.runs + run) * ACTC_FILTER_PIXELS;
        if (first >= pixels)
            return;
        const uint end = min(first + ACTC_FILTER_PIXELS, pixels);
        __syncthreads(); /* all have left the table of the run before */
        for (uint e = threadIdx.x; e < end - first; e += ACTC_GROUP_SIZE) {
            uint ox = first + e;
            uint oy = actc_div_rem(ox, by_ow);
            uint oz = actc_div_rem(oy, by_oh);
            const uint n = actc_div_rem(oz, by_od);
            table.base[e] = n * p.id * p.ih * p.iw * p.ic;
            table.z[e] = (int)(oz * p.sd) - (int)p.pd;
            table.y[e] = (int)(oy * p.sh) - (int)p.ph;
            table.x[e] = (int)(ox * p.sw) - (int)p.pw;
        }
        __syncthreads();
        position_loader<shape::BM, shape::BK> la(p, x, table, first, end, row);
        actc_matrix_loader<shape::BN, shape::BK> lb(dy, col, p.oc, end, 1u, p.oc);
        float acc[4][4];
        actc_tile_sums<shape>(shared, first, end, la, lb, acc);
        actc_tile_store<shape>(row, length, col, p.oc, acc, [=](uint m, uint n, float s) {
            float *const to = out + n * length + m;
            *to = run == 0u ? actc_canon(s) : actc_canon(ACTC_ADD(*to, actc_canon(s)));
        });
    }
}

ACTC_CUDA_KERNEL(conv_bwd_filter, const float *__restrict__ x, const float *__restrict__ dy,
                 float *__restrict__ partial)
{
    ACTC_GROUP(group);
    __shared__ __align__(16) float shared[ACTC_TILE_FLOATS];
    __shared__ pixel_table table;
    ACTC_TILE_DISPATCH(p.oc, tile, p, group, shared, table, x, dy, partial);
}
