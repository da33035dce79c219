/* test_safetensors.c: the format written and read, every kind of damage, and disks that fill up. */
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "files.h"

#include "io/file.h"
#include "io/safetensors.h"
#include "util/util.h"

static char *path_in(const struct test_folder *folder, const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", folder->path, name);
    return path;
}

/* A file of this header and `data_bytes` bytes 0, 1, 2, ... */
static void write_parts(const char *path, const char *header, size_t header_bytes, uint64_t length, size_t data_bytes)
{
    unsigned char *bytes = malloc(8 + header_bytes + data_bytes);
    memcpy(bytes, &length, 8);
    memcpy(bytes + 8, header, header_bytes);
    for (size_t i = 0; i < data_bytes; i++)
        bytes[8 + header_bytes + i] = (unsigned char)i;
    write_raw(path, bytes, 8 + header_bytes + data_bytes);
    free(bytes);
}

static void write_header(const char *path, const char *header, size_t data_bytes)
{
    write_parts(path, header, strlen(header), strlen(header), data_bytes);
}

static const float values[6] = {1, -2.5f, 3e-30f, 4, 5, 6};

static void test_round_trip(void **state)
{
    const struct test_folder *folder = *state;
    actc_context *context = folder->context;
    const char *path = path_in(folder, "a.safetensors");
    float special[4] = {NAN, -INFINITY, -0.0f, 1e-45f};
    uint32_t quiet = 0xffc12345u; /* a NaN's payload is kept */
    memcpy(&special[0], &quiet, 4);
    const actc_safetensors_entry entries[] = {
        {"fc.weight", {2, {2, 3}}, values},
        {"a \"b\"\\\n\t\x01 \xc3\xa9", {1, {4}}, special},
        {"scalar", {0}, values},
        {"empty", {2, {0, 7}}, NULL},
        {"five", {5, {1, 2, 1, 3, 1}}, values},
    };
    const actc_safetensors_pair metadata[] = {{"network", "mnist\xc3\xa9"}, {"empty", ""}};
    assert_ok(context, actc_safetensors_write(context, path, entries, 5, metadata, 2));
    assert_int_equal(folder_files(folder), 1);
    actc_safetensors *file;
    assert_ok(context, actc_safetensors_open(context, path, &file));
    assert_int_equal(actc_safetensors_count(file), 5);
    for (size_t i = 0; i < 5; i++) {
        const char *name;
        actc_shape shape;
        const float *found;
        size_t index;
        assert_ok(context, actc_safetensors_find(file, entries[i].name, &index));
        assert_ok(context, actc_safetensors_get(file, index, &name, &shape, &found));
        assert_string_equal(name, entries[i].name);
        assert_int_equal(shape.ndim, entries[i].shape.ndim);
        for (int d = 0; d < shape.ndim; d++)
            assert_int_equal(shape.dims[d], entries[i].shape.dims[d]);
        if (entries[i].values)
            assert_memory_equal(found, entries[i].values, 4 * (size_t)actc_shape_elements(&shape));
    }
    assert_string_equal(actc_safetensors_metadata(file, "network"), "mnist\xc3\xa9");
    assert_string_equal(actc_safetensors_metadata(file, "empty"), "");
    assert_null(actc_safetensors_metadata(file, "Network"));
    size_t index;
    assert_int_equal(actc_safetensors_find(file, "fc.bias", &index), ACTC_ERROR_NOT_FOUND);
    assert_failed(context, actc_safetensors_get(file, 5, NULL, NULL, NULL), ACTC_ERROR_INVALID_ARGUMENT, "tensor 5 of 5", NULL);
    actc_safetensors_destroy(&file);
    assert_null(file);
    actc_safetensors_destroy(&file);
}

