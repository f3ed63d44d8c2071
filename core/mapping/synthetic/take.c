/*
 * take.c: a document as it was sent, taken apart by the mapping. Values are gathered by field;
 * those of typed fields are put into order, as their columns have them; everything else is kept by
 * its path. A nested object is a document of its own in this.
 */
#include "base/str.h"
#include "mapping/synthetic/synthetic_int.h"
#include <stdlib.h>

/* A value of a field where it stood in the document: arrays as one. */
typedef struct occurrence {
    const qd_json_node *node;
    struct occurrence *next;
} occurrence;

typedef struct leaf {
    const qd_field *f;
    occurrence *first, *last;
    uint32_t n;
    bool in_array; /* it, or an object above it, was in one */
    bool apart;    /* values of it stand in an object that is kept whole */
    struct leaf *next;
} leaf;

/* The document, or a nested one. */
typedef struct level {
    qd_str path; /* of the nested object; n 0: the document */
    synthetic_list list;
    leaf *first, *last;
} level;

typedef struct taking {
    const qd_mapping *m;
    qd_arena arena;
    leaf **leaves; /* by number of field; of the open levels */
    level *level;
    bool stored; /* what is to be stored is wanted */
    bool mute;   /* within what is kept whole: fields are only noted */
    qd_str *others;
    uint32_t nothers;
    qd_buf scratch;
    qd_err *err;
} taking;

static int nomem(taking *x)
{
    return qd_err_nomem(x->err, "synthetic source");
}

/* Names that were gathered before this level are no part of a nested object's paths. */
static qd_str path_of(taking *x, qd_str full)
{
    size_t skip = x->level->path.n ? x->level->path.n + 1 : 0;
    return qdi_synthetic_dots(&x->arena, (qd_str){"", 0}, qd_str_sub(full, skip, full.n));
}

static int add(taking *x, qd_str path, qd_str json)
{
    return x->mute ? 0 : qdi_synthetic_add(&x->level->list, &x->arena, path, json, x->err);
}

/* --- values of a field ---------------------------------------------------------------------- */

typedef struct typed {
    qd_point *at;
    uint32_t n, cap;
} typed;

static int push(taking *x, typed *t, const qd_point *p)
{
    if (t->n == t->cap) {
        uint32_t cap = t->cap ? 2 * t->cap : 8;
        qd_point *more = qd_arena_alloc(&x->arena, (size_t)cap * sizeof *more);
        if (!more) return nomem(x);
        if (t->n) memcpy(more, t->at, t->n * sizeof *more);
        t->at = more;
        t->cap = cap;
    }
    t->at[t->n++] = *p;
    return 0;
}

static int by_i64(const void *a, const void *b)
{
    const qd_point *x = a, *y = b;
    return (x->i64 > y->i64) - (x->i64 < y->i64);
}

static int by_ip(const void *a, const void *b)
{
    const qd_point *x = a, *y = b;
    return memcmp(x->ip, y->ip, 16);
}

static int by_bytes(const void *a, const void *b)
{
    const qd_point *x = a, *y = b;
    return qd_str_cmp(x->bytes, y->bytes);
}

/* As the column has them: in order; strings and addresses once. */
static void put_in_order(const qd_field *f, typed *t)
{
    bool term = f->value_class == QD_VALUE_TERM, ip = f->value_class == QD_VALUE_IP;
    int (*order)(const void *, const void *) = term ? by_bytes : ip ? by_ip : by_i64;
    uint32_t n = 0;
    if (t->n) qsort(t->at, t->n, sizeof *t->at, order);
    for (uint32_t i = 0; i < t->n; i++)
        if (!n || !(term || ip) || order(&t->at[n - 1], &t->at[i]) != 0) t->at[n++] = t->at[i];
    t->n = n;
}

/* Is the value of a date with a format of its own the same when it is read again? */
static bool survives(const qd_field *f, const qd_point *p, const qd_value_ctx *ctx)
{
    char text[128];
    qd_point again;
    bool own = false;
    for (uint32_t i = 0; f->dates && f->def && i < f->def->type->nparams; i++)
        own |= f->def->type->params[i].id == PARAM_FORMAT && f->def->params[i].json.p;
    if (!own) return true;
    size_t n = qd_field_text(f, p->i64, NULL, NULL, text);
    qd_query_value v = {{text, n}, true};
    return qd_field_shown(f, v, ctx, &again) == 0 && again.i64 == p->i64;
}

