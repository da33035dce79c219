/* parallel.c: the one parallel loop of the CPU backend, over a pool of POSIX threads or over OpenMP.
 *
 * Invariants: every element of [0, count) is done once; where the ranges are cut depends on the thread count and must not
 * show in results; round to nearest and no flushing of subnormals in every thread while a body runs, the thread's own
 * modes restored after it.
 *
 * A loop is cut into several pieces a thread, which threads claim as they come: the caller never waits for a thread that
 * the system has not given a processor, only for pieces begun. An OpenMP region ends when its whole team has arrived,
 * which on a busy machine costs a time slice a region.
 */
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "cpu.h"

#if defined(__x86_64__) || defined(__i386__)
#include <xmmintrin.h>
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

/* Pieces of a loop: all `length` long but the last. */
typedef struct pieces {
    uint32_t count, length, total;
} pieces;

#define PIECES_A_THREAD 4u

static pieces cut(int threads, uint32_t total, uint32_t grain)
{
    uint32_t most = threads <= 1 ? 1u : (uint32_t)threads * PIECES_A_THREAD;
    uint32_t length = total / most + (total % most != 0);
    length = length < grain ? grain : length;
    length = length < 1 ? 1 : length;
    return (pieces){total / length + (total % length != 0), length, total};
}

static void run_piece(const pieces *p, uint32_t i, actc_parallel_body body, void *user, int thread)
{
    uint32_t begin = i * p->length;
    body(user, begin, p->total - begin < p->length ? p->total : begin + p->length, thread);
}

/* All of it in the calling thread: too little for two, or the pool is another's. */
static void run_alone(uint32_t total, actc_parallel_body body, void *user)
{
    if (!total)
        return;
    ACTC_OWN_MODES;
    body(user, 0, total, 0);
}

#ifdef ACTC_USE_OPENMP
#include <omp.h>
#include <stdatomic.h>

/* GNU's runtime does not know that a forked child has not its parent's team, and waits for it: such a child works alone. */
static bool team_is_ours(void)
{
    static atomic_uint owner; /* the process that began the first region, counted from 1 */
    unsigned none = 0, process = actc_process_number() + 1;
    return atomic_compare_exchange_strong(&owner, &none, process) || none == process;
}

void actc_parallel_for(int threads, uint32_t total, uint32_t grain, actc_parallel_body body, void *user)
{
    const pieces p = cut(threads, total, grain);
    if (p.count <= 1 || !team_is_ours()) {
        run_alone(total, body, user);
        return;
    }
#pragma omp parallel num_threads(threads)
    {
        ACTC_OWN_MODES;
#pragma omp for schedule(dynamic, 1) nowait
        for (uint32_t i = 0; i < p.count; i++)
            run_piece(&p, i, body, user, omp_get_thread_num());
    }
}

const char *actc_parallel_name(void)
{
    return "OpenMP";
}
#else
#include <pthread.h>
#include <stdatomic.h>

/* How long a thread looks for work, or for the end of it, before it sleeps: some 20 to 50 us, about what waking up costs.
 * In a step loops follow each other faster than that. */
#define SPINS 1000

/* `state` of the loop at hand: the number of loops begun, whether it may still be joined, and how many threads have
 * joined. A thread that comes after the loop was closed stays out of it, so the caller waits for those inside only. */
#define STATE_OPEN 0x80000000u
#define STATE_JOINED 0x7fffffffu
#define STATE_LOOP(s) ((uint32_t)((s) >> 32))

/* One pool a process. It serves one loop at a time; a caller that finds it busy (another context on another thread) runs
 * its loop alone, which changes no result. Threads are made when first asked for and joined at exit. */
static struct {
    pthread_mutex_t user; /* held by the caller whose loop runs */
    pthread_t threads[ACTC_MAX_THREADS];
    int n_threads;
    bool registered;
    /* The loop, published by opening `state`. */
    pieces pieces;
    int helpers; /* threads of the pool that may join */
    actc_parallel_body body;
    void *body_user;
    atomic_uint next; /* piece */
    _Atomic uint64_t state;
    /* Sleeping. */
    pthread_mutex_t lock;
    pthread_cond_t work, done;
    atomic_int sleepers;
    atomic_bool waiting, stop;
} pool = {.user = PTHREAD_MUTEX_INITIALIZER,
          .lock = PTHREAD_MUTEX_INITIALIZER,
          .work = PTHREAD_COND_INITIALIZER,
          .done = PTHREAD_COND_INITIALIZER};

