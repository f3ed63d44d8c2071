/* hit_fields.c: the fields of a hit: out of columns, the source, stored values, scripts. */
#include "action/api/admin_int.h"
#include "action/search/search_int.h"
#include "base/str.h"
#include "engine/document.h"
#include "mapping/doc_stored.h"
#include "mapping/geo_read.h"
#include "search/runtime/runtime.h"
#include <stdio.h>
#include <stdlib.h>

/* Java's DecimalFormat, for patterns of #, 0 and one point. */
static void write_decimal(qd_str pattern, double v, qd_json_writer *w)
{
    uint32_t least = 0, most = 0;
    bool fraction = false;
    char text[400];
    for (size_t i = 0; i < pattern.n; i++) {
        char c = pattern.p[i];
        if (c == '.') fraction = true;
        if (fraction && c == '0') least = ++most;
        if (fraction && c == '#') most++;
    }
    if (most > 17) most = 17;
    if (least > most) least = most;
    int n = snprintf(text, sizeof text, "%.*f", (int)most, v);
    size_t end = n > 0 ? (size_t)n : 0;
    for (uint32_t cut = most; cut > least && end && text[end - 1] == '0'; cut--) end--;
    if (end && text[end - 1] == '.') end--;
    qd_json_str(w, (qd_str){text, end});
}

static void write_i64(const qd_field *f, const search_field *spec, const qd_date_format *format,
                      int64_t v, qd_json_writer *w)
{
    bool decimal =
        spec->format.n && f && qd_field_is_numeric(f) && qd_str_find(spec->format, '0') >= 0;
    if (!f) {
        qd_json_int(w, v);
    } else if (f->value_class == QD_VALUE_GEO) {
        qd_geo_format geo;
        if (qd_geo_format_of(spec->format, QD_GEO_TEXT, &geo, NULL)) geo = QD_GEO_TEXT;
        qd_geo_write(qd_geo_decode(v), geo, w);
    } else if (decimal) {
        write_decimal(spec->format, qd_field_f64(f, v), w);
    } else {
        qd_field_write(f, v, format, NULL, w);
    }
}

static int format_of(search_hits *h, const search_field *spec, const qd_field *f,
                     const qd_date_format **out, qd_err *err)
{
    qd_date_format *made = NULL;
    *out = NULL;
    if (!f || !f->dates || !spec->format.n || qd_str_is(spec->format, "use_field_mapping")) {
        return 0;
    }
    int rc = qd_date_format_make(h->arena, spec->format, &made, err);
    *out = made;
    return rc;
}

/* A value of a key within an object, of all of them. */
static void write_in_slice(const qd_field *f, qd_str v, qd_json_writer *w)
{
    if (qd_str_starts(v, f->slice)) qd_json_str(w, qd_str_sub(v, f->slice.n, v.n));
}

/* Has a document values to show in column c? */
static bool column_shows(const search_hits *h, const qd_fetch_values *v, uint32_t c)
{
    const qd_field *f = h->column_fields[c];
    if (!f || !f->slice.n || !v->bytes) return v->n > 0;
    for (uint32_t i = 0; i < v->n; i++)
        if (qd_str_starts(v->bytes[i], f->slice)) return true;
    return false;
}

static int write_column(search_hits *h, uint32_t i, uint32_t c, qd_json_writer *w, qd_err *err)
{
    const qd_fetch_values *v = &h->got[i].columns[c];
    const qd_field *f = h->column_fields[c];
    const qd_date_format *format;
    int rc = format_of(h, &h->column_specs[c], f, &format, err);
    if (rc) return rc;
    if (f && f->constant) {
        qd_json_str(w, f->fixed);
        return 0;
    }
    if (f && qd_field_shows_column(f)) {
        const qd_json_node *shown = NULL;
        rc = qd_field_show_column(f, h->index->context.mapping, v->i64, v->bytes, v->n, h->arena,
                                  h->task, &shown, err);
        for (; !rc && shown; shown = shown->next) qd_json_raw_value(w, shown->raw);
        return rc;
    }
    for (uint32_t k = 0; k < v->n; k++) {
        if (f && f->slice.n) {
            write_in_slice(f, v->bytes[k], w);
        } else if (v->i64) {
            write_i64(f, &h->column_specs[c], format, v->i64[k], w);
        } else if (f) {
            qd_field_write_bytes(f, v->bytes[k], w);
        } else {
            qd_json_str(w, v->bytes[k]);
        }
    }
    return 0;
}

