/* vectors.c: _source of hits without the values of fields of vectors (exclude_vectors). */
#include "action/search/search_int.h"
#include "base/vec.h"

#define KEPT_MAX ((size_t)1 << 31)

typedef struct names {
    QD_VEC(qd_str) list;
    qd_account *account;
} names;

static int add_name(void *arg, const qd_field *f)
{
    names *n = arg;
    if (!f->vectors || f->parent) return 0;
    return qd_vec_push(&n->list, n->account, f->name);
}

/* Made once for the hits of a shard; *out NULL: the index has no vectors. */
static int filter_of(search_hits *h, qd_json_filter **out, qd_err *err)
{
    names n = {.account = h->x->a->account};
    *out = h->no_vectors;
    if (h->vectors_known) return 0;
    int rc = qd_mapping_match(h->index->context.mapping, QD_STR("*"), add_name, &n);
    if (rc) rc = qd_err_nomem(err, "source filter");
    if (!rc && n.list.n)
        rc = qd_json_filter_make(h->arena, NULL, 0, n.list.at, n.list.n, QD_JSON_FILTER_SOURCE,
                                 &h->no_vectors, err);
    qd_vec_fini(&n.list);
    h->vectors_known = !rc;
    *out = h->no_vectors;
    return rc;
}

int qdi_hits_source_write(search_hits *h, qd_str source, qd_json_writer *w, qd_err *err)
{
    const doc_source *s = &h->show->source;
    qd_json_filter *filter = NULL;
    qd_buf kept;
    int rc = s->no_vectors ? filter_of(h, &filter, err) : 0;
    if (rc || !filter) return rc ? rc : qdi_source_write(s, source, w, err);
    qd_buf_init(&kept, h->x->a->account, KEPT_MAX);
    rc = qd_json_filter_apply(filter, source, false, &kept, err);
    if (!rc) rc = qdi_source_write(s, qd_buf_view(&kept), w, err);
    qd_buf_fini(&kept);
    return rc;
}
