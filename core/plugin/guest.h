/*
 * guest.h: calls of plugins that may never return.
 *
 * Such a call runs on a thread of its own, a guest, while its caller waits. When the caller's task
 * is cancelled, its deadline passes, or the call has taken longer than the host allows, the caller
 * goes on with an error and the guest stays behind with the call, which then owns all that it
 * works with: memory that both use belongs to whoever lets go of it last. What the caller alone
 * owns the call reaches through functions of the host, between qd_guest_enter and qd_guest_leave:
 * the caller never leaves in between, and once it has left they fail.
 *
 * A call that has not returned in time is told in the log. After QD_GUESTS_STUCK_MAX of one plugin,
 * its further calls are refused: each holds a thread, and perhaps a processor.
 */
#ifndef QD_PLUGIN_GUEST_H
#define QD_PLUGIN_GUEST_H

#include "plugin/host.h"
#include "runtime/task.h"

#define QD_GUESTS_STUCK_MAX 4u /* calls of one plugin that have not returned in time */
#define QD_GUESTS_MAX 256u     /* threads of one host */

typedef struct qd_guests qd_guests; /* of one plugin host */

/* A call; the first member of a struct of its caller's, on the heap. */
typedef struct qd_guest_call {
    /* The call itself; its result is kept in rc. [guest] */
    int32_t (*run)(struct qd_guest_call *call);
    /* The caller has left and run has returned: ends what belongs to both, the call too. [guest] */
    void (*left)(struct qd_guest_call *call);
    const qd_self *self; /* whose code runs */
    const char *kind;    /* static: "operator", "tokenizer" */
    const char *what;    /* static: "next_block" */
    const char *placed;  /* static: what place names: "index", "type" */
    char name[64];       /* of the operator or part */
    char place[128];     /* in brackets */
    bool ends;           /* it gives back what others took: never refused for those that are late */
    int32_t rc;
    /* what it would have come to and the limit, where the plugin's own limit is the reason of rc */
    int64_t wanted, limit;
} qd_guest_call;

/* Runs the call on a guest and waits for it. 0: it has returned, call->rc is its result. Else the
 * call is the guest's, or never ran: *ran tells which. QD_E_CANCELLED, QD_E_TIMEOUT: the end of
 * task (NULL: none); QD_E_PLUGIN: it took longer than plugins.call_timeout; QD_E_REJECTED: too many
 * of the plugin's calls have not returned; QD_E_NOMEM. guests NULL: runs here. [worker] */
QD_MUST_CHECK
int qd_guest_run(qd_guests *guests, qd_guest_call *call, qd_task *task, bool *ran, qd_err *err);
/* The error of a call that has returned a code, not 0, with `from`, which may be empty: from
 * itself, or a sentence that names part, plugin, function and code. A code that
 * quidditch/errors.def lacks is QD_E_PLUGIN. Returns its code. [any] */
QD_MUST_CHECK
int qd_guest_failed(const qd_guest_call *call, const qd_err *from, qd_err *to);
/* The guests of a plugin's host; NULL for a NULL self. [any] */
qd_guests *qd_plugin_guests(const qd_self *self);

/* Code of the host called back by a plugin: may it touch what the caller of the plugin owns? If so,
 * qd_guest_leave follows. On other threads than guests always. Calls nest. [any] */
QD_MUST_CHECK
bool qd_guest_enter(void);
/* Ends it. [any] */
void qd_guest_leave(void);

/* Calls that their callers have left, and that have not returned: all, and those over the time; of
 * one plugin (NULL: of all). [any] */
void qd_guests_count(qd_guests *guests, const qd_self *self, uint32_t *left, uint32_t *stuck);

/* The env of the guests; NULL for NULL. [any] */
qd_env *qd_guests_env(const qd_guests *guests);

#endif