static qd_str column_name(const search_hits *h, uint32_t c)
{
    return h->column_fields[c] ? h->column_fields[c]->shown : h->columns[c];
}

/* The values of a name, which may have been asked for in several formats: all in one list, by the
 * first of them. */
static int write_columns(search_hits *h, uint32_t i, uint32_t c, qd_json_writer *w, qd_err *err)
{
    qd_str name = column_name(h, c);
    int rc = 0;
    for (uint32_t k = 0; k < c; k++)
        if (qd_str_eq(column_name(h, k), name)) return 0;
    qd_json_key(w, name);
    qd_json_array(w);
    for (uint32_t k = c; k < h->ncolumns && !rc; k++)
        if (qd_str_eq(column_name(h, k), name)) rc = write_column(h, i, k, w, err);
    qd_json_array_end(w);
    return rc;
}

/* An object that fields are written into, begun with the first of them: that of the hit, or one of
 * the list of a nested object. */
typedef struct target {
    struct target *above; /* NULL: of the hit */
    qd_str key;           /* of the list, within above */
    bool open, listed;
} target;

/* A field that the source is looked at for. */
typedef struct shown_field {
    const qd_field *f;
    const qd_date_format *format;
    qd_geo_format geo; /* of points */
    qd_str level;      /* the nested object that groups its values; n 0: none */
    struct shown_field *next;
} shown_field;

/* A nested object that holds shown fields, and the one in which it lies (n 0: none). */
typedef struct shown_level {
    qd_str path, above;
    struct shown_level *next;
} shown_level;

/* What a request shows of the source, found once for all hits of a shard. */
struct search_shown {
    shown_field *fields; /* in the order of the request */
    shown_level *levels; /* an outer one before those within */
};

/* Values of fields out of the source. */
typedef struct from_source {
    search_hits *h;
    const qd_json_node *root; /* the source, or the nested object at level */
    qd_str level;             /* path of the nested object; n 0: none */
    uint32_t hit;             /* of h */
    const shown_field *of;
    const qd_field *f; /* of->f */
    qd_json_writer *w;
    target *to;
    bool listed; /* the array of f */
    int rc;
    qd_err *err;
} from_source;

static void begin_fields(bool *open, qd_json_writer *w)
{
    if (*open) return;
    *open = true;
    qd_json_key_c(w, "fields");
    qd_json_object(w);
}

static void begin_target(target *t, qd_json_writer *w)
{
    if (t->open) return;
    if (!t->above) {
        begin_fields(&t->open, w);
        return;
    }
    begin_target(t->above, w);
    if (!t->listed) {
        qd_json_key(w, t->key);
        qd_json_array(w);
    }
    t->listed = t->open = true;
    qd_json_object(w);
}

/* A name within a nested object. */
static qd_str below(qd_str level, qd_str name)
{
    bool within =
        level.n && name.n > level.n && name.p[level.n] == '.' && qd_str_starts(name, level);
    return within ? qd_str_sub(name, level.n + 1, name.n - level.n - 1) : name;
}

/* Does a walk hand the field's arrays over as they are? */
static bool takes_arrays(const qd_field *f)
{
    return f->value_class == QD_VALUE_GEO || qd_field_shows_source(f);
}

