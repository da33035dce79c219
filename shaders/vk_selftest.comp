/* vk_selftest: whether this device computes EXACT arithmetic, where its driver does not promise it.
 *
 * Not a kernel of a program: backends/vulkan/selftest.c runs it once and compares with the host's bits. Each case is
 * three floats in and VK_SELFTEST_RESULTS words out.
 */
#version 450
struct actc_params_vk_selftest { uint groups, n; };
#include "common.glsl"
#include "vk_selftest.h"

ACTC_READ(0, cases);
ACTC_WRITE(1, results);

void actc_kernel(uint group, uint lane)
{
    ACTC_FOR_ELEMENTS(i, p.n)
    {
        uint a_bits = cases[3u * i], b_bits = cases[3u * i + 1u], c_bits = cases[3u * i + 2u];
        float a = uintBitsToFloat(a_bits), b = uintBitsToFloat(b_bits), c = uintBitsToFloat(c_bits);
        uint at = VK_SELFTEST_RESULTS * i;
#define VK_SELFTEST_RESULT(k, bits) results[at + k] = bits;
        VK_SELFTEST_ALL
    }
}
