/*
 * store.h: an open store: what the files of the shell share. The shell is everything around the
 * machine: requests from any thread, the loop and its thread, sessions' deadlines by this leader's
 * clock, watches, the engine and the rows.
 *
 * Threads. Slots of the kind put requests into the inbox under `lock` and wake the loop; all else
 * happens on the loop's thread (open, before that thread is there, on the caller's). Requests are
 * linked through the four words that the kind's structs have for the plugin: a node.
 */
#ifndef COORDINATION_RAFT_STORE_H
#define COORDINATION_RAFT_STORE_H

#include "consensus.h"
#include "entry.h"
#include "machine.h"
#include "rows.h"
#include <pthread.h>

/* What init fetched; one for each node of the process. */
typedef struct cr_plugin {
    qd_self *self;
    cr_heap heap;
    const qd_svc_log *log;
    const qd_svc_err *err;
    const qd_svc_conf *conf;
    const qd_svc_clock *clock;
    const qd_svc_rand *rand;
    const qd_svc_loop *loop;
} cr_plugin;

/* Kinds of requests, and what they wait for. */
enum {
    CR_RANGE,
    CR_TXN_REQUEST,
    CR_SESSION_REQUEST,
    CR_ELECTION_REQUEST,
    CR_MEMBERS,
    CR_AUTHORITY_REQUEST,
    CR_EXPORT,
    CR_IMPORT_REQUEST
};
enum { CR_QUEUED, CR_PROPOSED, CR_WAITING };
typedef struct cr_node {
    struct cr_node *next, *previous;
    uint32_t kind, state;
    uint64_t number; /* of a candidate */
} cr_node;
_Static_assert(sizeof(cr_node) <= 4 * sizeof(void *), "room in the requests");

/* A list of nodes. */
typedef struct cr_nodes {
    cr_node *first, *last;
} cr_nodes;

/* An entry under way: whose each of its commands is; NULL: the store's own. */
typedef struct cr_batch {
    cr_proposal proposal;
    struct qd_coord *store;
    uint64_t id;
    uint32_t n;
    cr_node *nodes[CR_ENTRY_COMMANDS];
} cr_batch;

/* When a session ends unless it is renewed. */
typedef struct cr_deadline {
    uint64_t session;
    int64_t at_ns;
    int ending; /* its end is in the log */
} cr_deadline;

struct qd_coord_watch {
    const cr_heap *heap;
    pthread_mutex_t lock; /* of store */
    qd_coord *store;      /* NULL: it is closed */
    qd_coord_watch *next; /* in the store's list, or among those coming or going */
    uint32_t flags;
    qd_str key, end;
    uint64_t from; /* next revision to tell */
    int ended, closing, is_new;
    void (*events)(void *arg, const qd_coord_event *events, uint32_t n, uint64_t revision,
                   int32_t rc);
    void *arg;
    void (*done)(void *arg);
    void *done_arg;
};

struct qd_coord_result {
    const cr_heap *heap;
    uint32_t nitems;
    cr_item **items;
};

struct qd_coord {
    cr_plugin *plugin;
    const cr_heap *heap;
    char path[3800];
    int bootstrap;
    uint64_t raft_id; /* and identity as an election's owner: incarnation */
    uint64_t incarnation, last_number, last_batch;
    uint8_t cluster[16];
    int formed; /* the node file is there */
    int young;  /* it was formed by this process: its reserve waits until the node has started */
    qd_str node_id, node_name, publish;
    uint32_t election_ms, heartbeat_ms, snapshot_entries;
    uint64_t reserve_bytes, history_bytes;
    int64_t history_max;
    int lock_fd, reserve_there, has_loop;
    int64_t space_checked_ns;
    uint64_t since_snapshot; /* bytes of entries */
    uv_loop_t loop;
    uv_async_t wake;
    uv_timer_t timer;
    uv_prepare_t after; /* a turn after entries were applied */
    pthread_t thread;

    pthread_mutex_t lock;
    cr_nodes inbox;
    uint32_t live, updates; /* requests not ended, and those among them that change something */
    size_t bytes;           /* of updates */
    qd_op **cancels;
    size_t ncancels, cancels_cap;
    qd_coord_watch *watches_in, *watches_out;
    uint64_t compact;
    qd_coord_identity identity;
    void (*closed)(void *arg);
    void *closed_arg;
    int closing, awake;

