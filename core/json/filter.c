/*
 * filter.c: path filters over JSON, one streaming pass. See filter.h.
 *
 * Patterns are cut into names; a state is a place in them ("this name and those behind it must
 * still match"). Going down by a name turns a set of states into the next one. A container is
 * opened in the output only when something in it is kept, so that emptied ones leave no trace.
 * Source filters with a wildcard among the excludes follow Elasticsearch's other implementation,
 * which matches patterns against whole dotted paths, `*` matching dots too.
 */
#include "json/filter.h"
#include "base/vec.h"
#include "json/reader.h"
#include "json/writer.h"

#define PATTERNS_MAX 4096
#define NAMES_MAX 512

typedef struct name {
    qd_str text;    /* p = NULL: end of the pattern */
    bool any_depth; /* ** */
} name;

typedef struct pattern_set {
    name *names;
    uint32_t *starts;
    size_t nstarts;
    qd_str *whole; /* the patterns uncut */
} pattern_set;

struct qd_json_filter {
    pattern_set in, out;
    bool all;        /* keeps everything */
    bool split_dots; /* a field name with dots counts as nested names */
    bool by_path;    /* match whole paths */
};

typedef struct frame {
    uint32_t in_at, in_n, out_at, out_n; /* states in the vector */
    bool array, opened, kept_whole, any; /* any: had elements; kept_whole: all but excludes */
    bool has_key;
    qd_str key;
    size_t path; /* length of the path, by_path only */
    size_t mark; /* size of the vector before this frame's states */
} frame;

typedef QD_VEC(uint32_t) states;

typedef struct run {
    const qd_json_filter *f;
    qd_json_reader r;
    qd_json_writer w;
    states set;
    frame *frames;
    uint32_t depth, opened; /* frames; those written */
    qd_buf path;
} run;

bool qd_json_simple_match(qd_str pattern, qd_str s)
{
    size_t p = 0, i = 0, star = SIZE_MAX, from = 0;
    while (i < s.n) {
        if (p < pattern.n && pattern.p[p] == '*') {
            star = p++;
            from = i;
        } else if (p < pattern.n && pattern.p[p] == s.p[i]) {
            p++;
            i++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            i = ++from;
        } else {
            return false;
        }
    }
    while (p < pattern.n && pattern.p[p] == '*') p++;
    return p == pattern.n;
}

/* --- compiling ------------------------------------------------------------------------------ */

/* The next name of a pattern; "\." is a dot within a name. */
static qd_str cut_name(qd_arena *a, qd_str *rest, bool *fine)
{
    size_t n = 0, escapes = 0;
    while (n < rest->n && rest->p[n] != '.') {
        if (rest->p[n] == '\\' && n + 1 < rest->n && rest->p[n + 1] == '.') {
            escapes++;
            n++;
        }
        n++;
    }
    qd_str raw = qd_str_sub(*rest, 0, n);
    *rest = n < rest->n ? qd_str_sub(*rest, n + 1, rest->n) : (qd_str){NULL, 0};
    char *p = qd_arena_bytes(a, raw.n + 1);
    *fine = p != NULL;
    if (!p) return raw;
    size_t o = 0;
    for (size_t i = 0; i < raw.n; i++) {
        if (raw.p[i] == '\\' && i + 1 < raw.n && raw.p[i + 1] == '.') i++;
        p[o++] = raw.p[i];
    }
    return (qd_str){p, o};
}

static int compile(qd_arena *a, const qd_str *patterns, size_t n, pattern_set *set, qd_err *err)
{
    size_t names = 0;
    if (n > PATTERNS_MAX) {
        return qd_err_set(err, QD_E_ARG, "too many filter paths: %zu, at most %d are allowed", n,
                          PATTERNS_MAX);
    }
    for (size_t i = 0; i < n; i++) {
        size_t dots = 2;
        for (size_t k = 0; k < patterns[i].n; k++) dots += patterns[i].p[k] == '.';
        if (dots > NAMES_MAX) return qd_err_set(err, QD_E_ARG, "filter path is nested too deeply");
        names += dots;
    }
    set->names = qd_arena_calloc(a, (names + 1) * sizeof *set->names);
    set->starts = qd_arena_alloc(a, (n + 1) * sizeof *set->starts);
    set->whole = qd_arena_alloc(a, (n + 1) * sizeof *set->whole);
    if (!set->names || !set->starts || !set->whole) return qd_err_nomem(err, "filter paths");
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        qd_str rest = qd_str_trim(patterns[i]);
        if (rest.n == 0) continue;
        set->whole[set->nstarts] = qd_arena_str(a, rest);
        if (!set->whole[set->nstarts].p) return qd_err_nomem(err, "filter paths");
        set->starts[set->nstarts++] = (uint32_t)at;
        while (rest.p) {
            bool fine;
            qd_str text = cut_name(a, &rest, &fine);
            if (!fine) return qd_err_nomem(err, "filter paths");
            set->names[at++] = (name){text, qd_str_is(text, "**")};
        }
        set->names[at++] = (name){{NULL, 0}, false};
    }
    return 0;
}

