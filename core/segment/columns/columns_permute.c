/* columns_permute.c: see the header. */
#include "segment/columns/columns_permute_int.h"

uint32_t qdi_permute_window = 1u << 20;
size_t qdi_permute_bytes = 64u << 20;

#define NONE UINT32_MAX

/* One window: values as they come, and where each document's are. */
typedef struct window {
    const qdi_merge_in *in;
    qd_err *err;
    uint32_t from, to; /* new numbers */
    bool full;         /* more values than it is to hold: it is gathered again, for half of it */
    uint32_t *place;   /* of a document among those gathered, NONE: it has no value */
    QD_VEC(size_t) starts; /* of its values, or of its string's bytes */
    QD_VEC(int64_t) values;
    QD_VEC(char) text;
    qdi_column_walk walk;
} window;

static int window_open(const qdi_merge_in *in, window **out, qd_err *err)
{
    uint32_t most = qdi_merge_window(in->docs);
    if (most > in->docs) most = in->docs;
    window *w = *out = qd_calloc(in->account, sizeof *w);
    if (!w) return qd_err_nomem(err, "merge of a column");
    w->in = in;
    w->err = err;
    w->to = most;
    w->place = qd_alloc(in->account, (size_t)most * sizeof *w->place);
    return w->place ? 0 : qd_err_nomem(err, "merge of a column");
}

static void window_close(window *w)
{
    if (!w) return;
    qd_free(w->place);
    qd_vec_fini(&w->starts);
    qd_vec_fini(&w->values);
    qd_vec_fini(&w->text);
    qd_free(w);
}

static void window_clear(window *w)
{
    w->full = false;
    w->starts.n = w->values.n = w->text.n = 0;
    memset(w->place, 0xff, (size_t)(w->to - w->from) * sizeof *w->place);
}

/* The next window; false behind the last. */
static bool window_next(window *w)
{
    uint32_t most = w->to - w->from, left = w->in->docs - w->to;
    w->from = w->to;
    w->to += left < most ? left : most;
    return w->to > w->from;
}

/* Notes whether the window holds too much. */
static void weigh(window *w)
{
    size_t bytes = w->starts.n * sizeof(size_t) + w->values.n * sizeof(int64_t) + w->text.n;
    w->full = bytes > qdi_permute_bytes && w->to - w->from > qdi_merge_window_least(w->in->docs);
}

static bool inside(const window *w, uint32_t doc)
{
    return doc >= w->from && doc < w->to;
}

/* All windows: gathers what falls into each, gives it out in its new order. */
static int permute(const qdi_merge_in *in, const qdi_permute_input *inputs, uint32_t n,
                   int (*gather)(window *w, const qdi_permute_input *i),
                   int (*give)(window *w, void *out), void *out, qd_err *err)
{
    window *w;
    int rc = window_open(in, &w, err);
    if (rc == 0) {
        do {
            window_clear(w);
            for (uint32_t k = 0; rc == 0 && k < n && !w->full; k++) rc = gather(w, &inputs[k]);
            if (w->full) {
                w->to = w->from + (w->to - w->from + 1) / 2;
                continue;
            }
            if (rc == 0) rc = give(w, out);
            if (!window_next(w)) break;
        } while (rc == 0);
    }
    window_close(w);
    return rc;
}

/* --- values ----------------------------------------------------------------------------------- */

static int keep_values(window *w, uint32_t doc, const uint32_t *ords, const int64_t *v, uint32_t n)
{
    if (v && qd_vec_reserve(&w->values, w->in->account, n))
        return qd_err_nomem(w->err, "merge of a column");
    w->place[doc - w->from] = (uint32_t)w->starts.n;
    if (qd_vec_push(&w->starts, w->in->account, w->values.n))
        return qd_err_nomem(w->err, "merge of a column");
    for (uint32_t k = 0; v && k < n; k++)
        w->values.at[w->values.n++] = ords ? (int64_t)ords[v[k]] : v[k];
    weigh(w);
    return 0;
}