/* The bytes, written out: they must not change from one release to the next. */
static void test_bytes(void **state)
{
    const struct test_folder *folder = *state;
    const char *path = path_in(folder, "b.safetensors");
    const actc_safetensors_entry entries[] = {{"w", {2, {1, 2}}, values}, {"b", {1, {1}}, values + 3}};
    const actc_safetensors_pair metadata[] = {{"step", "7"}};
    static const char header[] = "{\"__metadata__\":{\"step\":\"7\"},"
                                 "\"w\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[0,8]},"
                                 "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[8,12]}}      ";
    assert_int_equal((sizeof header - 1) % 8, 0);
    for (int i = 0; i < 2; i++) {
        assert_ok(folder->context, actc_safetensors_write(folder->context, path, entries, 2, metadata, 1));
        size_t count;
        unsigned char *bytes = read_raw(path, &count);
        assert_int_equal(count, 8 + sizeof header - 1 + 12);
        const unsigned char length[8] = {sizeof header - 1};
        assert_memory_equal(bytes, length, 8);
        assert_memory_equal(bytes + 8, header, sizeof header - 1);
        assert_memory_equal(bytes + 8 + sizeof header - 1, values, 8);
        assert_memory_equal(bytes + 8 + sizeof header - 1 + 8, values + 3, 4);
        free(bytes);
    }
    assert_ok(folder->context, actc_safetensors_write(folder->context, path, NULL, 0, NULL, 0));
    actc_safetensors *file;
    assert_ok(folder->context, actc_safetensors_open(folder->context, path, &file));
    assert_int_equal(actc_safetensors_count(file), 0);
    assert_null(actc_safetensors_metadata(file, "step"));
    actc_safetensors_destroy(&file);
}

/* What other writers make: data in another order than the header, no padding, odd header lengths, metadata last. */
static void test_foreign(void **state)
{
    const struct test_folder *folder = *state;
    const char *path = path_in(folder, "c.safetensors");
    write_header(path,
                 "{ \"z\" : {\"shape\":[2],\"data_offsets\":[8,16],\"dtype\":\"F32\",\"more\":{\"x\":[1]}},\n"
                 "\"a\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":[0,8]},\"e\":{\"dtype\":\"F32\",\"shape\":[0],"
                 "\"data_offsets\":[8,8]},\"__metadata__\":{\"format\":\"pt\"}} \n",
                 16);
    actc_safetensors *file;
    assert_ok(folder->context, actc_safetensors_open(folder->context, path, &file));
    static const char *const order[] = {"a", "e", "z"};
    static const unsigned char first[3] = {0, 8, 8};
    for (size_t i = 0; i < 3; i++) {
        const char *name;
        const float *found;
        assert_ok(folder->context, actc_safetensors_get(file, i, &name, NULL, &found));
        assert_string_equal(name, order[i]);
        assert_int_equal((uintptr_t)found % sizeof(float), 0);
        if (i != 1)
            assert_int_equal(((const unsigned char *)found)[0], first[i]);
    }
    assert_string_equal(actc_safetensors_metadata(file, "format"), "pt");
    actc_safetensors_destroy(&file);
}

#define T(name, shape, begin, end) \
    "\"" name "\":{\"dtype\":\"F32\",\"shape\":[" shape "],\"data_offsets\":[" #begin "," #end "]}"

