/* conv.cuh: input patches of a convolution as a tile's operand.
 *
 * k runs over (ky,kx,i), i fastest, as the weights lie in memory. Positions outside the image are factors of +0. */
#ifndef ACTC_CONV_CUH
#define ACTC_CONV_CUH

#include "index.cuh"
#include "tile.cuh"

/* A coordinate that no tap brings into an image. */
#define ACTC_CONV_OUTSIDE (-(1 << 30))

/* Rows are output pixels (batch,oh,ow). */
template <class P, uint B, uint BK> struct actc_patch_loader : actc_tile_slots<B, BK> {
    typedef actc_tile_slots<B, BK> slots;
    const P &p;
    const float *x;
    actc_divisor by_channels, by_width;
    uint base[slots::SLOTS];
    int y0[slots::SLOTS], x0[slots::SLOTS];
    int dy, dx;  /* of this step's tap */
    uint channel;
    bool inside; /* k is below its end */

    __device__ __forceinline__ actc_patch_loader(const P &p_, const float *x_, uint first_pixel)
        : p(p_), x(x_), by_channels(actc_divide_by(p_.ic)), by_width(actc_divide_by(p_.kw)), dy(0), dx(0), channel(0u),
          inside(false)
    {
        const actc_divisor by_ow = actc_divide_by(p.ow), by_oh = actc_divide_by(p.oh);
#pragma unroll
        for (uint j = 0; j < slots::SLOTS; j++) {
            const uint pixel = first_pixel + slots::row(j, true);
            uint ox = pixel;
            uint oy = actc_div_rem(ox, by_ow);
            const uint n = actc_div_rem(oy, by_oh);
            const bool exists = n < p.batch;
            base[j] = exists ? n * p.ih * p.iw * p.ic : 0u;
            y0[j] = exists ? (int)(oy * p.sh) - (int)p.ph : ACTC_CONV_OUTSIDE;
            x0[j] = (int)(ox * p.sw) - (int)p.pw;
        }
    }
    __device__ __forceinline__ uint place(uint j) const { return slots::place(j, true); }
    __device__ __forceinline__ void step(uint k0)
    {
        const uint k = k0 + slots::k(0u, true); /* the same for every slot */
        inside = k < p.kh * p.kw * p.ic;
        channel = k;
        uint kx = actc_div_rem(channel, by_channels);
        const uint ky = actc_div_rem(kx, by_width);
        dy = (int)(ky * p.dh);
        dx = (int)(kx * p.dw);
    }
    __device__ __forceinline__ float load(uint j) const
    {
        const uint iy = (uint)(y0[j] + dy), ix = (uint)(x0[j] + dx); /* negative ones wrap and fail the test */
        return inside && iy < p.ih && ix < p.iw ? ACTC_TILE_FACTOR(x[base[j] + (iy * p.iw + ix) * p.ic + channel]) : 0.0f;
    }
};

#endif