    /* the loop's */
    cr_machine *machine;
    cr_consensus *consensus;
    cr_rows *rows;
    uint64_t applied; /* index of the log */
    uint64_t rows_applied, replayed;
    cr_nodes pending; /* all that the loop knows and has not ended, in order of arrival */
    qd_coord_watch *watches;
    cr_deadline *deadlines; /* by session */
    size_t ndeadlines, deadlines_cap;
    int ready, failed, ending, dirty;
    int32_t fail_code; /* what requests are told then */
    char fail_reason[4400];
    int64_t not_ready_ns; /* since when it has no leader */
    int64_t ready_ns;     /* since when it has one */
    cr_writer writer;
    cr_batch *batch; /* being written */
    cr_proposal leading;
};

enum { CR_HISTORY_MIN = 65536 };
enum { CR_LIVE_MAX = 8192, CR_UPDATES_MAX = 1024, CR_UPDATE_BYTES_MAX = 96 << 20 };

/* --- store.c --- */
/* The first member of every request is its op. */
qd_op *cr_op_of(cr_node *n);
/* Bytes that a request brings to the log; 0: it changes nothing. */
size_t cr_weight(const cr_node *n);
/* Opens folder and rows, starts the thread, which opens the log. */
int32_t cr_store_open(qd_coord *c, qd_err *err);
/* Frees what open made; the thread is not there, or ends. */
void cr_store_free(qd_coord *c);
/* Ends a request. reason may be NULL. */
void cr_end(qd_coord *c, cr_node *n, int32_t rc, const char *reason);
/* Shows what identity answers. */
void cr_identity_update(qd_coord *c);
/* Renews, drops, makes deadlines after the sessions changed; anew: all begin again. */
void cr_deadlines_update(qd_coord *c, int anew);
/* Writes a log line. [any] */
void cr_say(qd_coord *c, int32_t level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* --- propose.c: from requests to entries and back --- */
/* The writer stands in an open entry with room for one more command. */
cr_writer *cr_command(qd_coord *c, uint8_t type);
/* Ends the command; node: whose it is, NULL: the store's own. */
void cr_command_done(qd_coord *c, cr_node *node);
/* Proposes what was written. */
void cr_flush(qd_coord *c);
/* 0 when there is room on the disk, else QD_E_NOSPACE. */
int32_t cr_space(qd_coord *c);
/* Writes a request's command. */
void cr_submit(qd_coord *c, cr_node *n);
/* Callbacks of the engine. */
int32_t cr_on_apply(void *arg, uint64_t index, const uint8_t *entry, size_t n);

/* --- read.c: what needs no entry --- */
void cr_do_range(qd_coord *c, cr_node *n);
void cr_do_members(qd_coord *c, cr_node *n);
void cr_do_leader(qd_coord *c, cr_node *n);
void cr_do_export(qd_coord *c, cr_node *n);
void cr_do_check(qd_coord *c, cr_node *n);
void cr_result_free(qd_coord *c, qd_coord_result *r);

/* --- watch.c --- */
int32_t cr_watch_open(qd_coord *c, const qd_coord_watch_config *config, qd_coord_watch **out,
                      qd_err *err);
void cr_watch_close(qd_coord_watch *w, void (*done)(void *arg), void *arg);
/* Takes in new ones, tells all what they lack, lets closed ones go. */
void cr_watches_turn(qd_coord *c);
/* The store ends: last calls; handles live on until they are closed. */
void cr_watches_end(qd_coord *c);

/* --- folder.c --- */
/* Makes and locks the folder, reads or makes the node's file. */
int32_t cr_folder_open(qd_coord *c, qd_err *err);
#define CR_YOUNG_NS 1000000000 /* forming a node's reserve would delay its first start */

/* Writes the node's file: the store is formed. 0 or a negative code. */
int32_t cr_folder_formed(qd_coord *c);
void cr_folder_close(qd_coord *c);
/* Free bytes of the file system; UINT64_MAX when unknown. */
uint64_t cr_folder_free(qd_coord *c);
/* Gives the reserve's blocks up, or lays them in again. */
void cr_reserve_spend(qd_coord *c);
void cr_reserve_fill(qd_coord *c);

/* --- slots.c: entry points of the kind --- */
extern const qd_coord_vtable cr_vtable;

/* --- plugin.c --- */
cr_plugin *cr_plugin_of(qd_self *self);

#endif
