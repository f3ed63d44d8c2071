/* resolve.c: index expressions: names, aliases, patterns, exclusions. See state.h. */
#include "base/str.h"
#include "base/vec.h"
#include "cluster/state/state.h"
#include "json/writer.h"

#define EXPRESSION_PARTS_MAX 10000u

bool qd_pattern_match(qd_str pattern, qd_str name)
{
    size_t p = 0, n = 0, star = SIZE_MAX, mark = 0;
    while (n < name.n) {
        if (p < pattern.n && pattern.p[p] == '*') {
            star = p++;
            mark = n;
        } else if (p < pattern.n && pattern.p[p] == name.p[n]) {
            p++;
            n++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            n = ++mark;
        } else {
            return false;
        }
    }
    while (p < pattern.n && pattern.p[p] == '*') p++;
    return p == pattern.n;
}

int qd_state_expand_parse(qd_str text, uint32_t *options, qd_err *err)
{
    *options &= ~(uint32_t)(QD_EXPAND_OPEN | QD_EXPAND_CLOSED | QD_EXPAND_HIDDEN);
    for (qd_str rest = text; rest.p;) {
        qd_str part = qd_str_split(&rest, ',');
        if (qd_str_is(part, "open")) {
            *options |= QD_EXPAND_OPEN;
        } else if (qd_str_is(part, "closed")) {
            *options |= QD_EXPAND_CLOSED;
        } else if (qd_str_is(part, "hidden")) {
            *options |= QD_EXPAND_HIDDEN;
        } else if (qd_str_is(part, "all")) {
            *options |= QD_EXPAND_OPEN | QD_EXPAND_CLOSED | QD_EXPAND_HIDDEN;
        } else if (qd_str_is(part, "none")) {
            *options &= ~(uint32_t)(QD_EXPAND_OPEN | QD_EXPAND_CLOSED | QD_EXPAND_HIDDEN);
        } else {
            return qd_err_set(err, QD_E_ARG, "No valid expand wildcard value [%.*s]",
                              QD_STR_ARG(part));
        }
    }
    return 0;
}

/* The set being built: one flag for each index of the state. */
typedef struct resolving {
    const qd_state *s;
    uint32_t options;
    uint8_t *in;
    bool pattern_seen;
} resolving;

int qd_state_no_index(qd_str name, qd_err *err)
{
    int rc = qd_err_set(err, QD_E_INDEX_NOT_FOUND, "no such index [%.*s]", QD_STR_ARG(name));
    qd_err_detail_str(err, "resource.type", QD_STR("index_or_alias"));
    qd_err_detail_str(err, "resource.id", name);
    qd_err_detail_str(err, "index_uuid", QD_STR("_na_"));
    qd_err_detail_str(err, "index", name);
    return rc;
}

static int closed_error(const qd_index_meta *m, qd_err *err)
{
    int rc = qd_err_set(err, QD_E_INDEX_CLOSED, "closed");
    qd_err_detail_str(err, "index_uuid", qd_str_c(m->uuid));
    qd_err_detail_str(err, "index", m->name);
    return rc;
}

static uint32_t index_of(const qd_state *s, const qd_index_meta *m)
{
    uint32_t lo = 0, hi = s->n;
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        if (qd_str_cmp(s->indices[mid]->name, m->name) < 0) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo;
}

static bool hidden_index(const qd_index_meta *m)
{
    return qd_values_bool(m->values, QD_IX_HIDDEN);
}

/* May a pattern bring an index of this state in? */
static bool expands_to(const resolving *r, const qd_index_meta *m)
{
    return r->options & (m->closed ? QD_EXPAND_CLOSED : QD_EXPAND_OPEN);
}

/* Is a name that fits seen? A pattern that begins with a dot sees hidden names with one. */
static bool is_seen(const resolving *r, qd_str name, bool hidden, qd_str pattern)
{
    if (!qd_pattern_match(pattern, name)) return false;
    bool dots = pattern.n && pattern.p[0] == '.' && name.p[0] == '.';
    return !hidden || dots || (r->options & QD_EXPAND_HIDDEN);
}

/* By its own name, or by that of an alias, which brings hidden indices in too, unless all are
 * meant.
 */
