/* parallel.c: the one parallel loop of the CPU backend, over OpenMP or over a pool of POSIX threads.
 *
 * OpenMP is the default since oneDNN runs on the same team of threads. The pool exists for thread sanitizers, which do
 * not see into libgomp, and for compilers without OpenMP. Invariants: every element of [0, count) is done once; where
 * the ranges are cut depends on the thread count and must not show in results; round to nearest and no flushing of
 * subnormals in every thread while a body runs, the thread's own modes restored after it.
 */
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "cpu.h"

#if defined(__x86_64__) || defined(__i386__)
#include <xmmintrin.h>
#define ACTC_MXCSR_DEFAULT 0x1f80u /* round to nearest, exceptions masked, flags clear, FTZ and DAZ off */
unsigned actc_cpu_enter(void)
{
    unsigned saved = _mm_getcsr();
    _mm_setcsr(ACTC_MXCSR_DEFAULT);
    return saved;
}

void actc_cpu_leave(unsigned saved)
{
    _mm_setcsr(saved);
}
#elif defined(__aarch64__)
unsigned actc_cpu_enter(void)
{
    uint64_t saved, zero = 0;
    __asm__ volatile("mrs %0, fpcr" : "=r"(saved));
    __asm__ volatile("msr fpcr, %0" : : "r"(zero));
    return (unsigned)saved;
}

void actc_cpu_leave(unsigned saved)
{
    uint64_t value = saved;
    __asm__ volatile("msr fpcr, %0" : : "r"(value));
}
#else
#include <fenv.h>
unsigned actc_cpu_enter(void)
{
    int saved = fegetround();
    fesetround(FE_TONEAREST);
    return (unsigned)saved;
}

void actc_cpu_leave(unsigned saved)
{
    fesetround((int)saved);
}
#endif

int actc_parallel_default_threads(void)
{
    /* The mask may be larger than cpu_set_t: the kernel then answers EINVAL and a larger one is tried. */
    for (int cpus = 1024; cpus <= 1 << 18; cpus *= 4) {
        cpu_set_t *set = CPU_ALLOC((size_t)cpus);
        if (!set)
            break;
        size_t bytes = CPU_ALLOC_SIZE((size_t)cpus);
        int count = sched_getaffinity(0, bytes, set) == 0 ? CPU_COUNT_S(bytes, set) : 0;
        CPU_FREE(set);
        if (count > 0)
            return count < ACTC_MAX_THREADS ? count : ACTC_MAX_THREADS;
    }
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online < 1 ? 1 : online < ACTC_MAX_THREADS ? (int)online : ACTC_MAX_THREADS;
}

static void run_range(actc_parallel_body body, void *user, uint32_t begin, uint32_t end, int thread)
{
    unsigned saved = actc_cpu_enter();
    body(user, begin, end, thread);
    actc_cpu_leave(saved);
}

/* Number of ranges, and in *length how long each but the last is. */
static int cut(int threads, uint32_t count, uint32_t grain, uint32_t *length)
{
    uint32_t most = threads < 1 ? 1u : (uint32_t)threads;
    uint32_t each = count / most + (count % most != 0);
    if (each < grain)
        each = grain;
    if (each == 0)
        each = 1;
    *length = each;
    return (int)(count / each + (count % each != 0));
}

#ifdef ACTC_USE_OPENMP
#include <omp.h>

void actc_parallel_for(int threads, uint32_t count, uint32_t grain, actc_parallel_body body, void *user)
{
    uint32_t length;
    int ranges = cut(threads, count, grain, &length);
    if (ranges <= 1) {
        if (count)
            run_range(body, user, 0, count, 0);
        return;
    }
#pragma omp parallel num_threads(ranges)
    {
        /* Inside somebody else's parallel region the team may be smaller than asked for. */
        for (int i = omp_get_thread_num(); i < ranges; i += omp_get_num_threads()) {
            uint32_t begin = (uint32_t)i * length;
            run_range(body, user, begin, count - begin < length ? count : begin + length, omp_get_thread_num());
        }
    }
}

void actc_parallel_modes_enter(int threads, unsigned *saved)
{
#pragma omp parallel num_threads(threads)
    saved[omp_get_thread_num()] = actc_cpu_enter();
}

void actc_parallel_modes_leave(int threads, const unsigned *saved)
{
#pragma omp parallel num_threads(threads)
    actc_cpu_leave(saved[omp_get_thread_num()]);
}

const char *actc_parallel_name(void)
{
    return "OpenMP";
}
#else
#include <pthread.h>

/* One pool a process. It serves one loop at a time; a caller that finds it busy (another context on another thread)
 * does all ranges itself, which changes no result. Threads are made when first asked for and joined at exit. */
