/*
 * foreign_show.c: values in hits as the plugin of their type writes them. A call may never return
 * (plugin/guest.h): it reads copies, and writes into a buffer of its own.
 */
#include "mapping/mapping_int.h"
#include "mapping/types/foreign_int.h"
#include "plugin/guest.h"
#include "json/tree.h"
#include <stdio.h>

#define SHOWN_MAX ((size_t)1 << 20)

typedef struct show_call {
    qd_guest_call call; /* first */
    const qd_field_vtable *vt;
    const qd_field_conf *conf;
    qd_mapping *mapping; /* conf's; a reference */
    qd_arena arena;
    qd_json_reader reader;         /* of a source */
    qd_field_column_value *values; /* of a column; NULL: of a source */
    uint32_t n;
    qd_buf out;
    qd_json_writer w;
    qd_err err;
} show_call;

bool qd_field_shows_source(const qd_field *f)
{
    const struct qdi_foreign *x = f->type->own;
    return x && x->vt && x->vt->show;
}

bool qd_field_shows_column(const qd_field *f)
{
    const struct qdi_foreign *x = f->type->own;
    return x && x->vt && x->vt->show_column;
}

static void call_free(show_call *c)
{
    qd_json_reader_fini(&c->reader);
    qd_buf_fini(&c->out);
    qd_arena_fini(&c->arena);
    qd_err_fini(&c->err);
    qd_mapping_unref(c->mapping);
    qd_free(c);
}

static void call_left(qd_guest_call *call)
{
    call_free((show_call *)(void *)call);
}

/* [guest] */
static int32_t run(qd_guest_call *call)
{
    show_call *c = (show_call *)(void *)call;
    qd_json_out *out = qd_plugin_json_out(&c->w);
    return c->values ? c->vt->show_column(c->conf, c->values, c->n, out, &c->err)
                     : c->vt->show(c->conf, qd_plugin_json_in(&c->reader), out, &c->err);
}

static show_call *call_make(const qd_field *f, const qd_mapping *m, const char *what, qd_err *err)
{
    const struct qdi_foreign *x = f->type->own;
    qd_account *account = qd_plugin_self_account(x->part.self);
    show_call *c = qd_calloc(account, sizeof *c);
    if (!c) {
        (void)qd_err_nomem(err, "values of a hit");
        return NULL;
    }
    c->call = (qd_guest_call){.run = run,
                              .left = call_left,
                              .self = x->part.self,
                              .kind = "field type",
                              .what = what,
                              .placed = "field"};
    snprintf(c->call.name, sizeof c->call.name, "%s", f->type->name);
    snprintf(c->call.place, sizeof c->call.place, "[%.*s]", QD_STR_ARG(f->name));
    c->vt = x->vt;
    c->conf = f->conf;
    c->mapping = qd_mapping_ref(m);
    qd_arena_init(&c->arena, account, 0);
    c->reader = QD_JSON_READER(account);
    qd_buf_init(&c->out, account, SHOWN_MAX);
    qd_json_writer_init(&c->w, &c->out, false);
    qd_json_array(&c->w);
    qd_err_init(&c->err);
    return c;
}

/* The elements of what was written, in arena. */
static int take(show_call *c, qd_arena *arena, const qd_json_node **first, qd_err *err)
{
    qd_json_node *root = NULL;
    if (qd_buf_status(&c->out))
        return qd_err_set(err, QD_E_PLUGIN, "%s [%s]: %s wrote more than %zu bytes for field %s",
                          c->call.kind, c->call.name, c->call.what, SHOWN_MAX, c->call.place);
    bool whole = c->w.depth == 1 && !c->w.after_key;
    if (whole) qd_json_array_end(&c->w);
    qd_str text = qd_arena_str(arena, qd_buf_view(&c->out)); /* the nodes borrow from it */
    if (!text.p) return qd_err_nomem(err, "values of a hit");
    if (!whole || qd_json_parse(arena, text, 0, &root, NULL) || root->type != QD_JSON_T_ARRAY)
        return qd_err_set(err, QD_E_PLUGIN, "%s [%s]: %s left an object or array open for field %s",
                          c->call.kind, c->call.name, c->call.what, c->call.place);
    *first = root->first;
    return 0;
}

/* Frees the call, or leaves it to its guest. */
static int call_run(show_call *c, qd_arena *arena, qd_task *task, const qd_json_node **first,
                    qd_err *err)
{
    bool ran;
    int rc = qd_guest_run(qd_plugin_guests(c->call.self), &c->call, task, &ran, err);
    if (rc) {
        if (!ran) call_free(c);
        return rc;
    }
    if (!c->values && c->call.rc && qd_code_status(c->call.rc) == 400)
        rc = 1;
    else
        rc = c->call.rc ? qd_guest_failed(&c->call, &c->err, err) : take(c, arena, first, err);
    call_free(c);
    return rc;
}

int qd_field_show_source(const qd_field *f, const qd_mapping *m, qd_str json, qd_arena *arena,
                         qd_task *task, const qd_json_node **first, qd_err *err)
{
    show_call *c = call_make(f, m, "show", err);
    *first = NULL;
    if (!c) return QD_E_NOMEM;
    qd_str copy = qd_arena_str(&c->arena, json);
    if (!copy.p) {
        call_free(c);
        return qd_err_nomem(err, "values of a hit");
    }
    qd_json_reader_init(&c->reader, copy, QD_JSON_REQUEST, 0);
    return call_run(c, arena, task, first, err);
}

int qd_field_show_column(const qd_field *f, const qd_mapping *m, const int64_t *i64,
                         const qd_str *bytes, uint32_t n, qd_arena *arena, qd_task *task,
                         const qd_json_node **first, qd_err *err)
{
    show_call *c = call_make(f, m, "show_column", err);
    *first = NULL;
    if (!c) return QD_E_NOMEM;
    bool doubles = c->vt->head.flags & QD_FIELD_F64, failed = false;
    c->n = n;
    c->values = qd_arena_calloc(&c->arena, (n + 1) * sizeof *c->values);
    for (uint32_t i = 0; c->values && i < n; i++) {
        qd_field_column_value *v = &c->values[i];
        if (i64 && doubles)
            v->f64 = qd_field_f64(f, i64[i]);
        else if (i64)
            v->i64 = i64[i];
        else
            failed |= !(v->term = qd_arena_str(&c->arena, bytes[i])).p;
    }
    if (!c->values || failed) {
        call_free(c);
        return qd_err_nomem(err, "values of a hit");
    }
    return call_run(c, arena, task, first, err);
}
