/* util.c: text, numbers, hashing. */
#include "util.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

double actc_clock(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

bool actc_grow(void **array, size_t *capacity, size_t count, size_t element)
{
    if (count <= *capacity)
        return true;
    size_t wanted = *capacity ? *capacity * 2 : 16;
    while (wanted < count)
        wanted *= 2;
    if (wanted > SIZE_MAX / element)
        return false;
    void *grown = actc_realloc(*array, wanted * element);
    if (!grown)
        return false;
    memset((char *)grown + *capacity * element, 0, (wanted - *capacity) * element);
    *array = grown;
    *capacity = wanted;
    return true;
}

char *actc_strndup(const char *text, size_t length)
{
    char *copy = actc_malloc(length + 1);
    if (copy) {
        memcpy(copy, text, length);
        copy[length] = '\0';
    }
    return copy;
}

char *actc_strdup(const char *text)
{
    return actc_strndup(text, strlen(text));
}

char *actc_format(const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = length < 0 ? NULL : actc_malloc((size_t)length + 1);
    if (text)
        vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    return text;
}

static bool continues(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

void actc_shorten(char *target, size_t size, const char *text)
{
    static const char gap[] = " ... ";
    size_t length = strlen(text);
    if (length < size) {
        memcpy(target, text, length + 1);
        return;
    }
    size_t room = size - sizeof gap, head = room / 3, tail = length - (room - head);
    while (head > 0 && continues(text[head]))
        head--;
    while (continues(text[tail]))
        tail++;
    memcpy(target, text, head);
    memcpy(target + head, gap, sizeof gap - 1);
    memcpy(target + head + sizeof gap - 1, text + tail, length - tail + 1);
}

uint32_t actc_hash(const char *text)
{
    uint32_t hash = 2166136261u;
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * 16777619u;
    return hash;
}

/* Matches one [set] at *glob against c and moves *glob behind it. An unclosed set matches '[' itself. */
static bool match_set(const char **glob, char c)
{
    const char *p = *glob + 1;
    const char *end = p[0] ? strchr(p + 1, ']') : NULL;
    if (!end) {
        *glob += 1;
        return c == '[';
    }
    bool negated = *p == '!' || *p == '^', found = false;
    if (negated)
        p++;
    for (; p < end; p++) {
        if (p + 2 < end && p[1] == '-') {
            found |= p[0] <= c && c <= p[2];
            p += 2;
        } else {
            found |= *p == c;
        }
    }
    *glob = end + 1;
    return found != negated;
}

bool actc_glob_match(const char *glob, const char *text)
{
    const char *star = NULL, *mark = NULL;
    while (*text) {
        const char *next = glob;
        bool matched;
        if (*glob == '*') {
            star = ++glob;
            mark = text;
            continue;
        }
        if (*glob == '[') {
            matched = match_set(&next, *text);
        } else {
            matched = *glob && (*glob == '?' || *glob == *text);
            next = glob + 1;
        }
        if (matched) {
            glob = next;
            text++;
        } else if (star) {
            glob = star;
            text = ++mark;
        } else {
            return false;
        }
    }
    while (*glob == '*')
        glob++;
    return !*glob;
}

static size_t edit_distance(const char *a, const char *b)
{
    size_t row[64], la = strlen(a), lb = strlen(b);
    if (la > 63 || lb > 63)
        return SIZE_MAX;
    for (size_t j = 0; j <= lb; j++)
        row[j] = j;
    for (size_t i = 1; i <= la; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= lb; j++) {
            size_t cost = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            if (row[j] + 1 < cost)
                cost = row[j] + 1;
            if (row[j - 1] + 1 < cost)
                cost = row[j - 1] + 1;
            row[j] = cost;
        }
    }
    return row[lb];
}

const char *actc_nearest(const char *word, const char *const *names, size_t count)
{
    const char *best = NULL;
    size_t least = strlen(word) / 2 + 1;
    for (size_t i = 0; i < count; i++) {
        size_t d = edit_distance(word, names[i]);
        if (d < least) {
            least = d;
            best = names[i];
        }
    }
    return best;
}

bool actc_parse_double(const char *text, double *value)
{
    static const char accepted[] = "0123456789.eE+-";
    if (!*text || strlen(text) > 63 || strspn(text, accepted) != strlen(text))
        return false;
    ACTC_OWN_MODES; /* strtod follows the locale */
    char *end;
    errno = 0;
    *value = strtod(text, &end);
    return !*end && isfinite(*value) && !(*value == 0 && errno == ERANGE); /* 1e-400 is not 0 */
}

bool actc_parse_int64(const char *text, int64_t *value)
{
    char *end;
    if (!*text || (*text != '-' && (*text < '0' || *text > '9')))
        return false;
    errno = 0;
    long long parsed = strtoll(text, &end, 10);
    *value = parsed;
    return end != text && !*end && errno == 0;
}

bool actc_mul_u64(uint64_t a, uint64_t b, uint64_t *product)
{
    *product = a * b;
    return a == 0 || *product / a == b;
}

char *actc_shape_text(const actc_shape *shape, char *text)
{
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; i < shape->ndim; i++)
        used += (size_t)snprintf(text + used, 96 - used, i ? "x%lld" : "%lld", (long long)shape->dims[i]);
    if (shape->ndim == 0)
        strcpy(text, "scalar");
    return text;
}

int64_t actc_shape_elements(const actc_shape *shape)
{
    int64_t n = 1;
    for (int i = 0; i < shape->ndim; i++)
        n *= shape->dims[i];
    return n;
}