static inline void pause_briefly(void)
{
#if defined(__x86_64__) || defined(__i386__)
    _mm_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void claim_pieces(int thread)
{
    const pieces p = pool.pieces;
    actc_parallel_body body = pool.body;
    void *user = pool.body_user;
    ACTC_OWN_MODES;
    for (uint32_t i; (i = atomic_fetch_add_explicit(&pool.next, 1, memory_order_relaxed)) < p.count;)
        run_piece(&p, i, body, user, thread);
}

/* Enters the loop at hand where it is open and not the one numbered `seen`; *seen becomes its number. */
static bool join_loop(uint32_t *seen)
{
    uint64_t state = atomic_load(&pool.state);
    while (STATE_LOOP(state) != *seen && (state & STATE_OPEN))
        if (atomic_compare_exchange_weak(&pool.state, &state, state + 1)) {
            *seen = STATE_LOOP(state);
            return true;
        }
    return false;
}

static void leave_loop(void)
{
    uint64_t before = atomic_fetch_sub(&pool.state, 1);
    if ((before & STATE_JOINED) == 1 && !(before & STATE_OPEN) && atomic_load(&pool.waiting)) {
        pthread_mutex_lock(&pool.lock);
        pthread_cond_signal(&pool.done);
        pthread_mutex_unlock(&pool.lock);
    }
}

static bool something_new(uint32_t seen)
{
    uint64_t state = atomic_load(&pool.state);
    return atomic_load(&pool.stop) || (STATE_LOOP(state) != seen && (state & STATE_OPEN));
}

static void *worker(void *argument)
{
    int thread = (int)(intptr_t)argument; /* 1 and up: the caller is 0 */
    uint32_t seen = 0;
    while (!atomic_load(&pool.stop)) {
        for (int i = 0; i < SPINS && !something_new(seen); i++)
            pause_briefly();
        if (!something_new(seen)) {
            /* The caller opens a loop and then looks for sleepers; here it is the other way round, so one sees the other. */
            pthread_mutex_lock(&pool.lock);
            atomic_fetch_add(&pool.sleepers, 1);
            while (!something_new(seen))
                pthread_cond_wait(&pool.work, &pool.lock);
            atomic_fetch_sub(&pool.sleepers, 1);
            pthread_mutex_unlock(&pool.lock);
        }
        if (!join_loop(&seen))
            continue;
        if (thread <= pool.helpers)
            claim_pieces(thread);
        leave_loop();
    }
    return NULL;
}

/* In a forked child the threads are gone. */
static void forget_threads(void)
{
    pthread_mutex_init(&pool.user, NULL);
    pthread_mutex_init(&pool.lock, NULL);
    pthread_cond_init(&pool.work, NULL);
    pthread_cond_init(&pool.done, NULL);
    atomic_store(&pool.sleepers, 0);
    atomic_store(&pool.state, 0);
    atomic_store(&pool.waiting, false);
    pool.n_threads = 0;
}

__attribute__((destructor)) static void stop_threads(void)
{
    pthread_mutex_lock(&pool.lock);
    atomic_store(&pool.stop, true);
    pthread_cond_broadcast(&pool.work);
    pthread_mutex_unlock(&pool.lock);
    for (int i = 0; i < pool.n_threads; i++)
        pthread_join(pool.threads[i], NULL);
    pool.n_threads = 0;
}

/* Makes the pool `count` threads large where it can. The signals of the embedding program stay with its own threads. */
static void grow_pool(int count)
{
    if (!pool.registered)
        pool.registered = pthread_atfork(NULL, NULL, forget_threads) == 0;
    if (!pool.registered)
        return; /* a child would wait for threads that it has not */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (pool.n_threads < count && pool.n_threads < ACTC_MAX_THREADS &&
           pthread_create(&pool.threads[pool.n_threads], NULL, worker, (void *)(intptr_t)(pool.n_threads + 1)) == 0)
        pool.n_threads++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* Until every thread inside the closed loop has left it. */
static void wait_for_threads(void)
{
    for (int i = 0; i < SPINS; i++) {
        if (!(atomic_load(&pool.state) & STATE_JOINED))
            return;
        pause_briefly();
    }
    pthread_mutex_lock(&pool.lock);
    atomic_store(&pool.waiting, true);
    while (atomic_load(&pool.state) & STATE_JOINED)
        pthread_cond_wait(&pool.done, &pool.lock);
    atomic_store(&pool.waiting, false);
    pthread_mutex_unlock(&pool.lock);
}

void actc_parallel_for(int threads, uint32_t total, uint32_t grain, actc_parallel_body body, void *user)
{
    const pieces p = cut(threads, total, grain);
    if (p.count <= 1 || pthread_mutex_trylock(&pool.user) != 0) {
        run_alone(total, body, user);
        return;
    }
    int helpers = (uint32_t)threads < p.count ? threads - 1 : (int)p.count - 1;
    if (pool.n_threads < helpers)
        grow_pool(helpers);
    pool.pieces = p;
    pool.helpers = helpers;
    pool.body = body;
    pool.body_user = user;
    atomic_store_explicit(&pool.next, 0, memory_order_relaxed);
    uint32_t loop = STATE_LOOP(atomic_load(&pool.state)) + 1;
    atomic_store(&pool.state, (uint64_t)(loop ? loop : 1) << 32 | STATE_OPEN);
    if (atomic_load(&pool.sleepers) > 0) {
        pthread_mutex_lock(&pool.lock);
        pthread_cond_broadcast(&pool.work);
        pthread_mutex_unlock(&pool.lock);
    }
    claim_pieces(0);
    atomic_fetch_and(&pool.state, ~(uint64_t)STATE_OPEN);
    wait_for_threads();
    pthread_mutex_unlock(&pool.user);
}

const char *actc_parallel_name(void)
{
    return "POSIX threads";
}
#endif
