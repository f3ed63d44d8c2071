/*
 * machine.h: the replicated state and its one pure step, apply. No I/O, no clock, no random number,
 * no thread: the same entries make the same machine on every node. The simulation runs it without
 * the rest of the plugin.
 *
 * State: authority (store id, epoch, state), revision, keys, sessions, elections with their waiting
 * candidates, the answers of the last transactions, parts of large commands. All of it but the keys
 * is kept as records too (items of a kind of their own), so that rows and snapshots have one form.
 *
 * History, of this process alone: the changes since `compacted`, each with what was there before,
 * for watches and for exports of a past revision. Bounded by number and bytes.
 *
 * Memory: what is committed must be applied, so memory here is by cr_must. One thread at a time;
 * items may be held by others.
 */
#ifndef COORDINATION_COMMON_MACHINE_H
#define COORDINATION_COMMON_MACHINE_H

#include "keys.h"
#include <quidditch/coordination.h>

enum {
    CR_KEY_MAX = 1024,
    CR_VALUE_MAX = 16 << 20,
    CR_TXN_BYTES_MAX = 32 << 20,
    CR_TXN_OPS_MAX = 10000,
    CR_ID_WINDOW = 4096,
    CR_PARTS_MAX = 256 /* bytes of parts being gathered: CR_PARTS_MAX MiB */
};
#define CR_NUMBER_MAX (1ull << 62) /* of what comes from another store */
#define CR_TTL_MIN_NS 100000000ll
#define CR_TTL_MAX_NS 86400000000000ll
#define CR_ELECTION_PREFIX "_election/"
#define CR_MEMBERS_PREFIX "_members/" /* both are the store's own to write */
#define CR_EXCLUDED_PREFIX "_members/excluded/"

/* A candidate: who opened the store (random), and a number of his. */
typedef struct cr_candidate {
    uint64_t owner, number, session;
    cr_item *value;
} cr_candidate;
typedef struct cr_election {
    cr_item *name;
    uint64_t session;       /* 0: nobody leads */
    uint64_t owner, number; /* of who leads, as it was a candidate */
    qd_coord_token token;
    cr_candidate *waiting; /* in order of arrival */
    uint32_t nwaiting, cap;
} cr_election;
typedef struct cr_session {
    uint64_t id;
    int64_t ttl_ns;
    uint64_t nkeys; /* attached to it */
} cr_session;
typedef struct cr_answer {
    uint8_t id[16];
    int32_t rc;
    uint32_t failed;
    uint64_t revision, session;
} cr_answer;
typedef struct cr_part {
    uint8_t sum[16]; /* of the whole command */
    uint32_t index;
    cr_item *bytes;
} cr_part;
/* A change in the history; now->version 0: deleted. */
typedef struct cr_change {
    cr_item *now, *before;
} cr_change;

/* What a command came to. */
typedef struct cr_result {
    int32_t rc;
    uint32_t failed;
    uint64_t revision, session;
    int64_t ttl_ns;
    qd_coord_token token;
    int waiting;            /* ELECT: the place is taken */
    uint64_t owner, number; /* of the request, by CR_FROM; 0: of none */
} cr_result;
/* A candidate that waited and does so no more. */
typedef struct cr_ended {
    uint64_t owner, number;
    int32_t rc;
    qd_coord_token token;
} cr_ended;
/* What one entry came to; valid until the next one. */
typedef struct cr_outcome {
    uint64_t proposal;
    cr_result *results;
    uint32_t nresults, results_cap;
    cr_ended *ended;
    uint32_t nended, ended_cap;
    cr_items rows; /* changed rows, in order, each with a reference */
    int sessions;  /* the list of sessions changed */
    int replaced;  /* all rows were deleted before `rows` */
} cr_outcome;

