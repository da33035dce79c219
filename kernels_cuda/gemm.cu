/* gemm.cu: c = op(a) op(b) [+ bias] [+ c], each element in ascending k. A tile a group, columns fastest. */
#include "tile.cuh"

template <uint N>
static __device__ __forceinline__ void tile(const actc_params_gemm &p, uint group, float *shared, const float *a,
                                            const float *b, const float *bias, float *c)
{
    typedef actc_tile_shape<N> shape;
    const uint tiles = ACTC_CUDA_TILES(p.n, shape::BN);
    const uint col = group % tiles * shape::BN, row = group / tiles * shape::BM;
    actc_matrix_loader<shape::BM, shape::BK> la(a, row, p.m, p.k, p.trans_a != 0u ? 1u : p.k, p.trans_a != 0u ? p.m : 1u);
    actc_matrix_loader<shape::BN, shape::BK> lb(b, col, p.n, p.k, p.trans_b != 0u ? p.k : 1u, p.trans_b != 0u ? 1u : p.n);
    float acc[4][4];
    actc_tile_sums<shape>(shared, 0u, p.k, la, lb, acc);
    actc_tile_store<shape>(row, p.m, col, p.n, acc, [=](uint m, uint n, float s) {
        if (p.bias != 0u)
            s = ACTC_ADD(s, actc_flush(bias[n]));
        if (p.add != 0u)
            s = ACTC_ADD(s, actc_flush(c[m * p.n + n]));
        c[m * p.n + n] = actc_canon(s);
    });
}

ACTC_CUDA_KERNEL(gemm, const float *__restrict__ a, const float *__restrict__ b, const float *__restrict__ bias,
                 float *__restrict__ c)
{
    ACTC_GROUP(group);
    __shared__ __align__(16) float shared[ACTC_TILE_FLOATS];
    ACTC_TILE_DISPATCH(p.n, tile, p, group, shared, a, b, bias, c);
}