static struct {
    pthread_mutex_t user;  /* held by the caller whose loop runs */
    pthread_mutex_t lock;  /* guards what follows */
    pthread_cond_t work, done;
    pthread_t threads[ACTC_MAX_THREADS];
    int n_threads;
    uint64_t generation;
    int ranges, finished;
    bool stop;
    actc_parallel_body body;
    void *body_user;
    uint32_t count, length;
} pool = {.user = PTHREAD_MUTEX_INITIALIZER,
          .lock = PTHREAD_MUTEX_INITIALIZER,
          .work = PTHREAD_COND_INITIALIZER,
          .done = PTHREAD_COND_INITIALIZER};

static void *worker(void *argument)
{
    int index = (int)(intptr_t)argument; /* range index + 1 is this thread's: the caller is 0 */
    uint64_t seen = 0;
    pthread_mutex_lock(&pool.lock);
    for (;;) {
        while (!pool.stop && (pool.generation == seen || index + 1 >= pool.ranges)) {
            seen = pool.generation;
            pthread_cond_wait(&pool.work, &pool.lock);
        }
        if (pool.stop)
            break;
        seen = pool.generation;
        actc_parallel_body body = pool.body;
        void *user = pool.body_user;
        uint32_t count = pool.count, length = pool.length, begin = (uint32_t)(index + 1) * length;
        pthread_mutex_unlock(&pool.lock);
        run_range(body, user, begin, count - begin < length ? count : begin + length, index + 1);
        pthread_mutex_lock(&pool.lock);
        if (++pool.finished == pool.ranges - 1)
            pthread_cond_signal(&pool.done);
    }
    pthread_mutex_unlock(&pool.lock);
    return NULL;
}

/* In a forked child the threads are gone. */
static void forget_threads(void)
{
    pthread_mutex_init(&pool.user, NULL);
    pthread_mutex_init(&pool.lock, NULL);
    pthread_cond_init(&pool.work, NULL);
    pthread_cond_init(&pool.done, NULL);
    pool.n_threads = 0;
}

__attribute__((destructor)) static void stop_threads(void)
{
    pthread_mutex_lock(&pool.lock);
    pool.stop = true;
    pthread_cond_broadcast(&pool.work);
    pthread_mutex_unlock(&pool.lock);
    for (int i = 0; i < pool.n_threads; i++)
        pthread_join(pool.threads[i], NULL);
    pool.n_threads = 0;
}

void actc_parallel_for(int threads, uint32_t count, uint32_t grain, actc_parallel_body body, void *user)
{
    uint32_t length;
    int ranges = cut(threads < ACTC_MAX_THREADS ? threads : ACTC_MAX_THREADS, count, grain, &length);
    if (ranges <= 1 || pthread_mutex_trylock(&pool.user) != 0) {
        for (int i = 0; i < ranges; i++) {
            uint32_t begin = (uint32_t)i * length;
            run_range(body, user, begin, count - begin < length ? count : begin + length, 0);
        }
        return;
    }
    static bool registered;
    if (!registered)
        registered = pthread_atfork(NULL, NULL, forget_threads) == 0;
    pthread_mutex_lock(&pool.lock);
    while (pool.n_threads < ranges - 1 &&
           pthread_create(&pool.threads[pool.n_threads], NULL, worker, (void *)(intptr_t)pool.n_threads) == 0)
        pool.n_threads++;
    int shared = pool.n_threads + 1 < ranges ? pool.n_threads + 1 : ranges;
    pool.body = body;
    pool.body_user = user;
    pool.count = count;
    pool.length = length;
    pool.ranges = shared;
    pool.finished = 0;
    pool.generation++;
    pthread_cond_broadcast(&pool.work);
    pthread_mutex_unlock(&pool.lock);
    run_range(body, user, 0, count < length ? count : length, 0);
    /* Ranges beyond the threads that could be made are the caller's. */
    for (int i = shared; i < ranges; i++) {
        uint32_t begin = (uint32_t)i * length;
        run_range(body, user, begin, count - begin < length ? count : begin + length, 0);
    }
    pthread_mutex_lock(&pool.lock);
    while (pool.finished < pool.ranges - 1)
        pthread_cond_wait(&pool.done, &pool.lock);
    pool.ranges = 0;
    pthread_mutex_unlock(&pool.lock);
    pthread_mutex_unlock(&pool.user);
}

void actc_parallel_modes_enter(int threads, unsigned *saved)
{
    (void)threads;
    (void)saved;
}

void actc_parallel_modes_leave(int threads, const unsigned *saved)
{
    (void)threads;
    (void)saved;
}

const char *actc_parallel_name(void)
{
    return "POSIX threads";
}
#endif
