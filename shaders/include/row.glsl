/* row.glsl: totals along a row, which a group does: lanes' values by a tree in shared memory. Every lane gets the result. */
#ifndef ACTC_ROW_GLSL
#define ACTC_ROW_GLSL

shared float row_values[ACTC_GROUP_SIZE];

float row_total(uint lane, float sum)
{
    barrier(); /* all have read the result before */
    row_values[lane] = sum;
    barrier();
    for (uint h = ACTC_GROUP_SIZE / 2u; h > 0u; h /= 2u) {
        if (lane < h)
            row_values[lane] = ACTC_ADD(row_values[lane], row_values[lane + h]);
        barrier();
    }
    return row_values[0];
}

float row_largest(uint lane, float largest)
{
    barrier();
    row_values[lane] = largest;
    barrier();
    for (uint h = ACTC_GROUP_SIZE / 2u; h > 0u; h /= 2u) {
        if (lane < h) {
            float v = row_values[lane + h];
            row_values[lane] = v > row_values[lane] ? v : row_values[lane];
        }
        barrier();
    }
    return row_values[0];
}

#endif
