/*
 * sample.h: the stacks of threads of this process, at the moment of the question.
 *
 * Whoever asks sends a real-time signal to each thread; its handler copies the return addresses of
 * the thread's stack, or of the fiber's that runs there, by frame pointers. Every thread that
 * qd_thread_start starts leaves that signal unblocked, and so does the main thread; a thread that
 * blocks it, as plugins start theirs, is not asked. Until somebody asks there is no handler and no
 * cost. Under gcc's and clang's thread sanitizer, which delays signals, a stack is the one of the
 * next call that the sanitizer sees.
 */
#ifndef QD_RUNTIME_STACK_SAMPLE_H
#define QD_RUNTIME_STACK_SAMPLE_H

#include <quidditch/types.h>
#include <stdbool.h>

#define QD_SAMPLE_FRAMES 64u

typedef struct qd_sample {
    int64_t thread;
    bool asks;                      /* it is the caller's own */
    bool idle;                      /* a worker that waits for work */
    uint32_t frames;                /* 0: the thread did not answer in time, or cannot be asked */
    uintptr_t at[QD_SAMPLE_FRAMES]; /* innermost first; the callers' are return addresses */
} qd_sample;

/* The number of the signal. */
int qd_sample_signal(void);
/* The calling thread's stack: frames up to and including `outermost` (__builtin_frame_address(0) of
 * a function that lives as long as the thread) and at most `bytes` below it are read. Once a
 * thread. */
void qd_sample_thread_begin(const void *outermost, size_t bytes);
/* Tells of the calling thread whether it waits for nothing in particular. [any] */
void qd_sample_idle(bool idle);
/* The function with that frame (__builtin_frame_address(0)) calls a library that calls back, and
 * needs much stack, as libuv's loop does; NULL: it has returned. [any] */
void qd_sample_calling(const void *frame);
/* Fills in the stacks of s[i].thread, except the caller's own. Waits some milliseconds for those
 * that do not answer. Callers take turns. [worker] */
void qd_samples_take(qd_sample *s, uint32_t n);

#endif