static void begin_value(from_source *s)
{
    begin_target(s->to, s->w);
    if (s->listed) return;
    s->listed = true;
    qd_json_key(s->w, below(s->level, s->f->shown));
    qd_json_array(s->w);
}

/* As the plugin of its type writes it; nothing where it writes nothing. */
static void emit_shown(from_source *s, const qd_json_node *n)
{
    const qd_json_node *v = NULL;
    if (n->type == QD_JSON_T_NULL || s->rc) return;
    int rc = qd_field_show_source(s->f, s->h->index->context.mapping, n->raw, s->h->arena,
                                  s->h->task, &v, s->err);
    for (; !rc && v; v = v->next) {
        begin_value(s);
        qd_json_raw_value(s->w, v->raw);
    }
    if (rc < 0) s->rc = rc;
}

/* An object that is a value, where it is one of the field's. */
static void emit_object(from_source *s, const qd_json_node *n)
{
    qd_buf b;
    qd_json_writer w;
    qd_buf_init(&b, s->h->arena->account, 1 << 20);
    qd_json_writer_init(&w, &b, false);
    if (!qd_field_show_object(s->f, n, s->of->format, &w) && !qd_buf_status(&b)) {
        begin_value(s);
        qd_json_raw_value(s->w, qd_buf_view(&b));
    }
    qd_buf_fini(&b);
}

static void begin_point(void *arg)
{
    begin_value(arg);
}

static void emit(from_source *s, const qd_json_node *n)
{
    qd_query_value v = {qd_json_text(n), n->type == QD_JSON_T_STRING};
    if (s->f->whole) {
        if (n->type == QD_JSON_T_NULL) return;
        begin_value(s);
        qd_json_raw_value(s->w, n->raw);
        return;
    }
    if (s->f->value_class == QD_VALUE_GEO) {
        qd_geo_show(s->f, n, s->of->geo, s->w, begin_point, s);
        return;
    }
    if (qd_field_shows_source(s->f)) {
        emit_shown(s, n);
        return;
    }
    if (n->type == QD_JSON_T_OBJECT) {
        emit_object(s, n);
        return;
    }
    if (n->type == QD_JSON_T_ARRAY) return;
    if (n->type == QD_JSON_T_NULL) {
        if (!s->f->has_null_value) return;
        v.text = s->f->null_text;
    }
    bool counts = s->f->index_analyzer && s->f->value_class == QD_VALUE_I64; /* its words */
    qd_value_ctx ctx = {.now_ms = s->h->x->now_ms,
                        .scratch = s->f->normalizer || counts ? qdi_hits_analysis(s->h) : NULL};
    qd_point shown = {.i64 = s->f->null_i64};
    if ((!counts || n->type != QD_JSON_T_NULL) && qd_field_shown(s->f, v, &ctx, &shown)) return;
    begin_value(s);
    qd_field_write_shown(s->f, &shown, s->of->format, s->w);
}

static void emit_node(void *arg, const qd_json_node *n)
{
    emit(arg, n);
}

/* --- what the request shows ------------------------------------------------------------------- */

typedef struct finding {
    search_hits *h;
    const search_field *spec;
    uint32_t number; /* of the spec */
    bool grouped;    /* by nested objects, as Elasticsearch does */
    shown_field **end;
    int rc;
    qd_err *err;
} finding;

/* Adds the nested objects down to path that are not there yet. */
static int add_levels(finding *x, qd_str path)
{
    search_hits *h = x->h;
    const qd_str *paths;
    uint32_t n;
    int rc = qd_mapping_nested_paths(h->index->context.mapping, QD_STR(""), path, h->arena, &paths,
                                     &n, x->err);
    for (uint32_t i = 0; i < n && !rc; i++) {
        shown_level **l = &h->shown->levels;
        while (*l && !qd_str_eq((*l)->path, paths[i])) l = &(*l)->next;
        if (*l) continue;
        if (!(*l = qd_arena_calloc(h->arena, sizeof **l))) return qd_err_nomem(x->err, "fields");
        (*l)->path = paths[i];
        if (i) (*l)->above = paths[i - 1];
    }
    return rc;
}

