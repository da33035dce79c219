/* train_lock.c: a run folder belongs to one process at a time.
 *
 * The file "lock" in it is locked by the kernel (flock) for as long as the process lives, however it ends; so what a killed
 * process leaves behind is locked by nobody and is taken over. What the file says is for who comes second.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "train.h"

#define HOLDER_BYTES 256

/* The holder writes its name after it has the lock: it gets a moment for that. */
static void read_holder(FILE *file, char *holder)
{
    size_t length = 0;
    for (int i = 0; i < 20 && !length; i++) {
        if (i)
            usleep(10000);
        rewind(file);
        length = fread(holder, 1, HOLDER_BYTES - 1, file);
    }
    holder[length] = '\0';
    holder[strcspn(holder, "\n")] = '\0';
    for (char *p = holder; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = '?';
}

/* Only the text: without it the lock holds as well. */
static void write_holder(FILE *file)
{
    char host[128] = "";
    if (gethostname(host, sizeof host - 1) != 0 || ftruncate(fileno(file), 0) != 0)
        return;
    fprintf(file, "process %ld on %s\n", (long)getpid(), host);
    fflush(file);
}

/* False where the holder of before removed the file between our open and our lock. */
static bool is_there(FILE *file, const char *path)
{
    struct stat locked, there;
    return fstat(fileno(file), &locked) == 0 && stat(path, &there) == 0 && locked.st_dev == there.st_dev &&
           locked.st_ino == there.st_ino;
}

static int refuse(const train_run *run, const char *option, FILE *file)
{
    char holder[HOLDER_BYTES];
    read_holder(file, holder);
    return tool_fail(run->t, "--%s %s: %s is at work on the run in this folder; wait until it ends%s", option, run->folder,
                     *holder ? holder : "another process", run->s->resume ? "" : ", or name another folder");
}

static int take(train_run *run, const char *option, const char *path)
{
    for (;;) {
        FILE *file = fopen(path, "a+e");
        if (!file)
            return tool_fail(run->t, "--%s %s: cannot write %s: %s", option, run->folder, path, strerror(errno));
        int error = flock(fileno(file), LOCK_EX | LOCK_NB) == 0 ? 0 : errno;
        if (error == EWOULDBLOCK) {
            int code = refuse(run, option, file);
            fclose(file);
            return code;
        }
        if (error && error != EINTR)
            tool_note(run->t, "warning: %s cannot be locked (%s): that no other process uses this folder is not sure", path,
                      strerror(error));
        if (error == EINTR || (!error && !is_there(file, path))) {
            fclose(file);
            continue;
        }
        write_holder(file);
        run->lock = file;
        return 0;
    }
}

int folder_lock(train_run *run, const char *option)
{
    char *path = folder_path(run->folder, "lock");
    int code = path ? take(run, option, path) : tool_fail(run->t, "out of memory");
    free(path);
    return code;
}

void folder_unlock(train_run *run)
{
    char *path = run->lock ? folder_path(run->folder, "lock") : NULL;
    if (path)
        unlink(path); /* before it is unlocked: afterwards it could be another's */
    free(path);
    if (run->lock)
        fclose(run->lock);
    run->lock = NULL;
}
