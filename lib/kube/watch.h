/*
 * watch.h: the changes of one object, or of a collection, from a resourceVersion on, for as long as
 * the owner wants.
 *
 * The watch reconnects by itself, from the last resourceVersion it has seen (bookmarks included),
 * with back-off and jitter; each connection is asked to end after 5 to 10 minutes, and is given up
 * when it has not by then. When the server no longer knows that version (410 Gone, as an answer or
 * as an event) it calls relist and rests: the owner reads the collection anew and calls
 * kube_watch_resume with the version of that reading. Events may come twice and, after another
 * server answered, from the past: the owner drops what it knows.
 */
#ifndef KUBE_WATCH_H
#define KUBE_WATCH_H

#include "client.h"

enum { KUBE_ADDED = 1, KUBE_MODIFIED = 2, KUBE_DELETED = 3, KUBE_BOOKMARK = 4 };

/* Lines out of chunks, whatever they are split at. */
typedef struct kube_lines {
    const kube_env *env;
    char *p;
    size_t n, cap, max;
    /* A line without its newline; borrow. Non-zero ends kube_lines_feed with it. */
    int32_t (*line)(void *arg, qd_str line);
    void *arg;
} kube_lines;
/* Feeds bytes. 0, QD_E_NOMEM, QD_E_TOO_LARGE (a line over max), or what line returned. */
int32_t kube_lines_feed(kube_lines *l, qd_str bytes);
/* Forgets a line begun and frees. */
void kube_lines_clear(kube_lines *l);

typedef struct kube_watch {
    /* Set by the owner, the rest zeroed; texts are borrowed until kube_watch_stop. */
    const char *group, *version, *ns, *plural; /* as kube_path */
    const char *name;                          /* of the one object (by fieldSelector); NULL: all */
    const char *labels;                        /* selector, not encoded; NULL: none */
    /* object: borrow. Of KUBE_DELETED it is the last state; of KUBE_BOOKMARK only its version is
     * told. */
    void (*event)(struct kube_watch *, int32_t type, json_t *object);
    /* The history since resource_version is gone; rests until kube_watch_resume, which may be
     * called from inside. */
    void (*relist)(struct kube_watch *);
    /* 1: the server accepted the watch; 0: the connection ended, result tells how. May be NULL. */
    void (*connected)(struct kube_watch *, int32_t yes);
    void *user;
    int64_t first_wait_ns, max_wait_ns; /* back-off; 0: 0.25 s, 10 s */
    int64_t idle_ns;                    /* without a byte for so long it reconnects; 0: 120 s */

    char resource_version[KUBE_VERSION_MAX]; /* the last one seen */
    kube_result result;                      /* how the last connection ended; no object */
    uint32_t failures;                       /* since a connection last brought something */

    /* The watch's own. */
    kube_client *client;
    kube_exchange exchange;
    kube_lines lines;
    kube_timer timer;
    char path[KUBE_PATH_MAX], target[KUBE_PATH_MAX + 256];
    int64_t opened_ns;
    int32_t state, gone, inside, open_told;
} kube_watch;

/* Begins behind a resourceVersion as a GET or list told it. 0, or QD_E_ARG (no version, a path too
 * long), QD_E_STATE (it runs, or this is one of its callbacks). */
int32_t kube_watch_start(kube_client *c, kube_watch *w, const char *resource_version);
/* Goes on after relist. 0 or QD_E_ARG. */
int32_t kube_watch_resume(kube_watch *w, const char *resource_version);
/* Ends it: no callback comes any more. Fine from inside its callbacks (the memory then stays until
 * that callback has returned), and when it does not run. */
void kube_watch_stop(kube_watch *w);

#endif
