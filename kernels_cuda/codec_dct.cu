/* codec_dct.cu: forward 2-D dct of blocks, along height, then along width. */
#include "codec_dct.cuh"

CODEC_TRANSFORM_LINE(forward, ACTC_DCT16, ACTC_DCT8, codec_dct_any)

ACTC_CUDA_KERNEL(codec_dct, const uint *x, const uint *constants, uint *y)
{
    ACTC_GROUP(group);
    __shared__ float cells[CODEC_CELLS];
    const float *tables = (const float *)constants + TABLES;
    const uint each = ACTC_GROUP_SIZE / p.block, row = p.first_row + group / p.row_groups, q0 = group % p.row_groups * each;
    const uint count = codec_min(each, (p.width + p.block - 1u) / p.block * p.channels - q0);
    const codec_group all = codec_group_of(p, row, q0, count);
    uint i, line;
    codec_split_thread(p, each, &i, &line);
    const codec_instance at = codec_instance_of(p, row, q0 + codec_min(i, count - 1u));
    float *own = cells + i * all.cells_each;
    if (i < count && line < at.lw) {
        uint column[16]; /* all loads in flight at once */
#pragma unroll
        for (uint h = 0u; h < 16u; h++)
            column[h] = h < at.lh ? x[at.element + (h * p.width + line) * p.channels - p.x_first] : 0u;
#pragma unroll
        for (uint h = 0u; h < 16u; h++)
            if (h < at.lh)
                own[h * p.block + line] = actc_flush_bits(column[h]);
        forward(own + line, p.block, at.lh, tables);
        for (uint u = 0u; u < at.lh; u++)
            own[u * p.block + line] = actc_flush(own[u * p.block + line]);
    }
    __syncthreads();
    if (i < count && line < at.lh)
        forward(own + line * p.block, 1u, at.lw, tables + WIDTH_MATRIX);
    __syncthreads();
    for (uint k = threadIdx.x; k < all.total; k += ACTC_GROUP_SIZE)
        y[all.begin + k - p.y_first] = actc_canon_bits(cells[codec_cell_of(all, k)]);
}
