/* train_data.c: the training and the test set of a run, and their loaders. */
#include <string.h>

#include "train.h"

/* The input of this name, as one sample of it; false where there is none. */
static bool find_input(const train_run *run, const char *name, actc_shape *sample, actc_dtype *dtype)
{
    for (size_t i = 0; i < actc_graph_input_count(run->graph); i++) {
        actc_input_info info = {.size = sizeof info};
        if (actc_graph_input_info(run->graph, i, &info) != ACTC_OK || strcmp(info.name, name) != 0)
            continue;
        *sample = (actc_shape){.ndim = info.shape.ndim - 1};
        *dtype = info.dtype;
        memcpy(sample->dims, info.shape.dims + 1, (size_t)sample->ndim * sizeof sample->dims[0]); /* without the batch */
        return true;
    }
    return false;
}

static bool same_shape(const actc_shape *a, const actc_shape *b)
{
    return a->ndim == b->ndim && !memcmp(a->dims, b->dims, (size_t)a->ndim * sizeof a->dims[0]);
}

static int check_fit(const train_run *run, const actc_dataset *set, const actc_shape *sample, const actc_shape *target)
{
    char text[4][96];
    actc_shape found = actc_dataset_sample_shape(set), labels = actc_dataset_target_shape(set);
    int64_t classes = actc_dataset_classes(set), wanted = run->classes;
    if (classes && !wanted)
        return tool_fail(run->t, "--data %s: its labels are classes, %s takes targets of %s", run->s->data, run->model->name,
                         tool_shape_text(target, text[0], sizeof text[0]));
    if (!same_shape(&found, sample) || classes != wanted)
        return tool_fail(run->t, "--data %s: its images are %s in %lld classes, %s takes %s in %lld", run->s->data,
                         tool_shape_text(&found, text[0], sizeof text[0]), (long long)classes, run->model->name,
                         tool_shape_text(sample, text[1], sizeof text[1]), (long long)wanted);
    if (!same_shape(&labels, target))
        return tool_fail(run->t, "--data %s: it has a label an image, %s takes labels of %s", run->s->data, run->model->name,
                         tool_shape_text(target, text[2], sizeof text[2]));
    return 0;
}

static int open_synthetic(const train_run *run, const actc_shape *sample, const actc_shape *target, bool train,
                          actc_dataset **set)
{
    const train_settings *s = run->s;
    int64_t count = s->limit ? s->limit : TRAIN_SYNTHETIC_SAMPLES;
    actc_status status = actc_dataset_synthetic(run->context, sample, target, run->classes, count, s->seed, train, set);
    return status == ACTC_OK ? 0 : tool_failed_option(run->t, run->context, status, "data " TRAIN_SYNTHETIC);
}

static int open_files(const train_run *run, bool train, actc_dataset **set)
{
    const train_settings *s = run->s;
    actc_status status = actc_dataset_open(run->context, s->data, s->data_dir, train, set);
    if (status != ACTC_OK) {
        int code = tool_failed_option(run->t, run->context, status, "data");
        if (status == ACTC_ERROR_INVALID_ARGUMENT)
            tool_note(run->t, "--data " TRAIN_SYNTHETIC " generates samples for any network");
        if (s->resume && s->data_dir && !tool_find_option(run->t, "data-dir")->given)
            tool_note(run->t, "the run in %s has its data in %s; --data-dir DIR says where they are now", s->resume, s->data_dir);
        return code;
    }
    if (s->limit && s->limit < actc_dataset_size(*set) && actc_dataset_limit(*set, s->limit) != ACTC_OK)
        return tool_failed(run->t, run->context);
    return 0;
}

int data_open(train_run *run)
{
    actc_shape sample, target;
    actc_dtype dtype, target_dtype;
    if (!find_input(run, "input", &sample, &dtype) || !find_input(run, "label", &target, &target_dtype) || dtype != ACTC_F32 ||
        actc_graph_input_count(run->graph) != 2)
        return tool_fail(run->t, "%s has %zu inputs: a data set gives one of f32, 'input', and its targets, 'label'", run->model->name,
                         actc_graph_input_count(run->graph));
    run->classes = target_dtype == ACTC_I32 ? run->config_of_model.classes : 0;
    for (int train = 1; train >= 0; train--) {
        actc_dataset **set = train ? &run->train_set : &run->test_set;
        int code = run->synthetic ? open_synthetic(run, &sample, &target, train, set) : open_files(run, train, set);
        if (!code)
            code = check_fit(run, *set, &sample, &target);
        if (code)
            return code;
    }
    if (run->s->batch > actc_dataset_size(run->train_set))
        return tool_usage(run->t, "--batch %lld: there are %lld training images", (long long)run->s->batch,
                          (long long)actc_dataset_size(run->train_set));
    return 0;
}

void data_bind(const actc_batch *batch, actc_binding bindings[TRAIN_INPUTS])
{
    bindings[0] = (actc_binding){"input", batch->inputs};
    bindings[1] = (actc_binding){"label", batch->labels ? (const void *)batch->labels : batch->targets};
}

int data_open_loaders(train_run *run)
{
    actc_loader_options options = actc_loader_options_default();
    options.batch = run->s->batch;
    options.seed = run->s->seed;
    options.drop_last = true;
    options.mean = run->model->mean;
    options.std = run->model->std;
    if (actc_loader_create(run->context, run->train_set, &options, &run->loader) != ACTC_OK)
        return tool_failed(run->t, run->context);
    options.drop_last = options.shuffle = false;
    if (actc_loader_create(run->context, run->test_set, &options, &run->test_loader) != ACTC_OK)
        return tool_failed(run->t, run->context);
    return 0;
}
