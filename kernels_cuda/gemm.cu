/* gemm.cu: c = alpha op(a) op(b) [+ bias] [+ c], each element in ascending k. A tile a group: columns fastest, then rows, then
 * matrices. */
#include "tile.cuh"

template <uint N>
static __device__ __forceinline__ void tile(const actc_params_gemm &p, uint group, float *shared, const float *a,
                                            const float *b, const float *bias, float *c)
{
    typedef actc_tile_shape<N> shape;
    const uint tiles_n = ACTC_CUDA_TILES(p.n, shape::BN), tiles_m = ACTC_CUDA_TILES(p.m, shape::BM);
    const uint col = group % tiles_n * shape::BN, row = group / tiles_n % tiles_m * shape::BM;
    const uint matrix = group / tiles_n / tiles_m;
    actc_matrix_loader<shape::BM, shape::BK> la(a + matrix * p.stride_a, row, p.m, p.k, p.trans_a != 0u ? 1u : p.lda,
                                                p.trans_a != 0u ? p.lda : 1u);
    actc_matrix_loader<shape::BN, shape::BK> lb(b + matrix * p.stride_b, col, p.n, p.k, p.trans_b != 0u ? p.ldb : 1u,
                                                p.trans_b != 0u ? 1u : p.ldb);
    float acc[4][4];
    actc_tile_sums<shape>(shared, 0u, p.k, la, lb, acc);
    float *const out = c + matrix * p.stride_c;
    actc_tile_store<shape>(row, p.m, col, p.n, acc, [=](uint m, uint n, float s) {
        s = ACTC_MUL(s, p.alpha);
        if (p.bias != 0u)
            s = ACTC_ADD(s, actc_flush(bias[n]));
        if (p.add != 0u)
            s = ACTC_ADD(s, actc_flush(out[m * p.ldc + n]));
        out[m * p.ldc + n] = actc_canon(s);
    });
}

ACTC_CUDA_KERNEL(gemm, const float *__restrict__ a, const float *__restrict__ b, const float *__restrict__ bias,
                 float *__restrict__ c)
{
    ACTC_GROUP(group);
    __shared__ __align__(16) float shared[ACTC_TILE_FLOATS];
    ACTC_TILE_DISPATCH(p.n, tile, p, group, shared, a, b, bias, c);
}
