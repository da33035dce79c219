/* step_cases.c: training steps of networks as cases of actc-parity. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "parity.h"
#include "step.h"

/* Bounds of the contract: of a loss and of every gradient in lock-step; of coefficients that only one of two devices keeps,
 * as a part of all, and their distance to the threshold; of losses in a free run up to step 20, without and with
 * compression. */
#define LOSS_BOUND 1e-5
#define GRADIENT_BOUND 1e-4
#define KEPT_BOUND 1e-3
#define THRESHOLD_BOUND 1e-5
#define FREE_STEPS 20
#define FREE_BOUND 1e-4
#define FREE_BOUND_COMPRESSED 1e-3

typedef struct step_case {
    step_setup setup;
    const char *codec;  /* payload cases */
    bool give;          /* lock-step cases */
} step_case;

/* Not the case's seed: a failure is to be found again in a longer or shorter run of the same network. */
#define SEED 1

/* Batches for a case; false after parity_skip or parity_fail. */
static bool batches_for(parity_run *run, const step_setup *setup, step_batches *batches)
{
    char message[STEP_MESSAGE];
    switch (step_batches_read(run->context, setup, batches, message)) {
    case STEP_GOOD: return true;
    case STEP_SKIPPED: return parity_skip(run, "%s", message);
    case STEP_BAD: break;
    }
    return parity_fail(run, "%s", message);
}

/* ---- payloads ---- */

static void free_saved(void *shared)
{
    step_saved_free(shared);
    free(shared);
}

/* What the reference saves is the same for all devices of the case. */
static bool saved_for(parity_run *run, const step_setup *setup)
{
    static const int steps[] = {1, 10, 50};
    char message[STEP_MESSAGE];
    step_batches batches;
    int at[3], n_at = 0;
    if (run->shared)
        return true;
    for (int i = 0; i < 3; i++)
        if (steps[i] <= setup->steps)
            at[n_at++] = steps[i];
    if (!batches_for(run, setup, &batches))
        return false;
    step_saved *saved = calloc(1, sizeof *saved);
    bool good = saved && step_saved_read(run->reference, setup, &batches, at, n_at, saved, message);
    step_batches_free(&batches);
    if (!good) {
        free(saved);
        return parity_fail(run, "%s", saved ? message : "no memory");
    }
    run->shared = saved;
    run->free_shared = free_saved;
    return true;
}

static bool run_payloads(const parity_case *c, parity_run *run)
{
    const step_case *s = c->data;
    char message[STEP_MESSAGE], label[128];
    uint64_t bytes = 0;
    if (!saved_for(run, &s->setup))
        return false;
    const step_saved *saved = run->shared;
    for (size_t i = 0; i < saved->count; i++) {
        const step_saved_tensor *tensor = &saved->tensors[i];
        step_packed packed;
        if (!step_pack(run->device, s->codec, tensor, s->setup.seed, &packed, message))
            return parity_fail(run, "%s", message);
        snprintf(label, sizeof label, "payload, step %d, tensor %zu (%s)", tensor->step, i, tensor->name);
        parity_exact(run, label, packed.payload, (size_t)packed.payload_bytes);
        snprintf(label, sizeof label, "restored, step %d, tensor %zu (%s)", tensor->step, i, tensor->name);
        parity_exact(run, label, packed.restored, (size_t)tensor->bytes);
        bytes += packed.payload_bytes;
        step_packed_free(&packed);
    }
    parity_note(run, "%zu saved tensors, payloads of %llu bytes", saved->count, (unsigned long long)bytes);
    return true;
}

/* ---- lock-step ---- */

/* False after parity_fail or parity_skip. */
static bool lock_step(const step_case *s, parity_run *run, bool give, step_figures *f)
{
    char message[STEP_MESSAGE];
    step_batches batches;
    if (!batches_for(run, &s->setup, &batches))
        return false;
    bool good = step_lock_step(run->reference, run->device, &s->setup, &batches, give, f, message);
    step_batches_free(&batches);
    return good || parity_fail(run, "%s", message);
}

