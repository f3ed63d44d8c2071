/* stored.c: values of stored fields of a document that was got, and stored_fields of a request. */
#include "action/documents/documents_int.h"
#include "base/str.h"
#include "mapping/doc_stored.h"

#define STORED_MAX ((size_t)1 << 30)

int qdi_doc_stored_of(const qd_mapping *m, qd_str source, qd_arena *arena, qd_str *out, qd_err *err)
{
    qd_buf b;
    *out = (qd_str){NULL, 0};
    if (!source.n) return 0;
    qd_buf_init(&b, arena->account, STORED_MAX);
    int rc = qd_stored_of_source(m, source, arena->account, &b, err);
    if (!rc) *out = qd_arena_str(arena, qd_buf_view(&b));
    if (!rc && !out->p) rc = qd_err_nomem(err, "stored fields");
    qd_buf_fini(&b);
    return rc;
}

int qdi_doc_stored_got(const qd_mapping *m, qd_engine_doc *d, qd_arena *arena, qd_err *err)
{
    if (d->stored.n || !d->found) return 0;
    if (qd_mapping_stores_apart(m) && !d->as_sent) return 0; /* the segment has none */
    return qdi_doc_stored_of(m, d->source, arena, &d->stored, err);
}

bool qdi_doc_stored_source(const doc_get *g)
{
    bool listed = g->nstored == 0 || g->source_given;
    for (uint32_t i = 0; i < g->nstored && !listed; i++)
        listed = qd_str_is(g->stored[i], "_source");
    return g->source.want && listed;
}

int qdi_doc_stored_check(const doc_get *g, const qd_mapping *m, qd_err *err)
{
    for (uint32_t i = 0; i < g->nstored; i++)
        if (qd_mapping_is_object(m, g->stored[i]))
            return qd_err_set(err, QD_E_ARG, "field [%.*s] isn't a leaf field",
                              QD_STR_ARG(g->stored[i]));
    return 0;
}

/* Is the name one of those before it, too? */
static bool named_before(const doc_get *g, uint32_t at)
{
    for (uint32_t i = 0; i < at; i++)
        if (qd_str_eq(g->stored[i], g->stored[at])) return true;
    return false;
}

int qdi_doc_stored_write(const doc_get *g, const qd_mapping *m, qd_str stored, qd_arena *arena,
                         qd_json_writer *w, qd_err *err)
{
    qd_json_node *root;
    bool open = false;
    int rc = stored.n ? qd_json_parse(arena, stored, 0, &root, err) : 0;
    for (uint32_t i = 0; i < g->nstored && stored.n && !rc; i++) {
        const qd_field *f = qd_mapping_field(m, g->stored[i]);
        const qd_json_node *n = f && f->stored ? qd_json_get_str(root, f->name) : NULL;
        if (!n || named_before(g, i)) continue;
        if (!open) {
            qd_json_key_c(w, "fields");
            qd_json_object(w);
        }
        open = true;
        qd_json_key(w, f->shown);
        qd_json_raw_value(w, n->raw);
    }
    if (open) qd_json_object_end(w);
    return rc;
}
