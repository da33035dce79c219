/* conv_bwd_data.cu: input gradients as the product of output gradients and weights, k over (kz,ky,kx,o), o fastest.
 * A tile of input pixels x input channels a group, channels fastest. */
#include "conv.cuh"

/* Rows are input pixels; the factor of tap (kz,ky,kx) and output channel o is dy where the tap leads to an output. */
template <uint B, uint BK> struct gradient_loader : actc_tile_slots<B, BK> {
    typedef actc_tile_slots<B, BK> slots;
    const actc_params_conv &p;
    const float *dy;
    actc_tap tap;
    actc_divisor by_sd, by_sh, by_sw;
    uint base[slots::SLOTS];
    int qz[slots::SLOTS], qy[slots::SLOTS], qx[slots::SLOTS];
    uint channel;
    bool inside;

    __device__ __forceinline__ gradient_loader(const actc_params_conv &p_, const float *dy_, uint first_pixel)
        : p(p_), dy(dy_), tap(p_, p_.oc), by_sd(actc_divide_by(p_.sd)), by_sh(actc_divide_by(p_.sh)),
          by_sw(actc_divide_by(p_.sw)), channel(0u), inside(false)
    {
        const actc_divisor by_iw = actc_divide_by(p.iw), by_ih = actc_divide_by(p.ih), by_id = actc_divide_by(p.id);
#pragma unroll
        for (uint j = 0; j < slots::SLOTS; j++) {
            const uint pixel = first_pixel + slots::row(j, true);
            uint ix = pixel;
            uint iy = actc_div_rem(ix, by_iw);
            uint iz = actc_div_rem(iy, by_ih);
            const uint n = actc_div_rem(iz, by_id);
            const bool exists = n < p.batch;
            base[j] = exists ? n * p.od * p.oh * p.ow * p.oc : 0u;
            qz[j] = (int)(iz + p.pd);
            qy[j] = exists ? (int)(iy + p.ph) : ACTC_CONV_OUTSIDE;
            qx[j] = (int)(ix + p.pw);
        }
    }
    __device__ __forceinline__ uint place(uint j) const { return slots::place(j, true); }
    __device__ __forceinline__ void step(uint k0)
    {
        const uint k = k0 + slots::k(0u, true);
        inside = k < p.kd * p.kh * p.kw * p.oc;
        channel = k;
        tap.find(p, channel);
    }
    __device__ __forceinline__ float load(uint j) const
    {
        const int z = qz[j] - tap.dz, y = qy[j] - tap.dy, x = qx[j] - tap.dx;
        uint rest_z = (uint)z, rest_y = (uint)y, rest_x = (uint)x;
        const uint oz = actc_div_rem(rest_z, by_sd), oy = actc_div_rem(rest_y, by_sh), ox = actc_div_rem(rest_x, by_sw);
        return inside && z >= 0 && y >= 0 && x >= 0 && (rest_z | rest_y | rest_x) == 0u && oz < p.od && oy < p.oh && ox < p.ow
                   ? ACTC_TILE_FACTOR(dy[base[j] + ((oz * p.oh + oy) * p.ow + ox) * p.oc + channel])
                   : 0.0f;
    }
};

/* Rows are input channels: w[o][kz][ky][kx][row]. */
template <uint B, uint BK> struct weight_loader : actc_tile_slots<B, BK> {
    typedef actc_tile_slots<B, BK> slots;
    const actc_params_conv &p;
    const float *w;
    actc_divisor by_channels;
    uint row, k0;

    __device__ __forceinline__ weight_loader(const actc_params_conv &p_, const float *w_, uint first_row)
        : p(p_), w(w_), by_channels(actc_divide_by(p_.oc)), row(first_row + slots::row(0u, false)), k0(0u)
    {
    }
    __device__ __forceinline__ uint place(uint j) const { return slots::place(j, false); }
    __device__ __forceinline__ void step(uint k) { k0 = k; }
    __device__ __forceinline__ float load(uint j) const
    {
        const uint taps = p.kd * p.kh * p.kw;
        uint o = k0 + slots::k(j, false);
        const uint tap = actc_div_rem(o, by_channels);
        return row < p.ic && tap < taps ? ACTC_TILE_FACTOR(w[(o * taps + tap) * p.ic + row]) : 0.0f;
    }
};

template <uint N>
static __device__ __forceinline__ void tile(const actc_params_conv &p, uint group, float *shared, const float *dy,
                                            const float *w, const float *bias, float *dx)
{
    typedef actc_tile_shape<N> shape;
    const uint tiles = ACTC_CUDA_TILES(p.ic, shape::BN);
    const uint col = group % tiles * shape::BN, row = group / tiles * shape::BM;
    gradient_loader<shape::BM, shape::BK> la(p, dy, row);
    weight_loader<shape::BN, shape::BK> lb(p, w, col);
    float acc[4][4];
    actc_tile_sums<shape>(shared, 0u, p.kd * p.kh * p.kw * p.oc, la, lb, acc);
    actc_tile_store<shape>(row, p.batch * p.id * p.ih * p.iw, col, p.ic, acc, [=](uint m, uint n, float s) {
        if (p.bias != 0u)
            s = ACTC_ADD(s, actc_flush(bias[n]));
        dx[m * p.ic + n] = actc_canon(s);
    });
}

ACTC_CUDA_KERNEL(conv_bwd_data, const float *__restrict__ dy, const float *__restrict__ w,
                 const float *__restrict__ bias, float *__restrict__ dx)
{
    ACTC_GROUP(group);
    __shared__ __align__(16) float shared[ACTC_TILE_FLOATS];
    ACTC_TILE_DISPATCH(p.ic, tile, p, group, shared, dy, w, bias, dx);
}
