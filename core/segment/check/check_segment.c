/*
 * check_segment.c: one segment from framing to the last value, and its generations of live
 * documents.
 */
#include "base/vec.h"
#include "segment/columns/columns_int.h"
#include "segment/ids/ids_int.h"
#include "segment/live.h"
#include "segment/nested/nested_int.h"
#include "segment/parts/parts_int.h"
#include "segment/points/points_int.h"
#include "segment/postings/postings_int.h"
#include "segment/segment_int.h"
#include "segment/stored/stored_int.h"
#include <stdio.h>

/* Behind the last '/'. */
static qd_str base_of(qd_str name)
{
    size_t at = name.n;
    while (at > 0 && name.p[at - 1] != '/') at--;
    return qd_str_sub(name, at, name.n);
}

bool qd_segment_name_is(qd_str name)
{
    qd_str b = base_of(name);
    if (b.n != 36 || !qd_str_starts(b, QD_STR("seg-"))) return false;
    for (size_t i = 4; i < b.n; i++)
        if (!((b.p[i] >= '0' && b.p[i] <= '9') || (b.p[i] >= 'a' && b.p[i] <= 'f'))) return false;
    return true;
}

/* Generations of a segment's live documents in its folder. */
typedef struct generations {
    const qd_segment *segment;
    qd_account *account;
    QD_VEC(uint64_t) v;
} generations;

static int keep_generation(void *arg, qd_str name, uint64_t bytes)
{
    generations *g = arg;
    uint8_t id[16];
    uint64_t generation;
    (void)bytes;
    if (!qd_live_name_parse(base_of(name), id, &generation) ||
        memcmp(id, qd_segment_id(g->segment), 16) != 0)
        return 0;
    return qd_vec_push(&g->v, g->account, generation);
}

/* Listed first, opened afterwards: a tier may not like to be called from its own list. */
static int check_lives(qd_store *store, const qd_segment *s, qd_str name, qd_check *c, qd_err *err)
{
    generations g = {.segment = s, .account = c->account};
    char prefix[512];
    qd_str folder = {name.p, name.n - base_of(name).n};
    int n = snprintf(prefix, sizeof prefix, "%.*slive-", QD_STR_ARG(folder));
    if (n < 0 || (size_t)n >= sizeof prefix) return 0;
    int rc = qd_store_list(store, (qd_str){prefix, (size_t)n}, keep_generation, &g, err);
    if (rc == QD_E_NOMEM) rc = qd_err_nomem(err, "check of live documents");
    for (size_t i = 0; rc == 0 && i < g.v.n; i++) {
        qd_live *live = NULL;
        rc = qd_live_open(store, folder, qd_segment_id(s), g.v.at[i], qd_segment_docs(s),
                          c->account, &live, err);
        qd_live_unref(live);
        c->lives++;
        rc = qd_check_error(c, "LIVE", rc, err);
    }
    qd_vec_fini(&g.v);
    return rc;
}

/* What one part says is held against another. */
static void check_counts(const qd_segment *s, qd_check *c, uint64_t ids_before)
{
    uint32_t id = qd_segment_field_find(s, QD_STR("_id"));
    const qd_column *column = id == QD_FIELD_NONE ? NULL : qd_columns_get(s->columns, id);
    if (column && !s->ids) qd_check_found(c, "IDS", 0, "the column _id has no table of ids");
    if (s->ids && c->ids - ids_before != qd_column_stats_get(column)->docs)
        qd_check_found(c, "IDS", 0, "%llu ids were walked, %u are promised",
                       (unsigned long long)(c->ids - ids_before),
                       qd_column_stats_get(column)->docs);
    for (uint32_t i = 0; i < qdi_columns_count(s->columns); i++) {
        uint32_t f = qdi_columns_field(s->columns, i);
        if (f >= s->nfields ||
            s->fields[f].column != qd_column_stats_get(qd_columns_get(s->columns, f))->type)
            qd_check_found(c, "COLUMN_INDEX", 0, "field %u: a column that META does not know", f);
    }
}

static int check_table(qd_segment *s, qd_check *c, qd_err *err)
{
    uint64_t ids = c->ids;
    int rc = qd_check_error(c, "TERMS", qdi_inverted_check(s, c, err), err);
    if (rc == 0) rc = qdi_columns_check(s->columns, c, err);
    if (rc == 0) rc = qdi_points_check(s->points, c, err);
    if (rc == 0 && s->stored) rc = qdi_stored_check(s->stored, c, err);
    if (rc == 0 && s->ids) rc = qdi_ids_check(s->ids, c, err);
    if (rc == 0) rc = qdi_index_parts_check(s, c, err);
    if (rc == 0) check_counts(s, c, ids);
    for (uint32_t i = 0; rc == 0 && i < s->nnested; i++) {
        rc = qd_check_error(c, "CHILDREN", qdi_children_check(s, &s->nested[i], c, err), err);
        if (rc == 0) rc = check_table(s->nested[i].segment, c, err); /* numbers of tables rise */
    }
    return rc;
}

static int check_parts(qd_store *store, qd_segment *s, qd_str name, qd_check *c, qd_err *err)
{
    int rc = check_table(s, c, err);
    return rc ? rc : check_lives(store, s, name, c, err);
}

int qd_segment_check(qd_store *store, qd_str name, qd_check *c, qd_err *err)
{
    qd_file *f = NULL;
    qd_segment *s = NULL;
    qd_file_format format = QDI_SEGMENT_FORMAT;
    c->file = NULL;
    c->name = name;
    int rc = qd_file_open(store, name, &format, c->account, &f, err);
    if (rc) return qd_check_error(c, "FRAME", rc, err);
    c->file = f;
    rc = qd_check_error(c, "FRAME", qd_file_verify(f, err), err);
    if (rc == 0) {
        int opened = qd_segment_open(store, name, c->account, &s, err);
        rc = opened ? qd_check_error(c, "META", opened, err) : check_parts(store, s, name, c, err);
    }
    c->file = NULL;
    qd_segment_unref(s);
    qd_file_unref(f);
    return rc;
}
