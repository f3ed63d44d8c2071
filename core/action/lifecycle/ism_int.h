/*
 * ism_int.h: OpenSearch's index state management on the engine of _ilm. A policy is a document of
 * the cluster's state; its revision is the policy's _seq_no. The index's setting
 * index.plugins.index_state_management.policy_id binds it. How far an index is stands in the
 * document "ism-<uuid>" of the hidden index .lifecycle, with the policy as it was when the index
 * took it up; it is written when a step changes and never otherwise.
 */
#ifndef QD_ACTION_ISM_INT_H
#define QD_ACTION_ISM_INT_H

#include "action/lifecycle/lifecycle_int.h"

#define ISM_KEY QD_LIFECYCLE_KEY "ism/"
#define ISM_SCHEMA_VERSION 21 /* as OpenSearch 2.19 shows it */
#define ISM_BODY_MAX ((size_t)1 << 20)

/* --- ism_policy.c --- */

typedef struct ism_policy {
    qd_str id;
    int64_t version, seq_no;
    const qd_json_node *at; /* the policy; in the arena */
} ism_policy;
/* Reads a policy from the state. QD_E_NOTFOUND without a text. */
QD_MUST_CHECK
int qdi_ism_policy_get(const qd_state *s, qd_arena *a, qd_str id, ism_policy *out, qd_err *err);
/* Checks what a client sends and writes it as it is stored and shown. QD_E_ARG names what is wrong
 * or not supported. */
QD_MUST_CHECK
int qdi_ism_policy_write(const qd_json_node *policy, qd_str id, int64_t now_ms, qd_json_writer *w,
                         qd_err *err);
/* The state of that name, NULL. */
const qd_json_node *qdi_ism_state(const qd_json_node *policy, qd_str name);
/* Text of a member; {NULL,0}: there is none. */
qd_str qdi_ism_text(const qd_json_node *n, const char *key);
/* Whole number of a member, or another one. */
int64_t qdi_ism_number(const qd_json_node *n, const char *key, int64_t otherwise);
/* Is the member true? */
bool qdi_ism_truth(const qd_json_node *n, const char *key);
/* QD_E_ARG: the cluster's formats are too old for policies. */
QD_MUST_CHECK
int qdi_ism_level(const qd_state *s, qd_err *err);

/* --- ism_template.c --- */

typedef struct ism_template {
    qd_str id; /* of its policy */
    const qd_json_node *at;
} ism_template;
typedef struct ism_templates {
    ism_template *at;
    uint32_t n;
} ism_templates;
/* Reads the templates of all policies. */
QD_MUST_CHECK
int qdi_ism_templates_read(const qd_state *s, qd_arena *a, ism_templates *out, qd_err *err);
/* The policy whose template fits a new index best; empty: none does. */
qd_str qdi_ism_template_for(const ism_templates *all, const qd_index_meta *m);
/* Do templates of two policies, or of one, meet with the same priority? QD_E_ARG */
QD_MUST_CHECK
int qdi_ism_templates_check(const qd_state *s, qd_arena *a, qd_str id, const qd_json_node *policy,
                            qd_err *err);

/* --- ism_options.c --- */

/* Writes the options of an action, checked and with defaults: the value of its member. */
QD_MUST_CHECK
int qdi_ism_options_write(const qd_json_node *action, qd_json_writer *w, qd_err *err);
/* "Invalid field: [x] found in <what>." */
int qdi_ism_unknown(const qd_json_node *n, const char *what, qd_err *err);

/* --- ism_cron.c --- */

/* The first minute after `after_ms` that five fields of cron (minute, hour, day of month, month,
 * day of week) name in a time zone. QD_E_ARG: it is no such expression, or names no minute of the
 * next eight years. */
QD_MUST_CHECK
int qdi_ism_cron_next(qd_arena *a, qd_str expression, qd_str zone, int64_t after_ms, int64_t *out,
                      qd_err *err);

/* --- ism_record.c --- */

typedef struct ism_record {
    const char *uuid;
    qd_str policy_id;
    int64_t policy_seq_no;
    const qd_json_node *policy; /* as it was taken up; NULL: not yet */
    qd_str state, transition_to, action, step, step_status;
    qd_str info;       /* JSON; empty: nothing */
    qd_str change;     /* JSON of a policy to go over to; empty: none */
    qd_str properties; /* JSON of what an action keeps; empty: nothing */
    int64_t state_ms, action_ms, step_ms, last_retry_ms, retries;
    int32_t action_index; /* -1: the transition */
    bool action_failed, policy_failed, completed;
    int64_t seq_no, term; /* of its document; -1: there is none */
    bool changed;
} ism_record;

/* Reads how far n indices are (uuid is set). */
QD_MUST_CHECK
int qdi_ism_records_get(qd_actions *a, qd_arena *arena, ism_record *at, uint32_t n, qd_err *err);
/* Writes one. QD_E_VERSION_CONFLICT: somebody else has. */
QD_MUST_CHECK
int qdi_ism_record_put(qd_actions *a, qd_arena *arena, ism_record *r, const qd_index_meta *m,
                       qd_err *err);
/* Forgets one; without a word. */
void qdi_ism_record_delete(qd_actions *a, qd_arena *arena, const char *uuid);
/* Has it failed for good? */
static inline bool qdi_ism_failed(const ism_record *r)
{
    return r->action_failed || r->policy_failed;
}

/* --- ism_actions.c --- */

typedef struct ism_run {
    lc_run x; /* options: of the action; outcome; arena, state, index */
    const ism_record *record;
    const qd_json_node *state; /* of the policy */
    qd_str step;               /* out: what it is at */
    qd_str message;            /* out: of the outcome */
    qd_str properties;         /* out: JSON, what the action is to find again */
    qd_str transition_to;      /* out, of a transition */
    bool completed;            /* out: a state with no way out */
} ism_run;
typedef struct ism_action {
    const char *name, *first_step;
    /* Does what can be done now; again and again without harm. */
    int (*run)(ism_run *x, qd_err *err);
} ism_action;
/* The action of that name, NULL. */
const ism_action *qdi_ism_action(qd_str name);
/* The way out of a state (ism_transition.c). */
int qdi_ism_transition(ism_run *x, qd_err *err);
/* The alias or data stream that a rollover of the index is about. QD_E_ARG */
QD_MUST_CHECK
int qdi_ism_rollover_target(const qd_state *s, const qd_index_meta *m, qd_str *out, qd_err *err);

/* --- ism_run.c --- */

/* Policy of an index; empty: it has none. */
static inline qd_str qdi_ism_policy_of(const qd_index_meta *m)
{
    return qd_values_text(m->values, QD_IX_ISM_POLICY);
}
/* Carries out what is due at all indices. */
void qdi_ism_look(struct qd_lifecycle *l, const qd_state *s);
/* Sets one setting of an index, by its uuid; text p NULL: takes it away. */
QD_MUST_CHECK
int qdi_ism_set(qd_actions *a, const char *uuid, const char *key, qd_str text, qd_err *err);

#endif