static bool run_lock_step(const parity_case *c, parity_run *run)
{
    const step_case *s = c->data;
    step_figures f;
    if (!lock_step(s, run, s->give, &f))
        return false;
    parity_measure(run, "loss, relative", f.loss_error, LOSS_BOUND);
    if (s->give)
        parity_measure(run, "gradients, relative L2", f.gradient_error, GRADIENT_BOUND);
    else if (!*s->setup.rules && !f.agreeing)
        return parity_fail(run, "in none of %d steps both took the same decisions", f.steps);
    else if (f.agreeing)
        parity_measure(run, "gradients, relative L2, where decisions agree", f.agreeing_error, GRADIENT_BOUND);
    parity_note(run, "%d steps, %d with the same decisions; of all steps: gradients within %.2g (%s, step %d), %llu of %llu "
                "signs, %llu of %llu pooling indices, %llu of %llu kept coefficients differ", f.steps, f.agreeing, f.gradient_error,
                f.gradient_name, f.gradient_at, (unsigned long long)f.signs_differ, (unsigned long long)f.signs,
                (unsigned long long)f.indices_differ, (unsigned long long)f.indices, (unsigned long long)f.kept.differ,
                (unsigned long long)f.kept.count);
    return true;
}

static bool run_kept_sets(const parity_case *c, parity_run *run)
{
    const step_case *s = c->data;
    step_figures f;
    if (!lock_step(s, run, false, &f))
        return false;
    if (!f.kept.count)
        return parity_fail(run, "'%s' compresses nothing of %s", s->setup.rules, s->setup.model->name);
    parity_measure(run, "kept by one of the two only, of all", (double)f.kept.differ / (double)f.kept.count, KEPT_BOUND);
    parity_measure(run, "their distance to the threshold, relative", f.kept.largest, THRESHOLD_BOUND);
    parity_note(run, "%llu of %llu kept coefficients differ", (unsigned long long)f.kept.differ,
                (unsigned long long)f.kept.count);
    return true;
}

/* ---- free run ---- */

static bool run_free(const parity_case *c, parity_run *run)
{
    const step_case *s = c->data;
    char message[STEP_MESSAGE];
    step_batches batches;
    step_figures f;
    if (!batches_for(run, &s->setup, &batches))
        return false;
    bool good = step_free_run(run->reference, run->device, &s->setup, &batches, &f, message);
    step_batches_free(&batches);
    if (!good)
        return parity_fail(run, "%s", message);
    float losses[STEP_MOST_STEPS];
    double bounds[STEP_MOST_STEPS], relative = *s->setup.rules ? FREE_BOUND_COMPRESSED : FREE_BOUND, early = 0;
    for (int i = 0; i < f.steps; i++) {
        char label[64];
        double error = fabs(f.loss_device[i] - f.loss_reference[i]) / fabs(f.loss_reference[i]);
        double bound = i < FREE_STEPS ? relative : INFINITY; /* chaos: recorded, not bounded */
        snprintf(label, sizeof label, "loss of step %d, relative difference", i + 1);
        parity_measure(run, label, error, bound);
        losses[i] = (float)f.loss_device[i];
        bounds[i] = bound * fabs(f.loss_reference[i]);
        early = i < FREE_STEPS ? fmax(early, error) : early;
    }
    /* for --record: the curve itself */
    parity_bounded(run, "loss of each step", losses, f.loss_reference, bounds, (size_t)f.steps, INFINITY);
    parity_note(run, "losses differ by at most %.2g up to step %d, %.2g (step %d) in all %d steps", early,
                f.steps < FREE_STEPS ? f.steps : FREE_STEPS, f.loss_error, f.loss_at, f.steps);
    return true;
}

/* ---- deterministic ---- */

/* A few steps of the device's own, on devices that compute all of a step EXACT: every loss, and all state at the end. */
static bool run_exact_steps(const parity_case *c, parity_run *run)
{
    const step_case *s = c->data;
    char message[STEP_MESSAGE], label[128];
    step_batches batches;
    step_side side = {0};
    float losses[STEP_MOST_STEPS], *values = NULL;
    if (!batches_for(run, &s->setup, &batches))
        return false;
    bool good = step_open(&side, run->device, &s->setup, false, message);
    for (int i = 0; i < batches.count && good; i++)
        good = step_train(&side, &batches, i, &losses[i], message);
    if (good)
        parity_exact(run, "loss of each step", losses, (size_t)batches.count * sizeof *losses);
    for (size_t i = 0; good && i < actc_network_state_count(side.network); i++) {
        size_t n;
        good = step_read_state(&side, i, &values, &n, label, sizeof label, message);
        if (good)
            parity_exact(run, label, values, n * sizeof *values);
        free(values);
        values = NULL;
    }
    step_close(&side);
    step_batches_free(&batches);
    return good || parity_fail(run, "%s", message);
}

