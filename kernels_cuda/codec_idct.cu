/* codec_idct.cu: inverse 2-D dct of blocks, along width, then along height. */
#include "codec_dct.cuh"

CODEC_TRANSFORM_LINE(inverse, ACTC_IDCT16, ACTC_IDCT8, codec_idct_any)

ACTC_CUDA_KERNEL(codec_idct, const uint *y, const uint *constants, uint *x)
{
    ACTC_GROUP(group);
    __shared__ float cells[CODEC_CELLS];
    const float *tables = (const float *)constants + TABLES;
    const uint each = ACTC_GROUP_SIZE / p.block, row = p.first_row + group / p.row_groups, q0 = group % p.row_groups * each;
    const uint count = codec_min(each, (p.width + p.block - 1u) / p.block * p.channels - q0);
    const codec_group all = codec_group_of(p, row, q0, count);
#pragma unroll 8 /* loads in flight */
    for (uint k = threadIdx.x; k < all.total; k += ACTC_GROUP_SIZE)
        cells[codec_cell_of(all, k)] = actc_flush_bits(y[all.begin + k - p.y_first]);
    __syncthreads();
    uint i, line;
    codec_split_thread(p, each, &i, &line);
    const codec_instance at = codec_instance_of(p, row, q0 + codec_min(i, count - 1u));
    float *own = cells + i * all.cells_each;
    if (i < count && line < at.lh) {
        inverse(own + line * p.block, 1u, at.lw, tables + WIDTH_MATRIX);
        for (uint w = 0u; w < at.lw; w++)
            own[line * p.block + w] = actc_flush(own[line * p.block + w]);
    }
    __syncthreads();
    if (i < count && line < at.lw) {
        inverse(own + line, p.block, at.lh, tables);
        for (uint h = 0u; h < at.lh; h++)
            x[at.element + (h * p.width + line) * p.channels - p.x_first] = actc_canon_bits(own[h * p.block + line]);
    }
}
