/* wavelets.h: PyWavelets' discrete wavelets as data. */
#ifndef ACTC_WAVELETS_H
#define ACTC_WAVELETS_H

#include <stdint.h>

/* Orthogonal: the synthesis low-pass is the analysis one reversed. Reverse: the biorthogonal tables of the twin with
 * analysis and synthesis exchanged and both reversed. */
typedef enum actc_wave_kind { ACTC_WAVE_ORTHOGONAL, ACTC_WAVE_BIORTHOGONAL, ACTC_WAVE_REVERSE } actc_wave_kind;

typedef struct actc_wavelet {
    const char *name;
    int length; /* of all four filters; even */
    actc_wave_kind kind;
    const double *low_dec, *low_rec; /* low_rec NULL for an orthogonal wavelet */
} actc_wavelet;

extern const actc_wavelet actc_wavelets[];
extern const int actc_wavelet_count;

/* Longest filter of the table (coif17). */
#define ACTC_WAVE_MAX_TAPS 102

typedef struct actc_wave_filters {
    double dec_lo[ACTC_WAVE_MAX_TAPS], dec_hi[ACTC_WAVE_MAX_TAPS];
    double rec_lo[ACTC_WAVE_MAX_TAPS], rec_hi[ACTC_WAVE_MAX_TAPS];
} actc_wave_filters;

/* The four filters in PyWavelets' order and sign. */
void actc_wavelet_filters(const actc_wavelet *wave, actc_wave_filters *filters);

/* PyWavelets' dwt_max_level: levels after which a signal of `length` is shorter than the filter. */
int actc_wavelet_max_level(uint64_t length, int filter_length);

#endif
