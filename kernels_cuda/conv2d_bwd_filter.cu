/* conv2d_bwd_filter.cu: weight gradients as partial sums over chunks of output pixels, pixels ascending.
 *
 * A tile of weight positions (ky,kx,i) x output channels of one chunk a group: channels fastest, then positions, then
 * chunks. Where each pixel of the chunk begins in x is worked out once, into shared memory. */
#include "conv.cuh"

struct pixel_table {
    uint base[ACTC_FILTER_PIXELS];
    int y[ACTC_FILTER_PIXELS], x[ACTC_FILTER_PIXELS];
};

/* Rows are weight positions, k is a pixel. */
template <uint B, uint BK> struct position_loader : actc_tile_slots<B, BK> {
    typedef actc_tile_slots<B, BK> slots;
    const actc_params_conv2d_bwd_filter &p;
    const float *x;
    const pixel_table &table;
    uint first, end; /* pixels of the chunk */
    uint channel, at;
    int dy, dx;

    __device__ __forceinline__ position_loader(const actc_params_conv2d_bwd_filter &p_, const float *x_,
                                               const pixel_table &table_, uint first_, uint end_, uint first_row)
        : p(p_), x(x_), table(table_), first(first_), end(end_), at(0u)
    {
        const uint row = first_row + slots::row(0u, false); /* the same for every slot */
        channel = row;
        uint kx = actc_div_rem(channel, actc_divide_by(p.ic));
        const uint ky = actc_div_rem(kx, actc_divide_by(p.kw));
        dy = ky < p.kh ? (int)(ky * p.dh) : ACTC_CONV_OUTSIDE;
        dx = (int)(kx * p.dw);
    }
    __device__ __forceinline__ uint place(uint j) const { return slots::place(j, false); }
    __device__ __forceinline__ void step(uint k) { at = k; }
    __device__ __forceinline__ float load(uint j) const
    {
        const uint pixel = at + slots::k(j, false);
        if (pixel >= end)
            return 0.0f;
        const uint e = pixel - first;
        const uint iy = (uint)(table.y[e] + dy), ix = (uint)(table.x[e] + dx);
        return iy < p.ih && ix < p.iw ? ACTC_TILE_FACTOR(x[table.base[e] + (iy * p.iw + ix) * p.ic + channel]) : 0.0f;
    }
};

template <uint N>
static __device__ __forceinline__ void tile(const actc_params_conv2d_bwd_filter &p, uint group, float *shared,
                                            pixel_table &table, const float *x, const float *dy, float *partial)
{
    typedef actc_tile_shape<N> shape;
    const uint length = p.kh * p.kw * p.ic, pixels = p.batch * p.oh * p.ow;
    const uint tiles_n = ACTC_CUDA_TILES(p.oc, shape::BN), tiles_m = ACTC_CUDA_TILES(length, shape::BM);
    const uint col = group % tiles_n * shape::BN, row = group / tiles_n % tiles_m * shape::BM;
    const uint chunk = group / tiles_n / tiles_m;
    const uint first = chunk * ACTC_FILTER_PIXELS, end = min(first + ACTC_FILTER_PIXELS, pixels);
    const actc_divisor by_ow = actc_divide_by(p.ow), by_oh = actc_divide_by(p.oh);
    for (uint e = threadIdx.x; e < end - first; e += ACTC_GROUP_SIZE) {
        uint ox = first + e;
        uint oy = actc_div_rem(ox, by_ow);
        const uint n = actc_div_rem(oy, by_oh);
        table.base[e] = n * p.ih * p.iw * p.ic;
        table.y[e] = (int)(oy * p.sh) - (int)p.ph;
        table.x[e] = (int)(ox * p.sw) - (int)p.pw;
    }
    __syncthreads();
    position_loader<shape::BM, shape::BK> la(p, x, table, first, end, row);
    actc_matrix_loader<shape::BN, shape::BK> lb(dy, col, p.oc, end, 1u, p.oc);
    float acc[4][4];
    actc_tile_sums<shape>(shared, first, end, la, lb, acc);
    float *const out = partial + chunk * p.oc * length;
    actc_tile_store<shape>(row, length, col, p.oc, acc,
                           [=](uint m, uint n, float s) { out[n * length + m] = actc_canon(s); });
}

ACTC_CUDA_KERNEL(conv2d_bwd_filter, const float *__restrict__ x, const float *__restrict__ dy,
                 float *__restrict__ partial)
{
    ACTC_GROUP(group);
    __shared__ __align__(16) float shared[ACTC_TILE_FLOATS];
    __shared__ pixel_table table;
    ACTC_TILE_DISPATCH(p.oc, tile, p, group, shared, table, x, dy, partial);
}
