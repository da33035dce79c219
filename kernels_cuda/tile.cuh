/* tile.cuh: sums of products over one output tile, for gemm and the convolutions.
 *
 * A block makes a tile of BM x BN outputs (tile.h), each thread 4 x 4 of them in registers. Both operands pass through
 * shared memory in steps of BK along k, in two buffers: while one is multiplied the next is loaded, and one barrier a
 * step is enough. Every output adds its products for k ascending, wherever it lies: k is never split here.
 *
 * An operand is a loader: slot j (of SLOTS a thread) has a place in the shared tile, load(j) gives its value for the step
 * that step(k0) has announced, 0 past the ends. Two mappings of slots to (row, k) exist, so that neighbouring threads read
 * neighbouring addresses: along k, and along the rows.
 */
#ifndef ACTC_TILE_CUH
#define ACTC_TILE_CUH

#include "common.cuh"
#include "tile.h"

template <uint N> struct actc_tile_shape {
    static const uint BN = N, BM = 4096u / N, BK = N == 16u ? 8u : 16u;
    /* rows are padded by 4: stores of neighbouring k fall into different banks, loads of four stay aligned */
    static const uint A_WIDTH = BM + 4u, B_WIDTH = BN + 4u;
    static const uint FLOATS = 2u * BK * (A_WIDTH + B_WIDTH);
};
#define ACTC_TILE_FLOATS 5376u /* the largest FLOATS: of 32 columns */

/* Slots of an operand of B rows and BK steps. */
template <uint B, uint BK> struct actc_tile_slots {
    static const uint TOTAL = B * BK;
    static const uint SLOTS = TOTAL < ACTC_GROUP_SIZE ? 1u : TOTAL / ACTC_GROUP_SIZE;
    static __device__ __forceinline__ uint entry(uint j) { return threadIdx.x + j * ACTC_GROUP_SIZE; }
    static __device__ __forceinline__ bool used(uint j) { return entry(j) < TOTAL; }
    static __device__ __forceinline__ uint row(uint j, bool along_k) { return along_k ? entry(j) / BK : entry(j) % B; }
    static __device__ __forceinline__ uint k(uint j, bool along_k) { return along_k ? entry(j) % BK : entry(j) / B; }
    static __device__ __forceinline__ uint place(uint j, bool along_k) { return k(j, along_k) * (B + 4u) + row(j, along_k); }
};

#ifdef ACTC_EXACT_VARIANT
#define ACTC_TILE_FACTOR(x) actc_factor(x)
#else
#define ACTC_TILE_FACTOR(x) (x)
#endif

/* A matrix in memory: element (row, k) at row * row_stride + k * k_stride. */
template <uint B, uint BK> struct actc_matrix_loader : actc_tile_slots<B, BK> {
    typedef actc_tile_slots<B, BK> slots;
    const float *from;
    uint first_row, rows, end, row_stride, k_stride, k0;
    bool along_k;

    __device__ __forceinline__ actc_matrix_loader(const float *from_, uint first_row_, uint rows_, uint end_,
                                                  uint row_stride_, uint k_stride_)
        : from(from_), first_row(first_row_), rows(rows_), end(end_), row_stride(row_stride_), k_stride(k_stride_), k0(0u),
          along_k(k_stride_ == 1u)
    {
    }
    __device__ __forceinline__ uint place(uint j) const { return slots::place(j, along_k); }
    __device__ __forceinline__ void step(uint k) { k0 = k; }
    __device__ __forceinline__ float load(uint j) const
    {
        const uint r = first_row + slots::row(j, along_k), k = k0 + slots::k(j, along_k);
        return r < rows && k < end ? ACTC_TILE_FACTOR(from[r * row_stride + k * k_stride]) : 0.0f;
    }
};

template <class LA> static __device__ __forceinline__ void actc_tile_fetch(const LA &from, float (&to)[LA::SLOTS])
{
#pragma unroll
    for (uint j = 0; j < LA::SLOTS; j++)
        to[j] = LA::used(j) ? from.load(j) : 0.0f;
}