static int gather_values(window *w, const qdi_permute_input *i)
{
    uint32_t head = 0;
    int rc = qdi_column_walk_open(&w->walk, i->c, w->in->account, w->err);
    for (;;) {
        uint32_t doc, n;
        const int64_t *v;
        bool end;
        if (rc == 0) rc = qdi_column_walk_next(&w->walk, &doc, &v, &n, &end, w->err);
        if (rc || end || w->full) break;
        if (w->walk.head != head) rc = qdi_merge_poll(w->in);
        head = w->walk.head;
        if (rc == 0 && inside(w, i->map[doc])) rc = keep_values(w, i->map[doc], i->ords, v, n);
    }
    qdi_column_walk_close(&w->walk);
    return rc;
}

static int give_values(window *w, void *out)
{
    qdi_column_writer *x = out;
    int rc = qd_vec_push(&w->starts, w->in->account, w->values.n)
                 ? qd_err_nomem(w->err, "merge of a column")
                 : 0;
    for (uint32_t d = w->from; rc == 0 && d < w->to; d++) {
        uint32_t place = w->place[d - w->from];
        if (place == NONE) continue;
        size_t at = w->starts.at[place], n = w->starts.at[place + 1] - at;
        /* a string is one value, which the writer does not look at */
        rc = qdi_column_writer_add(x, d, n ? w->values.at + at : NULL, n ? (uint32_t)n : 1, w->err);
    }
    return rc;
}

int qdi_permute_values(const qdi_merge_in *in, const qdi_permute_input *inputs, uint32_t n,
                       qdi_column_writer *x, qd_err *err)
{
    return permute(in, inputs, n, gather_values, give_values, x, err);
}

/* --- strings ---------------------------------------------------------------------------------- */

static int keep_string(window *w, uint32_t doc, qd_str s)
{
    w->place[doc - w->from] = (uint32_t)w->starts.n;
    if (qd_vec_push(&w->starts, w->in->account, w->text.n) ||
        qd_vec_reserve(&w->text, w->in->account, s.n))
        return qd_err_nomem(w->err, "merge of a column");
    if (s.n) memcpy(w->text.at + w->text.n, s.p, s.n);
    w->text.n += s.n;
    weigh(w);
    return 0;
}

static int gather_strings(window *w, const qdi_permute_input *i)
{
    uint32_t seen = 0;
    int rc = qdi_column_walk_open(&w->walk, i->c, w->in->account, w->err);
    for (;;) {
        uint32_t doc;
        qd_str s;
        bool end;
        if (rc == 0) rc = qdi_column_walk_string(&w->walk, &doc, &s, &end, w->err);
        if (rc || end || w->full) break;
        if (inside(w, i->map[doc])) rc = keep_string(w, i->map[doc], s);
        if (++seen % 65536 == 0 && rc == 0) rc = qdi_merge_poll(w->in);
    }
    qdi_column_walk_close(&w->walk);
    return rc;
}

static int give_strings(window *w, void *writer)
{
    qdi_strings_writer *out = writer;
    int rc = qd_vec_push(&w->starts, w->in->account, w->text.n)
                 ? qd_err_nomem(w->err, "merge of a column")
                 : 0;
    for (uint32_t d = w->from; rc == 0 && d < w->to; d++) {
        uint32_t place = w->place[d - w->from];
        if (place == NONE) continue;
        size_t at = w->starts.at[place];
        rc = qdi_strings_add(out, (qd_str){w->text.at + at, w->starts.at[place + 1] - at}, w->err);
    }
    return rc;
}

int qdi_permute_strings(const qdi_merge_in *in, const qdi_permute_input *inputs, uint32_t n,
                        qdi_strings_writer *s, qd_err *err)
{
    return permute(in, inputs, n, gather_strings, give_strings, s, err);
}
