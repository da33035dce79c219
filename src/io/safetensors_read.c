/* safetensors_read.c: one file into memory.
 *
 * The file comes from anywhere: every number in it is checked against the file's own size before it is used, and
 * the rules of the format's own implementation hold: no name twice, tensors that cover the data without a hole or an
 * overlap, shapes that match their offsets; but blanks before the header's '{' and a "__metadata__" of null are what some
 * writers make. F64 is rounded to F32, F16 and BF16 are widened. Tensors that cannot be given (another dtype, too many dimensions)
 * take part in all of that and are then passed over: a file of another writer has counters and the like that nobody asks for. The
 * data of the others are read into a buffer of their own, so that values are aligned wherever they lie in the file; those of F64, I64
 * and I32 are kept as they are, too, for whoever asks for doubles by name.
 */
#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../exact/exact.h"
#include "../util/util.h"
#include "file.h"
#include "safetensors.h"

struct tensor {
    const char *name; /* the header's */
    actc_shape shape;
    const char *dtype;
    int ndim;            /* may be more than a shape holds */
    bool given;          /* a float dtype, of at most ACTC_MAX_DIMS dimensions: the others are passed over */
    bool kept;           /* F64, I64 or I32 of as many: its bytes are kept as they are */
    uint64_t begin, end; /* bytes of the data */
    const float *values; /* of a given one */
    const unsigned char *as_is; /* of a kept one */
};

struct actc_safetensors {
    actc_context *context;
    char *path;
    cJSON *header; /* owns the names */
    const cJSON *metadata;
    struct tensor *tensors; /* by their data; once those are read, the given ones first */
    struct tensor **by_name;
    size_t count, given;
    float *data; /* of the given ones, one after the other */
    unsigned char *as_is; /* of the kept ones, at multiples of 8 */
};

bool actc_utf8_valid(const char *text, size_t bytes)
{
    const unsigned char *p = (const unsigned char *)text, *end = p + bytes;
    while (p < end) {
        unsigned char c = *p++;
        if (c < 0x80)
            continue;
        int more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1;
        if (c < 0xc2 || c > 0xf4 || end - p < more)
            return false;
        /* the first continuation byte rules out overlong forms, surrogates and what is above U+10FFFF */
        unsigned char low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80, high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
        if (p[0] < low || p[0] > high)
            return false;
        for (int i = 1; i < more; i++)
            if ((p[i] & 0xc0) != 0x80)
                return false;
        p += more;
    }
    return true;
}

/* A name of the file in messages: cut, and without control characters, which a terminal would obey. */
static const char *shown(const char *name, char *text, size_t size)
{
    size_t n = 0;
    for (; name[n] && n + 1 < size; n++)
        text[n] = (unsigned char)name[n] < 0x20 || name[n] == 0x7f ? '?' : name[n];
    text[n] = '\0';
    return text;
}
#define SHOWN(name) shown((name), (char[80]){0}, 80)

static actc_status damaged(const actc_safetensors *file, const char *what, const char *name)
{
    if (name)
        return actc_fail(file->context, ACTC_ERROR_CORRUPT, "%s is damaged: tensor \"%s\": %s", file->path, SHOWN(name), what);
    return actc_fail(file->context, ACTC_ERROR_CORRUPT, "%s is damaged: %s", file->path, what);
}

/* A whole number that a double holds exactly. */
static bool whole_number(const cJSON *item, uint64_t *value)
{
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0) || item->valuedouble > 9007199254740992.0 ||
        item->valuedouble != floor(item->valuedouble))
        return false;
    *value = (uint64_t)item->valuedouble;
    return true;
}

