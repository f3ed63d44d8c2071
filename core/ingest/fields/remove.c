/* remove.c: the processor remove: fields that go, or all but those that stay. */
#include "ingest/ingest_int.h"

typedef struct removal {
    qdi_tpath *fields, *keep;
    uint32_t nfields, nkeep;
    bool ignore_missing;
} removal;

static int paths(qdi_build *b, const char *key, bool required, qdi_tpath **out, uint32_t *n,
                 qd_err *err)
{
    qd_str *texts;
    int rc = qdi_arg_strs(b, key, required, true, &texts, n, err);
    if (rc) return rc;
    *out = qd_arena_calloc(b->a, *n * sizeof **out + 1);
    if (!*out) return qd_err_nomem(err, "processor");
    for (uint32_t k = 0; k < *n && !rc; k++) rc = qdi_tpath_make(b, key, texts[k], &(*out)[k], err);
    return rc;
}

static int make(qdi_build *b, void *config, qd_err *err)
{
    removal *c = config;
    int rc = paths(b, "keep", false, &c->keep, &c->nkeep, err);
    if (!rc) rc = paths(b, "field", !c->nkeep, &c->fields, &c->nfields, err);
    if (!rc && c->nkeep && c->nfields)
        rc = qdi_arg_fail(b, "keep", err, "Too many properties specified");
    return rc ? rc : qdi_arg_bool(b, "ignore_missing", false, &c->ignore_missing, err);
}

/* Keeps of an object below prefix what one of the paths leads to or into. */
static void prune(qd_iv *map, const qdi_path *const *keep, const uint32_t *depth, uint32_t n,
                  qd_ingest_run *r)
{
    uint32_t kept = 0;
    const qdi_path **below = qd_arena_alloc(&r->arena, n * sizeof *below + 1);
    uint32_t *deeper = qd_arena_alloc(&r->arena, n * sizeof *deeper + 1);
    if (!below || !deeper) return;
    for (uint32_t k = 0; k < map->n; k++) {
        qd_iv_member *m = &map->members[k];
        uint32_t nbelow = 0;
        bool whole = false;
        for (uint32_t i = 0; i < n; i++) {
            if (!qd_str_eq(keep[i]->at[depth[i]], m->key)) continue;
            whole |= depth[i] + 1 == keep[i]->n;
            below[nbelow] = keep[i];
            deeper[nbelow++] = depth[i] + 1;
        }
        if (!whole && !nbelow) continue;
        if (!whole && m->value.kind == QD_IV_MAP) prune(&m->value, below, deeper, nbelow, r);
        map->members[kept++] = *m;
    }
    map->n = kept;
}

static int keep_only(const removal *c, qd_ingest_run *r, qd_err *err)
{
    const qdi_path **keep = qd_arena_alloc(&r->arena, c->nkeep * sizeof *keep);
    uint32_t *depth = qd_arena_calloc(&r->arena, c->nkeep * sizeof *depth), n = 0;
    if (!keep || !depth) return qdi_run_nomem(err);
    for (uint32_t k = 0; k < c->nkeep; k++) {
        qdi_path *room = qd_arena_alloc(&r->arena, sizeof *room);
        if (!room) return qdi_run_nomem(err);
        int rc = qdi_tpath_get(r, &c->keep[k], room, &keep[n], err);
        if (rc) return rc;
        n += keep[n]->root == QDI_ROOT_SOURCE;
    }
    prune(&r->source, keep, depth, n, r);
    return 0;
}

static int run(const void *config, qd_ingest_run *r, qd_err *err)
{
    const removal *c = config;
    if (c->nkeep) return keep_only(c, r, err);
    for (uint32_t k = 0; k < c->nfields; k++) {
        qdi_path room;
        const qdi_path *p;
        qd_str text;
        if (c->ignore_missing && !c->fields[k].constant) {
            int no = qdi_template_text(r, c->fields[k].text, &text, err);
            if (no) return no;
            if (!text.n) continue;
        }
        int rc = qdi_tpath_get(r, &c->fields[k], &room, &p, err);
        if (!rc) rc = qdi_path_check_removal(p, err);
        if (!rc && c->ignore_missing && !qdi_path_look(r, p)) continue;
        if (!rc) rc = qdi_path_remove(r, p, err);
        if (rc) return rc;
    }
    return 0;
}

const qdi_processor_type qdi_processor_remove = {"remove", sizeof(removal), .make = make,
                                                 .run = run};
