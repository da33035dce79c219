/* fork.c: which process this is.
 *
 * A forked child has what its parent made, but none of the parent's threads, and drivers do not survive in it. What holds
 * threads or a driver keeps the number of its process, and is refused where that is another's.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "util.h"

static atomic_uint forks;
static int watching; /* 0, or the error that registering gave */

static void count_fork(void)
{
    atomic_fetch_add(&forks, 1u);
}

static void watch(void)
{
    watching = pthread_atfork(NULL, NULL, count_fork);
}

bool actc_watch_forks(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    return pthread_once(&once, watch) == 0 && watching == 0;
}

uint32_t actc_process_number(void)
{
    return atomic_load(&forks);
}
