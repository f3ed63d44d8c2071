/*
 * warnings.c: what a client is told beside the answer, in a header Warning; and once in the log, so
 * that an administrator finds who sends it before the next version refuses it.
 */
#include "action/action_int.h"
#include "action/api/admin_int.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/str.h"
#include "runtime/sync.h"
#include <string.h>

#define WARNINGS_MAX 3000u /* bytes of one answer */
#define TOLD_MAX 128u      /* warnings that are known to stand in the log */

/* Hashes of what was logged last, the oldest is forgotten first. */
static struct {
    qd_mutex lock;
    uint64_t at[TOLD_MAX];
    uint32_t n, next;
} told = {.lock = QD_MUTEX_INIT};

static bool is_news(qd_str text, qd_str opaque_id)
{
    uint64_t hash = qd_xxh3_seed(text.p, text.n, qd_xxh3(opaque_id.p, opaque_id.n));
    bool news = true;
    qd_mutex_lock(&told.lock);
    for (uint32_t i = 0; i < told.n && news; i++) news = told.at[i] != hash;
    if (news) {
        told.at[told.next] = hash;
        told.next = (told.next + 1) % TOLD_MAX;
        if (told.n < TOLD_MAX) told.n++;
    }
    qd_mutex_unlock(&told.lock);
    return news;
}

/* Once for a text and client, of the last so many. */
static void log_once(const qd_request *q, const char *text)
{
    static const char component[] = "deprecation";
    qd_str id = q->origin.opaque_id;
    if (!qd_log_on(component, QD_LOG_WARN) || !is_news(qd_str_c(text), id)) return;
    qd_log_write(component, QD_LOG_WARN, "%s, api[%s], id[%.*s]", text, q->api ? q->api->name : "",
                 QD_STR_ARG(id));
}

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
    log_once(q, text);
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
