/* step_saved.c: what a training step saves: captured, packed on a device; which coefficients two payloads keep. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/util/util.h"
#include "../unit/codec_decode.h"
#include "step.h"

/* ---- capture ---- */

static bool capture(const step_side *side, int step, step_saved *saved, char *message)
{
    actc_network *network = side->network;
    for (size_t i = 0; i < actc_network_saved_count(network); i++) {
        actc_saved_info info = {.size = sizeof info};
        if (actc_network_saved_info(network, i, &info) != ACTC_OK)
            return step_say(message, "%s", actc_error_message(network->context));
        if (!strcmp(info.codec, "mask") || !strcmp(info.codec, "index") || !strcmp(info.codec, "own"))
            continue;
        if (!actc_grow((void **)&saved->tensors, &saved->capacity, saved->count + 1, sizeof *saved->tensors))
            return step_say(message, "no memory for the saved tensors");
        step_saved_tensor *tensor = &saved->tensors[saved->count];
        *tensor = (step_saved_tensor){.step = step, .shape = info.shape, .bytes = info.dense_bytes};
        tensor->x = malloc((size_t)info.dense_bytes);
        snprintf(tensor->name, sizeof tensor->name, "%s", info.name);
        saved->count++;
        if (!tensor->x)
            return step_say(message, "no memory for %s", info.name);
        if (actc_network_read_saved(network, i, tensor->x) != ACTC_OK)
            return step_say(message, "%s: %s", info.name, actc_error_message(network->context));
    }
    return saved->count || step_say(message, "%s saves no tensor", actc_network_name(network));
}

bool step_saved_read(actc_device *reference, const step_setup *setup, const step_batches *batches, const int *at, int n_at,
                     step_saved *saved, char *message)
{
    step_side side;
    step_setup dense = *setup;
    dense.rules = "";
    *saved = (step_saved){0};
    bool good = step_open(&side, reference, &dense, true, message);
    for (int s = 0, next = 0; s < batches->count && next < n_at && good; s++) {
        float loss;
        good = step_train(&side, batches, s, &loss, message);
        if (good && s + 1 == at[next]) {
            good = capture(&side, s + 1, saved, message);
            next++;
        }
    }
    step_close(&side);
    if (!good)
        step_saved_free(saved);
    return good;
}

void step_saved_free(step_saved *saved)
{
    for (size_t i = 0; i < saved->count; i++)
        free(saved->tensors[i].x);
    actc_free(saved->tensors);
    *saved = (step_saved){0};
}

/* ---- packing ---- */

bool step_pack(actc_device *device, const char *spec, const step_saved_tensor *tensor, uint64_t seed, step_packed *out,
               char *message)
{
    actc_codec *codec = NULL;
    actc_codec_info info = {.size = sizeof info};
    /* as a network does it: the steps before this one, the hash of the path */
    actc_codec_key key = {.seed = seed, .step = (uint64_t)tensor->step - 1, .tensor = actc_hash(tensor->name)};
    *out = (step_packed){0};
    bool good = actc_codec_create(device, spec, &tensor->shape, &codec) == ACTC_OK &&
                actc_codec_info_get(codec, &info) == ACTC_OK;
    if (good) {
        out->payload_bytes = info.payload_bytes;
        out->payload = malloc((size_t)info.payload_bytes + 1);
        out->restored = malloc((size_t)tensor->bytes);
        good = out->payload && out->restored && actc_codec_pack(codec, tensor->x, &key, out->payload) == ACTC_OK &&
               actc_codec_unpack(codec, out->payload, &key, out->restored) == ACTC_OK;
    }
    if (!good) {
        step_say(message, "%s of %s on %s: %s", spec, tensor->name, device->info.spec, actc_error_message(device->context));
        step_packed_free(out);
    }
    actc_codec_destroy(&codec);
    return good;
}

void step_packed_free(step_packed *packed)
{
    free(packed->payload);
    free(packed->restored);
    *packed = (step_packed){0};
}

/* ---- kept sets ---- */

typedef struct kept_set {
    kept *entries; /* ascending coefficients */
    int64_t count;
    double threshold; /* the smallest magnitude kept */
} kept_set;

static double magnitude(const actc_codec_plan *plan, const unsigned char *payload, const kept *entry)
{
    uint32_t bits = codec_value(plan, payload, entry) & 0x7fffffffu;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static bool decode(const actc_codec_plan *plan, const unsigned char *payload, const char *name, kept_set *set, char *message)
{
    *set = (kept_set){.entries = calloc((size_t)plan->k + 1, sizeof(kept)), .threshold = INFINITY};
    if (!set->entries)
        return step_say(message, "no memory for %llu coefficients", (unsigned long long)plan->k);
    set->count = codec_decode_payload(plan, payload, set->entries);
    for (int64_t i = 0; i < set->count; i++) {
        double m = magnitude(plan, payload, &set->entries[i]);
        set->threshold = m < set->threshold ? m : set->threshold;
    }
    return set->count >= 0 || step_say(message, "%s: the payload's tables do not agree with what they index", name);
}

static void note_difference(const actc_codec_plan *plan, const unsigned char *payload, const kept_set *set,
                            const kept *entry, step_kept *found)
{
    double excess = magnitude(plan, payload, entry) / set->threshold - 1;
    found->differ++;
    if (!(excess <= found->largest))
        found->largest = excess;
}

bool step_compare_kept(const actc_codec_plan *plan, const unsigned char *reference, const unsigned char *device,
                       const char *name, step_kept *found, char *message)
{
    kept_set x = {0}, y = {0};
    bool good = decode(plan, reference, name, &x, message) && decode(plan, device, name, &y, message);
    int64_t i = 0, j = 0;
    while (good && (i < x.count || j < y.count)) {
        uint64_t ci = i < x.count ? x.entries[i].coefficient : UINT64_MAX;
        uint64_t cj = j < y.count ? y.entries[j].coefficient : UINT64_MAX;
        if (ci < cj)
            note_difference(plan, reference, &x, &x.entries[i], found);
        else if (cj < ci)
            note_difference(plan, device, &y, &y.entries[j], found);
        i += ci <= cj;
        j += cj <= ci;
    }
    if (good)
        found->count += (uint64_t)x.count;
    free(x.entries);
    free(y.entries);
    return good;
}
