/* codec_select.cu: the bin of a histogram in which the k-th largest key lies. */
#include "codec.cuh"

#define EACH (ACTC_CODEC_BINS / ACTC_GROUP_SIZE)

ACTC_CUDA_KERNEL(codec_select, const uint *constants, uint *state, uint *histogram)
{
    ACTC_GROUP(group);
    __shared__ uint sums[ACTC_GROUP_SIZE];
    const uint t = threadIdx.x;
    uint *record = state + p.region * ACTC_CODEC_STATE_WORDS;
    /* thread 0 has the highest bins */
    uint counts[EACH], own = 0u, top = ACTC_CODEC_BINS - 1u - t * EACH;
    for (uint b = 0u; b < EACH; b++) {
        counts[b] = histogram[top - b];
        histogram[top - b] = 0u;
        own += counts[b];
    }
    const uint wanted = p.pass == 0u ? constants[REGION_K + p.region] : record[ACTC_CODEC_STATE_TIES];
    const uint prefix = p.pass == 0u ? 0u : record[ACTC_CODEC_STATE_KEY];
    bool all = p.pass != 0u && record[ACTC_CODEC_STATE_ALL] != 0u;
    const uint through = codec_scan_threads(sums, own);
    uint above = through - own;
    if (p.pass == 0u)
        all = sums[ACTC_GROUP_SIZE - 1u] <= wanted;
    __syncthreads(); /* all threads have read the record */
    if (all && t == 0u) {
        record[ACTC_CODEC_STATE_ALL] = 1u;
        record[ACTC_CODEC_STATE_KEY] = 0u;
        record[ACTC_CODEC_STATE_TIES] = 0u;
        record[ACTC_CODEC_STATE_EQUAL] = 0u;
    }
    if (!all && above < wanted && through >= wanted) {
        bool found = false;
        for (uint b = 0u; b < EACH; b++) {
            if (!found && counts[b] >= wanted - above) {
                found = true;
                record[ACTC_CODEC_STATE_ALL] = 0u;
                record[ACTC_CODEC_STATE_KEY] = p.pass == 0u ? top - b : (prefix << 10) | (top - b);
                record[ACTC_CODEC_STATE_TIES] = wanted - above;
                record[ACTC_CODEC_STATE_EQUAL] = counts[b];
            }
            above += found ? 0u : counts[b];
        }
    }
    if (p.pass == 2u && t == 0u) {
        const uint *before = record - ACTC_CODEC_STATE_WORDS;
        const bool first = p.region == 0u;
        record[ACTC_CODEC_STATE_EQUAL_BEFORE] =
            first ? 0u : before[ACTC_CODEC_STATE_EQUAL_BEFORE] + before[ACTC_CODEC_STATE_EQUAL];
        record[ACTC_CODEC_STATE_TIES_BEFORE] =
            first ? 0u : before[ACTC_CODEC_STATE_TIES_BEFORE] + before[ACTC_CODEC_STATE_TIES];
    }
}
