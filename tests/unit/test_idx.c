/* test_idx.c: data sets in IDX files: good ones, every kind of damage, and Debian's Fashion-MNIST.
 *
 * A missing dataset-fashion-mnist fails the test: it is a requirement of the test suite (tools/test.sh installs it).
 */
#include <sys/stat.h>
#include <zlib.h>

#include "files.h"

#include "data/dataset.h"
#include "data/idx.h"
#include "util/util.h"

#define N 6
#define SIDE 3

/* An IDX file of `count` samples with `extra` bytes more (or fewer) than the header says. */
static size_t make_images(unsigned char *out, uint32_t count, int extra)
{
    const unsigned char header[16] = {0, 0, 8, 3, 0, 0, 0, (unsigned char)count, 0, 0, 0, SIDE, 0, 0, 0, SIDE};
    memcpy(out, header, sizeof header);
    size_t bytes = (size_t)((int)count * SIDE * SIDE + extra);
    for (size_t i = 0; i < bytes; i++)
        out[16 + i] = (unsigned char)(i * 7);
    return 16 + bytes;
}

static size_t make_labels(unsigned char *out, uint32_t count)
{
    const unsigned char header[8] = {0, 0, 8, 1, 0, 0, 0, (unsigned char)count};
    memcpy(out, header, sizeof header);
    for (uint32_t i = 0; i < count; i++)
        out[8 + i] = (unsigned char)(i % 10);
    return 8 + count;
}

static void path_of(const struct test_folder *folder, const char *name, char path[512])
{
    snprintf(path, 512, "%s/%s", folder->path, name);
}

static void write_gzip(const char *path, const void *bytes, size_t count)
{
    gzFile file = gzopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(gzwrite(file, bytes, (unsigned)count), count);
    assert_int_equal(gzclose(file), Z_OK);
}

static void write_good(const struct test_folder *folder, bool gzip)
{
    unsigned char bytes[256];
    char path[512];
    void (*write)(const char *, const void *, size_t) = gzip ? write_gzip : write_raw;
    path_of(folder, gzip ? "train-images-idx3-ubyte.gz" : "train-images-idx3-ubyte", path);
    write(path, bytes, make_images(bytes, N, 0));
    path_of(folder, gzip ? "train-labels-idx1-ubyte.gz" : "train-labels-idx1-ubyte", path);
    write(path, bytes, make_labels(bytes, N));
}

static actc_status open_train(const struct test_folder *folder, actc_dataset **dataset)
{
    return actc_dataset_open(folder->context, "mnist", folder->path, true, dataset);
}

static void good(const struct test_folder *folder)
{
    actc_dataset *dataset;
    assert_ok(folder->context, open_train(folder, &dataset));
    assert_int_equal(actc_dataset_size(dataset), N);
    assert_int_equal(actc_dataset_classes(dataset), 10);
    actc_shape shape = actc_dataset_sample_shape(dataset);
    assert_int_equal(shape.ndim, 3);
    assert_int_equal(shape.dims[0], 1);
    assert_int_equal(shape.dims[1], SIDE);
    assert_int_equal(shape.dims[2], SIDE);
    for (int i = 0; i < N * SIDE * SIDE; i++)
        assert_int_equal(dataset->pixels[i], (unsigned char)(i * 7));
    for (int i = 0; i < N; i++)
        assert_int_equal(dataset->labels[i], i % 10);
    assert_ok(folder->context, actc_dataset_limit(dataset, N));
    assert_ok(folder->context, actc_dataset_limit(dataset, 2));
    assert_int_equal(actc_dataset_size(dataset), 2);
    assert_failed(folder->context, actc_dataset_limit(dataset, N + 1), ACTC_ERROR_INVALID_ARGUMENT, "7", "1 to 6", NULL);
    assert_failed(folder->context, actc_dataset_limit(dataset, 0), ACTC_ERROR_INVALID_ARGUMENT, "1 to 6", NULL);
    actc_dataset_destroy(&dataset);
    assert_null(dataset);
    actc_dataset_destroy(&dataset);
}

static void test_plain(void **state)
{
    write_good(*state, false);
    good(*state);
}