static int shown_of(search_hits *h, const search_field *spec, const qd_field *f, shown_field *out,
                    qd_err *err)
{
    out->f = f;
    int rc = format_of(h, spec, f, &out->format, err);
    if (!rc && f->value_class == QD_VALUE_GEO)
        rc = qd_geo_format_of(spec->format, QD_GEO_GEOJSON, &out->geo, err);
    return rc;
}

static int add_shown(void *arg, const qd_field *f)
{
    finding *x = arg;
    search_hits *h = x->h;
    /* a name that several patterns ask for is shown once, as the last of them wants it */
    for (uint32_t k = x->number + 1; k < h->show->nfields; k++)
        if (qd_pattern_match(h->show->fields[k].field, f->shown)) return 0;
    shown_field *s = qd_arena_calloc(h->arena, sizeof *s);
    if (!s) return x->rc = qd_err_nomem(x->err, "fields");
    *x->end = s;
    x->end = &s->next;
    x->rc = shown_of(h, x->spec, f, s, x->err);
    if (x->rc || !x->grouped) return x->rc;
    s->level = qd_mapping_nested_of(h->index->context.mapping, qd_field_source(f));
    return x->rc = add_levels(x, s->level);
}

/* Once for all hits. OpenSearch shows values of nested objects by their whole names. */
static int find_shown(search_hits *h, qd_err *err)
{
    const qd_mapping *m = h->index->context.mapping;
    qdi_identity id;
    if (h->shown) return 0;
    if (!(h->shown = qd_arena_calloc(h->arena, sizeof *h->shown)))
        return qd_err_nomem(err, "fields");
    qdi_identity_get(h->x->a, &id);
    finding x = {.h = h,
                 .grouped = !id.opensearch && qd_mapping_has_nested(m),
                 .end = &h->shown->fields,
                 .err = err};
    for (; x.number < h->show->nfields && !x.rc; x.number++) {
        const qd_field *key = NULL;
        x.spec = &h->show->fields[x.number];
        if (qd_str_find(x.spec->field, '*') < 0)
            x.rc = qd_mapping_find(m, x.spec->field, h->arena, &key, err);
        if (!x.rc && key) x.rc = qdi_field_format_check(x.spec, key, false, err);
        if (x.rc) break;
        if (key)
            (void)add_shown(&x, key);
        else
            (void)qd_mapping_match(m, x.spec->field, add_shown, &x);
    }
    return x.rc;
}

/* --- values out of the source ----------------------------------------------------------------- */

/* Values of a runtime field, which stand in a column of the hit. */
static int runtime_field(from_source *s)
{
    for (uint32_t c = 0; c < s->h->ncolumns && !s->level.n; c++) {
        if (s->h->column_fields[c] != s->f) continue;
        if (!s->h->got[s->hit].columns[c].n) return 0;
        begin_value(s);
        return write_column(s->h, s->hit, c, s->w, s->err);
    }
    return 0;
}

static void source_field(from_source *s, const shown_field *of)
{
    const qd_field *f = of->f;
    s->of = of;
    s->f = f;
    s->listed = false;
    if (f->runtime) {
        s->rc = runtime_field(s);
    } else if (f->constant && f->fixed.p) { /* whatever the document says */
        begin_value(s);
        qd_json_str(s->w, f->fixed);
    } else if (!f->constant) {
        qdi_source_walk(s->root, below(s->level, qd_field_source(f)), takes_arrays(f), emit_node,
                        s);
    }
    if (s->listed) qd_json_array_end(s->w);
}

static void write_nested(void *arg, const qd_json_node *n);

