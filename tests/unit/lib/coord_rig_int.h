/* coord_rig_int.h: a rig and its nodes, for coord_rig*.c. */
#ifndef QD_TESTS_COORD_RIG_INT_H
#define QD_TESTS_COORD_RIG_INT_H

#include "unit/lib/coord_rig.h"
#include <pthread.h>
#include <quidditch/peers.h>
#include <stdatomic.h>

typedef struct node {
    rig *r;
    int i;
    void *data; /* the plugin's */
    const qd_coord_vtable *vt;
    qd_coord *store;
    char name[64], address[64], folder[128], copy[128];
    qd_peers_events events; /* of the open channel */
    bool open;
    bool ghost;                             /* its messages go nowhere */
    _Atomic int64_t mono_ahead, boot_ahead; /* of this machine's clocks */
    _Atomic int64_t looks, asleep_ms;       /* rig_suspend_at_look */
    _Atomic bool frozen;
    char *log;
    size_t log_n;
    bool inited;
} node;

typedef struct letter {
    struct letter *next;
    int from, to;
    int64_t at_us;
    size_t n;
    char bytes[];
} letter;

struct rig {
    int n;
    char base[64];
    node nodes[RIG_NODES];
    pthread_mutex_t lock; /* of all below, and of delivery */
    pthread_cond_t more;
    pthread_t post;
    letter *first, *last;
    size_t queued;
    bool cut[RIG_NODES][RIG_NODES], quit;
    uint32_t lose, delay_us;
    uint64_t random;
    int conform;
};

/* The node with this address; -1: none. */
int rig_find(rig *r, qd_str address);

#endif