/* ---- the list ---- */

#define RULES_ON "conv1,relu1,conv2="

static const struct {
    const char *name, *rules;
} compressions[] = {
    {"none", ""},
    {"dct:lambda=10", RULES_ON "dct:lambda=10"},
};

/* They start from the reference's own fast mode. */
static void set(parity_case *c, bool full)
{
    c->full = full;
    c->local = true;
}

static void add(parity_list *list, const actc_model *model, bool full)
{
    static const char *const codecs[] = {"dct:lambda=10", "threshold:lambda=100", "wavelet:lambda=100", "dct:select=tile",
                                         "dct:values=int8", "quant:bits=2"};
    static const char *const kept[][2] = {{"dct:lambda=10", RULES_ON "dct:lambda=10"},
                                          {"threshold:lambda=100", RULES_ON "threshold:lambda=100"},
                                          {"wavelet:lambda=100", RULES_ON "wavelet:lambda=100"}};
    static const char *const exact[][2] = {{"none", ""},
                                           {"dct:lambda=10", RULES_ON "dct:lambda=10"},
                                           {"threshold:values=int8", RULES_ON "threshold:values=int8"},
                                           {"wavelet:lambda=100", RULES_ON "wavelet:lambda=100"},
                                           {"quant:bits=2", RULES_ON "quant:bits=2"}};
    /* Smoke: as much of the same as software devices do in seconds. Kept sets need a batch of which 0.1 % is something. */
    const step_setup base = {.model = model, .rules = "", .batch = full ? 128 : 16, .steps = full ? 50 : 3, .seed = SEED};
    for (size_t i = 0; i < sizeof codecs / sizeof *codecs; i++) {
        step_case s = {.setup = base, .codec = codecs[i]};
        set(parity_add(list, PARITY_STEP, ACTC_PARITY_EXACT, run_payloads, &s, sizeof s, "%s.saved(codec=%s,batch=%d,steps=%d)",
                       model->name, codecs[i], (int)base.batch, base.steps), full);
    }
    for (size_t i = 0; i < sizeof compressions / sizeof *compressions; i++)
        for (int give = 0; give < 2; give++) {
            step_case s = {.setup = base, .give = give};
            s.setup.rules = compressions[i].rules;
            set(parity_add(list, PARITY_TRAINING, ACTC_PARITY_TOLERANT, run_lock_step, &s, sizeof s,
                           "%s.lockstep(compress=%s,kept=%s,batch=%d,steps=%d)", model->name, compressions[i].name,
                           give ? "given" : "own", (int)base.batch, base.steps), full);
        }
    for (size_t i = 0; i < (full ? sizeof kept / sizeof *kept : 1); i++) {
        step_case s = {.setup = base};
        s.setup.rules = kept[i][1];
        s.setup.steps = 1;
        s.setup.batch = full ? 128 : 32;
        set(parity_add(list, PARITY_STEP, ACTC_PARITY_TOLERANT, run_kept_sets, &s, sizeof s, "%s.kept_sets(compress=%s,batch=%d)",
                       model->name, kept[i][0], (int)s.setup.batch), full);
    }
    for (size_t i = 0; i < sizeof exact / sizeof *exact && !full; i++) {
        step_case s = {.setup = base};
        s.setup.rules = exact[i][1];
        s.setup.batch = 4;
        parity_add(list, PARITY_TRAINING, ACTC_PARITY_EXACT, run_exact_steps, &s, sizeof s,
                   "%s_exact.steps(compress=%s,batch=%d,steps=%d)", model->name, exact[i][0], (int)s.setup.batch,
                   s.setup.steps)->deterministic = true;
    }
    for (size_t i = 0; i < sizeof compressions / sizeof *compressions && full; i++) {
        step_case s = {.setup = base};
        s.setup.rules = compressions[i].rules;
        set(parity_add(list, PARITY_TRAINING, ACTC_PARITY_TOLERANT, run_free, &s, sizeof s,
                       "%s.free_run(compress=%s,batch=%d,steps=%d)", model->name, compressions[i].name, (int)base.batch,
                       base.steps), full);
    }
}