static void test_damaged(void **state)
{
    const struct test_folder *folder = *state;
    actc_context *context = folder->context;
    const char *path = path_in(folder, "d.safetensors");
    static const struct {
        const char *header;
        size_t data;
        actc_status status;
        const char *text, *also;
    } cases[] = {
        {"[]", 0, ACTC_ERROR_CORRUPT, "no JSON object", ""},
        {" []", 0, ACTC_ERROR_CORRUPT, "no JSON object", ""},
        {"\xef\xbb\xbf{}", 0, ACTC_ERROR_CORRUPT, "no JSON object", ""},
        {"{", 0, ACTC_ERROR_CORRUPT, "no safetensors file", "header of 1 bytes"},
        {"{]", 0, ACTC_ERROR_CORRUPT, "not JSON near byte", ""},
        {"{\"a\":", 0, ACTC_ERROR_CORRUPT, "not JSON near byte", ""},
        {"{\"a\":\"\xff\"}", 0, ACTC_ERROR_CORRUPT, "not UTF-8", ""},
        {"{\"a\":\"\xed\xa0\x80\"}", 0, ACTC_ERROR_CORRUPT, "not UTF-8", ""},
        {"{\"a\":\"\xc0\xaf\"}", 0, ACTC_ERROR_CORRUPT, "not UTF-8", ""},
        {"{}x", 0, ACTC_ERROR_CORRUPT, "something follows its header's JSON", ""},
        {"{}{}", 0, ACTC_ERROR_CORRUPT, "something follows its header's JSON", ""},
        {"{}", 4, ACTC_ERROR_CORRUPT, "4 bytes of data, its header calls for 0", ""},
        {"{\"a\":1}", 0, ACTC_ERROR_CORRUPT, "\"a\"", "no JSON object"},
        {"{\"a\":{}}", 0, ACTC_ERROR_CORRUPT, "\"a\"", "dtype, shape or data_offsets is missing"},
        {"{\"a\":{\"dtype\":4,\"shape\":[1],\"data_offsets\":[0,4]}}", 4, ACTC_ERROR_CORRUPT, "\"a\"", "of another type"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":{},\"data_offsets\":[0,4]}}", 4, ACTC_ERROR_CORRUPT, "\"a\"", "of another type"},
        {"{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, ACTC_ERROR_CORRUPT, "\"a\"",
         "given twice"},
        /* what is passed over is checked all the same */
        {"{\"a\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8, ACTC_ERROR_CORRUPT, "\"a\"", "do not fit its shape"},
        {"{\"a\":{\"dtype\":\"F4\",\"shape\":[3],\"data_offsets\":[0,1]}}", 1, ACTC_ERROR_CORRUPT, "\"a\"", "do not fit its shape"},
        {"{\"a\":{\"dtype\":\"NEW\",\"shape\":[3],\"data_offsets\":[0,2]}}", 1, ACTC_ERROR_CORRUPT, "\"a\"", "outside the file"},
        {"{" T("a", "1,1,1,1,1,1", 0, 8) "}", 8, ACTC_ERROR_CORRUPT, "\"a\"", "do not fit its shape"},
        {"{\"a\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[0,8]}," T("a", "1", 8, 12) "}", 12, ACTC_ERROR_CORRUPT, "\"a\"",
         "the name is given twice"},
        {"{" T("a\\u0000b", "1", 0, 4) "}", 4, ACTC_ERROR_CORRUPT, "NUL", ""},
        {"{" T("a\\\\\\u0000", "1", 0, 4) "}", 4, ACTC_ERROR_CORRUPT, "NUL", ""},
        {"{\"__metadata__\":{\"a\\u0000\":\"b\"}}", 0, ACTC_ERROR_CORRUPT, "NUL", ""},
        {"{" T("a", "-1", 0, 4) "}", 4, ACTC_ERROR_CORRUPT, "\"a\"", "shape is not a list of sizes"},
        {"{" T("a", "1.5", 0, 4) "}", 4, ACTC_ERROR_CORRUPT, "\"a\"", "shape is not a list of sizes"},
        {"{" T("a", "\"1\"", 0, 4) "}", 4, ACTC_ERROR_CORRUPT, "\"a\"", "shape is not a list of sizes"},
        {"{" T("a", "1e300", 0, 4) "}", 4, ACTC_ERROR_CORRUPT, "\"a\"", "shape is not a list of sizes"},
        /* 2^32 * 2^32 elements: 0 modulo 2^64 */
        {"{" T("a", "4294967296,4294967296", 0, 0) "}", 0, ACTC_ERROR_CORRUPT, "\"a\"", "shape is not a list of sizes"},
        {"{" T("a", "2", 0, 4) "}", 4, ACTC_ERROR_CORRUPT, "\"a\"", "do not fit its shape"},
        {"{" T("a", "1", 0, 8) "}", 8, ACTC_ERROR_CORRUPT, "\"a\"", "do not fit its shape"},
        {"{" T("a", "1", 4, 0) "}", 4, ACTC_ERROR_CORRUPT, "\"a\"", "outside the file"},
        {"{" T("a", "2", 0, 8) "}", 4, ACTC_ERROR_CORRUPT, "\"a\"", "outside the file"},
        {"{" T("a", "1", 9007199254740988, 9007199254740992) "}", 4, ACTC_ERROR_CORRUPT, "\"a\"", "outside the file"},
        {"{" T("a", "1", 18446744073709551612, 18446744073709551616) "}", 4, ACTC_ERROR_CORRUPT, "\"a\"", "not two sizes"},
        {"{" T("a", "1", -4, 0) "}", 4, ACTC_ERROR_CORRUPT, "\"a\"", "not two sizes"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,8]}}", 8, ACTC_ERROR_CORRUPT, "\"a\"", "not two sizes"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 4, ACTC_ERROR_CORRUPT, "\"a\"", "not two sizes"},
        {"{" T("a", "1", 0, 4) "," T("a", "1", 4, 8) "}", 8, ACTC_ERROR_CORRUPT, "\"a\"", "the name is given twice"},
        {"{" T("a", "2", 0, 8) "," T("b", "2", 4, 12) "}", 12, ACTC_ERROR_CORRUPT, "\"b\"", "overlap"},
        {"{" T("a", "1", 0, 4) "," T("b", "1", 0, 4) "}", 4, ACTC_ERROR_CORRUPT, "\"b\"", "overlap"},
        {"{" T("b", "1", 4, 8) "}", 8, ACTC_ERROR_CORRUPT, "\"b\"", "a hole before its data"},
        {"{" T("a", "1", 0, 4) "," T("b", "1", 8, 12) "}", 12, ACTC_ERROR_CORRUPT, "\"b\"", "a hole before its data"},
        {"{" T("a", "1", 0, 4) "}", 5, ACTC_ERROR_CORRUPT, "5 bytes of data, its header calls for 4", ""},
        {"{\"__metadata__\":3}", 0, ACTC_ERROR_CORRUPT, "__metadata__ is no JSON object", ""},
        {"{\"__metadata__\":{\"a\":1}}", 0, ACTC_ERROR_CORRUPT, "__metadata__ holds something that is no string", ""},
        {"{\"__metadata__\":{},\"__metadata__\":{}}", 0, ACTC_ERROR_CORRUPT, "__metadata__ is given twice", ""},
        /* a terminal would obey this name */
        {"{\"a\\u001b[2J\":1}", 0, ACTC_ERROR_CORRUPT, "\"a?[2J\"", "no JSON object"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_header(path, cases[i].header, cases[i].data);
        actc_safetensors *file = (actc_safetensors *)1;
        actc_status status = actc_safetensors_open(context, path, &file);
        assert_failed(context, status, cases[i].status, path, cases[i].text, cases[i].also, NULL);
        assert_null(file);
    }
}

