/* wavelet_filters.c: the four filters of a wavelet from the low-pass taps that are stored, and its levels. */
#include <stddef.h>

#include "wavelets.h"

void actc_wavelet_filters(const actc_wavelet *wave, actc_wave_filters *filters)
{
    int length = wave->length;
    for (int j = 0; j < length; j++) {
        int back = length - 1 - j;
        switch (wave->kind) {
        case ACTC_WAVE_ORTHOGONAL:
            filters->dec_lo[j] = wave->low_dec[j];
            filters->rec_lo[j] = wave->low_dec[back];
            break;
        case ACTC_WAVE_BIORTHOGONAL:
            filters->dec_lo[j] = wave->low_dec[j];
            filters->rec_lo[j] = wave->low_rec[j];
            break;
        case ACTC_WAVE_REVERSE:
            filters->dec_lo[j] = wave->low_rec[back];
            filters->rec_lo[j] = wave->low_dec[back];
            break;
        }
    }
    for (int j = 0; j < length; j++) {
        filters->dec_hi[j] = j % 2 ? filters->rec_lo[j] : -filters->rec_lo[j];
        filters->rec_hi[j] = j % 2 ? -filters->dec_lo[j] : filters->dec_lo[j];
    }
}

int actc_wavelet_max_level(uint64_t length, int filter_length)
{
    int level = 0;
    uint64_t shortest = (uint64_t)filter_length - 1;
    while (length / 2 >= shortest) { /* floor(log2(length / (filter_length - 1))) */
        length /= 2;
        level++;
    }
    return level;
}
