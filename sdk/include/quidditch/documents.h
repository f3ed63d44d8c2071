/*
 * documents.h: the service `documents`, version 0.1 (since 1.6): documents written and read by id
 * as typed values, for front-ends whose protocol is not JSON. A write is what _bulk does and a read
 * what _mget does, with the same index creation, mappings, replication, limits, counters and tasks;
 * only the text of request and answer is left out. What is not here (updates, scripts, searches)
 * goes through the action service of frontend.h.
 */
#ifndef QUIDDITCH_DOCUMENTS_H
#define QUIDDITCH_DOCUMENTS_H

#include <quidditch/frontend.h>

#ifdef __cplusplus
extern "C" {
#endif

#define QD_DOCS_CALL_MAX 10000u /* documents of a call */
#define QD_DOCS_LEVELS_MAX 512u /* levels of a document, itself included */

typedef struct qd_docs_cursor qd_docs_cursor; /* a document being read; the host's */

/* qd_docs_value.type */
enum {
    QD_DOCS_END, /* read: the document ends */
    QD_DOCS_OBJECT,
    QD_DOCS_OBJECT_END,
    QD_DOCS_ARRAY,
    QD_DOCS_ARRAY_END,
    QD_DOCS_NULL,
    QD_DOCS_BOOL,   /* integer: 0 or 1 */
    QD_DOCS_INT,    /* integer */
    QD_DOCS_UINT,   /* integer: its 64 bits without a sign; read: what INT cannot hold */
    QD_DOCS_DOUBLE, /* number, finite; read: infinite where the text is beyond a double */
    QD_DOCS_STRING, /* text, UTF-8 */
    QD_DOCS_BYTES /* text, any bytes: stored as Base64, as JSON has none, and read back as STRING */
};
/* One value. A document is its members in a row. A member of an object has its name, an element of
 * an array none; what is in an OBJECT or ARRAY follows it, then the matching end. */
typedef struct qd_docs_value {
    uint32_t type, reserved;
    qd_str name; /* may have dots, as in JSON; not empty */
    qd_str text; /* read: of a number its digits as stored */
    int64_t integer;
    double number;
} qd_docs_value;

/* qd_docs_write.op */
enum {
    QD_DOCS_INDEX = 1, /* create or replace */
    QD_DOCS_CREATE,    /* 409 where the id exists */
    QD_DOCS_DELETE
};
/* qd_docs_write.version_type */
enum {
    QD_DOCS_INTERNAL,
    QD_DOCS_EXTERNAL,    /* the version must be above the present one */
    QD_DOCS_EXTERNAL_GTE /* or equal */
};
/* qd_docs_write.flags */
enum {
    QD_DOCS_IF = 1,           /* only if the document has if_seq_no and if_primary_term */
    QD_DOCS_VERSION = 2,      /* version is given */
    QD_DOCS_REQUIRE_ALIAS = 4 /* index has to be an alias */
};
/* A document to be written; its memory is the call's. */
typedef struct qd_docs_write {
    uint32_t op, flags;
    qd_str index, id;  /* id empty: the host makes one */
    qd_str routing;    /* empty: by the id */
    int64_t if_seq_no; /* QD_DOCS_IF */
    int64_t if_primary_term;
    int64_t version; /* QD_DOCS_VERSION */
    uint32_t version_type, nvalues;
    const qd_docs_value *values; /* none with DELETE */
} qd_docs_write;

/* A document to be read, as it is now, refreshed or not; its memory is the call's. */
typedef struct qd_docs_read {
    qd_str index, id, routing;
} qd_docs_read;

/* An error in Elasticsearch's words; keep until release. */
typedef struct qd_docs_error {
    qd_str type, reason;
    const struct qd_docs_error *caused_by; /* NULL: nothing else */
} qd_docs_error;

/* qd_docs_result.outcome */
enum {
    QD_DOCS_FAILED, /* error says why */
    QD_DOCS_CREATED,
    QD_DOCS_UPDATED,
    QD_DOCS_DELETED,
    QD_DOCS_NOT_FOUND,
    QD_DOCS_FOUND
};
/* What became of one document; keep until release. */
typedef struct qd_docs_result {
    uint32_t struct_size;
    int32_t status; /* HTTP's, of this document */
    uint32_t outcome;
    uint32_t has_values;        /* read: open gives its values */
    const qd_docs_error *error; /* NULL: none */
    /* The index behind an alias; id made by the host, too. Empty where memory was lacking for it.
     */
    qd_str index, id;
    qd_str routing; /* read: _routing */
    int64_t seq_no, primary_term, version;
    /* Written: copies of its shard, those that have it, those that failed or do not show it. */
    uint32_t copies, copies_good, copies_failed;
    uint32_t forced_refresh; /* 1: WAIT_FOR was refused and its shard refreshed at once */
} qd_docs_result;

/* qd_docs_call.refresh */
enum {
    QD_DOCS_REFRESH_NO,
    QD_DOCS_REFRESH_NOW,
    QD_DOCS_REFRESH_WAIT_FOR /* the call ends when searches see it */
};
/* qd_docs_call.active_copies */
enum {
    QD_DOCS_COPIES_DEFAULT = 0, /* as the index says */
    QD_DOCS_COPIES_ALL = -1
};
/* qd_docs_call.flags */
enum {
    QD_DOCS_NO_VALUES = 1 /* read: found or not, and its numbers */
};
/* A request; zeroed but for what is wanted. All that it points to is kept until op.done. */
typedef struct qd_docs_call {
    /* Zeroed but for done and user. done runs on any thread and may only hand over; rc 0: the
     * results are there, or error says why there are none. */
    qd_op op;
    uint32_t struct_size;
    uint32_t n;                  /* documents, 1 to QD_DOCS_CALL_MAX */
    uint32_t item_size;          /* sizeof(qd_docs_write) or sizeof(qd_docs_read) */
    uint32_t flags;              /* QD_DOCS_NO_VALUES */
    const qd_docs_write *writes; /* of write */
    const qd_docs_read *reads;   /* of read */
    /* Read: patterns of _source filtering ("a.*") for all documents; empty: everything. */
    const qd_str *includes, *excludes;
    uint32_t nincludes, nexcludes;
    /* Write: */
    uint32_t refresh;
    int32_t active_copies; /* of the shard before it is written; a number or QD_DOCS_COPIES_* */
    int64_t timeout_ms;    /* for these and for new indices and fields; 0: one minute */
    qd_action_origin origin;
    void *user;
    /* The host's, from done until release: the request as a whole. */
    const qd_docs_error *error; /* NULL: each document has its result */
    int32_t status;             /* HTTP's; 200 also where documents failed */
    uint32_t reserved;
    void *host[4];
} qd_docs_call;

typedef struct qd_svc_documents {
    qd_vtable head;
    /* Starts a call; the documents of one are written in any order, those of one id in the order
     * given. 0: op.done follows, then the caller's one release. Otherwise nothing has happened: ARG
     * the call; TOO_LARGE more bytes than http.max_content_length; REJECTED busy, try later;
     * BREAKER, NOMEM no memory; CLUSTER_BLOCK this node is in no cluster yet. [any] */
    int32_t (*write)(qd_self *, qd_docs_call *, qd_err *);
    int32_t (*read)(qd_self *, qd_docs_call *, qd_err *);
    /* A request to end it: what is not written yet fails, op.done still follows. [any], until
     * release */
    void (*cancel)(qd_docs_call *);
    /* The i-th document's; NULL: call.error says why, or there is no i-th. Read no further than its
     * struct_size. [any], from done until release */
    const qd_docs_result *(*result)(const qd_docs_call *, uint32_t i);
    /* A cursor over the values of the i-th document of a read; make: close, before release.
     * NOTFOUND: it has none. [any], from done until release */
    int32_t (*open)(const qd_docs_call *, uint32_t i, qd_docs_cursor **out, qd_err *);
    /* The next value, its texts kept until close; QD_DOCS_END at the end and after it. [any], one
     * thread at a time */
    int32_t (*next)(qd_docs_cursor *, qd_docs_value *out, qd_err *);
    /* Over the rest of the OBJECT or ARRAY that next gave last. [any], one thread at a time */
    int32_t (*skip)(qd_docs_cursor *, qd_err *);
    void (*close)(qd_docs_cursor *); /* NULL is fine. [any] */
    /* Frees the results, once after done; the call may be used again. They count for the memory of
     * the plugin. [any], also within done */
    void (*release)(qd_docs_call *);
} qd_svc_documents;

#ifdef __cplusplus
}
#endif
#endif