/* All fields of one level that were asked for, then the nested objects in it. */
static int write_level(from_source *s)
{
    const struct search_shown *all = s->h->shown;
    for (const shown_field *f = all->fields; f && !s->rc; f = f->next)
        if (qd_str_eq(f->level, s->level)) source_field(s, f);
    for (const shown_level *l = all->levels; l && !s->rc; l = l->next) {
        if (!qd_str_eq(l->above, s->level)) continue;
        target to = {.above = s->to, .key = below(s->level, l->path)};
        from_source in = *s;
        in.level = l->path;
        in.to = &to;
        qdi_source_walk(s->root, to.key, false, write_nested, &in);
        if (to.listed) qd_json_array_end(s->w);
        s->rc = in.rc;
    }
    return s->rc;
}

static void write_nested(void *arg, const qd_json_node *n)
{
    from_source *s = arg;
    if (n->type != QD_JSON_T_OBJECT || s->rc) return;
    s->root = n;
    (void)write_level(s);
    if (s->to->open) qd_json_object_end(s->w);
    s->to->open = false;
}

/* Fields asked for in both ways are shown once. */
static bool comes_from_source(const search_show *s, qd_str name)
{
    for (uint32_t i = 0; i < s->nfields; i++) {
        if (qd_pattern_match(s->fields[i].field, name)) return true;
    }
    return false;
}

static bool is_column(const search_hits *h, qd_str name)
{
    for (uint32_t c = 0; c < h->ncolumns; c++)
        if (qd_str_eq(column_name(h, c), name)) return true;
    return false;
}

/* Values of stored fields, which the hit keeps or its source is parsed for. */
typedef struct from_stored {
    from_source s;
    const qd_json_node *values; /* by name; NULL: none */
    uint32_t number;            /* of the pattern */
} from_stored;

static int stored_field(void *arg, const qd_field *f)
{
    from_stored *x = arg;
    const search_show *show = x->s.h->show;
    if (!f->stored) return 0;
    for (uint32_t k = 0; k < x->number; k++)
        if (qd_pattern_match(show->stored_fields[k], f->shown)) return 0;
    if (comes_from_source(show, f->shown) || is_column(x->s.h, f->shown)) return 0;
    if (!qd_stored_shown(f)) {
        shown_field own = {0};
        search_field spec = {0};
        if (!x->s.root) return 0;
        x->s.rc = shown_of(x->s.h, &spec, f, &own, x->s.err);
        if (!x->s.rc) source_field(&x->s, &own);
        return x->s.rc;
    }
    const qd_json_node *n = x->values ? qd_json_get_str(x->values, f->name) : NULL;
    if (!n) return 0;
    begin_target(x->s.to, x->s.w);
    qd_json_key(x->s.w, f->shown);
    qd_json_raw_value(x->s.w, n->raw);
    return 0;
}

static int write_stored(search_hits *h, uint32_t i, const qd_json_node *source, target *to,
                        qd_json_writer *w, qd_err *err)
{
    const qd_mapping *m = h->index->context.mapping;
    const qd_fetched *g = &h->got[i];
    qd_json_node *root = NULL;
    qd_str values = {NULL, 0};
    int rc = 0;
    if (!qd_mapping_stores_apart(m))
        rc = qdi_doc_stored_of(m, g->source, h->arena, &values, err);
    else if (h->stored_column && g->columns[h->stored_column].n)
        values = g->columns[h->stored_column].bytes[0];
    if (!rc && values.n) rc = qd_json_parse(h->arena, values, 0, &root, err);
    from_stored x = {.s = {.h = h, .root = source, .to = to, .w = w, .err = err}, .values = root};
    for (; x.number < h->show->nstored && !rc; x.number++) {
        (void)qd_mapping_match(m, h->show->stored_fields[x.number], stored_field, &x);
        rc = x.s.rc;
    }
    return rc;
}

/* Values that the mapping left out, of fields that were asked for. */
typedef struct dropped {
    from_source s; /* writes what it keeps nowhere */
    qd_buf nowhere;
    qd_json_writer w;
    qd_json_writer *to;
    bool open, listed;
} dropped;