int qd_json_filter_make(qd_arena *a, const qd_str *includes, size_t nincludes,
                        const qd_str *excludes, size_t nexcludes, int mode, qd_json_filter **out,
                        qd_err *err)
{
    qd_json_filter *f = qd_arena_calloc(a, sizeof *f);
    if (!f) return qd_err_nomem(err, "filter paths");
    int rc = compile(a, includes, nincludes, &f->in, err);
    if (rc == 0) rc = compile(a, excludes, nexcludes, &f->out, err);
    if (rc) return rc;
    f->all = f->in.nstarts == 0 && f->out.nstarts == 0;
    f->split_dots = mode == QD_JSON_FILTER_SOURCE;
    for (size_t i = 0; mode == QD_JSON_FILTER_SOURCE && i < f->out.nstarts; i++) {
        if (qd_str_find(f->out.whole[i], '*') >= 0) f->by_path = true;
    }
    *out = f;
    return 0;
}

int qd_json_filter_path(qd_arena *a, qd_str paths, qd_json_filter **out, qd_err *err)
{
    size_t n = 1, in = 0, ex = 0;
    for (size_t i = 0; i < paths.n; i++) n += paths.p[i] == ',';
    qd_str *list = qd_arena_alloc(a, 2 * n * sizeof *list);
    if (!list) return qd_err_nomem(err, "filter paths");
    for (qd_str rest = paths; rest.p;) {
        qd_str p = qd_str_trim(qd_str_split(&rest, ','));
        if (p.n == 0) continue;
        if (p.p[0] == '-')
            list[n + ex++] = qd_str_sub(p, 1, p.n);
        else
            list[in++] = p;
    }
    return qd_json_filter_make(a, list, in, list + n, ex, QD_JSON_FILTER_RESPONSE, out, err);
}

bool qd_json_filter_all(const qd_json_filter *f)
{
    return f->all;
}

/* --- state sets ----------------------------------------------------------------------------- */

/* Adds a state once; `**` also matches no name at all. */
static int add_state(const pattern_set *p, states *s, size_t from, uint32_t state, qd_account *acc)
{
    for (;; state++) {
        for (size_t i = from; i < s->n; i++) {
            if (s->at[i] == state) return 0;
        }
        if (qd_vec_push(s, acc, state)) return QD_E_NOMEM;
        if (!p->names[state].any_depth) return 0;
    }
}

enum { MISS, PARTLY, HIT };

/* From the states [at, at + n) by one name; the new ones are appended. MISS, PARTLY, HIT or an
 * error. */
static int step(const pattern_set *p, states *s, size_t at, size_t n, qd_str by, qd_account *acc)
{
    size_t from = s->n;
    for (size_t i = at; i < at + n; i++) {
        uint32_t state = s->at[i];
        const name *nm = &p->names[state];
        if (!nm->text.p) continue;
        if (nm->any_depth) {
            if (!nm[1].text.p) return HIT;
            if (add_state(p, s, from, state, acc)) return QD_E_NOMEM;
        } else if (qd_json_simple_match(nm->text, by)) {
            if (!nm[1].text.p) return HIT;
            if (add_state(p, s, from, state + 1, acc)) return QD_E_NOMEM;
        }
    }
    return s->n > from ? PARTLY : MISS;
}

/* The same by a name of a document, which may have dots. */
static int step_name(const qd_json_filter *f, const pattern_set *p, states *s, size_t at, size_t n,
                     qd_str by, qd_account *acc)
{
    if (!f->split_dots || qd_str_find(by, '.') < 0) return step(p, s, at, n, by, acc);
    size_t first = s->n;
    for (qd_str rest = by; rest.p;) {
        qd_str part = qd_str_split(&rest, '.');
        size_t before = s->n;
        int rc = step(p, s, at, n, part, acc);
        if (rc != PARTLY) return rc;
        at = before;
        n = s->n - before;
    }
    /* only the last set counts */
    memmove(s->at + first, s->at + at, n * sizeof *s->at);
    s->n = first + n;
    return PARTLY;
}

static int first_states(const pattern_set *p, states *s, qd_account *acc)
{
    size_t from = s->n;
    for (size_t i = 0; i < p->nstarts; i++) {
        if (add_state(p, s, from, p->starts[i], acc)) return QD_E_NOMEM;
    }
    return 0;
}

/* --- the pass ------------------------------------------------------------------------------- */