/* Bits of an element; 0 for a dtype that is not known, whose sizes cannot be checked. */
static unsigned dtype_bits(const char *dtype)
{
    static const struct {
        const char *name;
        unsigned bits;
    } dtypes[] = {{"F32", 32}, {"F64", 64}, {"F16", 16}, {"BF16", 16}, {"I64", 64},    {"I32", 32},    {"I16", 16},    {"I8", 8},
                  {"U64", 64}, {"U32", 32}, {"U16", 16}, {"U8", 8},    {"BOOL", 8},    {"C64", 64},    {"F8_E5M2", 8}, {"F8_E4M3", 8},
                  {"F8_E8M0", 8}, {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"F4", 4}};
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
        if (strcmp(dtype, dtypes[i].name) == 0)
            return dtypes[i].bits;
    return 0;
}

enum float_format { NOT_FLOAT, FLOAT_F32, FLOAT_F64, FLOAT_F16, FLOAT_BF16 };

static enum float_format float_format(const char *dtype)
{
    static const char *const names[] = {"", "F32", "F64", "F16", "BF16"};
    for (int i = FLOAT_F32; i <= FLOAT_BF16; i++)
        if (strcmp(dtype, names[i]) == 0)
            return (enum float_format)i;
    return NOT_FLOAT;
}

static actc_status parse_shape(const actc_safetensors *file, const cJSON *item, struct tensor *tensor, uint64_t *elements)
{
    const cJSON *dim;
    *elements = 1;
    cJSON_ArrayForEach(dim, item)
    {
        uint64_t value;
        if (!whole_number(dim, &value) || !actc_mul_u64(*elements, value, elements))
            return damaged(file, "its shape is not a list of sizes", tensor->name);
        if (tensor->ndim < ACTC_MAX_DIMS)
            tensor->shape.dims[tensor->ndim] = (int64_t)value;
        tensor->ndim++;
    }
    tensor->shape.ndim = tensor->ndim;
    return ACTC_OK;
}

static actc_status parse_tensor(const actc_safetensors *file, const cJSON *item, uint64_t data_bytes, struct tensor *tensor)
{
    static const char *const keys[3] = {"dtype", "shape", "data_offsets"};
    const cJSON *fields[3] = {NULL, NULL, NULL}, *field;
    *tensor = (struct tensor){.name = item->string};
    if (!cJSON_IsObject(item))
        return damaged(file, "it is described by no JSON object", tensor->name);
    cJSON_ArrayForEach(field, item)
    {
        for (int i = 0; i < 3; i++) {
            if (strcmp(field->string, keys[i]) != 0)
                continue;
            if (fields[i])
                return damaged(file, "a field is given twice", tensor->name);
            fields[i] = field;
        }
    }
    if (!cJSON_IsString(fields[0]) || !cJSON_IsArray(fields[1]) || !cJSON_IsArray(fields[2]))
        return damaged(file, "dtype, shape or data_offsets is missing or of another type", tensor->name);
    tensor->dtype = fields[0]->valuestring;
    uint64_t elements, bits;
    ACTC_RETURN_IF_ERROR(parse_shape(file, fields[1], tensor, &elements));
    if (cJSON_GetArraySize(fields[2]) != 2 || !whole_number(cJSON_GetArrayItem(fields[2], 0), &tensor->begin) ||
        !whole_number(cJSON_GetArrayItem(fields[2], 1), &tensor->end))
        return damaged(file, "its data_offsets are not two sizes", tensor->name);
    if (tensor->begin > tensor->end || tensor->end > data_bytes)
        return damaged(file, "its data_offsets lie outside the file", tensor->name);
    unsigned each = dtype_bits(tensor->dtype);
    if (each && (!actc_mul_u64(elements, each, &bits) || bits % 8 || tensor->end - tensor->begin != bits / 8))
        return damaged(file, "its data_offsets do not fit its shape", tensor->name);
    tensor->given = float_format(tensor->dtype) != NOT_FLOAT && tensor->ndim <= ACTC_MAX_DIMS;
    tensor->kept = tensor->ndim <= ACTC_MAX_DIMS && (strcmp(tensor->dtype, "F64") == 0 || strcmp(tensor->dtype, "I64") == 0 ||
                                                     strcmp(tensor->dtype, "I32") == 0);
    return ACTC_OK;
}

