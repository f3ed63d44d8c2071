/*
 * list.h: a collection in pages of one consistent moment.
 *
 * Pages are fetched one after the other (limit and continue). When the server has forgotten the
 * moment in the middle (410 Gone) the list begins again from the first page, at most 5 times, and
 * the owner is told to forget what it was given. Pages are repeated like every read.
 */
#ifndef KUBE_LIST_H
#define KUBE_LIST_H

#include "client.h"

typedef struct kube_list {
    /* Set by the owner, the rest zeroed; texts are borrowed until done or kube_list_cancel. */
    const char *group, *version, *ns, *plural; /* as kube_path */
    const char *labels, *fields;               /* selectors, not encoded; NULL: none */
    uint32_t limit;                            /* of a page; 0: 500 */
    int64_t timeout_ns;                        /* of each page; 0: 30 s */
    /* items: array, borrow. Return 0, or a negative code that ends the list. */
    int32_t (*page)(struct kube_list *, json_t *items);
    void (*again)(struct kube_list *); /* what came so far is void; may be NULL */
    void (*done)(struct kube_list *);
    void *user;

    /* Set when done is called. */
    int32_t rc; /* 0: whole; QD_E_CANCELLED...: what page returned; QD_E_TIMEOUT, QD_E_IO,
                   QD_E_SECURITY (401, 403), QD_E_NOTFOUND, QD_E_LIMIT (began again too often),
                   QD_E_NOMEM; the rest of it in request.result */
    char resource_version[KUBE_VERSION_MAX]; /* of the moment: a watch begins here */
    uint64_t items;                          /* given in all, of the last beginning */

    /* The list's own; request.result tells the last page's. */
    kube_request request;
    kube_client *client;
    char *next, *path; /* the continue token; the page's path */
    uint32_t page_limit;
    uint32_t restarts;
    int32_t running;
} kube_list;

/* 0: done comes exactly once, never from inside. Else as kube_send. */
int32_t kube_list_start(kube_client *c, kube_list *l);
/* Ends it; done does not come. Fine when it does not run. */
void kube_list_cancel(kube_list *l);

#endif
