/* lib_regex.c: Pattern and Matcher over the tree's own engine, whose time is bounded by the text.
 */
#include "analysis/regex/regex.h"
#include "script/painless/lib_int.h"

enum { GROUPS = QD_RE_GROUPS_MAX + 1 };

typedef struct matcher {
    const qdp_pattern *p;
    qd_str text;
    size_t at;
    bool found;
    uint32_t caps[2 * GROUPS];
} matcher;

static void drop_regex(void *r)
{
    qd_regex_free(r);
}

int qdp_regex(qdp_vm *vm, qd_str text, uint32_t flags, qd_sv *out)
{
    qdp_pattern *p = qd_arena_calloc(&vm->x->arena, sizeof *p);
    if (!p) return qdp_nomem(vm);
    qd_err why;
    qd_err_init(&why);
    int rc = qd_regex_compile(text, flags, &p->regex, &why);
    if (rc)
        rc = qdp_throw(vm, QDI_T_ILLEGAL_ARGUMENT, "%s", qd_err_reason(&why));
    else if (qd_arena_on_reset(&vm->x->arena, drop_regex, p->regex))
        rc = qdp_nomem(vm);
    qd_err_fini(&why);
    p->text = text;
    p->flags = flags;
    *out = (qd_sv){.tag = QD_SV_PATTERN, .object = p};
    return rc;
}

static int search(qdp_vm *vm, const struct qd_regex *p, qd_str text, size_t from, uint32_t *caps,
                  bool *hit)
{
    void *work = qd_arena_alloc(&vm->x->arena, qd_regex_work(p));
    uint64_t budget = 2000 + 2000 * (uint64_t)text.n, before = budget;
    uint32_t groups = qd_regex_groups(p) + 1;
    if (!work) return qdp_nomem(vm);
    int rc = qd_regex_find(p, work, text, from, groups < GROUPS ? groups : GROUPS, caps, &budget);
    if (rc < 0) return qdp_steps(vm, INT32_MAX);
    *hit = rc == 1;
    return qdp_steps(vm, (before - budget) / 4);
}

/* All of the text: a match that begins at its start and ends at its end. */
static int whole(qdp_vm *vm, const qdp_pattern *p, qd_str text, uint32_t *caps, bool *hit)
{
    /* The engine finds the first alternative that matches, so the end is asked for in the pattern.
     */
    qd_sv anchored;
    if (search(vm, p->regex, text, 0, caps, hit)) return -1;
    if (!*hit || (caps[0] == 0 && caps[1] == text.n)) return 0;
    if (p->anchored) return search(vm, p->anchored, text, 0, caps, hit);
    qd_str s = qd_arena_printf(&vm->x->arena, QDP_ANCHORED, QD_STR_ARG(p->text));
    if (!s.p) return qdp_nomem(vm);
    if (qdp_regex(vm, s, p->flags, &anchored)) return -1;
    return search(vm, ((qdp_pattern *)anchored.object)->regex, text, 0, caps, hit);
}

int qdp_regex_test(qdp_vm *vm, const qd_sv *text, const qd_sv *pattern, bool all, qd_sv *out)
{
    qd_str s;
    uint32_t caps[2 * GROUPS];
    bool hit = false;
    if (pattern->tag != QD_SV_PATTERN)
        return qdp_throw(vm, QDI_T_CLASS_CAST,
                         "Cannot cast from [%s] to [java.util.regex.Pattern].", qdp_class(pattern));
    if (qdp_arg_str(vm, text, &s)) return -1;
    if (all ? whole(vm, pattern->object, s, caps, &hit)
            : search(vm, ((const qdp_pattern *)pattern->object)->regex, s, 0, caps, &hit))
        return -1;
    *out = qd_sv_bool(hit);
    return 0;
}

QDI_FN(make_matcher)
{
    (void)n;
    matcher *m = qd_arena_calloc(&vm->x->arena, sizeof *m);
    if (!m) return qdp_nomem(vm);
    m->p = a[0].object;
    if (qdp_arg_str(vm, &a[1], &m->text)) return -1;
    *out = (qd_sv){.tag = QD_SV_MATCHER, .object = m};
    return 0;
}

QDI_FN(matches)
{
    (void)n;
    matcher *m = a[0].object;
    if (whole(vm, m->p, m->text, m->caps, &m->found)) return -1;
    *out = qd_sv_bool(m->found);
    return 0;
}