template <class LA> static __device__ __forceinline__ void actc_tile_put(const LA &loader, const float (&from)[LA::SLOTS], float *to)
{
#pragma unroll
    for (uint j = 0; j < LA::SLOTS; j++) {
        if (LA::used(j))
            to[loader.place(j)] = from[j];
    }
}

/* acc = sums for k in [first, end). shared: FLOATS floats, aligned to 16 bytes.
 * This thread's outputs: rows 4 * (t / (BN/4)) .., columns 4 * (t % (BN/4)) .. of the tile. */
template <class SHAPE, class LA, class LB>
static __device__ __forceinline__ void actc_tile_sums(float *shared, uint first, uint end, LA &a, LB &b, float (&acc)[4][4])
{
    const uint BK = SHAPE::BK;
    float *const sa = shared, *const sb = shared + 2u * BK * SHAPE::A_WIDTH;
    const uint row = 4u * (threadIdx.x / (SHAPE::BN / 4u)), col = 4u * (threadIdx.x % (SHAPE::BN / 4u));
    float next_a[LA::SLOTS], next_b[LB::SLOTS];
#pragma unroll
    for (uint i = 0; i < 4u; i++) {
#pragma unroll
        for (uint j = 0; j < 4u; j++)
            acc[i][j] = 0.0f;
    }
    a.step(first);
    b.step(first);
    actc_tile_fetch(a, next_a);
    actc_tile_fetch(b, next_b);
    uint half = 0u;
    for (uint k = first; k < end; k += BK) {
        actc_tile_put(a, next_a, sa + half * BK * SHAPE::A_WIDTH);
        actc_tile_put(b, next_b, sb + half * BK * SHAPE::B_WIDTH);
        __syncthreads(); /* also: all have left the other half, which the next step writes */
        if (k + BK < end) {
            a.step(k + BK);
            b.step(k + BK);
            actc_tile_fetch(a, next_a);
            actc_tile_fetch(b, next_b);
        }
        const float *const ra = sa + half * BK * SHAPE::A_WIDTH + row;
        const float *const rb = sb + half * BK * SHAPE::B_WIDTH + col;
#pragma unroll
        for (uint kk = 0; kk < BK; kk++) {
            const float4 u = *(const float4 *)(ra + kk * SHAPE::A_WIDTH), v = *(const float4 *)(rb + kk * SHAPE::B_WIDTH);
            const float fa[4] = {u.x, u.y, u.z, u.w}, fb[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
            for (uint i = 0; i < 4u; i++) {
#pragma unroll
                for (uint j = 0; j < 4u; j++)
                    acc[i][j] = ACTC_MAC(acc[i][j], fa[i], fb[j]);
            }
        }
        half ^= 1u;
    }
}

/* Hands each of the thread's outputs inside rows x cols to store(row, col, sum). */
template <class SHAPE, class F>
static __device__ __forceinline__ void actc_tile_store(uint first_row, uint rows, uint first_col, uint cols,
                                                       const float (&acc)[4][4], F store)
{
    const uint row = first_row + 4u * (threadIdx.x / (SHAPE::BN / 4u)), col = first_col + 4u * (threadIdx.x % (SHAPE::BN / 4u));
#pragma unroll
    for (uint i = 0; i < 4u; i++) {
#pragma unroll
        for (uint j = 0; j < 4u; j++) {
            if (row + i < rows && col + j < cols)
                store(row + i, col + j, acc[i][j]);
        }
    }
}

/* Calls f<16>, f<32> or f<64> by the number of columns (tile.h). */
#define ACTC_TILE_DISPATCH(columns, f, ...)  \
    do {                                     \
        if ((columns) <= 16u)                \
            f<16>(__VA_ARGS__);              \
        else if ((columns) <= 32u)           \
            f<32>(__VA_ARGS__);              \
        else                                 \
            f<64>(__VA_ARGS__);              \
    } while (0)

#endif