/* One scalar as the column has it: 0; 1: the column has not. */
static int one_typed(taking *x, const qd_field *f, const qd_json_node *n, typed *t)
{
    qd_point p = {0};
    qd_value_ctx ctx = {0};
    if (n->type == QD_JSON_T_OBJECT) return 1;
    if (n->type == QD_JSON_T_NULL) {
        if (!f->has_null_value) return 0;
        p.i64 = f->null_i64;
        p.bytes = f->null_text;
        memcpy(p.ip, f->null_ip, 16);
    } else {
        qd_query_value v = {qd_json_text(n), n->type == QD_JSON_T_STRING};
        if (qd_field_shown(f, v, &ctx, &p)) return 1;
        if (f->value_class == QD_VALUE_TERM) p.bytes = v.text;
    }
    if (!survives(f, &p, &ctx)) return 1;
    return push(x, t, &p);
}

static int all_typed(taking *x, const qd_field *f, const qd_json_node *n, typed *t)
{
    if (n->type != QD_JSON_T_ARRAY) return one_typed(x, f, n, t);
    int rc = 0;
    for (const qd_json_node *c = n->first; c && !rc; c = c->next) rc = all_typed(x, f, c, t);
    return rc;
}

static qd_str typed_json(taking *x, const qd_field *f, const typed *t)
{
    qd_json_writer w;
    qd_buf_reset(&x->scratch);
    qd_json_writer_init(&w, &x->scratch, false);
    if (t->n > 1) qd_json_array(&w);
    for (uint32_t i = 0; i < t->n; i++) qd_field_write_shown(f, &t->at[i], NULL, &w);
    if (t->n > 1) qd_json_array_end(&w);
    if (qd_buf_status(&x->scratch)) return (qd_str){NULL, 0};
    return qd_arena_str(&x->arena, qd_buf_view(&x->scratch));
}

/* Scalars one by one, without nulls: at one path they become an array again. */
static int add_flat(taking *x, qd_str path, const qd_json_node *n)
{
    int rc = 0;
    if (n->type == QD_JSON_T_NULL) return 0;
    if (n->type != QD_JSON_T_ARRAY) return add(x, path, n->raw);
    for (const qd_json_node *c = n->first; c && !rc; c = c->next) rc = add_flat(x, path, c);
    return rc;
}

/* Arrays are values of some types: points, vectors, objects. */
static bool is_flat(const qd_field *f)
{
    return !f->type->whole && !f->type->objects && f->value_class != QD_VALUE_GEO &&
           f->value_class != QD_VALUE_OPAQUE && f->value_class != QD_VALUE_RANGE && !f->join;
}

/* One of several values of which arrays may be one: a list of them gives its elements. */
static int add_one_of(taking *x, qd_str path, const qd_json_node *n)
{
    int rc = 0;
    bool list = n->type == QD_JSON_T_ARRAY && n->first && n->first->type != QD_JSON_T_NUMBER;
    if (n->type == QD_JSON_T_NULL) return 0;
    if (!list) return add(x, path, n->raw);
    for (const qd_json_node *c = n->first; c && !rc; c = c->next) rc = add_one_of(x, path, c);
    return rc;
}

static int add_as_sent(taking *x, const leaf *l, bool whole)
{
    qd_str path = path_of(x, l->f->name);
    int rc = 0;
    bool flat = !whole && is_flat(l->f);
    for (const occurrence *o = l->first; o && !rc; o = o->next) {
        if (flat || (whole && l->n > 1 && is_flat(l->f)))
            rc = add_flat(x, path, o->node);
        else if (l->n > 1)
            rc = add_one_of(x, path, o->node);
        else if (whole || o->node->type != QD_JSON_T_NULL)
            rc = add(x, path, o->node->raw);
    }
    return rc;
}

static int keep_of(const taking *x, const qd_field *f)
{
    return f->def && f->def->keep ? f->def->keep - 1 : x->m->settings.source_keep;
}

static int add_other(taking *x, const qd_field *f)
{
    if (!x->stored || x->level->path.n || !(x->m->column_use[f->id] & QDI_COLUMN_GIVES)) return 0;
    if (!x->others) {
        x->others = qd_arena_alloc(&x->arena, (x->m->nfrom_columns + 1) * sizeof *x->others);
        if (!x->others) return nomem(x);
    }
    x->others[x->nothers++] = f->name;
    return 0;
}

static int finish_leaf(taking *x, const leaf *l)
{
    const qd_field *f = l->f;
    typed t = {0};
    int keep = keep_of(x, f), rc = 1;
    bool whole = keep == QD_SOURCE_KEEP_ALL || (keep == QD_SOURCE_KEEP_ARRAYS && l->in_array);
    if (!l->n) return add_other(x, f);
    if (!whole && !l->apart && qdi_synthetic_typed(f)) {
        rc = 0;
        for (const occurrence *o = l->first; o && !rc; o = o->next)
            rc = all_typed(x, f, o->node, &t);
    }
    if (rc < 0) return rc;
    if (rc) {
        rc = add_other(x, f);
        return rc ? rc : add_as_sent(x, l, whole);
    }
    put_in_order(f, &t);
    bool copies = x->m->column_use[f->id] & QDI_COLUMN_COPIES;
    bool column = x->m->column_use[f->id] & QDI_COLUMN_GIVES && !copies && !x->level->path.n;
    if (copies && (rc = add_other(x, f))) return rc;
    if (!t.n || (column && x->stored)) return 0;
    return add(x, path_of(x, f->name), typed_json(x, f, &t));
}

