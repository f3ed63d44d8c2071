/* warnings.c: what a client is told beside the answer, in a header Warning. */
#include "action/action_int.h"
#include "action/admin_int.h"
#include "base/str.h"
#include <string.h>

#define WARNINGS_MAX 3000u /* bytes of one answer */

/* As a quoted string of HTTP, on one line. */
static void put_quoted(qd_buf *b, const char *text)
{
    (void)qd_buf_char(b, '"');
    for (; *text; text++) {
        if (*text == '"' || *text == '\\') (void)qd_buf_char(b, '\\');
        (void)qd_buf_char(b, *text >= ' ' && *text != 127 ? *text : ' ');
    }
    (void)qd_buf_char(b, '"');
}

void qd_request_warn(qd_request *q, const char *text)
{
    const char *before = q->warnings ? q->warnings : "";
    qdi_identity id;
    qd_buf b;
    qdi_identity_get(q->a, &id);
    qd_buf_init(&b, NULL, WARNINGS_MAX);
    (void)qd_buf_printf(&b, "299 %s-%.*s-%s ", id.opensearch ? "OpenSearch" : "Elasticsearch",
                        QD_STR_ARG(id.number), id.build_hash);
    put_quoted(&b, text);
    if (!qd_buf_status(&b) && strlen(before) + b.n <= WARNINGS_MAX && !strstr(before, b.p)) {
        qd_str all = qd_arena_printf(q->arena, "%s%s%s", before, *before ? "\n" : "", b.p);
        if (all.p) q->warnings = all.p;
    }
    qd_buf_fini(&b);
}

static void tell(void *arg, const qd_setting_value *v, const char *text)
{
    (void)v;
    qd_request_warn(arg, text);
}

void qdi_warn_settings(qd_request *q, const qd_schema *schema, const qd_settings *s)
{
    qd_schema_without_effect(schema, s, true, tell, q);
}