/* What PyTorch and others write and no network asks for is passed over; what is left has its values, aligned or not. */
static void test_other_writers(void **state)
{
    const struct test_folder *folder = *state;
    actc_context *context = folder->context;
    const char *path = path_in(folder, "o.safetensors");
    static const char header[] = " \n{\"__metadata__\":null,"
                                 "\"bn.num_batches_tracked\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[0,8]},"
                                 "\"flag\":{\"dtype\":\"BOOL\",\"shape\":[1],\"data_offsets\":[12,13]},"
                                 "\"half\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[8,12]},"
                                 "\"odd\":{\"dtype\":\"F99\",\"shape\":[7],\"data_offsets\":[21,24]},"
                                 T("w\\\\u0000", "2,1", 13, 21) "," T("six", "1,1,1,1,1,1", 24, 28) "," T("b", "1", 28, 32) "}";
    const float w[] = {1.5f, -2.5f}, b = 7;
    unsigned char data[32] = {0};
    memcpy(data + 13, w, sizeof w);
    memcpy(data + 28, &b, sizeof b);
    memcpy(data + 8, (uint16_t[]){0x3e00, 0x0001}, 4); /* 1.5, 2^-24 */
    unsigned char bytes[8 + sizeof header - 1 + sizeof data];
    uint64_t length = sizeof header - 1;
    memcpy(bytes, &length, 8);
    memcpy(bytes + 8, header, sizeof header - 1);
    memcpy(bytes + 8 + sizeof header - 1, data, sizeof data);
    write_raw(path, bytes, sizeof bytes);
    actc_safetensors *file;
    assert_ok(context, actc_safetensors_open(context, path, &file));
    assert_int_equal(actc_safetensors_count(file), 3);
    assert_null(actc_safetensors_metadata(file, "format"));
    const char *name;
    actc_shape shape;
    const float *found;
    size_t index = 9;
    assert_ok(context, actc_safetensors_get(file, 0, &name, &shape, &found));
    assert_string_equal(name, "half");
    assert_true(found[0] == 1.5f && found[1] == 0x1p-24f);
    assert_ok(context, actc_safetensors_get(file, 1, &name, &shape, &found));
    assert_string_equal(name, "w\\u0000"); /* a backslash and five characters */
    assert_true(shape.ndim == 2 && shape.dims[0] == 2 && (uintptr_t)found % sizeof *found == 0);
    assert_memory_equal(found, w, sizeof w);
    assert_ok(context, actc_safetensors_find(file, "b", &index));
    assert_int_equal(index, 2);
    assert_ok(context, actc_safetensors_get(file, index, NULL, NULL, &found));
    assert_true(found[0] == b);
    assert_failed(context, actc_safetensors_find(file, "bn.num_batches_tracked", &index), ACTC_ERROR_UNSUPPORTED, path,
                  "\"bn.num_batches_tracked\" is of dtype I64; only F32, F64, F16 or BF16 is read", NULL);
    assert_failed(context, actc_safetensors_find(file, "six", &index), ACTC_ERROR_UNSUPPORTED, "\"six\" has 6 dimensions", NULL);
    assert_int_equal(actc_safetensors_find(file, "none", &index), ACTC_ERROR_NOT_FOUND);
    actc_safetensors_destroy(&file);
}