QDI_FN(find)
{
    (void)n;
    matcher *m = a[0].object;
    m->found = false;
    if (m->at <= m->text.n && search(vm, m->p->regex, m->text, m->at, m->caps, &m->found))
        return -1;
    if (m->found) m->at = m->caps[1] > m->caps[0] ? m->caps[1] : m->caps[1] + 1;
    *out = qd_sv_bool(m->found);
    return 0;
}

QDI_FN(reset)
{
    QDI_UNUSED;
    matcher *m = a[0].object;
    m->at = 0;
    m->found = false;
    *out = a[0];
    return 0;
}

static int group_number(qdp_vm *vm, const matcher *m, const qd_sv *a, uint32_t n, int64_t *g)
{
    *g = 0;
    if (!m->found) return qdp_throw(vm, QDI_T_ILLEGAL_STATE, "No match found");
    if (n && a[1].tag == QD_SV_STRING) {
        *g = qd_regex_group(m->p->regex, qd_sv_text(&a[1]));
        if (*g < 0)
            return qdp_throw(vm, QDI_T_ILLEGAL_ARGUMENT, "No group with name <%.*s>",
                             QD_STR_ARG(qd_sv_text(&a[1])));
    } else if (n && qdp_arg_int(vm, &a[1], g))
        return -1;
    if (*g < 0 || *g > qd_regex_groups(m->p->regex))
        return qdp_throw(vm, QDI_T_INDEX_BOUNDS, "No group %lld", (long long)*g);
    return 0;
}

QDI_FN(group)
{
    const matcher *m = a[0].object;
    int64_t g;
    if (group_number(vm, m, a, n, &g)) return -1;
    uint32_t from = m->caps[2 * g], to = m->caps[2 * g + 1];
    *out = from == UINT32_MAX ? qd_sv_null() : qd_sv_str(qd_str_sub(m->text, from, to - from));
    return 0;
}

QDI_FN(start)
{
    const matcher *m = a[0].object;
    int64_t g;
    if (group_number(vm, m, a, n, &g)) return -1;
    *out = qd_sv_int((int32_t)m->caps[2 * g]);
    return 0;
}

QDI_FN(end)
{
    const matcher *m = a[0].object;
    int64_t g;
    if (group_number(vm, m, a, n, &g)) return -1;
    *out = qd_sv_int((int32_t)m->caps[2 * g + 1]);
    return 0;
}

QDI_FN(group_count)
{
    QDI_UNUSED;
    *out = qd_sv_int((int32_t)qd_regex_groups(((const matcher *)a[0].object)->p->regex));
    return 0;
}

QDI_FN(pattern_text)
{
    QDI_UNUSED;
    *out = qd_sv_str(((const qdp_pattern *)a[0].object)->text);
    return 0;
}

QDI_FN(split)
{
    (void)n;
    qd_str s;
    qd_sv l;
    size_t at = 0, from = 0;
    uint32_t caps[2 * GROUPS];
    if (qdp_arg_str(vm, &a[1], &s)) return -1;
    if (qd_sv_list_make(&vm->x->arena, 4, &l)) return qdp_nomem(vm);
    while (at <= s.n) {
        bool hit = false;
        if (search(vm, ((const qdp_pattern *)a[0].object)->regex, s, at, caps, &hit)) return -1;
        if (!hit) break;
        if (caps[1] > caps[0] || caps[0] > from) {
            if (!(caps[1] == caps[0] && caps[0] >= s.n) &&
                qdp_list_push(vm, l.list, qd_sv_str(qd_str_sub(s, from, caps[0] - from))))
                return -1;
            if (!(caps[1] == caps[0] && caps[0] >= s.n)) from = caps[1];
        }
        at = caps[1] > caps[0] ? caps[1] : caps[1] + 1;
    }
    if (qdp_list_push(vm, l.list, qd_sv_str(qd_str_sub(s, from, s.n - from)))) return -1;
    while (l.list->n > 1 && l.list->v[l.list->n - 1].n == 0) l.list->n--;
    l.tag = QD_SV_ARRAY;
    l.list->fixed = 2;
    *out = l;
    return 0;
}

