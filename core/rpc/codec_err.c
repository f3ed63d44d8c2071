/*
 * codec_err.c: errors between nodes: code, type, status, reason, details, causes.
 *
 * A qd_err points to static texts for its type and the keys of its details, so what comes from a
 * peer is looked up among those that this build knows, or kept once for ever in a small table; when
 * that is full, an unknown type becomes that of its code and an unknown detail is dropped.
 */
#include "rpc/codec.h"
#include "runtime/sync.h"

#define CAUSES_MAX 4u
#define NAME_MAX_BYTES 63u
#define NAMES_MAX 256u
#define REASON_MAX 65536u

static const char *const types[] = {
#define QD_ERR(sym, code, http, type, retry) type,
#include <quidditch/errors.def>
#undef QD_ERR
};
static const char *const keys[] = {
    "index",      "shard",         "index_uuid",  "line", "col",   "bytes_wanted", "bytes_limit",
    "durability", "resource.type", "resource.id", "node", "phase", "grouped",      "sealed_store"};

static struct {
    qd_mutex lock;
    uint32_t n;
    char at[NAMES_MAX][NAME_MAX_BYTES + 1];
} names = {.lock = QD_MUTEX_INIT};

static const char *find(const char *const *list, size_t n, qd_str s)
{
    for (size_t i = 0; i < n; i++)
        if (qd_str_is(s, list[i])) return list[i];
    return NULL;
}

/* A static text equal to s, NULL when there is none and no room. */
static const char *intern(qd_str s)
{
    const char *known = find(types, QD_COUNT_OF(types), s);
    if (!known) known = find(keys, QD_COUNT_OF(keys), s);
    if (known || s.n > NAME_MAX_BYTES) return known;
    qd_mutex_lock(&names.lock);
    for (uint32_t i = 0; i < names.n && !known; i++)
        if (qd_str_is(s, names.at[i])) known = names.at[i];
    if (!known && names.n < NAMES_MAX) {
        char *to = names.at[names.n++];
        memcpy(to, s.p, s.n);
        to[s.n] = 0;
        known = to;
    }
    qd_mutex_unlock(&names.lock);
    return known;
}

void qd_write_err(qd_writer *w, const qd_err *err)
{
    uint32_t n = 0;
    for (const qd_err *e = err; e && n <= CAUSES_MAX; e = e->cause) n++;
    qd_write_varint(w, n);
    for (const qd_err *e = err; n-- > 0; e = e->cause) {
        qd_str reason = qd_str_c(qd_err_reason(e));
        qd_write_zigzag(w, e->code);
        qd_write_varint(w, (uint64_t)(e->status > 0 ? e->status : 0));
        qd_write_c(w, e->type);
        qd_write_str(w, qd_str_sub(reason, 0, REASON_MAX));
        qd_write_varint(w, e->ndetails);
        for (uint32_t i = 0; i < e->ndetails; i++) {
            qd_write_c(w, e->details[i].key);
            qd_write_str(w, qd_str_sub(qd_str_c(e->details[i].value), 0, REASON_MAX));
            qd_write_bool(w, e->details[i].raw);
        }
    }
}

/* One frame of it into an empty error. */
static void read_one(qd_body_reader *r, qd_err *e)
{
    int64_t code = qd_read_zigzag(r, "error.code");
    uint64_t status = qd_read_varint_max(r, "error.status", 599);
    qd_str type = qd_read_str(r, "error.type", 1024);
    qd_str reason = qd_read_str(r, "error.reason", REASON_MAX);
    size_t n = qd_read_array(r, "error.details", QD_ERR_DETAILS_MAX, 3);
    if (r->bad) return;
    if (code >= 0 || code < INT32_MIN) {
        qd_body_reader_fail(r, "error.code", "is not negative");
        return;
    }
    (void)qd_err_set_at(e, (int)code, "peer", 0, "%.*s", QD_STR_ARG(reason));
    const char *known = type.n ? intern(type) : NULL;
    if (known || status) qd_err_type(e, known, (int)status);
    for (size_t i = 0; i < n && !r->bad; i++) {
        qd_str key = qd_read_str(r, "error.detail", 1024);
        qd_str value = qd_read_str(r, "error.value", REASON_MAX);
        bool raw = qd_read_bool(r, "error.raw");
        const char *name = r->bad ? NULL : intern(key);
        if (!name) continue;
        if (raw)
            qd_err_detail_raw(e, name, value);
        else
            qd_err_detail_str(e, name, value);
    }
}

void qd_read_err(qd_body_reader *r, qd_err *out)
{
    qd_err found[CAUSES_MAX + 1];
    size_t n = qd_read_array(r, "error", CAUSES_MAX + 1, 5), got = 0;
    if (!r->bad && !n) qd_body_reader_fail(r, "error", "is empty");
    for (; got < n && !r->bad; got++) {
        qd_err_init(&found[got]);
        read_one(r, &found[got]);
    }
    /* from the innermost outwards, each the cause of the one before */
    for (size_t i = got; i-- > 1 && !r->bad;) {
        qd_err *cause = qd_alloc(NULL, sizeof *cause);
        if (!cause) continue;
        qd_err_init(cause);
        qd_err_move(cause, &found[i]);
        found[i - 1].cause = cause;
    }
    if (!r->bad) qd_err_move(out, &found[0]);
    for (size_t i = 0; i < got; i++) qd_err_fini(&found[i]);
}
