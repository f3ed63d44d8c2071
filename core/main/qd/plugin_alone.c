/* plugin_alone.c: see plugin_alone.h. */
#include "main/qd/plugin_alone.h"
#include <quidditch/documents.h>

static int32_t fake_submit(qd_self *self, qd_action_call *call, qd_err *err)
{
    (void)self;
    (void)call;
    return qd_err_set(err, QD_E_CLOSED, "no node is running");
}
static int32_t fake_body(qd_action_call *call, qd_slice piece, uint32_t last,
                         void (*ready)(qd_action_call *))
{
    (void)call, (void)piece, (void)last, (void)ready;
    return QD_E_CLOSED;
}
static void fake_cancel(qd_action_call *call)
{
    (void)call;
}
static int64_t fake_stale(const qd_action_call *call)
{
    (void)call;
    return 0;
}
static const qd_svc_action fake_action = {{sizeof(qd_svc_action), QD_ABI_MAJOR, QD_ABI_MINOR, 0},
                                          fake_submit,
                                          fake_body,
                                          fake_cancel,
                                          fake_cancel,
                                          fake_stale};

static int32_t fake_documents(qd_self *self, qd_docs_call *call, qd_err *err)
{
    (void)self;
    (void)call;
    return qd_err_set(err, QD_E_CLOSED, "no node is running");
}
static void fake_end(qd_docs_call *call)
{
    (void)call;
}
static const qd_docs_result *fake_result(const qd_docs_call *call, uint32_t i)
{
    (void)call;
    (void)i;
    return NULL;
}
static int32_t fake_open(const qd_docs_call *call, uint32_t i, qd_docs_cursor **out, qd_err *err)
{
    (void)call;
    (void)out;
    return qd_err_set(err, QD_E_NOTFOUND, "document [%u] of the call has no values", i);
}
static int32_t fake_next(qd_docs_cursor *cursor, qd_docs_value *out, qd_err *err)
{
    (void)cursor;
    (void)out;
    return qd_err_set(err, QD_E_STATE, "no cursor is open");
}
static int32_t fake_skip(qd_docs_cursor *cursor, qd_err *err)
{
    return fake_next(cursor, NULL, err);
}
static void fake_close(qd_docs_cursor *cursor)
{
    (void)cursor;
}
static const qd_svc_documents fake_typed = {{sizeof(qd_svc_documents), 0, 1, 0},
                                            fake_documents,
                                            fake_documents,
                                            fake_end,
                                            fake_result,
                                            fake_open,
                                            fake_next,
                                            fake_skip,
                                            fake_close,
                                            fake_end};

void qd_plugin_alone(qd_plugin_host *host)
{
    qd_plugin_host_service(host, QD_SERVICE_ACTION, &fake_action.head);
    qd_plugin_host_service(host, QD_SERVICE_DOCUMENTS, &fake_typed.head);
}