static bool pattern_hits(const resolving *r, const qd_index_meta *m, qd_str pattern)
{
    bool hit = is_seen(r, m->name, hidden_index(m), pattern);
    bool by_alias = !(r->options & QD_NO_ALIASES) && !qd_str_is(pattern, "*");
    for (uint32_t k = 0; by_alias && !hit && k < m->naliases; k++)
        hit = is_seen(r, m->aliases[k].name, m->aliases[k].is_hidden, pattern);
    if (hit || !m->place.stream.n || (r->options & QD_NO_ALIASES)) return hit;
    return is_seen(r, m->place.stream, m->place.stream_hidden, pattern);
}

static void mark_pattern(resolving *r, qd_str pattern, bool in, uint32_t *matches)
{
    const qd_state *s = r->s;
    for (uint32_t i = 0; i < s->n; i++) {
        const qd_index_meta *m = s->indices[i];
        bool out = !in && qd_pattern_match(pattern, m->name);
        if (!out && !pattern_hits(r, m, pattern)) continue;
        if (in && !expands_to(r, m)) continue;
        r->in[i] = in;
        (*matches)++;
    }
}

static int mark_index(resolving *r, const qd_index_meta *m, bool in, qd_err *err)
{
    if (in && m->closed && (r->options & QD_FORBID_CLOSED)) {
        return r->options & QD_IGNORE_UNAVAILABLE ? 0 : closed_error(m, err);
    }
    r->in[index_of(r->s, m)] = in;
    return 0;
}

static int mark_name(resolving *r, qd_str name, bool in, qd_err *err)
{
    const qd_index_meta *m = qd_state_index(r->s, name);
    if (m) return mark_index(r, m, in, err);
    const qd_alias_group *a = qd_state_alias(r->s, name);
    if (!a) return in && !(r->options & QD_IGNORE_UNAVAILABLE) ? qd_state_no_index(name, err) : 0;
    if (r->options & QD_FORBID_ALIASES) {
        return r->options & QD_IGNORE_UNAVAILABLE
                   ? 0
                   : qd_err_set(err, QD_E_ARG,
                                "The provided expression [%.*s] matches %s, specify the "
                                "corresponding concrete indices instead.",
                                QD_STR_ARG(name), a->is_stream ? "a data stream" : "an alias");
    }
    int rc = 0;
    for (uint32_t i = 0; i < a->n && !rc; i++) rc = mark_index(r, a->indices[i], in, err);
    return rc;
}

static int mark_part(resolving *r, qd_str part, qd_err *err)
{
    if (part.n == 0) return qd_state_no_index(part, err);
    bool exclude = part.p[0] == '-' && r->pattern_seen;
    qd_str name = exclude ? qd_str_sub(part, 1, part.n) : part;
    if (name.n && name.p[0] == '_' && !qd_str_is(name, "_all")) {
        int rc =
            qd_err_set(err, QD_E_INVALID_INDEX_NAME,
                       "Invalid index name [%.*s], must not start with '_'.", QD_STR_ARG(name));
        qd_err_detail_str(err, "index_uuid", QD_STR("_na_"));
        qd_err_detail_str(err, "index", name);
        return rc;
    }
    bool all = qd_str_is(name, "_all");
    if (!all && qd_str_find(name, '*') < 0) return mark_name(r, name, !exclude, err);
    uint32_t matches = 0;
    r->pattern_seen = true;
    mark_pattern(r, all ? QD_STR("*") : name, !exclude, &matches);
    if (!matches && !exclude && !(r->options & QD_ALLOW_NO_INDICES))
        return qd_state_no_index(name, err);
    return 0;
}

int qd_state_resolve(const qd_state *s, qd_str expression, uint32_t options, qd_arena *arena,
                     qd_resolved *out, qd_err *err)
{
    resolving r = {.s = s, .options = options};
    qd_str asked = expression;
    uint32_t parts = 0;
    r.in = qd_arena_calloc(arena, s->n + 1);
    out->at = qd_arena_alloc(arena, (s->n + 1) * sizeof *out->at);
    out->n = 0;
    if (!r.in || !out->at) return qd_err_nomem(err, "names of indices");
    if (options & QD_ONE_NAME) {
        int rc = mark_name(&r, expression, true, err);
        if (rc) return rc;
        expression = (qd_str){NULL, 0};
    } else if (expression.n == 0) {
        expression = QD_STR("_all");
    }
    for (qd_str rest = expression; rest.p;) {
        int rc = mark_part(&r, qd_str_split(&rest, ','), err);
        if (rc) return rc;
        if (++parts > EXPRESSION_PARTS_MAX) {
            return qd_err_set(err, QD_E_ARG, "more than %u names in one index expression",
                              EXPRESSION_PARTS_MAX);
        }
    }
    for (uint32_t i = 0; i < s->n; i++) {
        const qd_index_meta *m = s->indices[i];
        if (!r.in[i]) continue;
        if (m->closed && (options & QD_FORBID_CLOSED)) { /* reached by a wildcard */
            if (options & QD_IGNORE_UNAVAILABLE) continue;
            return closed_error(m, err);
        }
        out->at[out->n++] = s->indices[i];
    }
    bool none = !out->n && asked.n && !(options & (QD_ALLOW_NO_INDICES | QD_ONE_NAME));
    return none ? qd_state_no_index(asked, err) : 0;
}

