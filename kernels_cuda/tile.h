/* tile.h: shapes of the output tiles of gemm and conv_*, shared by the kernels and by what launches them.
 *
 * A block makes TILE_M x TILE_N outputs, 4 x 4 a thread. The narrow side follows the number of output channels, so that
 * the first layers of a network (16 or 32 channels) do not idle. Groups are counted n fastest, then m, then chunks:
 * neighbouring blocks read the same rows of the wide operand.
 */
#ifndef ACTC_CUDA_TILE_H
#define ACTC_CUDA_TILE_H

#define ACTC_CUDA_TILE_N(n) ((n) <= 16u ? 16u : (n) <= 32u ? 32u : 64u)
#define ACTC_CUDA_TILE_M(n) (4096u / ACTC_CUDA_TILE_N(n))
#define ACTC_CUDA_TILE_K 16u

#define ACTC_CUDA_TILES(count, tile) (((count) - 1u) / (tile) + 1u)

#endif