/* The dtypes that are widened to doubles, and that the file's other tensors are named beside them. */
static void test_doubles(void **state)
{
    const struct test_folder *folder = *state;
    actc_context *context = folder->context;
    const char *path = path_in(folder, "f64.safetensors");
    static const char header[] = "{\"i32\":{\"dtype\":\"I32\",\"shape\":[1],\"data_offsets\":[0,4]},"
                                 "\"f64\":{\"dtype\":\"F64\",\"shape\":[2,1],\"data_offsets\":[4,20]}," T("f32", "1", 20, 24) ","
                                 "\"half\":{\"dtype\":\"I16\",\"shape\":[1],\"data_offsets\":[24,26]},"
                                 "\"i64\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[26,34]},"
                                 "\"empty\":{\"dtype\":\"F64\",\"shape\":[0],\"data_offsets\":[34,34]}}";
    const double f64[] = {1.0 / 3, -1e300};
    const float f32 = 1.1f;
    const int64_t i64 = -((int64_t)1 << 40);
    const int32_t i32 = -7;
    unsigned char bytes[8 + sizeof header - 1 + 34] = {0}, *data = bytes + 8 + sizeof header - 1;
    uint64_t length = sizeof header - 1;
    memcpy(bytes, &length, 8);
    memcpy(bytes + 8, header, sizeof header - 1);
    memcpy(data, &i32, 4);
    memcpy(data + 4, f64, 16);
    memcpy(data + 20, &f32, 4);
    memcpy(data + 26, &i64, 8);
    write_raw(path, bytes, sizeof bytes);
    actc_safetensors *file;
    actc_shape shape;
    const float *found;
    double got[2] = {0};
    assert_ok(context, actc_safetensors_open(context, path, &file));
    assert_int_equal(actc_safetensors_count(file), 3);
    size_t index;
    assert_ok(context, actc_safetensors_find(file, "f32", &index));
    assert_ok(context, actc_safetensors_get(file, index, NULL, NULL, &found));
    assert_true(*found == f32);
    static const char *const names[] = {"empty", "f32", "f64", "half", "i32", "i64"};
    for (size_t i = 0; i < 6; i++)
        assert_string_equal(actc_safetensors_name(file, i), names[i]);
    assert_null(actc_safetensors_name(file, 6));
    assert_ok(context, actc_safetensors_read_f64(file, "f64", &shape, NULL));
    assert_true(shape.ndim == 2 && shape.dims[0] == 2 && shape.dims[1] == 1);
    assert_ok(context, actc_safetensors_read_f64(file, "f64", NULL, got));
    assert_memory_equal(got, f64, sizeof f64);
    assert_ok(context, actc_safetensors_read_f64(file, "f32", NULL, got));
    assert_true(got[0] == (double)f32 && got[1] == f64[1]);
    assert_ok(context, actc_safetensors_read_f64(file, "i32", NULL, got));
    assert_true(got[0] == -7 && got[1] == f64[1]);
    assert_ok(context, actc_safetensors_read_f64(file, "i64", &shape, got));
    assert_true(shape.ndim == 0 && got[0] == (double)i64 && got[1] == f64[1]);
    assert_ok(context, actc_safetensors_read_f64(file, "empty", &shape, got));
    assert_true(shape.ndim == 1 && shape.dims[0] == 0 && got[0] == (double)i64);
    assert_failed(context, actc_safetensors_read_f64(file, "half", &shape, got), ACTC_ERROR_UNSUPPORTED, path,
                  "\"half\" is of dtype I16; only F64, F32, F16, BF16, I64 or I32 is read", NULL);
    assert_int_equal(actc_safetensors_read_f64(file, "none", &shape, got), ACTC_ERROR_NOT_FOUND);
    actc_safetensors_destroy(&file);
}

