/* codec_idct: inverse 2-D dct of blocks, along width, then along height. */
#version 450
#include "common.glsl"

ACTC_READ(0, y);
ACTC_READ(1, constants);
ACTC_WRITE(2, x);

#include "codec_dct.glsl"

TRANSFORM_LINE(inverse, ACTC_IDCT16, ACTC_IDCT8, idct_any)

void actc_kernel(uint group, uint lane)
{
    uint each = ACTC_GROUP_SIZE / p.block, row = p.first_row + group / p.row_groups, q0 = group % p.row_groups * each;
    uint count = min(each, blocks_of(p.width) * p.channels - q0), i, line;
    group_cells all = group_of(row, q0, count);
    for (uint k = lane; k < all.total; k += ACTC_GROUP_SIZE)
        cells[cell_of(all, k)] = actc_flush_bits(y[all.begin + k - p.y_first]);
    barrier();
    split_lane(lane, each, i, line);
    instance at = instance_of(row, q0 + min(i, count - 1u));
    uint base = i * all.cells_each;
    if (i < count && line < at.lh) {
        inverse(base + line * p.block, 1u, at.lw, WIDTH_MATRIX);
        for (uint w = 0u; w < at.lw; w++)
            cells[base + line * p.block + w] = actc_flush(cells[base + line * p.block + w]);
    }
    barrier();
    if (i < count && line < at.lw) {
        inverse(base + line, p.block, at.lh, 0u);
        for (uint h = 0u; h < at.lh; h++)
            x[at.element + (h * p.width + line) * p.channels - p.x_first] =
                actc_canon_bits(cells[base + h * p.block + line]);
    }
}
