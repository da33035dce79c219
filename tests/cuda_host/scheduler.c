/* scheduler.c: fibers, barriers and warp operations of the host build of the CUDA kernels. See scheduler.h. */
#include "scheduler.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#if !defined(__x86_64__) || defined(ACTC_HOST_UCONTEXT)
#define USE_UCONTEXT 1
#include <ucontext.h>
#endif
#if defined(__SANITIZE_ADDRESS__)
#define USE_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define USE_ASAN 1
#endif
#endif
#ifdef USE_ASAN
#include <sanitizer/common_interface_defs.h>
#endif

#define STACK_BYTES (128u * 1024u) /* a fiber's stack; kernels keep little on it, sanitizers much more */
#define NO_THREAD UINT32_MAX

typedef enum wait_kind { RUNNING, WAIT_BLOCK, WAIT_WARP, ENDED } wait_kind;

typedef struct fiber {
    char *stack;     /* NULL: not made yet */
    uint32_t thread; /* that runs or waits on it; NO_THREAD: idle */
#ifdef USE_UCONTEXT
    ucontext_t context;
#else
    void *sp;
#endif
} fiber;

typedef struct thread_state {
    wait_kind wait;
    int line;
    uint32_t fiber;
    uint32_t exchanges;    /* of the warp, done so far: their parity picks the buffer */
    unsigned value, total; /* of a block count: given, and what came out */
} thread_state;

struct actc_host_dim actc_host_thread_index, actc_host_block_index, actc_host_block_dim, actc_host_grid_dim;

/* All of it belongs to the one launch that runs, under `lock`. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static fiber fibers[ACTC_HOST_MAX_THREADS];
static thread_state threads[ACTC_HOST_MAX_THREADS];
static uint64_t words[2][ACTC_HOST_MAX_THREADS]; /* what threads give to exchanges */
static uint32_t n_threads, started, current;     /* current: fiber */
static bool backwards;                           /* order of threads in this round */
static const actc_host_kernel *kernel;
static const void *kernel_params;
static void *const *kernel_views;
static const char *broken; /* rule that a kernel broke */

#ifdef USE_UCONTEXT
static ucontext_t scheduler_context;
#else
static void *scheduler_sp;
void actc_host_switch(void **save, void *load);
/* Saves what a function must preserve, changes stacks, restores. */
__asm__(".text\n"
        ".globl actc_host_switch\n"
        ".type actc_host_switch, @function\n"
        "actc_host_switch:\n"
        "    push %rbp\n    push %rbx\n    push %r12\n    push %r13\n    push %r14\n    push %r15\n"
        "    mov %rsp, (%rdi)\n"
        "    mov %rsi, %rsp\n"
        "    pop %r15\n    pop %r14\n    pop %r13\n    pop %r12\n    pop %rbx\n    pop %rbp\n"
        "    ret\n"
        ".size actc_host_switch, .-actc_host_switch\n");
#endif

#ifdef USE_ASAN
static const void *scheduler_stack;
static size_t scheduler_stack_bytes;
#endif

static void to_fiber(fiber *f)
{
#ifdef USE_ASAN
    void *fake = NULL;
    __sanitizer_start_switch_fiber(&fake, f->stack, STACK_BYTES);
#endif
#ifdef USE_UCONTEXT
    swapcontext(&scheduler_context, &f->context);
#else
    actc_host_switch(&scheduler_sp, f->sp);
#endif
#ifdef USE_ASAN
    __sanitizer_finish_switch_fiber(fake, NULL, NULL);
#endif
}

static void to_scheduler(fiber *f)
{
#ifdef USE_ASAN
    void *fake = NULL;
    __sanitizer_start_switch_fiber(&fake, scheduler_stack, scheduler_stack_bytes);
#endif
#ifdef USE_UCONTEXT
    swapcontext(&f->context, &scheduler_context);
#else
    actc_host_switch(&f->sp, scheduler_sp);
#endif
#ifdef USE_ASAN
    __sanitizer_finish_switch_fiber(fake, &scheduler_stack, &scheduler_stack_bytes);
#endif
}

