/*
 * frontend.c: the contract of the frontend kind as tests: it opens, has an address, drains and
 * closes, and may do so again. What it says on the wire is its own. Options go to open as they are.
 */
#include "suite.h"
#include <pthread.h>

typedef struct waiting {
    pthread_mutex_t m;
    pthread_cond_t c;
    int done;
} waiting;

static void ended(void *arg)
{
    waiting *w = arg;
    pthread_mutex_lock(&w->m);
    w->done++;
    pthread_cond_signal(&w->c);
    pthread_mutex_unlock(&w->m);
}

static void wait_for(waiting *w)
{
    pthread_mutex_lock(&w->m);
    while (!w->done) pthread_cond_wait(&w->c, &w->m);
    pthread_mutex_unlock(&w->m);
}

static void opens_and_closes(qd_conform *c, const qd_frontend_vtable *vt)
{
    for (int i = 0; i < 3; i++) {
        waiting drained = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0};
        waiting closed = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0};
        qd_frontend_config config = {.struct_size = sizeof config,
                                     .noptions = c->noptions,
                                     .name = S("conformance"),
                                     .options = c->options};
        qd_frontend *f;
        CHECK_EQ(c, vt->open(c->self, &config, &f, c->err), 0);
        CHECK(c, vt->address(f).n > 0);
        vt->drain(f, ended, &drained);
        wait_for(&drained);
        vt->close(f, ended, &closed);
        wait_for(&closed);
        CHECK(c, drained.done == 1 && closed.done == 1);
    }
}

void qd_conform_frontend(qd_conform *c, const char *name, const qd_frontend_vtable *vt)
{
    (void)name;
    RUN(c, "it opens, drains and closes, three times", opens_and_closes(c, vt));
}