static void test_gzip(void **state)
{
    write_good(*state, true);
    good(*state);
}

static void test_missing(void **state)
{
    const struct test_folder *folder = *state;
    actc_dataset *dataset = (actc_dataset *)1;
    actc_status status = actc_dataset_open(folder->context, "fashion-mnist", folder->path, false, &dataset);
    assert_failed(folder->context, status, ACTC_ERROR_NOT_FOUND, "neither t10k-images-idx3-ubyte.gz", "nor t10k-images-idx3-ubyte ",
                  "nor t10k-images.idx3-ubyte[.gz]", folder->path, "dataset-fashion-mnist", NULL);
    assert_null(dataset);
    write_good(folder, false);
    char path[512];
    path_of(folder, "train-labels-idx1-ubyte", path);
    unlink(path);
    assert_failed(folder->context, open_train(folder, &dataset), ACTC_ERROR_NOT_FOUND, "train-labels-idx1-ubyte.gz", NULL);
}

static void test_names(void **state)
{
    const struct test_folder *folder = *state;
    actc_dataset *dataset;
    assert_failed(folder->context, actc_dataset_open(folder->context, "fasion-mnist", NULL, true, &dataset),
                  ACTC_ERROR_INVALID_ARGUMENT, "\"fasion-mnist\"", "did you mean \"fashion-mnist\"", NULL);
    assert_failed(folder->context, actc_dataset_open(folder->context, "imagenet", NULL, true, &dataset),
                  ACTC_ERROR_INVALID_ARGUMENT, "there are: fashion-mnist, mnist", NULL);
    assert_failed(folder->context, actc_dataset_open(folder->context, NULL, NULL, true, &dataset), ACTC_ERROR_INVALID_ARGUMENT,
                  NULL);
    assert_int_equal(actc_dataset_open(NULL, "mnist", NULL, true, &dataset), ACTC_ERROR_INVALID_ARGUMENT);
    assert_int_equal(actc_dataset_size(NULL), 0);
}

/* One damage: the bytes of an image file, and what the message must say. */
static void damaged_images(const struct test_folder *folder, const unsigned char *bytes, size_t count, const char *text,
                           const char *also)
{
    char path[512];
    for (int gzip = 0; gzip < 2; gzip++) {
        path_of(folder, gzip ? "train-images-idx3-ubyte.gz" : "train-images-idx3-ubyte", path);
        (gzip ? write_gzip : write_raw)(path, bytes, count);
        actc_dataset *dataset = (actc_dataset *)1;
        assert_failed(folder->context, open_train(folder, &dataset), ACTC_ERROR_CORRUPT, path, text, also, NULL);
        assert_null(dataset);
        unlink(path);
    }
}

static void test_damaged(void **state)
{
    const struct test_folder *folder = *state;
    unsigned char bytes[256];
    write_good(folder, false);

    damaged_images(folder, bytes, 0, "no IDX file", "0 bytes");
    size_t count = make_images(bytes, N, 0);
    damaged_images(folder, bytes, 3, "no IDX file", "3 bytes");
    damaged_images(folder, bytes, 13, "truncated", "13 bytes");
    damaged_images(folder, bytes, 16, "truncated", "54 bytes of values, it holds 0");
    damaged_images(folder, bytes, count - 1, "truncated", "54 bytes of values, it holds 53");
    count = make_images(bytes, N, 1);
    damaged_images(folder, bytes, count, "holds more than the 54 bytes", "header");

    count = make_images(bytes, N, 0);
    bytes[0] = 0x89;
    damaged_images(folder, bytes, count, "neither an IDX file nor one gzipped", "89 00 08 03");
    make_images(bytes, N, 0);
    bytes[2] = 0x0d;
    damaged_images(folder, bytes, count, "element type 0x0d", "0x08");
    make_images(bytes, N, 0);
    bytes[3] = 1;
    damaged_images(folder, bytes, count, "1 dimensions, 3 wanted", "images");
    make_images(bytes, N, 0);
    bytes[11] = 0;
    damaged_images(folder, bytes, count, "dimension 1 of the header is 0", "");
    make_images(bytes, N, 0);
    memset(bytes + 4, 0xff, 12); /* 2^96 bytes */
    damaged_images(folder, bytes, count, "4294967295", "cannot be");
    make_images(bytes, N + 1, 0);
    damaged_images(folder, bytes, 16 + (N + 1) * SIDE * SIDE, "7 images", "6 labels");
}

