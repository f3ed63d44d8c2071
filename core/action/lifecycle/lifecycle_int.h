/*
 * lifecycle_int.h: policies, how far each index is, and the actions. What an index has behind it is
 * told by the index itself where it can be (rolled over, read-only); the rest is a document of the
 * hidden index .lifecycle, written when a step changes and never otherwise.
 */
#ifndef QD_ACTION_LIFECYCLE_INT_H
#define QD_ACTION_LIFECYCLE_INT_H

#include "action/byquery/byquery_int.h"
#include "action/lifecycle/lifecycle.h"
#include "runtime/pool.h"
#include "runtime/sync.h"

#define LC_INDEX ".lifecycle"
#define LC_POLICY_KEY QD_LIFECYCLE_KEY "policy/"
#define LC_MODE_KEY QD_LIFECYCLE_KEY "mode"
#define LC_NAME_MAX 40u

/* --- policy.c --- */

typedef enum lc_phase { LC_NEW, LC_HOT, LC_WARM, LC_COLD, LC_DELETE, LC_PHASES } lc_phase;
extern const char *const qdi_lc_phases[LC_PHASES];
/* The phase of that name, LC_PHASES: there is none. */
lc_phase qdi_lc_phase_of(qd_str name);

typedef struct lc_policy {
    qd_str name;
    int64_t version, modified_ms;
    const qd_json_node *policy; /* with "phases"; in the arena */
} lc_policy;
/* Reads a policy from the state. QD_E_NOTFOUND with a text. */
QD_MUST_CHECK
int qdi_lc_policy_get(const qd_state *s, qd_arena *a, qd_str name, lc_policy *out, qd_err *err);
/* Is it one that can be carried out? QD_E_ARG names what cannot. */
QD_MUST_CHECK
int qdi_lc_policy_check(const qd_json_node *policy, qd_err *err);
/* The definition of a phase, NULL. */
const qd_json_node *qdi_lc_phase_node(const lc_policy *p, lc_phase phase);
/* The age at which an index enters a phase, ms. */
int64_t qdi_lc_min_age(const qd_json_node *phase);
/* The action that follows one (empty: the first one) in a phase; empty: none does. */
qd_str qdi_lc_next_action(const qd_json_node *phase, lc_phase which, qd_str after);
/* Are policies carried out? */
bool qdi_lc_is_running(const qd_state *s);

/* --- record.c --- */

/* Reads documents of the index .lifecycle by id: as mget answers them, NULL where there is none. */
QD_MUST_CHECK
int qdi_lc_documents_get(qd_actions *a, qd_arena *arena, const qd_str *ids, uint32_t n,
                         const qd_json_node **out, qd_err *err);
/* Writes one if nobody has since it was read (seq_no -1: it is new), and tells its new numbers.
 * QD_E_VERSION_CONFLICT: somebody has. */
QD_MUST_CHECK
int qdi_lc_document_put(qd_actions *a, qd_arena *arena, qd_str id, qd_str body, int64_t *seq_no,
                        int64_t *term, qd_err *err);
/* Forgets one; without a word. */
void qdi_lc_document_delete(qd_actions *a, qd_arena *arena, qd_str id);

typedef struct lc_record {
    const char *uuid;
    lc_phase phase;
    char action[LC_NAME_MAX], step[LC_NAME_MAX], failed[LC_NAME_MAX]; /* failed: step that did */
    int64_t phase_ms, action_ms, step_ms;
    qd_str info;          /* JSON, why a step failed or waits; empty: nothing */
    int64_t seq_no, term; /* of its document; -1: there is none */
    bool changed;
} lc_record;

/* Reads how far n indices are (uuid is set); those without a document are new. */
QD_MUST_CHECK
int qdi_lc_records_get(qd_actions *a, qd_arena *arena, lc_record *at, uint32_t n, qd_err *err);
/* Writes one that has changed. QD_E_VERSION_CONFLICT: somebody else has written it. */
QD_MUST_CHECK
int qdi_lc_record_put(qd_actions *a, qd_arena *arena, lc_record *r, const qd_index_meta *m,
                      qd_err *err);
/* Forgets one; without a word. */
void qdi_lc_record_delete(qd_actions *a, qd_arena *arena, const char *uuid);
/* Goes to a step, at a time. */
void qdi_lc_record_move(lc_record *r, lc_phase phase, qd_str action, const char *step, int64_t now);

/* --- actions.c --- */

/* A forced merge that runs behind the thread. */
typedef struct lc_merge {
    struct lc_merge *next;
    struct qd_lifecycle *l;
    qd_work work;
    char uuid[QD_UUID_TEXT];
    qd_str index;
    uint32_t segments;
    bool done;
    int rc;
    qd_err err;
    qd_arena arena;
} lc_merge;

struct qd_lifecycle {
    qd_actions *a;
    qd_mutex lock;
    qd_cond wake;
    bool stop;
    qd_thread *thread;
    lc_merge *merges; /* under lock */
    bool soon;        /* of the thread alone: what was begun is to be looked at before its time */
};

typedef enum lc_outcome { LC_DONE, LC_WAITS, LC_GONE } lc_outcome;
typedef struct lc_run {
    struct qd_lifecycle *l;
    qd_arena *arena;
    const qd_state *state;
    const qd_index_meta *m;
    const qd_json_node *options; /* of the action */
    const lc_record *record;     /* how far the index is; NULL: of index state management */
    const char *step;            /* out: what it is at */
    qd_str info;                 /* out: JSON, why it waits */
    lc_outcome outcome;          /* out */
} lc_run;

typedef struct lc_action {
    const char *name;
    uint32_t phases; /* bits 1 << lc_phase in which it may stand */
    const char *first_step;
    /* Is what stands in the policy understood? QD_E_ARG */
    int (*check)(const qd_json_node *options, qd_err *err);
    /* Does what can be done now; again and again without harm. */
    int (*run)(lc_run *x, qd_err *err);
} lc_action;
/* The action of that name, NULL. */
const lc_action *qdi_lc_action(qd_str name);
/* Frees what the merges keep; none runs any more. */
void qdi_lc_merges_free(struct qd_lifecycle *l);

/* --- engine.c --- */

/* Policy of an index; empty: it has none. */
static inline qd_str qdi_lc_policy_of(const qd_index_meta *m)
{
    return qd_values_text(m->values, QD_IX_LIFECYCLE_NAME);
}
/* Is this node still to carry policies out? */
bool qdi_lc_goes_on(struct qd_lifecycle *l);
/* Does what is due at the data streams that have a lifecycle of their own (streams.c). */
void qdi_lc_streams(struct qd_lifecycle *l, const qd_state *s);
/* From when an index is as old as it is. */
int64_t qdi_lc_date(const qd_index_meta *m);

#endif
