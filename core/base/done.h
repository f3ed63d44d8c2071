/*
 * done.h: what a function answers that may find the work not its own: one of these, or a negative
 * QD_E_ code. A caller tries the next way when the answer is QD_DECLINED.
 */
#ifndef QD_BASE_DONE_H
#define QD_BASE_DONE_H

enum {
    QD_DECLINED = 0, /* nothing was done: not its own, or not worth it */
    QD_DONE = 1,     /* it did the work */
};

/* The answer of who did the work, if `rc` is 0; else `rc`. */
static inline int qd_done(int rc)
{
    return rc ? rc : QD_DONE;
}

#endif