static bool refuse_large(void *user, size_t bytes)
{
    (void)user;
    return bytes <= (size_t)1 << 20;
}

/* A header that promises 34 GB must not cost 34 GB. */
static void test_promise(void **state)
{
    const struct test_folder *folder = *state;
    unsigned char bytes[256];
    size_t count = make_images(bytes, N, 0);
    bytes[5] = bytes[6] = 0xff; /* 16,776,966 images */
    bytes[10] = 0x02;           /* of 515 x 3 */
    write_good(folder, false);
    actc_alloc_set_hook(refuse_large, NULL);
    damaged_images(folder, bytes, count, "25920412470 bytes", "it holds 54");
    actc_alloc_set_hook(NULL, NULL);
}

static void test_labels(void **state)
{
    const struct test_folder *folder = *state;
    unsigned char bytes[256];
    char path[512];
    actc_dataset *dataset;
    write_good(folder, false);
    path_of(folder, "train-labels-idx1-ubyte", path);
    size_t count = make_labels(bytes, N);
    bytes[8 + 4] = 10;
    write_raw(path, bytes, count);
    assert_failed(folder->context, open_train(folder, &dataset), ACTC_ERROR_CORRUPT, path, "label 4 is 10", "0 to 9", NULL);
    make_labels(bytes, N);
    bytes[3] = 3;
    write_raw(path, bytes, count);
    assert_failed(folder->context, open_train(folder, &dataset), ACTC_ERROR_CORRUPT, path, "3 dimensions, 1 wanted (labels)",
                  NULL);
}

/* Every truncation of a gzipped file, and every byte of it changed: never accepted with other values. */
static void test_gzip_damage(void **state)
{
    const struct test_folder *folder = *state;
    char path[512];
    write_good(folder, true);
    path_of(folder, "train-images-idx3-ubyte.gz", path);
    size_t count;
    unsigned char *bytes = read_raw(path, &count), plain[256];
    size_t plain_count = make_images(plain, N, 0);
    int refused = 0;
    for (size_t cut = 1; cut < count; cut++) {
        write_raw(path, bytes, count - cut);
        actc_dataset *dataset;
        actc_status status = open_train(folder, &dataset);
        assert_failed(folder->context, status, ACTC_ERROR_CORRUPT, path, NULL);
        assert_null(dataset);
    }
    for (size_t i = 0; i < count; i++) {
        bytes[i] ^= 0x10;
        write_raw(path, bytes, count);
        bytes[i] ^= 0x10;
        actc_idx idx;
        actc_status status = actc_idx_read(folder->context, path, 3, &idx);
        refused += status == ACTC_ERROR_CORRUPT;
        if (status == ACTC_OK) /* the header's date and the like */
            assert_memory_equal(idx.values, plain + 16, plain_count - 16);
        else
            assert_failed(folder->context, status, ACTC_ERROR_CORRUPT, path, NULL);
        actc_free(idx.values);
    }
    assert_true(refused > (int)count / 2);
    free(bytes);
}

/* Some archives unpack to train-images.idx3-ubyte. */
static void test_dots(void **state)
{
    const struct test_folder *folder = *state;
    unsigned char bytes[256];
    char path[512];
    path_of(folder, "train-images.idx3-ubyte", path);
    write_raw(path, bytes, make_images(bytes, N, 0));
    path_of(folder, "train-labels.idx1-ubyte.gz", path);
    write_gzip(path, bytes, make_labels(bytes, N));
    good(folder);
}

