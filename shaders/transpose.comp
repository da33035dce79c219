/* transpose: y[b][c][r] = x[b][r][c]; moves bits. */
#version 450
#include "common.glsl"

ACTC_READ(0, x);
ACTC_WRITE(1, y);

void actc_kernel(uint group, uint lane)
{
    uint plane = p.rows * p.cols;
    ACTC_FOR_ELEMENTS(i, p.n)
    {
        uint in_plane = i % plane;
        uint c = in_plane / p.rows, r = in_plane % p.rows;
        y[i] = x[i - in_plane + r * p.cols + c];
    }
}