/* F64 is rounded once, BF16 widened, wherever they lie; both checked against their sizes. */
static void test_other_floats(void **state)
{
    const struct test_folder *folder = *state;
    actc_context *context = folder->context;
    const char *path = path_in(folder, "f.safetensors");
    static const char header[] = "{\"h\":{\"dtype\":\"BF16\",\"shape\":[3],\"data_offsets\":[0,6]},"
                                 "\"d\":{\"dtype\":\"F64\",\"shape\":[2],\"data_offsets\":[6,22]}}";
    const double d[] = {1 + 0x1p-24 + 0x1p-50, -0.1};
    const uint16_t h[] = {0x3f80, 0xc049, 0x7f80}; /* 1, -3.140625, Inf */
    unsigned char bytes[8 + sizeof header - 1 + sizeof h + sizeof d];
    uint64_t length = sizeof header - 1;
    memcpy(bytes, &length, 8);
    memcpy(bytes + 8, header, length);
    memcpy(bytes + 8 + length, h, sizeof h);
    memcpy(bytes + 8 + length + sizeof h, d, sizeof d);
    write_raw(path, bytes, sizeof bytes);
    actc_safetensors *file;
    size_t index;
    const float *found;
    assert_ok(context, actc_safetensors_open(context, path, &file));
    assert_ok(context, actc_safetensors_find(file, "h", &index));
    assert_ok(context, actc_safetensors_get(file, index, NULL, NULL, &found));
    assert_true(found[0] == 1 && found[1] == -3.140625f && found[2] > 3e38f);
    assert_ok(context, actc_safetensors_find(file, "d", &index));
    assert_ok(context, actc_safetensors_get(file, index, NULL, NULL, &found));
    assert_true(found[0] == 1 + 0x1p-23f && found[1] == -0.1f);
    actc_safetensors_destroy(&file);
}

static void test_length(void **state)
{
    const struct test_folder *folder = *state;
    const char *path = path_in(folder, "e.safetensors");
    actc_safetensors *file;
    write_raw(path, "1234567", 7);
    assert_failed(folder->context, actc_safetensors_open(folder->context, path, &file), ACTC_ERROR_CORRUPT, path,
                  "no safetensors file: it holds 7 bytes", NULL);
    write_raw(path, "", 0);
    assert_failed(folder->context, actc_safetensors_open(folder->context, path, &file), ACTC_ERROR_CORRUPT, "0 bytes", NULL);
    static const uint64_t lengths[] = {0, 3, 100, UINT64_MAX, UINT64_MAX - 7, (uint64_t)1 << 63};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        write_parts(path, "{}", 2, lengths[i], 0);
        assert_failed(folder->context, actc_safetensors_open(folder->context, path, &file), ACTC_ERROR_CORRUPT, path,
                      "in a file of 10", NULL);
    }
    /* longer than the cap, in a (sparse) file that is as long */
    write_parts(path, "{}", 2, 100000001, 0);
    assert_int_equal(truncate(path, 200000000), 0);
    assert_failed(folder->context, actc_safetensors_open(folder->context, path, &file), ACTC_ERROR_CORRUPT, path,
                  "header of 100000001 bytes", "at most 100000000", NULL);
}

/* A header of half a million brackets must not use up the stack. */
static void test_depth(void **state)
{
    const struct test_folder *folder = *state;
    const char *path = path_in(folder, "f.safetensors");
    static char header[500005] = "{\"a\":";
    memset(header + 5, '[', sizeof header - 5);
    write_parts(path, header, sizeof header, sizeof header, 0);
    actc_safetensors *file;
    assert_failed(folder->context, actc_safetensors_open(folder->context, path, &file), ACTC_ERROR_CORRUPT, path, "not JSON",
                  NULL);
}

/* Every truncation of a good file is refused, and no changed byte is read out of bounds (under the sanitizer). */
static void test_every_byte(void **state)
{
    const struct test_folder *folder = *state;
    char path[512];
    snprintf(path, sizeof path, "%s", path_in(folder, "g.safetensors"));
    const actc_safetensors_entry entries[] = {{"w", {2, {1, 2}}, values}, {"b", {1, {1}}, values + 3}};
    const actc_safetensors_pair metadata[] = {{"step", "7"}};
    assert_ok(folder->context, actc_safetensors_write(folder->context, path, entries, 2, metadata, 1));
    size_t count;
    unsigned char *bytes = read_raw(path, &count);
    actc_safetensors *file;
    for (size_t cut = 0; cut < count; cut++) {
        write_raw(path, bytes, cut);
        assert_failed(folder->context, actc_safetensors_open(folder->context, path, &file), ACTC_ERROR_CORRUPT, path, NULL);
    }
    static const unsigned char flips[] = {0x01, 0x20, 0x80};
    for (size_t i = 0; i < count; i++)
        for (size_t f = 0; f < sizeof flips; f++) {
            bytes[i] ^= flips[f];
            write_raw(path, bytes, count);
            bytes[i] ^= flips[f];
            actc_status status = actc_safetensors_open(folder->context, path, &file);
            if (status == ACTC_OK)
                for (size_t t = 0; t < actc_safetensors_count(file); t++) {
                    const float *found;
                    actc_shape shape;
                    volatile float sum = 0;
                    assert_ok(folder->context, actc_safetensors_get(file, t, NULL, &shape, &found));
                    for (int64_t e = 0; e < actc_shape_elements(&shape); e++)
                        sum = sum + found[e];
                }
            actc_safetensors_destroy(&file);
        }
    free(bytes);
}

