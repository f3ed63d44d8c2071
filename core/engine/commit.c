/* commit.c: commit points as JSON in a published object. See commit.h. */
#include "engine/commit.h"
#include "base/str.h"
#include "json/tree.h"
#include "json/writer.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FORMAT QD_STR("commit")
#define COMMIT_BYTES_MAX ((size_t)16 << 20)

static void write_hex(qd_json_writer *w, const char *key, const uint8_t id[16])
{
    char hex[33];
    for (int i = 0; i < 16; i++) snprintf(hex + 2 * i, 3, "%02x", id[i]);
    qd_json_field_str(w, key, (qd_str){hex, 32});
}

static void write_u64(qd_json_writer *w, const char *key, uint64_t v)
{
    char hex[17];
    snprintf(hex, sizeof hex, "%016" PRIx64, v);
    qd_json_field_str(w, key, (qd_str){hex, 16});
}

static void encode(qd_json_writer *w, const qd_commit *c)
{
    qd_json_object(w);
    qd_json_field_int(w, "generation", (int64_t)c->generation);
    write_hex(w, "translog_uuid", c->translog_uuid);
    write_hex(w, "history_uuid", c->history_uuid);
    qd_json_field_int(w, "translog_generation", (int64_t)c->translog_generation);
    qd_json_field_int(w, "local_checkpoint", c->local_checkpoint);
    qd_json_field_int(w, "max_seq_no", c->max_seq_no);
    qd_json_field_int(w, "primary_term", (int64_t)c->primary_term);
    qd_json_field_int(w, "translog_first", (int64_t)c->translog_first);
    qd_json_field_int(w, "operations_from", c->operations_from);
    qd_json_field_int(w, "published_term", (int64_t)c->published_term);
    qd_json_field_int(w, "published_generation", (int64_t)c->published_generation);
    qd_json_key_c(w, "leases");
    qd_json_array(w);
    for (uint32_t i = 0; i < c->leases_n; i++) {
        qd_json_object(w);
        qd_json_field_str(w, "id", qd_str_c(c->leases[i].id));
        qd_json_field_int(w, "retaining_seq_no", c->leases[i].retaining_seq_no);
        qd_json_field_int(w, "renewed_ms", c->leases[i].renewed_ms);
        qd_json_object_end(w);
    }
    qd_json_array_end(w);
    qd_json_key_c(w, "segments");
    qd_json_array(w);
    for (uint32_t i = 0; i < c->n; i++) {
        const qd_commit_segment *s = &c->segments[i];
        qd_json_object(w);
        write_hex(w, "id", s->id);
        qd_json_field_int(w, "docs", s->docs);
        qd_json_field_int(w, "live", s->live);
        qd_json_field_int(w, "live_generation", (int64_t)s->live_generation);
        qd_json_field_int(w, "bytes", (int64_t)s->bytes);
        write_u64(w, "hash", s->hash);
        qd_json_object_end(w);
    }
    qd_json_array_end(w);
    qd_json_object_end(w);
}

static qd_str object_name(qd_str folder, char *buf, size_t n)
{
    int len = snprintf(buf, n, "%.*s/commit", QD_STR_ARG(folder));
    qd_assert(len > 0 && (size_t)len < n);
    return (qd_str){buf, (size_t)len};
}

