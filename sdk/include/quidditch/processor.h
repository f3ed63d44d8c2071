/*
 * processor.h: the processor kind, version 0.1: {"<name>": {...}} in ingest pipelines.
 *
 *   open     reads the parameters of one processor of a pipeline, and says which fields it reads
 *   run      works on a batch of documents: it gets the values of these fields, and says what
 *            becomes of each document (set, remove, fail, drop)
 *
 * The host reads tag, description, if, ignore_failure and on_failure itself; open does not see
 * them. A document for which the condition does not hold is not in the batch. The batch is what a
 * _bulk request has for one pipeline, at most QD_PROCESSOR_BATCH_MAX documents; a processor within
 * on_failure, foreach or a pipeline that another one runs gets its documents one by one.
 *
 * What run says of a document is done after it has returned, in the order in which it was said, as
 * the built-in processors set and remove; what cannot be done fails that document alone. Each call
 * runs on a thread of the host's while the request waits: one that takes longer than
 * plugins.call_timeout, or than the request lives, is left. What it was given stays until it
 * returns.
 */
#ifndef QUIDDITCH_PROCESSOR_H
#define QUIDDITCH_PROCESSOR_H

#include <quidditch/abi.h>

#ifdef __cplusplus
extern "C" {
#endif

#define QD_PROCESSOR_BATCH_MAX 32u     /* documents of a batch */
#define QD_PROCESSOR_FIELDS_MAX 64u    /* fields that a processor reads */
#define QD_PROCESSOR_CHANGES_MAX 1024u /* of one document in one call */

typedef struct qd_processor qd_processor; /* defined by the plugin; immutable once opened */

/* qd_processor_value.type */
enum {
    QD_PROCESSOR_NONE = 0, /* given: there is no such field; not for set */
    QD_PROCESSOR_NULL = 1,
    QD_PROCESSOR_BOOL = 2,   /* i64: 0 or 1 */
    QD_PROCESSOR_INT = 3,    /* i64 */
    QD_PROCESSOR_DOUBLE = 4, /* f64; given: also integers beyond 64 bits, with text as written; f64
                                is infinite where that is beyond a double. set: finite */
    QD_PROCESSOR_STRING = 5, /* text, UTF-8 */
    QD_PROCESSOR_JSON = 6    /* text: an object or an array; set: any value */
};
typedef struct qd_processor_value {
    uint32_t type, reserved;
    qd_str text; /* borrow: until the call ends */
    int64_t i64;
    double f64;
} qd_processor_value;

/* What open is given; borrow for the call. */
typedef struct qd_processor_ctx {
    uint32_t struct_size, reserved;
    qd_self *self;
    qd_str tag; /* may be empty */
} qd_processor_ctx;
/* What open says beside the processor; fields: keep as long as the processor. */
typedef struct qd_processor_needs {
    uint32_t struct_size;
    uint32_t nfields;     /* at most QD_PROCESSOR_FIELDS_MAX */
    const qd_str *fields; /* dotted paths, as in the parameters of built-in processors */
} qd_processor_needs;

/* The documents of a call; borrow. Results of the functions: 0, NOMEM, or LIMIT: too many changes.
 */
typedef struct qd_processor_batch {
    uint32_t struct_size;
    uint32_t n;       /* documents, at least 1 */
    uint32_t nfields; /* as open said */
    uint32_t reserved;
    const qd_processor_value *values; /* n times nfields: those of document 0, of document 1, … */
    const qd_task *task;              /* cancelled when nobody waits for the call any more */
    void *host;
    /* The value of a field from now on; path and value are copied. ARG: the type is none of the
     * above, the number is not finite, the document is none of the batch. */
    int32_t (*set)(const struct qd_processor_batch *, uint32_t doc, qd_str path,
                   const qd_processor_value *value);
    /* Takes a field away; fine where there is none. */
    int32_t (*remove)(const struct qd_processor_batch *, uint32_t doc, qd_str path);
    /* The document fails, with a code of errors.def (0 is ARG) and a reason; on_failure of the
     * pipeline is as for other processors. What else was said of it is not done. */
    int32_t (*fail)(const struct qd_processor_batch *, uint32_t doc, int32_t code, qd_str reason);
    /* The document is dropped, as the processor drop does it. */
    int32_t (*drop)(const struct qd_processor_batch *, uint32_t doc);
} qd_processor_batch;

typedef struct qd_processor_vtable {
    qd_vtable head;
    /* The reader stands before the object of parameters. An unknown parameter is an error (ARG).
     * make: close. Called where a pipeline is stored or first used. [worker] */
    int32_t (*open)(const qd_processor_ctx *, qd_json_in *, qd_processor **out,
                    qd_processor_needs *needs, qd_err *);
    /* An error fails all documents of the batch. Several threads run one processor. [worker] */
    int32_t (*run)(const qd_processor *, const qd_processor_batch *, qd_err *);
    /* No run is under way. [worker] */
    void (*close)(qd_processor *);
} qd_processor_vtable;

#ifdef __cplusplus
}
#endif
#endif