static void drop_node(void *arg, const qd_json_node *n)
{
    dropped *d = arg;
    target to = {.open = true};
    if (n->type == QD_JSON_T_OBJECT || n->type == QD_JSON_T_NULL) return;
    qd_buf_reset(&d->nowhere);
    qd_json_writer_init(&d->w, &d->nowhere, false);
    qd_json_object(&d->w);
    d->s.to = &to;
    d->s.w = &d->w;
    d->s.listed = false;
    emit(&d->s, n);
    if (d->s.listed) return; /* a value of the field */
    if (!d->open) {
        qd_json_key_c(d->to, "ignored_field_values");
        qd_json_object(d->to);
    }
    if (!d->listed) {
        qd_json_key(d->to, d->s.f->name);
        qd_json_array(d->to);
    }
    d->open = d->listed = true;
    qd_json_raw_value(d->to, n->raw);
}

/* "ignored_field_values" of Elasticsearch: next to `fields`, what _ignored tells of. */
static void write_dropped(search_hits *h, uint32_t i, const qd_json_node *root, qd_json_writer *w)
{
    qdi_identity id;
    const qd_fetch_values *v = h->nown ? &h->got[i].columns[h->ncolumns] : NULL;
    qdi_identity_get(h->x->a, &id);
    bool elastic = id.product == QDI_ES7 || id.product == QDI_ES8 || id.product == QDI_ES9;
    if (!v || !v->bytes || !elastic) return;
    dropped d = {.to = w, .s = {.h = h, .root = root}};
    qd_buf_init(&d.nowhere, NULL, 16 << 20);
    for (uint32_t k = 0; k < v->n; k++) {
        const qd_field *f = qd_mapping_field(h->index->context.mapping, v->bytes[k]);
        if (!f || !comes_from_source(h->show, f->name)) continue;
        shown_field own = {.f = f};
        d.s.of = &own;
        d.s.f = f;
        d.listed = false;
        qdi_source_walk(root, qd_field_source(f), takes_arrays(f), drop_node, &d);
        if (d.listed) qd_json_array_end(w);
    }
    if (d.open) qd_json_object_end(w);
    qd_buf_fini(&d.nowhere);
}

int qdi_hit_fields_write(search_hits *h, uint32_t i, qd_json_writer *w, qd_err *err)
{
    const search_show *s = h->show;
    const qd_fetched *g = &h->got[i];
    target top = {.above = NULL};
    int rc = 0;
    for (uint32_t c = 0; c < h->ncolumns && !rc; c++) {
        const qd_field *f = h->column_fields[c];
        bool fixed = f && f->fixed.p;
        if (!fixed && !column_shows(h, &g->columns[c], c)) continue;
        if (comes_from_source(s, column_name(h, c))) continue;
        begin_fields(&top.open, w);
        rc = write_columns(h, i, c, w, err);
    }
    qd_json_node *root = NULL;
    if (!rc && (s->nfields || (s->nstored && !s->none)) && g->source.n) {
        if ((rc = find_shown(h, err)) || (rc = qd_json_parse(h->arena, g->source, 0, &root, err)))
            return rc;
        from_source f = {.h = h, .hit = i, .root = root, .w = w, .to = &top, .err = err};
        rc = write_level(&f);
    }
    if (!rc && s->nstored && !s->none) rc = write_stored(h, i, root, &top, w, err);
    for (uint32_t k = 0; k < s->nscripts && !rc; k++) {
        begin_fields(&top.open, w);
        rc = qdi_script_field_write(h, i, k, w, err);
    }
    if (!rc) rc = qd_runtime_status(h->searcher, err);
    if (rc) return rc;
    if (top.open) qd_json_object_end(w);
    if (root && s->nfields) write_dropped(h, i, root, w);
    return 0;
}