static void open_frames(run *x)
{
    for (; x->opened < x->depth; x->opened++) {
        frame *fr = &x->frames[x->opened];
        if (fr->has_key) qd_json_key(&x->w, fr->key);
        if (fr->array)
            qd_json_array(&x->w);
        else
            qd_json_object(&x->w);
        fr->opened = true;
    }
}

static bool matches_path(const pattern_set *p, qd_str path)
{
    for (size_t i = 0; i < p->nstarts; i++) {
        if (qd_json_simple_match(p->whole[i], path)) return true;
    }
    return false;
}

/* Decides about the value of key in fr: MISS (leave out), PARTLY (look inside) or HIT (keep all);
 * fills next with its states. */
static int decide_by_path(run *x, const frame *fr, qd_str key, frame *next)
{
    x->path.n = fr->path;
    if (fr->path) (void)qd_buf_char(&x->path, '.');
    (void)qd_buf_str(&x->path, key);
    if (qd_buf_status(&x->path)) return qd_buf_status(&x->path);
    qd_str path = qd_buf_view(&x->path);
    next->path = path.n;
    if (matches_path(&x->f->out, path)) return MISS;
    next->kept_whole = fr->kept_whole || matches_path(&x->f->in, path);
    return PARTLY;
}

static int decide(run *x, const frame *fr, qd_str key, frame *next)
{
    const qd_json_filter *f = x->f;
    qd_account *acc = x->r.account;
    *next = (frame){.kept_whole = fr->kept_whole, .path = fr->path, .mark = x->set.n};
    if (f->by_path) return decide_by_path(x, fr, key, next);
    int hit = fr->kept_whole ? HIT : MISS;
    size_t from = x->set.n;
    if (!fr->kept_whole) {
        hit = step_name(f, &f->in, &x->set, fr->in_at, fr->in_n, key, acc);
        if (hit <= MISS) return hit;
        next->in_at = (uint32_t)from;
        next->in_n = hit == PARTLY ? (uint32_t)(x->set.n - from) : 0;
        next->kept_whole = hit == HIT;
    }
    if (fr->out_n) {
        from = x->set.n;
        int out = step_name(f, &f->out, &x->set, fr->out_at, fr->out_n, key, acc);
        if (out < 0) return out;
        if (out == HIT) return MISS;
        next->out_at = (uint32_t)from;
        next->out_n = out == PARTLY ? (uint32_t)(x->set.n - from) : 0;
    }
    return hit == HIT && next->out_n == 0 ? HIT : PARTLY;
}

/* Writes the present value, all of it. */
static int keep_value(run *x, bool has_key, qd_str key)
{
    qd_str raw;
    int rc = qd_json_raw(&x->r, &raw);
    if (rc) return rc;
    open_frames(x);
    if (has_key) qd_json_key(&x->w, key);
    qd_json_raw_value(&x->w, raw);
    return 0;
}

static int push(run *x, frame next, bool array, bool has_key, qd_str key)
{
    if (x->depth >= QD_JSON_DEPTH_DEFAULT) return QD_E_LIMIT;
    next.array = array;
    next.has_key = has_key;
    next.key = key;
    x->frames[x->depth++] = next;
    return 0;
}

/* Leaves the innermost container. */
static void pop(run *x)
{
    frame *fr = &x->frames[x->depth - 1];
    bool in_array = x->depth > 1 && x->frames[x->depth - 2].array;
    bool keep = fr->opened;
    /* what was empty already stays where everything is kept; matching by path also keeps an object
     * that an exclusion emptied, unless it stands in an array */
    if (!keep && fr->kept_whole) keep = !fr->any || (x->f->by_path && !(in_array && !fr->array));
    if (keep || x->depth == 1) {
        open_frames(x);
        if (fr->array)
            qd_json_array_end(&x->w);
        else
            qd_json_object_end(&x->w);
    }
    x->set.n = fr->mark;
    x->depth--;
    if (x->opened > x->depth) x->opened = x->depth;
}

/* The value that the reader stands on, decided as `how`. */
static int handle_value(run *x, int how, frame next, bool has_key, qd_str key)
{
    qd_json_event ev = x->r.event;
    if (how == MISS) return qd_json_skip(&x->r);
    if (how == HIT) return keep_value(x, has_key, key);
    if (ev == QD_JSON_OBJECT || ev == QD_JSON_ARRAY) {
        return push(x, next, ev == QD_JSON_ARRAY, has_key, key);
    }
    return next.kept_whole ? keep_value(x, has_key, key) : 0;
}