static leaf *leaf_of(taking *x, const qd_field *f)
{
    leaf *l = x->leaves[f->id];
    if (l) return l;
    l = qd_arena_calloc(&x->arena, sizeof *l);
    if (!l) return NULL;
    l->f = f;
    if (x->level->last)
        x->level->last->next = l;
    else
        x->level->first = l;
    x->level->last = l;
    x->leaves[f->id] = l;
    return l;
}

static int gather(taking *x, const qd_field *f, const qd_json_node *n, bool in_array)
{
    leaf *l = leaf_of(x, f);
    occurrence *o = qd_arena_alloc(&x->arena, sizeof *o);
    if (!l || !o) return nomem(x);
    l->in_array |= in_array || n->type == QD_JSON_T_ARRAY;
    l->apart |= x->mute;
    if (x->mute) return 0;
    *o = (occurrence){.node = n};
    if (l->last)
        l->last->next = o;
    else
        l->first = o;
    l->last = o;
    l->n++;
    return 0;
}

/* --- objects -------------------------------------------------------------------------------- */

static int members(taking *x, const object *o, const qd_json_node *n, bool in_array);

static int finish_level(taking *x)
{
    int rc = 0;
    for (leaf *l = x->level->first; l; l = l->next) {
        if (!rc) rc = finish_leaf(x, l);
        x->leaves[l->f->id] = NULL;
    }
    return rc;
}

/* One nested object, as the JSON of a document of its own; n its members' object. */
static int nested_one(taking *x, const object *o, const qd_json_node *n, qd_str *out)
{
    qd_json_writer w;
    level *above = x->level, own = {.path = o->path};
    x->level = &own;
    int rc = members(x, o, n, false);
    if (!rc) rc = finish_level(x);
    x->level = above;
    if (rc) return rc;
    qd_buf_reset(&x->scratch);
    qd_json_writer_init(&w, &x->scratch, false);
    qd_json_object(&w);
    qdi_synthetic_write(&own.list, &w);
    qd_json_object_end(&w);
    *out = qd_buf_status(&x->scratch) ? (qd_str){NULL, 0}
                                      : qd_arena_str(&x->arena, qd_buf_view(&x->scratch));
    return out->p ? 0 : nomem(x);
}

static int nested(taking *x, const object *o, const qd_json_node *n)
{
    qd_str json;
    int rc = 0;
    if (n->type == QD_JSON_T_ARRAY) {
        for (const qd_json_node *c = n->first; c && !rc; c = c->next) rc = nested(x, o, c);
        return rc;
    }
    if (n->type != QD_JSON_T_OBJECT) return 0;
    rc = nested_one(x, o, n, &json);
    return rc ? rc : add(x, path_of(x, o->path), json);
}

/* An object that is kept as it was sent; the fields below are noted, for their columns. */
static int keep_whole(taking *x, const object *o, const qd_json_node *n, bool in_array)
{
    int rc = add(x, path_of(x, o->path), n->raw);
    bool mute = x->mute;
    if (rc || qdi_object_is_nested(o)) return rc;
    x->mute = true;
    const qd_json_node *c = n->type == QD_JSON_T_ARRAY ? n->first : n;
    for (; c && !rc; c = n->type == QD_JSON_T_ARRAY ? c->next : NULL)
        if (c->type == QD_JSON_T_OBJECT) rc = members(x, o, c, in_array);
    x->mute = mute;
    return rc;
}

static int object_value(taking *x, const object *o, const qd_json_node *n, bool in_array)
{
    if (!o->enabled) return add(x, path_of(x, o->path), n->raw);
    if (n->type == QD_JSON_T_NULL) return 0;
    bool array = in_array || n->type == QD_JSON_T_ARRAY;
    int keep = o->keep ? o->keep - 1 : QD_SOURCE_KEEP_NONE;
    if (keep == QD_SOURCE_KEEP_NONE && x->m->settings.source_keep == QD_SOURCE_KEEP_ALL)
        keep = QD_SOURCE_KEEP_ALL;
    if (keep == QD_SOURCE_KEEP_ALL || (keep == QD_SOURCE_KEEP_ARRAYS && array))
        return keep_whole(x, o, n, array);
    if (qdi_object_is_nested(o)) return x->mute ? 0 : nested(x, o, n);
    if (n->type == QD_JSON_T_OBJECT) return members(x, o, n, in_array);
    int rc = 0;
    for (const qd_json_node *c = n->first; c && !rc; c = c->next) rc = object_value(x, o, c, true);
    return rc;
}

