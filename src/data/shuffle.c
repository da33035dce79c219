/* shuffle.c: the order of the samples of an epoch.
 *
 * Fisher-Yates on draws of Philox4x32-10 with key (seed) and counter (draw / 4, hash of "data/shuffle", epoch), so
 * that it is the same on every machine and needs nothing of the epochs before. The bounded draw multiplies and
 * shifts and rejects the few products that would favour low values (Lemire 2019): every order is equally likely.
 * Part of what a seed means; must not change.
 */
#include "../exact/exact.h"
#include "../util/util.h"
#include "dataset.h"

struct draws {
    uint32_t seed_lo, seed_hi, epoch_lo, epoch_hi, path;
    uint32_t next; /* number of the next draw */
    actc_u32x4 block;
};

static uint32_t draw(struct draws *d)
{
    uint32_t lane = d->next & 3u;
    if (lane == 0)
        d->block = actc_philox(d->next >> 2, d->path, d->epoch_lo, d->epoch_hi, d->seed_lo, d->seed_hi);
    d->next++;
    return lane == 0 ? d->block.x : lane == 1 ? d->block.y : lane == 2 ? d->block.z : d->block.w;
}

/* Uniform in [0, bound). */
static uint32_t draw_below(struct draws *d, uint32_t bound)
{
    uint64_t product = (uint64_t)draw(d) * bound;
    if ((uint32_t)product < bound) {
        uint32_t unfair = (0u - bound) % bound; /* 2^32 mod bound */
        while ((uint32_t)product < unfair)
            product = (uint64_t)draw(d) * bound;
    }
    return (uint32_t)(product >> 32);
}

void actc_shuffle(uint32_t *order, uint32_t n, uint64_t seed, uint64_t epoch)
{
    struct draws d = {
        .seed_lo = (uint32_t)seed,
        .seed_hi = (uint32_t)(seed >> 32),
        .epoch_lo = (uint32_t)epoch,
        .epoch_hi = (uint32_t)(epoch >> 32),
        .path = actc_hash("data/shuffle"),
    };
    for (uint32_t i = 0; i < n; i++)
        order[i] = i;
    for (uint32_t i = n - 1; i > 0; i--) {
        uint32_t j = draw_below(&d, i + 1), kept = order[i];
        order[i] = order[j];
        order[j] = kept;
    }
}
