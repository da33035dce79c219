/* conv.cuh: input patches of a convolution as a tile's operand.
 *
 * k runs over (kz,ky,kx,i), i fastest, as the weights lie in memory. Positions outside the image are factors of +0. */
#ifndef ACTC_CONV_CUH
#define ACTC_CONV_CUH

#include "index.cuh"
#include "tile.cuh"

/* A coordinate that no tap brings into an image. */
#define ACTC_CONV_OUTSIDE (-(1 << 30))

/* The tap of weight position k = (kz,ky,kx,i) of a kernel, as steps in the image; k becomes i. */
struct actc_tap {
    actc_divisor by_channels, by_width, by_height;
    int dz, dy, dx;

    __device__ __forceinline__ actc_tap(const actc_params_conv &p, uint channels)
        : by_channels(actc_divide_by(channels)), by_width(actc_divide_by(p.kw)), by_height(actc_divide_by(p.kh)), dz(0), dy(0),
          dx(0)
    {
    }
    __device__ __forceinline__ void find(const actc_params_conv &p, uint &k)
    {
        uint kx = actc_div_rem(k, by_channels);
        uint ky = actc_div_rem(kx, by_width);
        const uint kz = actc_div_rem(ky, by_height);
        dz = (int)(kz * p.dd);
        dy = (int)(ky * p.dh);
        dx = (int)(kx * p.dw);
    }
};

/* Rows are output pixels (batch,od,oh,ow). */
template <uint B, uint BK> struct actc_patch_loader : actc_tile_slots<B, BK> {
    typedef actc_tile_slots<B, BK> slots;
    const actc_params_conv &p;
    const float *x;
    actc_tap tap; /* of this step */
    uint base[slots::SLOTS];
    int z0[slots::SLOTS], y0[slots::SLOTS], x0[slots::SLOTS];
    uint channel;
    bool inside; /* k is below its end */

    __device__ __forceinline__ actc_patch_loader(const actc_params_conv &p_, const float *x_, uint first_pixel)
        : p(p_), x(x_), tap(p_, p_.ic), channel(0u), inside(false)
    {
        const actc_divisor by_ow = actc_divide_by(p.ow), by_oh = actc_divide_by(p.oh), by_od = actc_divide_by(p.od);
#pragma unroll
        for (uint j = 0; j < slots::SLOTS; j++) {
            const uint pixel = first_pixel + slots::row(j, true);
            uint ox = pixel;
            uint oy = actc_div_rem(ox, by_ow);
            uint oz = actc_div_rem(oy, by_oh);
            const uint n = actc_div_rem(oz, by_od);
            const bool exists = n < p.batch;
            base[j] = exists ? n * p.id * p.ih * p.iw * p.ic : 0u;
            z0[j] = (int)(oz * p.sd) - (int)p.pd;
            y0[j] = exists ? (int)(oy * p.sh) - (int)p.ph : ACTC_CONV_OUTSIDE;
            x0[j] = (int)(ox * p.sw) - (int)p.pw;
        }
    }
    __device__ __forceinline__ uint place(uint j) const { return slots::place(j, true); }
    __device__ __forceinline__ void step(uint k0)
    {
        const uint k = k0 + slots::k(0u, true); /* the same for every slot */
        inside = k < p.kd * p.kh * p.kw * p.ic;
        channel = k;
        tap.find(p, channel);
    }
    __device__ __forceinline__ float load(uint j) const
    {
        /* negative ones wrap and fail the test */
        const uint iz = (uint)(z0[j] + tap.dz), iy = (uint)(y0[j] + tap.dy), ix = (uint)(x0[j] + tap.dx);
        return inside && iz < p.id && iy < p.ih && ix < p.iw
                   ? ACTC_TILE_FACTOR(x[base[j] + ((iz * p.ih + iy) * p.iw + ix) * p.ic + channel])
                   : 0.0f;
    }
};

#endif
