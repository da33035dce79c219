/* driver.c: runs a fuzz target over files, and over the files of folders: the corpus as an ordinary test. */
#include <sys/stat.h>

#include "fuzz.h"

static int count;

static void run_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    struct stat info;
    if (!file || fstat(fileno(file), &info) != 0) {
        perror(path);
        exit(1);
    }
    /* exactly as long as the file, so that the address sanitizer sees reads beyond it */
    size_t size = (size_t)info.st_size;
    uint8_t *data = malloc(size ? size : 1);
    if (!data || fread(data, 1, size, file) != size) {
        perror(path);
        exit(1);
    }
    fclose(file);
    printf("%s: %zu bytes\n", path, size);
    fflush(stdout); /* the last line names the file that crashes */
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    count++;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        struct dirent **entries;
        int n = scandir(argv[i], &entries, NULL, alphasort);
        if (n < 0) {
            run_file(argv[i]);
            continue;
        }
        for (int k = 0; k < n; k++) {
            char path[1024];
            snprintf(path, sizeof path, "%s/%s", argv[i], entries[k]->d_name);
            if (entries[k]->d_name[0] != '.')
                run_file(path);
            free(entries[k]);
        }
        free(entries);
    }
    printf("%d inputs\n", count);
    if (!count)
        fprintf(stderr, "usage: %s FILE|FOLDER...; there was no input\n", argv[0]);
    return count ? 0 : 1;
}