int qd_commit_write(qd_store *s, qd_str folder, const qd_commit *c, qd_err *err)
{
    char name[512];
    qd_buf b;
    qd_json_writer w;
    /* what decode refuses is not written: the shard could not be opened any more */
    qd_assert(c->generation >= 1 && c->local_checkpoint >= -1 && c->operations_from >= 0);
    qd_assert(qd_seq_no_sound(c->local_checkpoint) && qd_seq_no_sound(c->max_seq_no));
    qd_assert(qd_seq_no_sound_from(c->operations_from));
    qd_assert(c->translog_first >= 1 && c->translog_first <= c->translog_generation);
    qd_assert(c->n <= QD_COMMIT_SEGMENTS_MAX && c->leases_n <= QD_LEASES_MAX);
    qd_buf_init(&b, NULL, COMMIT_BYTES_MAX);
    qd_json_writer_init(&w, &b, true);
    encode(&w, c);
    int rc = qd_buf_status(&b);
    if (rc) {
        qd_err_set(err, rc, "commit point of [%.*s] with %u segments does not fit in %zu bytes",
                   QD_STR_ARG(folder), c->n, COMMIT_BYTES_MAX);
    } else {
        rc = qd_store_publish(s, object_name(folder, name, sizeof name), FORMAT, QD_COMMIT_VERSION,
                              qd_buf_view(&b), err);
    }
    qd_buf_fini(&b);
    return rc;
}

static int by_id(const void *a, const void *b)
{
    return memcmp(a, b, 16);
}

int qd_commit_ids_once(const void *first, size_t stride, uint32_t n, qd_account *account,
                       const char *what, qd_err *err)
{
    if (n < 2) return 0;
    uint8_t(*ids)[16] = qd_alloc(account, (size_t)n * 16);
    if (!ids) return qd_err_nomem(err, "ids of segments");
    for (uint32_t i = 0; i < n; i++) memcpy(ids[i], (const char *)first + i * stride, 16);
    qsort(ids, n, 16, by_id);
    bool once = true;
    for (uint32_t i = 1; i < n; i++) once &= memcmp(ids[i - 1], ids[i], 16) != 0;
    qd_free(ids);
    return once ? 0 : qd_err_set(err, QD_E_CORRUPT, "%s: it names a segment twice", what);
}

static bool read_digits(const qd_json_node *n, uint8_t *out, size_t bytes)
{
    if (!n || n->type != QD_JSON_T_STRING || n->text.n != 2 * bytes) return false;
    for (size_t i = 0; i < bytes; i++) {
        int v = 0;
        for (size_t k = 0; k < 2; k++) {
            char c = n->text.p[2 * i + k];
            int d = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
            if (d < 0) return false;
            v = v << 4 | d;
        }
        out[i] = (uint8_t)v;
    }
    return true;
}

static bool read_hex(const qd_json_node *n, uint8_t id[16])
{
    return read_digits(n, id, 16);
}

static bool read_u64(const qd_json_node *n, uint64_t *out)
{
    uint8_t bytes[8];
    if (!read_digits(n, bytes, 8)) return false;
    *out = 0;
    for (int i = 0; i < 8; i++) *out = *out << 8 | bytes[i];
    return true;
}

static bool read_i64(const qd_json_node *object, const char *key, int64_t least, int64_t *out)
{
    const qd_json_node *n = qd_json_get(object, key);
    return n && n->type == QD_JSON_T_NUMBER && qd_str_i64(n->text, out) && *out >= least;
}

static bool read_segment(const qd_json_node *n, qd_commit_segment *s)
{
    int64_t docs, live, generation, bytes;
    if (!read_hex(qd_json_get(n, "id"), s->id) || !read_i64(n, "docs", 0, &docs) ||
        !read_i64(n, "live", 0, &live) || !read_i64(n, "live_generation", 0, &generation) ||
        !read_i64(n, "bytes", 0, &bytes) || !read_u64(qd_json_get(n, "hash"), &s->hash) ||
        docs > UINT32_MAX || live > docs) {
        return false;
    }
    s->docs = (uint32_t)docs;
    s->live = (uint32_t)live;
    s->live_generation = (uint64_t)generation;
    s->bytes = (uint64_t)bytes;
    return true;
}

static bool read_lease(const qd_json_node *n, qd_engine_lease *l)
{
    const qd_json_node *id = qd_json_get(n, "id");
    if (!id || id->type != QD_JSON_T_STRING || id->text.n == 0 || id->text.n > QD_LEASE_ID_MAX ||
        !read_i64(n, "retaining_seq_no", 0, &l->retaining_seq_no) ||
        !qd_seq_no_sound_from(l->retaining_seq_no) ||
        !read_i64(n, "renewed_ms", INT64_MIN, &l->renewed_ms)) {
        return false;
    }
    memcpy(l->id, id->text.p, id->text.n);
    l->id[id->text.n] = 0;
    return true;
}

