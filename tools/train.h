/* train.h: the parts of actc-train: settings (actc-train.c), data and first weights (train_data.c,
 * train_weights.c), the run folder (train_folder.c, train_lock.c), the loop (train_loop.c), what is said at the end
 * (train_report.c, train_cost.c). Functions return 0 or the exit code, after a message on stderr. */
#ifndef ACTC_TOOLS_TRAIN_H
#define ACTC_TOOLS_TRAIN_H

#include <signal.h>

#include "common_network.h"

typedef struct train_settings {
    const char *data, *data_dir, *device, *compress, *optim, *schedule, *out, *resume, *format, *weights;
    int64_t threads, epochs, steps, batch, accumulate, save_every, log_every, limit;
    double lr;
    uint64_t seed;
    bool deterministic, validate, weights_partial;
    tool_network net;
} train_settings;

/* One stretch of training without a break for evaluation or saving. */
typedef struct train_rate {
    int64_t images;
    double seconds;
    bool whole; /* an epoch from its first batch to its last */
} train_rate;

typedef struct train_run {
    const tool *t;
    train_settings *s;
    cJSON *config; /* of the run that is resumed; settings point into it */
    const actc_model *model;
    actc_model_config config_of_model; /* what it is built for */
    bool synthetic;         /* --data synthetic */
    int64_t classes;        /* that its targets are; 0: they are f32 */
    FILE *text;    /* where people read: stdout, or stderr beside JSON */

    actc_context *context;
    actc_device *device;
    actc_dataset *train_set, *test_set;
    actc_loader *loader, *test_loader;
    actc_graph *graph;
    actc_network_options options;
    actc_network *network;
    actc_schedule schedule;

    char *folder; /* NULL: nothing is kept */
    FILE *lock;   /* NULL: the folder is not ours */
    FILE *metrics;
    char data_texts[2][48]; /* of the training and the test set: their counts and digests */
    char *identity;         /* what the run is, as its checkpoints carry it */

    actc_checkpoint_position position; /* the batch that comes next */
    uint64_t first_step, total_steps;
    int64_t epochs, save_every; /* as given, or what is meant where they are not */
    float *losses; /* of every --log-every'th step of this process */
    size_t loss_count, loss_capacity;
    train_rate *rates;
    size_t rate_count, rate_capacity;
    double started;
    double test_loss, test_accuracy; /* NaN: its targets are no classes */
    uint64_t tested_step; /* at which the two above hold; 0: not yet */
} train_run;

/* Set by the signals that end a run: the number of the first. */
extern volatile sig_atomic_t train_interrupted;
/* Set by SIGUSR1: a checkpoint is wanted, and the run goes on. */
extern volatile sig_atomic_t train_save_asked;

/* train_lock.c */
int folder_lock(train_run *run, const char *option);   /* refuses, and names the holder, where another process has it */
void folder_unlock(train_run *run);

/* train_folder.c */
char *folder_path(const char *folder, const char *name); /* of a file in it; free() */
int folder_read_config(train_run *run);                /* of --resume: locks it, fills the settings that are not given */
int folder_identify(train_run *run);                   /* data_texts and identity; checks the data of a run that is resumed */
int folder_make(train_run *run);                       /* of a new run: makes and locks it */
int folder_write_config(train_run *run);
int folder_load_newest(train_run *run);                /* into the network; 0 with step 0 where there is no checkpoint yet */
int folder_open_metrics(train_run *run);               /* drops lines past the network's step */
int folder_write_metrics(train_run *run, cJSON *line); /* takes the line over */
int folder_save(train_run *run);                       /* a checkpoint; older ones than the last two go */
int folder_save_model(train_run *run);

/* train_data.c */
#define TRAIN_SYNTHETIC "synthetic"   /* the --data that is generated */
#define TRAIN_SYNTHETIC_SAMPLES 1024  /* of an epoch of it, and of a test, without --limit */
int data_open(train_run *run);        /* both sets, which fit the graph's inputs */
int data_open_loaders(train_run *run);
/* What the network's inputs are given of a batch. */
#define TRAIN_INPUTS 2
void data_bind(const actc_batch *batch, actc_binding bindings[TRAIN_INPUTS]);

/* train_weights.c */
int weights_load(train_run *run); /* of --weights: says what does not fit */

/* train_loop.c */
/* Fills test_loss and test_accuracy; unless `whole`, an interruption ends it before that. */
int train_evaluate(train_run *run, bool whole);
/* "test loss 0.2811  test accuracy 0.8999", the second where there are classes; returns text. */
#define TRAIN_TEST_TEXT 96
const char *train_test_text(const train_run *run, char text[TRAIN_TEST_TEXT]);
int train_loop(train_run *run);     /* to the last step, or until interrupted */

/* train_cost.c: images/s of training steps in both modes; takes memory for two networks more. */
#define TRAIN_COST_STEPS 20 /* not for runs shorter than that, which it would take longer than */
typedef struct train_cost {
    bool measured;
    double deterministic, fast;
} train_cost;
train_cost deterministic_cost(const train_run *run);

/* train_report.c */
double report_images_per_s(const train_run *run);
/* How batches that are no multiple of --accumulate are applied, in a sentence; NULL where there are none. */
const char *report_accumulation(const train_run *run, char *text, size_t size);
int report(train_run *run);

#endif