static int pass(run *x)
{
    qd_json_event ev;
    while ((ev = qd_json_next(&x->r)) > 0) {
        frame *fr = &x->frames[x->depth - 1], next;
        int rc;
        if (ev == QD_JSON_OBJECT_END || ev == QD_JSON_ARRAY_END) {
            pop(x);
            continue;
        }
        fr->any = true;
        if (ev == QD_JSON_KEY) {
            qd_str key = x->r.text;
            int how = decide(x, fr, key, &next);
            if (how < 0) return how;
            if (qd_json_next(&x->r) < 0) break;
            bool inside = x->r.event == QD_JSON_OBJECT || x->r.event == QD_JSON_ARRAY;
            if (how != PARTLY || !inside) x->set.n = next.mark;
            rc = handle_value(x, how, next, true, key);
        } else { /* an element: arrays are looked through */
            next = *fr;
            next.opened = next.any = false;
            next.mark = x->set.n;
            rc = handle_value(x, fr->kept_whole && !fr->out_n && !x->f->by_path ? HIT : PARTLY,
                              next, false, (qd_str){NULL, 0});
        }
        if (rc) return rc;
    }
    return x->r.event == QD_JSON_ERROR ? QD_E_XCONTENT : 0;
}

static int start(run *x)
{
    const qd_json_filter *f = x->f;
    qd_account *acc = x->r.account;
    frame root = {.kept_whole = f->in.nstarts == 0};
    int rc = first_states(&f->in, &x->set, acc);
    root.in_n = (uint32_t)x->set.n;
    root.out_at = (uint32_t)x->set.n;
    if (rc == 0) rc = first_states(&f->out, &x->set, acc);
    root.out_n = (uint32_t)x->set.n - root.out_at;
    if (rc) return rc;
    qd_json_event ev = qd_json_next(&x->r);
    if (ev < 0) return QD_E_XCONTENT;
    if (ev != QD_JSON_OBJECT && ev != QD_JSON_ARRAY) return keep_value(x, false, (qd_str){NULL, 0});
    rc = push(x, root, ev == QD_JSON_ARRAY, false, (qd_str){NULL, 0});
    return rc ? rc : pass(x);
}

int qd_json_filter_apply(const qd_json_filter *f, qd_str json, bool pretty, qd_buf *out,
                         qd_err *err)
{
    run *x = qd_alloc(out->account, sizeof *x);
    if (!x) return qd_err_nomem(err, "filtering");
    *x = (run){.f = f, .r = QD_JSON_READER(out->account)};
    int rc = QD_E_NOMEM;
    qd_buf_init(&x->path, out->account, 1 << 20);
    qd_json_writer_init(&x->w, out, pretty);
    if (f->all) {
        qd_json_raw_value(&x->w, json);
        rc = 0;
    } else {
        x->frames = qd_alloc(out->account, (QD_JSON_DEPTH_DEFAULT + 1) * sizeof *x->frames);
        qd_json_reader_init(&x->r, json, QD_JSON_COMMENTS, QD_JSON_DEPTH_DEFAULT);
        if (x->frames) rc = start(x);
        if (x->r.event == QD_JSON_ERROR)
            rc = qd_json_fail(&x->r, err);
        else if (rc == QD_E_NOMEM)
            (void)qd_err_nomem(err, "filtering");
        else if (rc)
            (void)qd_err_set(err, rc, "JSON is nested too deeply to be filtered");
    }
    if (rc == 0) rc = qd_buf_status(out);
    qd_json_reader_fini(&x->r);
    qd_buf_fini(&x->path);
    qd_vec_fini(&x->set);
    qd_free(x->frames);
    qd_free(x);
    return rc;
}

static bool wants_by_path(const qd_json_filter *f, qd_str path)
{
    for (size_t n = 1; n <= path.n; n++) {
        if (n < path.n && path.p[n] != '.') continue;
        if (matches_path(&f->out, qd_str_sub(path, 0, n))) return false;
    }
    return true; /* something below may match */
}

bool qd_json_filter_wants(const qd_json_filter *f, qd_str path)
{
    if (f->all) return true;
    if (f->by_path) return wants_by_path(f, path);
    states s = {0};
    bool wanted = true, whole = f->in.nstarts == 0;
    if (first_states(&f->in, &s, NULL)) goto done;
    size_t in_at = 0, in_n = s.n, out_at = s.n, out_n;
    if (first_states(&f->out, &s, NULL)) goto done;
    out_n = s.n - out_at;
    for (qd_str rest = path; rest.p && wanted;) {
        qd_str part = qd_str_split(&rest, '.');
        size_t from = s.n;
        if (!whole) {
            int hit = step(&f->in, &s, in_at, in_n, part, NULL);
            whole = hit == HIT;
            wanted = hit != MISS;
            in_at = from;
            in_n = s.n - from;
        }
        from = s.n;
        wanted = wanted && step(&f->out, &s, out_at, out_n, part, NULL) != HIT;
        out_at = from;
        out_n = s.n - from;
    }
done:
    qd_vec_fini(&s);
    return wanted;
}