static void test_unreadable(void **state)
{
    const struct test_folder *folder = *state;
    actc_safetensors *file;
    assert_failed(folder->context, actc_safetensors_open(folder->context, path_in(folder, "none"), &file), ACTC_ERROR_NOT_FOUND,
                  "/none", "No such file", NULL);
    assert_failed(folder->context, actc_safetensors_open(folder->context, folder->path, &file), ACTC_ERROR_IO, folder->path,
                  "it is a folder", NULL);
    const char *pipe = path_in(folder, "pipe");
    assert_int_equal(mkfifo(pipe, 0600), 0);
    assert_failed(folder->context, actc_safetensors_open(folder->context, pipe, &file), ACTC_ERROR_IO, pipe, "no regular file",
                  NULL);
    assert_failed(folder->context, actc_safetensors_open(folder->context, NULL, &file), ACTC_ERROR_INVALID_ARGUMENT, NULL);
}

static void refused(const struct test_folder *folder, const actc_safetensors_entry *entries, size_t count, const char *text)
{
    const char *path = path_in(folder, "h.safetensors");
    assert_failed(folder->context, actc_safetensors_write(folder->context, path, entries, count, NULL, 0),
                  ACTC_ERROR_INVALID_ARGUMENT, text, NULL);
    assert_int_equal(folder_files(folder), 0);
}

static void test_write_arguments(void **state)
{
    const struct test_folder *folder = *state;
    actc_context *context = folder->context;
    const actc_shape two = {1, {2}};
    const actc_safetensors_entry same[] = {{"a", two, values}, {"a", two, values}};
    refused(folder, same, 2, "\"a\" is given twice");
    refused(folder, &(actc_safetensors_entry){"__metadata__", two, values}, 1, "__metadata__");
    refused(folder, &(actc_safetensors_entry){NULL, two, values}, 1, "without a name");
    refused(folder, &(actc_safetensors_entry){"\xff", two, values}, 1, "not UTF-8");
    refused(folder, &(actc_safetensors_entry){"a", two, NULL}, 1, "\"a\" has no values");
    refused(folder, &(actc_safetensors_entry){"a", {6, {1}}, values}, 1, "6 dimensions");
    refused(folder, &(actc_safetensors_entry){"a", {-1, {1}}, values}, 1, "-1 dimensions");
    refused(folder, &(actc_safetensors_entry){"a", {2, {3, -1}}, values}, 1, "dimension 1 of tensor \"a\" is -1");
    refused(folder, &(actc_safetensors_entry){"a", {2, {INT64_MAX, INT64_MAX}}, values}, 1, "dimension 0 of tensor \"a\"");
    refused(folder, NULL, 1, "must not be NULL");
    const actc_safetensors_pair twice[] = {{"k", "1"}, {"k", "2"}}, none = {"k", NULL};
    const char *path = path_in(folder, "h.safetensors");
    assert_failed(context, actc_safetensors_write(context, path, NULL, 0, twice, 2), ACTC_ERROR_INVALID_ARGUMENT,
                  "\"k\" is given twice", NULL);
    assert_failed(context, actc_safetensors_write(context, path, NULL, 0, &none, 1), ACTC_ERROR_INVALID_ARGUMENT, NULL);
    assert_failed(context, actc_safetensors_write(context, path_in(folder, "no/h"), NULL, 0, NULL, 0), ACTC_ERROR_IO, "/no/h",
                  "No such file or directory", NULL);
    /* the name is a folder's: rename() refuses, the temporary file goes */
    path = path_in(folder, "folder");
    assert_int_equal(mkdir(path, 0700), 0);
    assert_failed(context, actc_safetensors_write(context, path, NULL, 0, NULL, 0), ACTC_ERROR_IO, path, "Is a directory", NULL);
    assert_int_equal(folder_files(folder), 1);
    assert_int_equal(rmdir(path), 0);
}

/* A file is made with the process's umask, as any other of the program's. */
static void test_mode(void **state)
{
    const struct test_folder *folder = *state;
    const char *path = path_in(folder, "i.safetensors");
    mode_t before = umask(027);
    assert_ok(folder->context, actc_safetensors_write(folder->context, path, NULL, 0, NULL, 0));
    umask(before);
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0640);
}