/* Why a tensor is passed over by who reads these dtypes. */
static actc_status passed_over(const actc_safetensors *file, const struct tensor *tensor, const char *dtypes)
{
    if (tensor->ndim > ACTC_MAX_DIMS)
        return actc_fail(file->context, ACTC_ERROR_UNSUPPORTED, "%s: tensor \"%s\" has %d dimensions, more than %d", file->path,
                         SHOWN(tensor->name), tensor->ndim, ACTC_MAX_DIMS);
    return actc_fail(file->context, ACTC_ERROR_UNSUPPORTED, "%s: tensor \"%s\" is of dtype %s; only %s is read", file->path,
                     SHOWN(tensor->name), SHOWN(tensor->dtype), dtypes);
}

static int by_offset(const void *a, const void *b)
{
    const struct tensor *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    if (x->end != y->end)
        return x->end < y->end ? -1 : 1;
    return strcmp(x->name, y->name);
}

/* The given ones first; else the order of their data. */
static int by_use(const void *a, const void *b)
{
    const struct tensor *x = a, *y = b;
    return x->given != y->given ? (x->given ? -1 : 1) : by_offset(a, b);
}

static int by_name(const void *a, const void *b)
{
    const struct tensor *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

static actc_status check_metadata(const actc_safetensors *file)
{
    if (!cJSON_IsObject(file->metadata))
        return damaged(file, "__metadata__ is no JSON object", NULL);
    const cJSON *item;
    cJSON_ArrayForEach(item, file->metadata)
    {
        if (!cJSON_IsString(item))
            return damaged(file, "__metadata__ holds something that is no string", NULL);
    }
    return ACTC_OK;
}

static actc_status parse_tensors(actc_safetensors *file, uint64_t data_bytes)
{
    size_t most = (size_t)cJSON_GetArraySize(file->header);
    file->tensors = actc_calloc(most, sizeof *file->tensors);
    file->by_name = actc_calloc(most, sizeof *file->by_name);
    if (!file->tensors || !file->by_name)
        return actc_out_of_memory(file->context, most * sizeof *file->tensors, file->path);
    const cJSON *item;
    bool has_metadata = false;
    cJSON_ArrayForEach(item, file->header)
    {
        if (strcmp(item->string, ACTC_SAFETENSORS_METADATA) == 0) {
            if (has_metadata)
                return damaged(file, "__metadata__ is given twice", NULL);
            has_metadata = true;
            if (cJSON_IsNull(item))
                continue;
            file->metadata = item;
            ACTC_RETURN_IF_ERROR(check_metadata(file));
            continue;
        }
        ACTC_RETURN_IF_ERROR(parse_tensor(file, item, data_bytes, &file->tensors[file->count]));
        file->count++;
    }
    qsort(file->tensors, file->count, sizeof *file->tensors, by_offset);
    uint64_t end = 0;
    for (size_t i = 0; i < file->count; i++) {
        if (file->tensors[i].begin != end)
            return damaged(file, file->tensors[i].begin < end ? "its data overlap another's" : "there is a hole before its data",
                           file->tensors[i].name);
        end = file->tensors[i].end;
    }
    if (end != data_bytes)
        return actc_fail(file->context, ACTC_ERROR_CORRUPT, "%s is damaged: it holds %llu bytes of data, its header calls for %llu",
                         file->path, (unsigned long long)data_bytes, (unsigned long long)end);
    return ACTC_OK;
}

static uint64_t elements_of(const struct tensor *tensor)
{
    return (tensor->end - tensor->begin) * 8 / dtype_bits(tensor->dtype);
}

static void widen(const void *data, enum float_format format, uint64_t elements, float *out)
{
    const double *f64 = data;
    const uint16_t *half = data;
    for (uint64_t i = 0; i < elements; i++) {
        if (format == FLOAT_F64) {
            out[i] = (float)f64[i];
        } else {
            uint32_t bits = format == FLOAT_F16 ? actc_f16_to_f32_bits(half[i]) : actc_bf16_to_f32_bits(half[i]);
            memcpy(&out[i], &bits, sizeof bits);
        }
    }
}

/* The data at the file's position: as f32, as they are, or both. */
static actc_status read_tensor(const actc_safetensors *file, int fd, const struct tensor *tensor, float *floats, unsigned char *as_is)
{
    uint64_t size = tensor->end - tensor->begin;
    enum float_format format = float_format(tensor->dtype);
    if (format == FLOAT_F32)
        return actc_file_read(file->context, file->path, fd, floats, size);
    void *data = as_is ? as_is : actc_malloc(size);
    if (!data)
        return actc_out_of_memory(file->context, size, file->path);
    actc_status status = actc_file_read(file->context, file->path, fd, data, size);
    if (status == ACTC_OK && tensor->given)
        widen(data, format, elements_of(tensor), floats);
    if (!as_is)
        actc_free(data);
    return status;
}

/* The tensors are in the order of their data, which cover it. */
static actc_status read_data(actc_safetensors *file, int fd)
{
    uint64_t bytes = 0, as_is_bytes = 0;
    for (size_t i = 0; i < file->count; i++) {
        bytes += file->tensors[i].given ? elements_of(&file->tensors[i]) * sizeof(float) : 0;
        as_is_bytes += file->tensors[i].kept ? actc_align(file->tensors[i].end - file->tensors[i].begin, 8) : 0;
    }
    file->data = actc_malloc(bytes);
    file->as_is = file->data ? actc_malloc(as_is_bytes) : NULL;
    if (!file->as_is)
        return actc_out_of_memory(file->context, file->data ? as_is_bytes : bytes, file->path);
    float *next = file->data;
    unsigned char *next_as_is = file->as_is;
    off_t start = lseek(fd, 0, SEEK_CUR);
    for (size_t i = 0; i < file->count; i++) {
        struct tensor *tensor = &file->tensors[i];
        if (!tensor->kept && !tensor->given)
            continue;
        if (lseek(fd, start + (off_t)tensor->begin, SEEK_SET) < 0)
            return actc_fail(file->context, ACTC_ERROR_IO, "cannot read %s: it cannot be positioned", file->path);
        ACTC_RETURN_IF_ERROR(read_tensor(file, fd, tensor, next, tensor->kept ? next_as_is : NULL));
        if (tensor->given) {
            tensor->values = next;
            next += elements_of(tensor);
            file->given++;
        }
        if (tensor->kept) {
            tensor->as_is = next_as_is;
            next_as_is += actc_align(tensor->end - tensor->begin, 8);
        }
    }
    return ACTC_OK;
}

static actc_status sort_for_use(actc_safetensors *file)
{
    qsort(file->tensors, file->count, sizeof *file->tensors, by_use);
    for (size_t i = 0; i < file->count; i++)
        file->by_name[i] = &file->tensors[i];
    qsort(file->by_name, file->count, sizeof *file->by_name, by_name);
    for (size_t i = 1; i < file->count; i++)
        if (strcmp(file->by_name[i - 1]->name, file->by_name[i]->name) == 0)
            return damaged(file, "the name is given twice", file->by_name[i]->name);
    return ACTC_OK;
}

#define BLANKS " \t\r\n"

/* NUL may stand in a JSON string, and would end it here: two names would be one. */
static bool holds_nul(const char *text, const char *end)
{
    for (; text < end; text++) {
        if (!*text || (*text == '\\' && end - text > 5 && memcmp(text + 1, "u0000", 5) == 0))
            return true;
        text += *text == '\\'; /* what it escapes, a backslash maybe */
    }
    return false;
}

static actc_status parse_header(actc_safetensors *file, const char *text, uint64_t bytes)
{
    if (text[strspn(text, BLANKS)] != '{')
        return damaged(file, "its header is no JSON object (or this is no safetensors file)", NULL);
    if (!actc_utf8_valid(text, bytes))
        return damaged(file, "its header is not UTF-8", NULL);
    const char *end = NULL;
    file->header = cJSON_ParseWithLengthOpts(text, bytes, &end, false);
    if (!file->header)
        return actc_fail(file->context, ACTC_ERROR_CORRUPT, "%s is damaged: its header is not JSON near byte %llu", file->path,
                         (unsigned long long)(end ? (uint64_t)(end - text) + 8 : 8));
    if (holds_nul(text, end))
        return damaged(file, "a name or another string of its header holds a NUL", NULL);
    for (; end < text + bytes; end++)
        if (!strchr(BLANKS, *end) || !*end)
            return damaged(file, "something follows its header's JSON", NULL);
    return ACTC_OK;
}

static actc_status read_open_file(actc_safetensors *file, int fd, uint64_t size)
{
    uint64_t header_bytes;
    if (size < sizeof header_bytes)
        return actc_fail(file->context, ACTC_ERROR_CORRUPT, "%s is no safetensors file: it holds %llu bytes", file->path,
                         (unsigned long long)size);
    ACTC_RETURN_IF_ERROR(actc_file_read(file->context, file->path, fd, &header_bytes, sizeof header_bytes));
    if (header_bytes < 2 || header_bytes > size - sizeof header_bytes || header_bytes > ACTC_SAFETENSORS_MAX_HEADER)
        return actc_fail(file->context, ACTC_ERROR_CORRUPT,
                         "%s is damaged or no safetensors file: header of %llu bytes in a file of %llu (at most %llu are accepted)",
                         file->path, (unsigned long long)header_bytes, (unsigned long long)size,
                         (unsigned long long)ACTC_SAFETENSORS_MAX_HEADER);
    char *text = actc_malloc(header_bytes + 1);
    if (!text)
        return actc_out_of_memory(file->context, header_bytes, file->path);
    text[header_bytes] = '\0'; /* some releases of cJSON look one byte past the length they are given */
    actc_status status = actc_file_read(file->context, file->path, fd, text, header_bytes);
    if (status == ACTC_OK)
        status = parse_header(file, text, header_bytes);
    actc_free(text);
    ACTC_RETURN_IF_ERROR(status);
    uint64_t data_bytes = size - sizeof header_bytes - header_bytes;
    ACTC_RETURN_IF_ERROR(parse_tensors(file, data_bytes));
    ACTC_RETURN_IF_ERROR(read_data(file, fd));
    return sort_for_use(file);
}

actc_status actc_safetensors_open(actc_context *context, const char *path, actc_safetensors **out)
{
    ACTC_OWN_MODES;
    if (!context || !out)
        return ACTC_ERROR_INVALID_ARGUMENT;
    *out = NULL;
    if (!path)
        return actc_fail(context, ACTC_ERROR_INVALID_ARGUMENT, "safetensors: path must not be NULL");
    int fd;
    uint64_t size = 0;
    ACTC_RETURN_IF_ERROR(actc_file_open(context, path, &fd, &size));
    actc_safetensors *file = actc_calloc(1, sizeof *file);
    actc_status status = ACTC_OK;
    if (file) {
        file->context = context;
        file->path = actc_strdup(path);
    }
    if (!file || !file->path)
        status = actc_out_of_memory(context, sizeof *file, path);
    else
        status = read_open_file(file, fd, size);
    close(fd);
    if (status != ACTC_OK)
        actc_safetensors_destroy(&file);
    *out = file;
    return status;
}

void actc_safetensors_destroy(actc_safetensors **file)
{
    if (!file || !*file)
        return;
    cJSON_Delete((*file)->header);
    actc_free((*file)->path);
    actc_free((*file)->tensors);
    actc_free((*file)->by_name);
    actc_free((*file)->data);
    actc_free((*file)->as_is);
    actc_free(*file);
    *file = NULL;
}

size_t actc_safetensors_count(const actc_safetensors *file)
{
    return file ? file->given : 0;
}

actc_status actc_safetensors_get(const actc_safetensors *file, size_t index, const char **name, actc_shape *shape,
                                 const float **values)
{
    ACTC_OWN_MODES;
    if (!file)
        return ACTC_ERROR_INVALID_ARGUMENT;
    if (index >= file->given)
        return actc_fail(file->context, ACTC_ERROR_INVALID_ARGUMENT, "%s: tensor %zu of %zu", file->path, index, file->given);
    const struct tensor *tensor = &file->tensors[index];
    if (name)
        *name = tensor->name;
    if (shape)
        *shape = tensor->shape;
    if (values)
        *values = tensor->values;
    return ACTC_OK;
}

/* NULL where there is none of the name. */
static const struct tensor *named(const actc_safetensors *file, const char *name)
{
    size_t low = 0, high = file->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(name, file->by_name[middle]->name);
        if (order == 0)
            return file->by_name[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

actc_status actc_safetensors_find(const actc_safetensors *file, const char *name, size_t *index)
{
    ACTC_OWN_MODES;
    if (!file || !name || !index)
        return ACTC_ERROR_INVALID_ARGUMENT;
    const struct tensor *tensor = named(file, name);
    if (!tensor)
        return ACTC_ERROR_NOT_FOUND;
    if (!tensor->given)
        return passed_over(file, tensor, "F32, F64, F16 or BF16");
    *index = (size_t)(tensor - file->tensors);
    return ACTC_OK;
}

actc_status actc_safetensors_read_f64(const actc_safetensors *file, const char *name, actc_shape *shape, double *values)
{
    ACTC_OWN_MODES;
    if (!file || !name)
        return ACTC_ERROR_INVALID_ARGUMENT;
    const struct tensor *tensor = named(file, name);
    if (!tensor)
        return ACTC_ERROR_NOT_FOUND;
    if (!tensor->kept && !tensor->given)
        return passed_over(file, tensor, "F64, F32, F16, BF16, I64 or I32");
    if (shape)
        *shape = tensor->shape;
    if (!values)
        return ACTC_OK;
    const uint64_t elements = elements_of(tensor);
    const bool integer = tensor->dtype[0] == 'I', narrow = strcmp(tensor->dtype, "I32") == 0;
    for (uint64_t i = 0; i < elements; i++) {
        int32_t i32;
        int64_t i64;
        if (!tensor->kept) {
            values[i] = tensor->values[i];
        } else if (!integer) {
            memcpy(&values[i], tensor->as_is + 8 * i, 8);
        } else if (narrow) {
            memcpy(&i32, tensor->as_is + 4 * i, 4);
            values[i] = i32;
        } else {
            memcpy(&i64, tensor->as_is + 8 * i, 8);
            values[i] = (double)i64;
        }
    }
    return ACTC_OK;
}

const char *actc_safetensors_name(const actc_safetensors *file, size_t index)
{
    return file && index < file->count ? file->by_name[index]->name : NULL;
}

const char *actc_safetensors_metadata(const actc_safetensors *file, const char *key)
{
    if (!file || !key || !file->metadata)
        return NULL;
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(file->metadata, key);
    return item ? item->valuestring : NULL;
}

bool actc_safetensors_metadata_at(const actc_safetensors *file, size_t index, actc_safetensors_pair *pair)
{
    const cJSON *item = file->metadata ? file->metadata->child : NULL;
    for (; item && index; index--)
        item = item->next;
    if (item)
        *pair = (actc_safetensors_pair){item->string, item->valuestring};
    return item != NULL;
}
