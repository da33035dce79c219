/* codec_dct: forward 2-D dct of blocks, along height, then along width. */
#version 450
#include "common.glsl"

ACTC_READ(0, x);
ACTC_READ(1, constants);
ACTC_WRITE(2, y);

#include "codec_dct.glsl"

TRANSFORM_LINE(forward, ACTC_DCT16, ACTC_DCT8, dct_any)

void actc_kernel(uint group, uint lane)
{
    uint each = ACTC_GROUP_SIZE / p.block, row = p.first_row + group / p.row_groups, q0 = group % p.row_groups * each;
    uint count = min(each, blocks_of(p.width) * p.channels - q0), i, line;
    group_cells all = group_of(row, q0, count);
    split_lane(lane, each, i, line);
    instance at = instance_of(row, q0 + min(i, count - 1u));
    uint base = i * all.cells_each;
    if (i < count && line < at.lw) {
        for (uint h = 0u; h < at.lh; h++)
            cells[base + h * p.block + line] =
                actc_flush_bits(x[at.element + (h * p.width + line) * p.channels - p.x_first]);
        forward(base + line, p.block, at.lh, 0u);
        for (uint u = 0u; u < at.lh; u++)
            cells[base + u * p.block + line] = actc_flush(cells[base + u * p.block + line]);
    }
    barrier();
    if (i < count && line < at.lh)
        forward(base + line * p.block, 1u, at.lw, WIDTH_MATRIX);
    barrier();
    for (uint k = lane; k < all.total; k += ACTC_GROUP_SIZE)
        y[all.begin + k - p.y_first] = actc_canon_bits(cells[cell_of(all, k)]);
}
