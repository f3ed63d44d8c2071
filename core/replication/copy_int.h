/*
 * copy_int.h: what a copy answers its primary, as a pure state machine: which senders it obeys,
 * what it must do first, which leases it has given. The owner does what the verdicts say and
 * reports.
 *
 * The sender's term decides whether it is heard; each record keeps the term it was made under.
 */
#ifndef QD_REPLICATION_COPY_INT_H
#define QD_REPLICATION_COPY_INT_H

#include "replication/primary_int.h"

typedef struct repl_copy {
    uint64_t term;        /* the highest that was promised, durable */
    uint64_t synced_term; /* the term whose primary has made this copy equal to itself */
    bool primary;         /* acts as primary of `term` */
    uint64_t lease_until_ns, lease_sent_ns, lease_term;
    uint64_t resync; /* attempt under way, of `term` */
    uint32_t part;   /* of it that comes next */
    int64_t trim;    /* of the resync: what is above it and older than the term goes at its end */
    int64_t global;  /* checkpoint, as told */
    uint64_t heard_ns;
} repl_copy;

/* A copy opened at `now` from its disk. What it promised before is not known any more: it acts as
 * if it had given a lease just now. */
void repl_copy_init(repl_copy *c, uint64_t term, int64_t global, uint64_t now);

typedef enum repl_copy_verdict {
    REPL_COPY_TAKE,       /* go on */
    REPL_COPY_REFUSE,     /* answer REPL_STALE_TERM with c->term */
    REPL_COPY_ADOPT,      /* stop what runs under the old term, make the new one durable,
                             repl_copy_adopted, ask again */
    REPL_COPY_WAIT,       /* a lease of a lower term runs: ask again at c->lease_until_ns */
    REPL_COPY_NOT_SYNCED, /* answer REPL_NOT_SYNCED */
    REPL_COPY_ROLL_BACK, /* first part: keep what is at or below max(c->global, from - 1), then take
                          */
    REPL_COPY_REPEATED,  /* answer REPL_OK without doing anything */
} repl_copy_verdict;

/* May a request of a sender of `term` be heard? */
repl_copy_verdict repl_copy_request(const repl_copy *c, uint64_t term, uint64_t now);
/* The term is durable and nothing of lower terms runs any more. */
void repl_copy_adopted(repl_copy *c, uint64_t term);
/* Operations of the term's primary, after repl_copy_request took it. */
repl_copy_verdict repl_copy_ops(const repl_copy *c);
/* A part of a resync. TAKE, ROLL_BACK (then take), REPEATED, NOT_SYNCED (out of order). */
repl_copy_verdict repl_copy_resync(repl_copy *c, uint64_t attempt, uint32_t part);
/* The part is applied; last: and with it the resync, once what is above `trim` and older is gone.
 */
void repl_copy_resynced(repl_copy *c, bool last);
/* The copy recovers from the primary of c->term: it holds nothing that this one does not have, and
 * takes its operations from now on. */
void repl_copy_recovering(repl_copy *c);

/* Gives the lease that the request asks for, which left its sender at sent_ns of the sender's
 * clock. */
void repl_copy_lease(repl_copy *c, uint64_t sent_ns, uint64_t now);
/* The primary of `term` gives leases back that it asked for up to sent_ns; heard whatever term is
 * obeyed by now, as it concerns its own lease only. */
void repl_copy_release(repl_copy *c, uint64_t term, uint64_t sent_ns);
/* May it act as primary of `term`, which is durable here? */
bool repl_copy_may_lead(const repl_copy *c, uint64_t term, uint64_t now);
/* It acts as primary of its term from now on. */
void repl_copy_leads(repl_copy *c);
/* The global checkpoint as the primary tells it; true: it rose. */
bool repl_copy_told(repl_copy *c, int64_t global, uint64_t now);

/* May a publication be opened over what is open? By term, generation; it never shows less. */
bool repl_copy_publication(uint64_t term, uint64_t generation, int64_t max_seq_no,
                           uint64_t open_term, uint64_t open_generation, int64_t open_max_seq_no);
/* May segments up to max_seq_no be shown and published? Rule 12. */
bool repl_publish_allowed(int64_t max_seq_no, int64_t global);
/* What a primary must show before it is searched, when its disk has everything up to `processed`
 * without a gap: whatever it showed before it was opened was at or below a checkpoint of its own.
 */
int64_t repl_search_from(int64_t processed);
/* Term that a record is kept with. */
uint64_t repl_record_term(uint64_t record_term, uint64_t sender_term);

/* Do operations suffice for a copy's recovery? from: the first number that it lacks. */
bool repl_recovery_by_ops(const char *history, const char *source_history, int64_t from,
                          int64_t source_min_retained, int64_t source_max_seq_no);
/* What a target still lacks when it asks to be in sync. */
typedef enum repl_final { REPL_FINAL_ADMIT, REPL_FINAL_OPS, REPL_FINAL_FILES } repl_final;
repl_final repl_recovery_final(int64_t persisted, int64_t global, uint64_t open_term,
                               uint64_t open_generation, uint64_t source_term,
                               uint64_t source_generation);

/* Looks at all relations between two requests; ends the process when one is broken. */
void repl_copy_holds(const repl_copy *c);

#endif
