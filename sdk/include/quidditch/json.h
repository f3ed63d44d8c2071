/*
 * json.h: the service `json`: a pull reader and a writer. abi.h includes it.
 */
#ifndef QUIDDITCH_JSON_H
#define QUIDDITCH_JSON_H

#include <quidditch/abi.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    QD_JEV_END,
    QD_JEV_OBJECT,
    QD_JEV_OBJECT_END,
    QD_JEV_ARRAY,
    QD_JEV_ARRAY_END,
    QD_JEV_KEY,
    QD_JEV_STRING,
    QD_JEV_INT,
    QD_JEV_FLOAT,
    QD_JEV_TRUE,
    QD_JEV_FALSE,
    QD_JEV_NULL
};
typedef struct qd_jev {
    uint32_t type, reserved;
    qd_str text;     /* of a key or string, decoded; of a number, as written; borrow until next */
    int64_t integer; /* of QD_JEV_INT */
    double number;   /* of QD_JEV_INT and QD_JEV_FLOAT */
} qd_jev;
/* Pull reader and writer. Depth and sizes are limited by the host. [any], one thread at a time. */
typedef struct qd_svc_json {
    qd_vtable head;
    int32_t (*next)(qd_json_in *, qd_jev *, qd_err *); /* errors name line and column */
    /* Over the value just begun, or the one that follows a key. */
    int32_t (*skip)(qd_json_in *, qd_err *);
    int32_t (*text)(qd_json_in *, qd_str *raw, qd_err *); /* the same, giving its bytes; borrow */
    /* Sets an error with the present line and column. */
    int32_t (*fail)(qd_json_in *, qd_err *, int32_t code, qd_str reason);
    void (*put)(qd_json_out *, const qd_jev *);            /* errors are kept until the end */
    qd_json_in *(*open)(qd_self *, qd_str text, qd_err *); /* text: keep until close; make: close */
    void (*close)(qd_json_in *);                           /* of open only */
} qd_svc_json;

#ifdef __cplusplus
}
#endif
#endif