typedef struct cr_machine {
    const cr_heap *heap;
    uint8_t store_id[16], history_id[16];
    uint64_t recoveries;
    uint32_t state; /* QD_COORD_EMPTY ... */
    uint64_t epoch, revision, last_session, last_term;
    cr_keys keys;
    cr_session *sessions; /* by id */
    size_t nsessions, sessions_cap;
    cr_election *elections; /* by name */
    size_t nelections, elections_cap;
    cr_answer *answers; /* CR_ID_WINDOW, a ring */
    uint64_t nanswers;
    uint16_t *answer_first, *answer_next; /* chains by id; 0: none, else slot + 1 */
    cr_part *parts;
    size_t nparts, parts_cap, parts_bytes;
    uint64_t compacted;
    cr_change *history; /* a ring */
    size_t history_first, history_n, history_cap, history_bytes, history_max, history_bytes_max;
    cr_outcome out;
} cr_machine;

/* An empty machine that keeps at least history_max changes of at most history_bytes_max. */
cr_machine *cr_machine_make(const cr_heap *h, size_t history_max, size_t history_bytes_max);
/* Frees it. NULL is fine. */
void cr_machine_free(cr_machine *m);
/* Forgets everything, as new. */
void cr_machine_reset(cr_machine *m);

/*
 * Applies one committed entry (entry.h). 0, or QD_E_CORRUPT when the bytes are not an entry:
 * nothing happened then. m->out tells the rest; the rows in it are the caller's to take
 * (cr_items_free or leave them to the next apply).
 */
int32_t cr_machine_apply(cr_machine *m, const uint8_t *entry, size_t n);

/* The items of all records, each with a reference: keys, then everything else. */
void cr_machine_rows(const cr_machine *m, cr_items *out);
/* Takes one record into an empty or half-loaded machine, with the item's reference. QD_E_CORRUPT.
 */
int32_t cr_machine_load(cr_machine *m, cr_item *row);
/* All records are loaded: checks that they fit together. QD_E_CORRUPT. */
int32_t cr_machine_loaded(cr_machine *m);

/* A live session, NULL: none. Borrow until the next apply. */
cr_session *cr_machine_session(const cr_machine *m, uint64_t id);
/* Whether a repeated transaction may be told from a new one still: `seen` is nanswers when it was
 * first sent, `coming` how many more answers are in the log already. */
static inline int cr_machine_remembers(const cr_machine *m, uint64_t seen, uint64_t coming)
{
    return m->nanswers + coming < seen + CR_ID_WINDOW;
}
/* Where a candidate is: 0 nowhere, 1 waiting, 2 it leads (*token). */
int cr_machine_candidate(const cr_machine *m, qd_str name, uint64_t owner, uint64_t number,
                         qd_coord_token *token);
/* An election, NULL: none. */
cr_election *cr_machine_election(const cr_machine *m, qd_str name);
/* 0 when the compare holds. */
int cr_compare_fails(const cr_machine *m, uint32_t type, qd_str key, uint64_t number,
                     const uint8_t hash[32]);
/* Forgets history at or below revision. */
void cr_machine_compact(cr_machine *m, uint64_t revision);
/* Place in the history of the first change of revision >= from; history_n: none. */
size_t cr_history_seek(const cr_machine *m, uint64_t from);
static inline const cr_change *cr_history_at(const cr_machine *m, size_t i)
{
    return &m->history[(m->history_first + i) & (m->history_cap - 1)];
}
/* All keys as of a revision, sorted, each with a reference. QD_E_COMPACTED, QD_E_ARG (it is yet to
 * come). */
int32_t cr_machine_past(const cr_machine *m, uint64_t revision, cr_items *out);

/* --- machine_rows.c, for machine.c --- */
void cr_row_put(cr_machine *m, cr_item *item);
void cr_row_meta(cr_machine *m);
void cr_row_session(cr_machine *m, const cr_session *s, int gone);
void cr_row_election(cr_machine *m, const cr_election *e, int gone);
void cr_row_answer(cr_machine *m, uint64_t number);
void cr_row_part(cr_machine *m, const cr_part *p, int gone);
void cr_answer_link(cr_machine *m, uint64_t number);
cr_session *cr_session_add(cr_machine *m, uint64_t id, int64_t ttl_ns);
cr_election *cr_election_add(cr_machine *m, qd_str name);
void cr_candidate_add(cr_machine *m, cr_election *e, cr_candidate c);
void cr_part_add(cr_machine *m, cr_part p);
void cr_history_push(cr_machine *m, cr_item *now, cr_item *before);

#endif