/* Members may follow each other, nothing else may. */
static void test_gzip_members(void **state)
{
    const struct test_folder *folder = *state;
    unsigned char plain[256], *file;
    char path[512];
    size_t count = make_images(plain, N, 0), first, second;
    write_good(folder, true);
    path_of(folder, "train-images-idx3-ubyte.gz", path);
    write_gzip(path, plain, 5);
    unsigned char *begin = read_raw(path, &first);
    write_gzip(path, plain + 5, count - 5);
    unsigned char *rest = read_raw(path, &second);
    file = calloc(1, first + second + 300000);
    memcpy(file, begin, first);
    memcpy(file + first, rest, second);
    write_raw(path, file, first + second);
    good(folder);
    static const struct {
        size_t bytes;
        unsigned char with;
        const char *text;
    } garbage[] = {{1, 0, "gzip: 1 bytes follow"}, {7, 'x', "gzip: 7 bytes follow"}, {300000, 0, "gzip: 300000 bytes follow"},
                   {1, 0x1f, "unexpected end"},    {40, 0x1f, "incorrect header"}};
    for (size_t i = 0; i < sizeof garbage / sizeof *garbage; i++) {
        memset(file + first + second, garbage[i].with, garbage[i].bytes);
        write_raw(path, file, first + second + garbage[i].bytes);
        actc_dataset *dataset;
        assert_failed(folder->context, open_train(folder, &dataset), ACTC_ERROR_CORRUPT, path, garbage[i].text, NULL);
    }
    free(begin);
    free(rest);
    free(file);
}

static void test_unreadable(void **state)
{
    const struct test_folder *folder = *state;
    char path[512];
    path_of(folder, "train-images-idx3-ubyte.gz", path);
    assert_int_equal(mkdir(path, 0700), 0);
    actc_dataset *dataset;
    assert_failed(folder->context, open_train(folder, &dataset), ACTC_ERROR_IO, path, "it is a folder", NULL);
    assert_int_equal(rmdir(path), 0);
    /* neither waited for nor passed over in favour of the plain file, which is good */
    write_good(folder, false);
    assert_int_equal(mkfifo(path, 0600), 0);
    alarm(20);
    assert_failed(folder->context, open_train(folder, &dataset), ACTC_ERROR_IO, path, "it is a pipe", NULL);
    alarm(0);
    unlink(path);
    assert_int_equal(symlink("nothing", path), 0);
    assert_failed(folder->context, open_train(folder, &dataset), ACTC_ERROR_IO, path, "a link to what is not there", NULL);
    unlink(path);
    good(folder);
}

static actc_status open_and_close(void *user)
{
    actc_dataset *dataset;
    actc_status status = open_train(user, &dataset);
    actc_dataset_destroy(&dataset);
    return status;
}

static void test_out_of_memory(void **state)
{
    write_good(*state, true);
    refuse_each(((struct test_folder *)*state)->context, open_and_close, *state);
}

/* Debian's package: class counts and mean pixel of both parts. */
static void real_part(actc_context *context, bool train, int64_t size, double mean)
{
    actc_dataset *dataset;
    assert_ok(context, actc_dataset_open(context, "fashion-mnist", NULL, train, &dataset));
    assert_int_equal(actc_dataset_size(dataset), size);
    actc_shape shape = actc_dataset_sample_shape(dataset);
    assert_int_equal(shape.dims[1], 28);
    assert_int_equal(shape.dims[2], 28);
    int64_t counts[10] = {0}, sum = 0;
    for (int64_t i = 0; i < size; i++)
        counts[dataset->labels[i]]++;
    for (int i = 0; i < 10; i++)
        assert_int_equal(counts[i], size / 10);
    for (int64_t i = 0; i < size * 784; i++)
        sum += dataset->pixels[i];
    double found = (double)sum / (double)(size * 784);
    if (found < mean - 0.005 || found > mean + 0.005)
        fail_msg("mean pixel %.4f instead of %.2f", found, mean);
    actc_dataset_destroy(&dataset);
}

static void test_fashion_mnist(void **state)
{
    const struct test_folder *folder = *state;
    real_part(folder->context, true, 60000, 72.94);
    real_part(folder->context, false, 10000, 73.15);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, folder_setup, folder_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_plain),   TEST(test_gzip),        TEST(test_missing),    TEST(test_names),         TEST(test_damaged),
        TEST(test_promise), TEST(test_labels),      TEST(test_gzip_damage), TEST(test_dots), TEST(test_gzip_members), TEST(test_unreadable),   TEST(test_out_of_memory),
        TEST(test_fashion_mnist),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