/* Appends the replacement: a text with $1, or what a function makes of the matcher. */
static int replacement(qdp_vm *vm, qd_buf *b, matcher *m, const qd_sv *with)
{
    if (with->tag == QD_SV_FUNCTION) {
        qd_sv self = {.tag = QD_SV_MATCHER, .object = m}, r;
        if (qdp_call(vm, with, &self, 1, &r)) return -1;
        qd_sv_append(&r, b);
        return 0;
    }
    qd_str s;
    if (qdp_arg_str(vm, with, &s)) return -1;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\\' && i + 1 < s.n)
            qd_buf_char(b, s.p[++i]);
        else if (s.p[i] == '$' && i + 1 < s.n && s.p[i + 1] >= '0' && s.p[i + 1] <= '9') {
            uint32_t g = (uint32_t)(s.p[++i] - '0');
            if (g > qd_regex_groups(m->p->regex))
                return qdp_throw(vm, QDI_T_INDEX_BOUNDS, "No group %u", g);
            if (m->caps[2 * g] != UINT32_MAX)
                qd_buf_add(b, m->text.p + m->caps[2 * g], m->caps[2 * g + 1] - m->caps[2 * g]);
        } else
            qd_buf_char(b, s.p[i]);
    }
    return 0;
}

static int replace(qdp_vm *vm, const qdp_pattern *p, qd_str s, const qd_sv *with, bool all,
                   qd_sv *out)
{
    matcher *m = qd_arena_calloc(&vm->x->arena, sizeof *m);
    qd_buf b;
    size_t from = 0, at = 0;
    int rc = 0;
    if (!m) return qdp_nomem(vm);
    m->p = p;
    m->text = s;
    qd_buf_init(&b, vm->x->arena.account, 16u << 20);
    while (rc == 0 && at <= s.n) {
        rc = search(vm, p->regex, s, at, m->caps, &m->found);
        if (rc || !m->found) break;
        qd_buf_add(&b, s.p + from, m->caps[0] - from);
        rc = replacement(vm, &b, m, with);
        from = m->caps[1];
        at = m->caps[1] > m->caps[0] ? m->caps[1] : m->caps[1] + 1;
        if (!all) break;
    }
    qd_buf_add(&b, s.p + from, s.n - from);
    if (rc == 0) rc = qd_buf_status(&b) ? qdp_nomem(vm) : qdp_string(vm, qd_buf_view(&b), out);
    qd_buf_fini(&b);
    return rc;
}

static int string_replace(qdp_vm *vm, qd_sv *a, bool all, qd_sv *out)
{
    qd_sv p = a[1];
    if (p.tag == QD_SV_STRING && qdp_regex(vm, qd_sv_text(&p), 0, &p)) return -1;
    if (p.tag != QD_SV_PATTERN)
        return qdp_throw(vm, QDI_T_CLASS_CAST,
                         "Cannot cast from [%s] to [java.util.regex.Pattern].", qdp_class(&a[1]));
    return replace(vm, p.object, qd_sv_text(&a[0]), &a[2], all, out);
}
QDI_FN(replace_all)
{
    (void)n;
    return string_replace(vm, a, true, out);
}
QDI_FN(replace_first)
{
    (void)n;
    return string_replace(vm, a, false, out);
}
QDI_FN(matcher_replace_all)
{
    (void)n;
    const matcher *m = a[0].object;
    return replace(vm, m->p, m->text, &a[1], true, out);
}
QDI_FN(matcher_replace_first)
{
    (void)n;
    const matcher *m = a[0].object;
    return replace(vm, m->p, m->text, &a[1], false, out);
}

#define P QDI_TAG(PATTERN)
#define M QDI_TAG(MATCHER)
const qdp_method qdp_lib_regex[] = {
    {"matcher", 1, 0, QDI_T_MATCHER, P, make_matcher},
    {"pattern", 0, 0, QDI_T_STRING, P, pattern_text},
    {"split", 1, 0, QDI_T_STRING + QDI_T_ARRAY, P, split},
    {"matches", 0, 0, QDI_T_BOOLEAN, M, matches},
    {"find", 0, 0, QDI_T_BOOLEAN, M, find},
    {"reset", 0, 0, QDI_T_MATCHER, M, reset},
    {"group", 0, 0, QDI_T_STRING, M, group},
    {"group", 1, 0, QDI_T_STRING, M, group},
    {"namedGroup", 1, 0, QDI_T_STRING, M, group},
    {"start", -1, 0, QDI_T_INT, M, start},
    {"end", -1, 0, QDI_T_INT, M, end},
    {"groupCount", 0, 0, QDI_T_INT, M, group_count},
    {"replaceAll", 1, 0, QDI_T_STRING, M, matcher_replace_all},
    {"replaceFirst", 1, 0, QDI_T_STRING, M, matcher_replace_first},
    {"replaceAll", 2, 0, QDI_T_STRING, QDI_TAG(STRING), replace_all},
    {"replaceFirst", 2, 0, QDI_T_STRING, QDI_TAG(STRING), replace_first},
    {0},
};