static int decode_leases(const qd_json_node *root, qd_arena *arena, qd_commit *c)
{
    const qd_json_node *list = qd_json_get(root, "leases");
    if (!list || list->type != QD_JSON_T_ARRAY || list->n > QD_LEASES_MAX) return QD_E_CORRUPT;
    c->leases_n = 0;
    c->leases = qd_arena_alloc(arena, (list->n + 1) * sizeof *c->leases);
    if (!c->leases) return QD_E_NOMEM;
    for (const qd_json_node *n = list->first; n; n = n->next) {
        if (!read_lease(n, &c->leases[c->leases_n++])) return QD_E_CORRUPT;
    }
    return 0;
}

static int decode(const qd_json_node *root, qd_arena *arena, qd_commit *c)
{
    int64_t generation, translog, first, term, shown_term, shown;
    const qd_json_node *list = qd_json_get(root, "segments");
    if (!read_i64(root, "generation", 1, &generation) ||
        !read_i64(root, "translog_generation", 1, &translog) ||
        !read_i64(root, "local_checkpoint", -1, &c->local_checkpoint) ||
        !read_i64(root, "max_seq_no", -1, &c->max_seq_no) ||
        !read_i64(root, "primary_term", 0, &term) || !read_i64(root, "translog_first", 1, &first) ||
        first > translog || !read_i64(root, "operations_from", 0, &c->operations_from) ||
        !qd_seq_no_sound(c->local_checkpoint) || !qd_seq_no_sound(c->max_seq_no) ||
        !qd_seq_no_sound_from(c->operations_from) ||
        !read_i64(root, "published_term", 0, &shown_term) ||
        !read_i64(root, "published_generation", 0, &shown) ||
        !read_hex(qd_json_get(root, "translog_uuid"), c->translog_uuid) ||
        !read_hex(qd_json_get(root, "history_uuid"), c->history_uuid) || !list ||
        list->type != QD_JSON_T_ARRAY || list->n > QD_COMMIT_SEGMENTS_MAX) {
        return QD_E_CORRUPT;
    }
    c->generation = (uint64_t)generation;
    c->translog_generation = (uint64_t)translog;
    c->primary_term = (uint64_t)term;
    c->translog_first = (uint64_t)first;
    c->published_term = (uint64_t)shown_term;
    c->published_generation = (uint64_t)shown;
    c->n = 0;
    c->segments = qd_arena_alloc(arena, (list->n + 1) * sizeof *c->segments);
    if (!c->segments) return QD_E_NOMEM;
    for (const qd_json_node *n = list->first; n; n = n->next) {
        if (!read_segment(n, &c->segments[c->n++])) return QD_E_CORRUPT;
    }
    return decode_leases(root, arena, c);
}

int qd_commit_read(qd_store *s, qd_str folder, qd_arena *arena, qd_commit *out, qd_err *err)
{
    char name[512];
    char *content = NULL;
    size_t n;
    uint32_t version;
    qd_json_node *root;
    qd_str object = object_name(folder, name, sizeof name);
    int rc =
        qd_store_fetch(s, object, FORMAT, QD_COMMIT_VERSION, NULL, &content, &n, &version, err);
    if (rc) return rc;
    rc = qd_json_parse(arena, (qd_str){content, n}, 8, &root, err);
    if (!rc && (rc = decode(root, arena, out))) {
        if (rc == QD_E_NOMEM) {
            (void)qd_err_nomem(err, "commit point");
        } else {
            (void)qd_err_set(err, rc, "commit point [%s]: a member is missing or out of range",
                             name);
        }
    }
    if (!rc) rc = qd_commit_ids_once(out->segments, sizeof *out->segments, out->n, NULL, name, err);
    qd_free(content);
    return rc;
}