static uint32_t in_order(uint32_t i)
{
    return backwards ? n_threads - 1 - i : i;
}

/* A fiber takes threads that have not begun, one after the other, until one of them waits on it. */
static void fiber_main(void)
{
#ifdef USE_ASAN
    __sanitizer_finish_switch_fiber(NULL, &scheduler_stack, &scheduler_stack_bytes);
#endif
    for (;;) {
        while (started < n_threads) {
            uint32_t thread = in_order(started++);
            fiber *f = &fibers[current];
            f->thread = thread;
            threads[thread].fiber = current;
            actc_host_thread_index.x = thread;
            kernel->entry(kernel_params, kernel_views);
            threads[thread].wait = ENDED;
        }
        fibers[current].thread = NO_THREAD;
        to_scheduler(&fibers[current]);
    }
}

static bool make_fiber(fiber *f)
{
    char *stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (stack == MAP_FAILED)
        return false;
    mprotect(stack, 4096, PROT_NONE); /* an overflow faults instead of reaching the next stack */
    f->stack = stack;
    f->thread = NO_THREAD;
#ifdef USE_UCONTEXT
    getcontext(&f->context);
    f->context.uc_stack.ss_sp = stack;
    f->context.uc_stack.ss_size = STACK_BYTES;
    f->context.uc_link = NULL;
    makecontext(&f->context, fiber_main, 0);
#else
    /* As actc_host_switch leaves a stack: six registers, then where to go; and the alignment of a function's entry. */
    void **top = (void **)(void *)(stack + STACK_BYTES) - 2;
    void (*entry)(void) = fiber_main;
    memcpy(top, &entry, sizeof entry);
    f->sp = top - 6;
#endif
    return true;
}

/* Waits on the current fiber until the scheduler lets the thread go on. */
static void wait_here(wait_kind kind, int line)
{
    fiber *f = &fibers[current];
    uint32_t thread = f->thread;
    threads[thread].wait = kind;
    threads[thread].line = line;
    to_scheduler(f);
}

void actc_host_block_wait(int line)
{
    wait_here(WAIT_BLOCK, line);
}

unsigned actc_host_block_count(unsigned value, int line)
{
    thread_state *t = &threads[fibers[current].thread];
    t->value = value != 0;
    wait_here(WAIT_BLOCK, line);
    return t->total;
}

const uint64_t *actc_host_warp_exchange(unsigned mask, uint64_t value, int line)
{
    uint32_t thread = fibers[current].thread, first = thread / ACTC_HOST_WARP * ACTC_HOST_WARP;
    thread_state *t = &threads[thread];
    unsigned parity = t->exchanges++ % 2;
    if (mask != 0xffffffffu)
        broken = "a warp operation is not over the full mask";
    words[parity][thread] = value;
    wait_here(WAIT_WARP, line);
    return &words[parity][first];
}

static void resume(uint32_t thread)
{
    threads[thread].wait = RUNNING;
    current = threads[thread].fiber;
    actc_host_thread_index.x = thread;
    to_fiber(&fibers[current]);
}

/* Whether threads [first, end) all wait as `kind` at one line; ended ones are left out unless `all`. */
static bool ready(uint32_t first, uint32_t end, wait_kind kind, bool all)
{
    int line = 0;
    bool any = false;
    for (uint32_t t = first; t < end; t++) {
        if (threads[t].wait == ENDED) {
            if (all)
                return false;
            continue;
        }
        if (threads[t].wait != kind)
            return false;
        if (any && threads[t].line != line) {
            broken = kind == WAIT_BLOCK ? "threads of a block wait at different barriers"
                                        : "threads of a warp are in different operations";
            return false;
        }
        line = threads[t].line;
        any = true;
    }
    return any;
}