/* Networks that no data set here fits, at sizes that software devices train in seconds. */
static const struct small_network {
    const char *model, *name;
    actc_model_config config;
    bool given_only; /* so deep that the rounding of its forward pass alone moves gradients by more than the bound */
} small_networks[] = {
    {"resnet18", "resnet18(width=2,size=64x64,stem=imagenet)", {.sample = {3, {3, 64, 64}}, .classes = 10, .options = {2, 1}}},
    {"resnet50", "resnet50(width=2,size=24x24)", {.sample = {3, {3, 24, 24}}, .classes = 10, .options = {2, 0}}, true},
    {"unet3d", "unet3d(features=2,depth=2,size=8x8x12)", {.sample = {4, {2, 8, 8, 12}}, .classes = 3, .options = {2, 2}}},
    {"efficientnet_b0", "efficientnet_b0(width=5,depth=25,size=40x40)", {.sample = {3, {3, 40, 40}}, .classes = 10, .options = {5, 25}}},
    {"edsr", "edsr(features=4,blocks=2,scale=4,size=7x6)", {.sample = {3, {3, 7, 6}}, .options = {4, 2, 4}}},
    /* what is normalised at the zeros around a block is 0 but for rounding, where ReLU6 has its kink */
    {"deeplabv3plus", "deeplabv3plus(width=10,features=4,size=17x24)", {.sample = {3, {3, 17, 24}}, .classes = 5, .options = {10, 4, 100}}, true},
    {"vit", "vit(patch=8,dim=16,depth=2,size=16x24)", {.sample = {3, {3, 16, 24}}, .classes = 5, .options = {8, 16, 2, 2, 8, 24, 100}}},
    {"vit3d", "vit3d(patch=4,frame_patch=2,dim=12,depth=1,pool=mean,size=4x8x8)",
     {.sample = {4, {3, 4, 8, 8}}, .classes = 5, .options = {4, 12, 1, 3, 4, 16, 100, 1, 2}}},
    {"cvt", "cvt(width=4,size=24x24)", {.sample = {3, {3, 24, 24}}, .classes = 5, .options = {4, 1, 1, 1, 4}}},
};

static void add_small(parity_list *list, const struct small_network *net)
{
    static const char *const rules[] = {"", "*=dct:lambda=10", "*=wavelet:lambda=4"};
    const step_setup base = {.model = actc_model_find(net->model), .config = &net->config, .batch = 2, .steps = 3, .seed = SEED};
    for (int give = net->given_only; give < 2; give++)
        for (size_t i = 0; i < 2; i++) {
            step_case s = {.setup = base, .give = give};
            s.setup.rules = rules[i];
            set(parity_add(list, PARITY_TRAINING, ACTC_PARITY_TOLERANT, run_lock_step, &s, sizeof s, "%s.lockstep(compress=%s,kept=%s)",
                           net->name, *rules[i] ? rules[i] + 2 : "none", give ? "given" : "own"), false);
        }
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        step_case s = {.setup = base};
        s.setup.rules = rules[i];
        parity_add(list, PARITY_TRAINING, ACTC_PARITY_EXACT, run_exact_steps, &s, sizeof s, "%s_exact.steps(compress=%s)", net->name,
                   *rules[i] ? rules[i] + 2 : "none")->deterministic = true;
    }
}

void parity_step_cases(parity_list *list)
{
    for (size_t i = 0; i < actc_models_count; i++) {
        if (!actc_models[i]->dataset) /* nothing here to train it on */
            continue;
        add(list, actc_models[i], false);
        add(list, actc_models[i], true);
    }
    for (size_t i = 0; i < sizeof small_networks / sizeof *small_networks; i++)
        add_small(list, &small_networks[i]);
}