/* A member whose name the mapping does not have: at its place, as it was sent. */
static int unmapped(taking *x, const object *o, qd_str name, const qd_json_node *n)
{
    if (n->type == QD_JSON_T_NULL) return 0;
    qd_str above = o->path.n > x->level->path.n ? path_of(x, o->path) : (qd_str){"", 0};
    if (!above.p) return nomem(x);
    return add(x, qdi_synthetic_path(&x->arena, above, name), n->raw);
}

/* A name with dots that leads through a nested object: what is behind it is one of these. */
static int through_nested(taking *x, const object *o, qd_str rest, const qd_json_node *n)
{
    qd_json_node *member = qd_arena_alloc(&x->arena, 2 * sizeof *member);
    if (!member) return nomem(x);
    member[1] = *n;
    member[1].key = rest;
    member[1].next = NULL;
    member[0] = (qd_json_node){.type = QD_JSON_T_OBJECT, .n = 1, .first = &member[1]};
    return x->mute ? 0 : nested(x, o, member);
}

static int member(taking *x, const object *o, const qd_json_node *n, bool in_array)
{
    for (qd_str rest = n->key; rest.p;) {
        qd_str whole = rest;
        const child *c = qdi_object_child(o, qd_json_key_hash(whole), whole);
        qd_str part = whole;
        rest = (qd_str){NULL, 0};
        if (!c && qd_str_find(whole, '.') >= 0) {
            rest = whole;
            part = qd_str_split(&rest, '.');
            c = qdi_object_child(o, qd_json_key_hash(part), part);
        }
        if (!c || (c->field && rest.p)) return unmapped(x, o, whole, n);
        if (c->field) return gather(x, c->field, n, in_array);
        o = c->object;
        if (!rest.p) return object_value(x, o, n, in_array);
        if (!o->enabled) { /* nothing below it is mapped */
            qd_str above = path_of(x, o->path);
            return above.p ? add(x, qdi_synthetic_path(&x->arena, above, rest), n->raw) : nomem(x);
        }
        if (qdi_object_is_nested(o)) return through_nested(x, o, rest, n);
    }
    return 0;
}

static int members(taking *x, const object *o, const qd_json_node *n, bool in_array)
{
    int rc = 0;
    for (const qd_json_node *c = n->first; c && !rc; c = c->next) rc = member(x, o, c, in_array);
    return rc;
}

/* --- documents ------------------------------------------------------------------------------ */

/* Fields into which others are copied: what is in their columns is not the document's own. */
static int targets(taking *x)
{
    int rc = 0;
    for (uint32_t i = 0; i < x->m->nfrom_columns && x->stored && !rc; i++) {
        const qd_field *f = x->m->from_columns[i];
        if (!(x->m->column_use[f->id] & QDI_COLUMN_COPIES) || x->leaves[f->id]) continue;
        rc = add_other(x, f);
    }
    return rc;
}

static int write(taking *x, level *root, qd_buf *out)
{
    qd_json_writer w;
    qd_json_writer_init(&w, out, false);
    qd_json_object(&w);
    if (x->nothers) {
        qd_json_key_c(&w, SYNTHETIC_OTHERS);
        qd_json_array(&w);
        for (uint32_t i = 0; i < x->nothers; i++) qd_json_str(&w, x->others[i]);
        qd_json_array_end(&w);
    }
    qdi_synthetic_write(&root->list, &w);
    qd_json_object_end(&w);
    return qd_buf_status(out) ? nomem(x) : 0;
}

int qd_synthetic_source(const qd_mapping *m, qd_str source, bool stored, qd_account *account,
                        qd_buf *out, qd_err *err)
{
    level root = {.path = {"", 0}};
    taking x = {.m = m, .level = &root, .stored = stored, .err = err};
    qd_json_node *n = NULL;
    qd_arena_init(&x.arena, account, 0);
    qd_buf_init(&x.scratch, account, (size_t)2 << 30);
    x.leaves = qd_arena_calloc(&x.arena, (m->nfields + 1) * sizeof *x.leaves);
    int rc = x.leaves ? qd_json_parse(&x.arena, source, QD_JSON_DEPTH_MAX, &n, err) : nomem(&x);
    if (!rc && !m->root->enabled) {
        rc = qd_synthetic_join(source, NULL, 0, account, out, err);
    } else if (!rc) {
        rc = members(&x, m->root, n, false);
        if (!rc) rc = targets(&x);
        if (!rc) rc = finish_level(&x);
        if (!rc) rc = write(&x, &root, out);
    }
    qd_buf_fini(&x.scratch);
    qd_arena_fini(&x.arena);
    return rc;
}