/* Lets go on who may. False where nobody may. */
static bool round_of_block(void)
{
    bool go[ACTC_HOST_MAX_THREADS] = {false};
    bool any = false;
    backwards = !backwards;
    if (ready(0, n_threads, WAIT_BLOCK, false)) {
        unsigned total = 0;
        for (uint32_t t = 0; t < n_threads; t++) {
            go[t] = threads[t].wait == WAIT_BLOCK;
            total += threads[t].value;
            threads[t].value = 0;
        }
        for (uint32_t t = 0; t < n_threads; t++)
            threads[t].total = total;
        any = true;
    } else {
        for (uint32_t first = 0; first < n_threads && !broken; first += ACTC_HOST_WARP) {
            uint32_t end = first + ACTC_HOST_WARP < n_threads ? first + ACTC_HOST_WARP : n_threads;
            if (ready(first, end, WAIT_WARP, true)) {
                for (uint32_t t = first; t < end; t++)
                    go[t] = true;
                any = true;
            }
        }
    }
    if (broken || !any)
        return false;
    for (uint32_t i = 0; i < n_threads; i++) {
        if (go[in_order(i)])
            resume(in_order(i));
    }
    return true;
}

static uint32_t alive(void)
{
    uint32_t count = 0;
    for (uint32_t t = 0; t < n_threads; t++)
        count += threads[t].wait != ENDED;
    return count;
}

static bool run_block(void)
{
    started = 0;
    memset(threads, 0, n_threads * sizeof *threads);
    if (kernel->shared_begin)
        memset(kernel->shared_begin, 0xff, (size_t)(kernel->shared_end - kernel->shared_begin)); /* NaN */
    for (uint32_t i = 0; started < n_threads; i++) { /* at most a fiber a thread */
        if (!fibers[i].stack && !make_fiber(&fibers[i])) {
            broken = "out of memory for fibers";
            return false;
        }
        current = i;
        to_fiber(&fibers[i]);
    }
    while (!broken && alive()) {
        if (!round_of_block() && !broken)
            broken = "threads wait for each other in a way that never ends";
    }
    return !broken;
}

/* Fibers with threads of a broken launch on them hold what never ends: they are given up. */
static void drop_fibers(void)
{
    for (uint32_t i = 0; i < ACTC_HOST_MAX_THREADS; i++) {
        if (fibers[i].stack)
            munmap(fibers[i].stack, STACK_BYTES);
        memset(&fibers[i], 0, sizeof fibers[i]);
    }
}

bool actc_host_launch(const actc_host_kernel *kernel_, unsigned grid_x, unsigned grid_y, unsigned block_threads,
                      const void *params, void *const *views, char *reason, size_t reason_size)
{
    if (block_threads == 0 || block_threads > ACTC_HOST_MAX_THREADS || block_threads % ACTC_HOST_WARP != 0) {
        snprintf(reason, reason_size, "blocks of %u threads are not supported", block_threads);
        return false;
    }
    pthread_mutex_lock(&lock);
    kernel = kernel_;
    kernel_params = params;
    kernel_views = views;
    n_threads = block_threads;
    broken = NULL;
    actc_host_grid_dim = (struct actc_host_dim){grid_x, grid_y, 1};
    actc_host_block_dim = (struct actc_host_dim){block_threads, 1, 1};
    actc_host_thread_index = (struct actc_host_dim){0, 0, 0};
    bool good = true;
    /* Blocks in descending order: on a GPU no order can be relied on, and ascending is what a kernel would get used to. */
    for (unsigned y = grid_y; good && y-- > 0;) {
        for (unsigned x = grid_x; good && x-- > 0;) {
            actc_host_block_index = (struct actc_host_dim){x, y, 0};
            backwards = (x & 1u) != 0;
            good = run_block();
        }
    }
    if (!good) {
        snprintf(reason, reason_size, "%s: block %u,%u: %s", kernel->name, actc_host_block_index.x, actc_host_block_index.y,
                 broken);
        drop_fibers();
    }
    pthread_mutex_unlock(&lock);
    return good;
}