/* Writes 1 MiB where it does not fit: the old file stays, byte for byte, and nothing else is left. */
static void write_too_much(const struct test_folder *folder, const char *path, const char *text)
{
    float *large = calloc(1 << 18, sizeof *large);
    const actc_safetensors_entry entry = {"large", {1, {1 << 18}}, large}, small = {"small", {1, {6}}, values};
    size_t before_count, after_count;
    assert_ok(folder->context, actc_safetensors_write(folder->context, path, &small, 1, NULL, 0));
    unsigned char *before = read_raw(path, &before_count);
    struct rlimit limit, old;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    limit = old;
    limit.rlim_cur = 1 << 19;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    actc_status status = actc_safetensors_write(folder->context, path, &entry, 1, NULL, 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    signal(SIGXFSZ, handler);
    assert_failed(folder->context, status, ACTC_ERROR_IO, path, text, "as it was", NULL);
    unsigned char *after = read_raw(path, &after_count);
    assert_int_equal(before_count, after_count);
    assert_memory_equal(before, after, before_count);
    free(before);
    free(after);
    free(large);
}

static void test_file_limit(void **state)
{
    const struct test_folder *folder = *state;
    write_too_much(folder, path_in(folder, "j.safetensors"), "File too large");
    assert_int_equal(folder_files(folder), 1);
}

/* A file system of 256 KiB of its own: a disk that is really full. Needs the right to mount, which a container or a
 * user may not have; the limit above covers the same path then. */
static void test_full_disk(void **state)
{
    const struct test_folder *folder = *state;
    struct test_folder small = *folder;
    snprintf(small.path, sizeof small.path, "%.200s/disk", folder->path);
    assert_int_equal(mkdir(small.path, 0700), 0);
    if (mount("tmpfs", small.path, "tmpfs", 0, "size=256k") != 0) {
        print_message("no right to mount (%s): the full disk is shown by RLIMIT_FSIZE only\n", strerror(errno));
        rmdir(small.path);
        return;
    }
    float *large = calloc(1 << 17, sizeof *large);
    const actc_safetensors_entry entry = {"large", {1, {1 << 17}}, large}, good = {"small", {1, {6}}, values};
    char *path = path_in(&small, "k.safetensors");
    size_t count, again;
    assert_ok(folder->context, actc_safetensors_write(folder->context, path, &good, 1, NULL, 0));
    unsigned char *before = read_raw(path, &count);
    actc_status status = actc_safetensors_write(folder->context, path, &entry, 1, NULL, 0);
    unsigned char *after = read_raw(path, &again);
    int files = folder_files(&small);
    umount(small.path);
    rmdir(small.path);
    assert_failed(folder->context, status, ACTC_ERROR_IO, path, "No space left on device", "as it was", NULL);
    assert_int_equal(files, 1);
    assert_int_equal(count, again);
    assert_memory_equal(before, after, count);
    free(before);
    free(after);
    free(large);
}

/* A name that a killed process left is passed over. */
static void test_left_over(void **state)
{
    const struct test_folder *folder = *state;
    char path[512], taken[600];
    snprintf(path, sizeof path, "%s", path_in(folder, "l.safetensors"));
    for (int i = 0; i < 400; i++) {
        snprintf(taken, sizeof taken, "%s.tmp-%ld-%d", path, (long)getpid(), i);
        write_raw(taken, "old", 3);
    }
    assert_ok(folder->context, actc_safetensors_write(folder->context, path, NULL, 0, NULL, 0));
    assert_int_equal(folder_files(folder), 401);
}

static actc_status write_and_read(void *user)
{
    const struct test_folder *folder = user;
    const char *path = path_in(folder, "m.safetensors");
    const actc_safetensors_entry entries[] = {{"w", {2, {1, 2}}, values}, {"b", {1, {1}}, values + 3}};
    actc_status status = actc_safetensors_write(folder->context, path, entries, 2, NULL, 0);
    if (status != ACTC_OK)
        return status;
    actc_safetensors *file;
    status = actc_safetensors_open(folder->context, path, &file);
    actc_safetensors_destroy(&file);
    return status;
}

static void test_out_of_memory(void **state)
{
    const struct test_folder *folder = *state;
    refuse_each(folder->context, write_and_read, *state);
    assert_int_equal(folder_files(folder), 1);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, folder_setup, folder_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_round_trip), TEST(test_bytes), TEST(test_foreign), TEST(test_other_writers), TEST(test_doubles),
        TEST(test_other_floats), TEST(test_damaged), TEST(test_length),
        TEST(test_depth),           TEST(test_every_byte), TEST(test_unreadable), TEST(test_write_arguments), TEST(test_mode),
        TEST(test_file_limit),      TEST(test_full_disk), TEST(test_left_over), TEST(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
