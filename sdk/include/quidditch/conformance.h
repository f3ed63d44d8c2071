/*
 * conformance.h: the conformance kit: for each kind one suite of tests of its contract, written
 * against the SDK alone. `qd plugin check FILE.so` runs them in a child process; so do the unit
 * tests of built-in implementations. One suite, many implementations, no exceptions by name: what
 * may differ is told by the vtable's flags.
 */
#ifndef QUIDDITCH_CONFORMANCE_H
#define QUIDDITCH_CONFORMANCE_H

#include <quidditch/aggregation.h>
#include <quidditch/analyzer.h>
#include <quidditch/coordination.h>
#include <quidditch/field.h>
#include <quidditch/frontend.h>
#include <quidditch/operator.h>
#include <quidditch/processor.h>
#include <quidditch/route.h>
#include <quidditch/storage.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { QD_CONFORM_OK, QD_CONFORM_FAILED, QD_CONFORM_SKIPPED };

/* What the runner gives a suite. One thread runs a suite. */
typedef struct qd_conform {
    qd_self *self;          /* of the plugin, for open */
    qd_str folder;          /* empty folder, NUL-terminated; the suite may fill it */
    const qd_pair *options; /* what the user says an implementation needs (an address, keys) */
    uint32_t noptions, failures;
    qd_err *err; /* emptied before each test */
    /* Readies an operation for submitting and, afterwards, for wait. */
    void (*prepare)(struct qd_conform *, qd_op *);
    /* Waits for its end: the result; QD_E_TIMEOUT when it has not come in time. Also counts: a
     * second completion fails the test. */
    int32_t (*wait)(struct qd_conform *, qd_op *, int64_t timeout_ns);
    /* Text of err, for messages. */
    const char *(*reason)(struct qd_conform *);
    void (*err_clear)(struct qd_conform *);
    /* The n-th allocation of the plugin from now on fails, and all later ones; 0: none. Returns how
     * many were made since the last call. */
    uint64_t (*alloc_fail)(struct qd_conform *, uint64_t n);
    qd_arena *arena; /* scratch of one test */
    /* A JSON reader over a text, standing before its value; NULL: no memory. End it with
     * json_close. */
    qd_json_in *(*json_open)(struct qd_conform *, qd_str text);
    void (*json_close)(struct qd_conform *, qd_json_in *);
    /* Tells a test's end. */
    void (*result)(struct qd_conform *, const char *test, int32_t outcome, const char *why);
    void *host;
    const char *test; /* running now; the next two are the suite's */
    int32_t outcome;
    uint32_t seconds; /* how long what is done under load goes on at least; 0: a moment */
    char why[512];
    const qd_task *cancelled; /* a task that was cancelled */
    /* As text of the json service. */
    int32_t (*json_text)(struct qd_conform *, qd_json_in *, qd_str *raw, qd_err *);
    int64_t (*memory)(struct qd_conform *); /* bytes that the plugin holds of the mem service */
    qd_json_out *(*json_out)(struct qd_conform *); /* a writer whose text goes nowhere */
    /* A writer that stands in an object, which json_members_end ends: QD_E_ARG unless members alone
     * were written, each of the names "a,b" once at most. *bytes: their length. */
    qd_json_out *(*json_members)(struct qd_conform *);
    int32_t (*json_members_end)(struct qd_conform *, const char *names, size_t *bytes, qd_err *);
} qd_conform;

/* Runs all tests of a storage tier; results go to c->result. name: as provided. */
void qd_conform_storage(qd_conform *c, const char *name, const qd_storage_vtable *vt);
/* The same for a coordination store. */
void qd_conform_coordination(qd_conform *c, const char *name, const qd_coord_vtable *vt);
/* The same for a query operator. */
void qd_conform_operator(qd_conform *c, const char *name, const qd_operator_vtable *vt);
/* The same for an aggregation; option `aggregation` is a sample of its JSON. */
void qd_conform_aggregation(qd_conform *c, const char *name, const qd_aggregation_vtable *vt);
/* The same for a char filter. */
void qd_conform_char_filter(qd_conform *c, const char *name, const qd_char_filter_vtable *vt);
/* The same for a tokenizer. */
void qd_conform_tokenizer(qd_conform *c, const char *name, const qd_tokenizer_vtable *vt);
/* The same for a token filter. */
void qd_conform_token_filter(qd_conform *c, const char *name, const qd_token_filter_vtable *vt);
/* The same for a field type. */
void qd_conform_field(qd_conform *c, const char *name, const qd_field_vtable *vt);
/* The same for a front end. */
void qd_conform_frontend(qd_conform *c, const char *name, const qd_frontend_vtable *vt);
/* Of a processor; options config and bad: parameters as JSON that it takes, and that it refuses. */
void qd_conform_processor(qd_conform *c, const char *name, const qd_processor_vtable *vt);
/* Of the routes of a plugin: the table, and what handle answers to requests of each row. */
void qd_conform_route(qd_conform *c, const char *name, const qd_route_vtable *vt);

#ifdef __cplusplus
}
#endif
#endif
