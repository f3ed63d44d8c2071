/* resolve_index.c: _resolve/index: which indices, aliases and data streams an expression means. */
#include "action/api/admin_int.h"
#include "base/str.h"
#include "base/vec.h"
#include <stdlib.h>

typedef struct resolving_names {
    const qd_state *s;
    qd_str names;
    uint32_t options;
    QD_VEC(const qd_alias_group *) at;
} resolving_names;

/* Is a name meant by the expression? From the first pattern on "-x" takes names away. */
static bool is_meant(const resolving_names *x, qd_str name, bool hidden)
{
    bool meant = false, pattern_seen = false;
    for (qd_str rest = x->names; rest.p;) {
        qd_str one = qd_str_split(&rest, ',');
        bool out = pattern_seen && one.n && one.p[0] == '-';
        if (out) one = qd_str_sub(one, 1, one.n);
        bool pattern = qd_str_find(one, '*') >= 0 || qd_str_is(one, "_all");
        bool dots = one.n && one.p[0] == '.' && name.p[0] == '.';
        pattern_seen |= pattern;
        if (!(qd_str_is(one, "_all") || qd_pattern_match(one, name))) continue;
        if (pattern && !out && hidden && !dots && !(x->options & QD_EXPAND_HIDDEN)) continue;
        meant = !out;
    }
    return meant;
}

static int take_group(void *arg, const qd_alias_group *g)
{
    resolving_names *x = arg;
    return is_meant(x, g->name, g->is_hidden) ? qd_vec_push(&x->at, NULL, g) : 0;
}

static int by_name(const void *a, const void *b)
{
    const qd_alias_group *const *x = a, *const *y = b;
    return qd_str_cmp((*x)->name, (*y)->name);
}

static bool is_named(const resolving_names *x, qd_str name)
{
    for (qd_str rest = x->names; rest.p;)
        if (qd_str_eq(qd_str_split(&rest, ','), name)) return true;
    return false;
}

static void write_indices(const resolving_names *x, qd_json_writer *w)
{
    qd_json_key_c(w, "indices");
    qd_json_array(w);
    for (uint32_t i = 0; i < x->s->n; i++) {
        const qd_index_meta *m = x->s->indices[i];
        bool hidden = qd_values_bool(m->values, QD_IX_HIDDEN);
        uint32_t wanted = m->closed ? QD_EXPAND_CLOSED : QD_EXPAND_OPEN;
        if (!is_meant(x, m->name, hidden)) continue;
        if (!is_named(x, m->name) && !(x->options & wanted)) continue;
        qd_json_object(w);
        qd_json_field_str(w, "name", m->name);
        if (m->naliases) {
            qd_json_key_c(w, "aliases");
            qd_json_array(w);
            for (uint32_t k = 0; k < m->naliases; k++) qd_json_str(w, m->aliases[k].name);
            qd_json_array_end(w);
        }
        qd_json_key_c(w, "attributes");
        qd_json_array(w);
        if (m->closed) qd_json_c(w, "closed");
        if (hidden) qd_json_c(w, "hidden");
        if (!m->closed) qd_json_c(w, "open");
        qd_json_array_end(w);
        if (m->place.stream.n) qd_json_field_str(w, "data_stream", m->place.stream);
        qd_str mode = qd_values_text(m->values, QD_IX_MODE);
        if (!qd_str_is(mode, "standard")) qd_json_field_str(w, "mode", mode);
        qd_json_object_end(w);
    }
    qd_json_array_end(w);
}

/* What stands behind an alias: its indices, and in place of a data stream's own the stream. */
static void write_alias(const qd_alias_group *g, qd_json_writer *w)
{
    qd_json_object(w);
    qd_json_field_str(w, "name", g->name);
    qd_json_key_c(w, "indices");
    qd_json_array(w);
    for (uint32_t i = 0; i < g->n; i++) {
        bool told = false;
        qd_str stream = g->indices[i]->place.stream;
        for (uint32_t k = 0; k < i && stream.n && !told; k++)
            told = qd_str_eq(g->indices[k]->place.stream, stream);
        if (!told) qd_json_str(w, stream.n ? stream : g->indices[i]->name);
    }
    qd_json_array_end(w);
    qd_json_object_end(w);
}

static void write_stream(const qd_alias_group *g, qd_json_writer *w)
{
    qd_json_object(w);
    qd_json_field_str(w, "name", g->name);
    qd_json_key_c(w, "backing_indices");
    qd_json_array(w);
    for (uint32_t i = 0; i < g->n; i++) qd_json_str(w, g->indices[i]->name);
    qd_json_array_end(w);
    qd_json_field_c(w, "timestamp_field", "@timestamp");
    qd_json_object_end(w);
}

static void write_groups(const resolving_names *x, bool streams, qd_json_writer *w)
{
    qd_json_key_c(w, streams ? "data_streams" : "aliases");
    qd_json_array(w);
    for (size_t i = 0; i < x->at.n; i++) {
        if (x->at.at[i]->is_stream != streams) continue;
        if (streams)
            write_stream(x->at.at[i], w);
        else
            write_alias(x->at.at[i], w);
    }
    qd_json_array_end(w);
}

int qdi_api_indices_resolve_index(qd_request *q, qd_response *r, qd_err *err)
{
    resolving_names x = {.names = qd_param(q, "name")};
    qd_resolved found;
    qd_state *s = qd_cluster_state(q->a->cluster);
    uint32_t standard = QD_EXPAND_OPEN | QD_ALLOW_NO_INDICES;
    int rc = qd_param_indices_options(q, standard, &x.options, err);
    x.s = s;
    /* for its errors: names that are not there */
    if (!rc) rc = qd_state_resolve(s, x.names, x.options, q->arena, &found, err);
    if (!rc && qd_state_aliases_each(s, take_group, &x)) rc = qd_err_nomem(err, "aliases");
    if (!rc) {
        if (x.at.n) qsort(x.at.at, x.at.n, sizeof *x.at.at, by_name);
        qd_json_object(&r->w);
        write_indices(&x, &r->w);
        write_groups(&x, false, &r->w);
        write_groups(&x, true, &r->w);
        qd_json_object_end(&r->w);
    }
    qd_vec_fini(&x.at);
    qd_state_unref(s);
    return rc;
}
