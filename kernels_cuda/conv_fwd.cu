/* conv_fwd.cu: convolution as the product of input patches and weights. A tile of pixels x output channels a group,
 * channels fastest. */
#include "conv.cuh"

template <uint N>
static __device__ __forceinline__ void tile(const actc_params_conv &p, uint group, float *shared, const float *x,
                                            const float *w, const float *bias, float *y)
{
    typedef actc_tile_shape<N> shape;
    const uint tiles = ACTC_CUDA_TILES(p.oc, shape::BN), length = p.kd * p.kh * p.kw * p.ic;
    const uint col = group % tiles * shape::BN, row = group / tiles * shape::BM;
    actc_patch_loader<shape::BM, shape::BK> la(p, x, row);
    actc_matrix_loader<shape::BN, shape::BK> lb(w, col, p.oc, length, length, 1u);
    float acc[4][4];
    actc_tile_sums<shape>(shared, 0u, length, la, lb, acc);
    actc_tile_store<shape>(row, p.batch * p.od * p.oh * p.ow, col, p.oc, acc, [=](uint m, uint n, float s) {
        if (p.bias != 0u)
            s = ACTC_ADD(s, actc_flush(bias[n]));
        y[m * p.oc + n] = actc_canon(s);
    });
}

ACTC_CUDA_KERNEL(conv_fwd, const float *__restrict__ x, const float *__restrict__ w, const float *__restrict__ bias,
                 float *__restrict__ y)
{
    ACTC_GROUP(group);
    __shared__ __align__(16) float shared[ACTC_TILE_FLOATS];
    ACTC_TILE_DISPATCH(p.oc, tile, p, group, shared, x, w, bias, y);
}
