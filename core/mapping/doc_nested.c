/*
 * doc_nested.c: nested documents of a document being parsed. A field belongs to one nested object
 * of the mapping, so that one state a field is enough: it is put aside when the nested document
 * ends.
 */
#include "mapping/doc_int.h"

int qdi_doc_nested_begin(doc *d, const struct object *o, qd_err *err)
{
    int64_t limit = d->m->settings.nested_objects_limit;
    if ((int64_t)d->nested.n >= limit)
        return qd_err_set(
            err, QD_E_ARG,
            "The number of nested documents has exceeded the allowed limit of [%lld]. "
            "This limit can be set by changing the [index.mapping.nested_objects."
            "limit] index level setting.",
            (long long)limit);
    doc_scope s = {(uint32_t)d->nested.n, d->touched.n};
    doc_nested n = {.object = o, .depth = (uint32_t)d->scopes.n};
    if (qd_vec_push(&d->nested, d->account, n) || qd_vec_push(&d->scopes, d->account, s))
        return qd_err_nomem(err, "nested documents");
    return 0;
}

static int put_aside(doc *d, uint32_t id, uint32_t owner)
{
    doc_field *f = &d->fields.at[id];
    doc_kept k = {.id = id, .owner = owner, .state = *f};
    f->gen = 0; /* untouched again, for the next nested document */
    if (k.state.ignored && qd_vec_push(&d->ignored, d->account, id)) return QD_E_NOMEM;
    k.state.ignored = false;
    return qd_vec_push(&d->kept, d->account, k);
}

/* The fields of a nested document and those that were included in it, for `to` as well. */
static int include(doc *d, uint32_t nested, uint32_t to)
{
    const doc_nested *n = &d->nested.at[nested];
    int rc = 0;
    for (uint32_t i = 0; i < n->n && !rc; i++) {
        doc_kept k = d->kept.at[n->first + i];
        k.owner = to;
        rc = qd_vec_push(&d->included, d->account, k);
    }
    for (size_t i = 0, end = d->included.n; i < end && !rc; i++) {
        doc_kept k = d->included.at[i];
        if (k.owner != nested) continue;
        k.owner = to;
        rc = qd_vec_push(&d->included, d->account, k);
    }
    return rc;
}

int qdi_doc_nested_end(doc *d, qd_err *err)
{
    qd_assert(d->scopes.n > 0);
    const doc_scope s = d->scopes.at[--d->scopes.n];
    const struct object *o = d->nested.at[s.nested].object;
    uint32_t above = d->scopes.n ? d->scopes.at[d->scopes.n - 1].nested : QDI_DOC_ROOT;
    size_t left = s.touched;
    int rc = 0;
    d->nested.at[s.nested].first = (uint32_t)d->kept.n;
    for (size_t i = s.touched; i < d->touched.n && !rc; i++) {
        uint32_t id = d->touched.at[i];
        if (qd_mapping_field_at(d->m, id)->nested.p == o->path.p)
            rc = put_aside(d, id, s.nested);
        else
            d->touched.at[left++] = id; /* copied to a document above */
    }
    d->touched.n = left;
    d->nested.at[s.nested].n = (uint32_t)d->kept.n - d->nested.at[s.nested].first;
    if (!rc && o->in_parent) rc = include(d, s.nested, above);
    if (!rc && o->in_root && !(o->in_parent && above == QDI_DOC_ROOT))
        rc = include(d, s.nested, QDI_DOC_ROOT);
    return rc ? qd_err_nomem(err, "nested documents") : 0;
}

void qdi_doc_nested_reset(doc *d)
{
    d->nested.n = d->kept.n = d->included.n = d->scopes.n = d->ignored.n = 0;
}

void qdi_doc_nested_fini(doc *d)
{
    qd_vec_fini(&d->nested);
    qd_vec_fini(&d->kept);
    qd_vec_fini(&d->included);
    qd_vec_fini(&d->scopes);
    qd_vec_fini(&d->ignored);
}