/* Does a part of the expression name it? */
static bool named_so(qd_str expression, qd_str name)
{
    for (qd_str rest = expression; rest.p;) {
        qd_str part = qd_str_split(&rest, ',');
        if (part.n && part.p[0] == '-') continue;
        if (qd_str_is(part, "_all") || qd_pattern_match(part, name)) return true;
    }
    return false;
}

/* Does the expression name the index itself, so that no alias restricts it? */
static bool named_directly(qd_str expression, const qd_index_meta *m)
{
    return expression.n == 0 || named_so(expression, m->name);
}

int qd_state_alias_filter(const qd_state *s, qd_str expression, const qd_index_meta *index,
                          qd_arena *arena, qd_str *filter, qd_str *routing, qd_err *err)
{
    qd_buf f, r;
    qd_json_writer w;
    uint32_t used = 0;
    bool all_documents = false, all_shards = false;
    *filter = *routing = (qd_str){NULL, 0};
    (void)s;
    if (index->naliases == 0 || named_directly(expression, index)) return 0;
    if (index->place.stream.n && named_so(expression, index->place.stream)) return 0;
    qd_buf_init(&f, NULL, (size_t)64 << 20);
    qd_buf_init(&r, NULL, (size_t)1 << 20);
    qd_json_writer_init(&w, &f, false);
    qd_json_array(&w);
    for (uint32_t i = 0; i < index->naliases; i++) {
        const qd_alias *a = &index->aliases[i];
        bool hit = false;
        for (qd_str rest = expression; rest.p && !hit;) {
            hit = qd_pattern_match(qd_str_split(&rest, ','), a->name);
        }
        if (!hit) continue;
        used++;
        if (a->filter.n) {
            qd_json_raw_value(&w, a->filter);
        } else {
            all_documents = true;
        }
        if (!a->search_routing.n) all_shards = true;
        if (r.n) (void)qd_buf_char(&r, ',');
        (void)qd_buf_str(&r, a->search_routing);
    }
    qd_json_array_end(&w);
    int rc = qd_buf_status(&f) || qd_buf_status(&r) ? qd_err_nomem(err, "filters of aliases") : 0;
    if (!rc && used && !all_documents) {
        *filter = qd_arena_str(arena, qd_buf_view(&f));
        if (!filter->p) rc = qd_err_nomem(err, "filters of aliases");
    }
    if (!rc && used && !all_shards) {
        *routing = qd_arena_str(arena, qd_buf_view(&r));
        if (!routing->p) rc = qd_err_nomem(err, "filters of aliases");
    }
    qd_buf_fini(&f);
    qd_buf_fini(&r);
    return rc;
}

int qd_state_write_index(const qd_state *s, qd_str name, const qd_index_meta **out, qd_str *routing,
                         qd_err *err)
{
    *routing = (qd_str){NULL, 0};
    *out = qd_state_index(s, name);
    if (!*out) {
        const qd_alias_group *a = qd_state_alias(s, name);
        if (!a) return qd_state_no_index(name, err);
        if (!a->write_index) {
            return qd_err_set(err, QD_E_ARG,
                              "no write index is defined for alias [%.*s]. The write index may be "
                              "explicitly disabled using is_write_index=false or the alias points "
                              "to multiple indices without one being designated as a write index",
                              QD_STR_ARG(name));
        }
        *out = a->write_index;
        if (!a->is_stream) *routing = qd_index_meta_alias(a->write_index, name)->index_routing;
    }
    return (*out)->closed ? closed_error(*out, err) : 0;
}
