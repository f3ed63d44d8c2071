/* ism_template.c: which policy a new index gets by itself. See ism_int.h. */
#include "action/api/admin_int.h"
#include "action/lifecycle/ism_int.h"
#include "base/str.h"

static bool matches(const qd_json_node *template, qd_str name)
{
    const qd_json_node *patterns = qd_json_get(template, "index_patterns");
    for (const qd_json_node *p = patterns ? patterns->first : NULL; p; p = p->next)
        if (qd_json_text(p).n && qdi_listed(qd_json_text(p), name)) return true;
    return false;
}

/* The id of a policy that a document is; false: it is none. */
static bool policy_at(const qd_state *s, uint32_t i, qd_str *id)
{
    qd_str key = s->documents[i].key;
    if (!qd_str_starts(key, QD_STR(ISM_KEY))) return false;
    *id = qd_str_sub(key, sizeof ISM_KEY - 1, key.n);
    return true;
}

int qdi_ism_templates_read(const qd_state *s, qd_arena *a, ism_templates *out, qd_err *err)
{
    qd_str id;
    *out = (ism_templates){NULL, 0};
    for (int fill = 0; fill < 2; fill++) {
        uint32_t n = 0;
        for (uint32_t i = 0; i < s->ndocuments; i++) {
            ism_policy p;
            if (!policy_at(s, i, &id) || qdi_ism_policy_get(s, a, id, &p, NULL)) continue;
            const qd_json_node *list = qd_json_get(p.at, "ism_template");
            for (const qd_json_node *t = list ? list->first : NULL; t; t = t->next, n++)
                if (fill) out->at[n] = (ism_template){id, t};
        }
        if (fill || !n) out->n = n;
        if (fill || !n) return 0;
        out->at = qd_arena_calloc(a, n * sizeof *out->at);
        if (!out->at) return qd_err_nomem(err, "templates of policies");
    }
    return 0;
}

qd_str qdi_ism_template_for(const ism_templates *all, const qd_index_meta *m)
{
    qd_str best = {NULL, 0}, name = m->place.stream.n ? m->place.stream : m->name;
    int64_t priority = -1;
    for (uint32_t i = 0; i < all->n; i++) {
        const qd_json_node *t = all->at[i].at;
        int64_t has = qdi_ism_number(t, "priority", 0);
        if (has <= priority || m->created_ms < qdi_ism_number(t, "last_updated_time", 0)) continue;
        if (!matches(t, name)) continue;
        priority = has;
        best = all->at[i].id;
    }
    return best;
}

/* Can a name fit both patterns? Each way that their stars can be laid over each other. */
static bool meet(const char *a, const char *a_end, const char *b, const char *b_end)
{
    /* fits[j]: the rest of a from i and the rest of b from j share a name */
    bool fits[2][256];
    size_t n = (size_t)(a_end - a), m = (size_t)(b_end - b);
    if (m >= 256) return true; /* longer than a name may be */
    for (size_t i = n + 1; i-- > 0;) {
        for (size_t j = m + 1; j-- > 0;) {
            bool star_a = i < n && a[i] == '*', star_b = j < m && b[j] == '*';
            bool down = i < n && fits[(i + 1) & 1][j], right = j < m && fits[i & 1][j + 1];
            bool both = i < n && j < m && fits[(i + 1) & 1][j + 1];
            fits[i & 1][j] = i == n && j == m   ? true
                             : star_a || star_b ? (star_a && (down || right || both)) ||
                                                      (star_b && (right || down || both))
                                                : both && a[i] == b[j];
        }
    }
    return fits[0][0];
}

static bool templates_meet(const qd_json_node *x, const qd_json_node *y)
{
    const qd_json_node *p = qd_json_get(x, "index_patterns"), *q = qd_json_get(y, "index_patterns");
    if (qdi_ism_number(x, "priority", 0) != qdi_ism_number(y, "priority", 0)) return false;
    for (const qd_json_node *k = p ? p->first : NULL; k; k = k->next) {
        for (const qd_json_node *l = q ? q->first : NULL; l; l = l->next) {
            qd_str one = qd_json_text(k), other = qd_json_text(l);
            if (meet(one.p, one.p + one.n, other.p, other.p + other.n)) return true;
        }
    }
    return false;
}

int qdi_ism_templates_check(const qd_state *s, qd_arena *a, qd_str id, const qd_json_node *policy,
                            qd_err *err)
{
    const qd_json_node *list = qd_json_get(policy, "ism_template");
    qd_str other;
    for (const qd_json_node *t = list ? list->first : NULL; t; t = t->next) {
        qd_str shown = qd_json_get(t, "index_patterns")->raw;
        for (const qd_json_node *u = t->next; u; u = u->next) {
            if (!templates_meet(t, u)) continue;
            return qd_err_set(err, QD_E_ARG,
                              "New policy %.*s has an ISM template with index "
                              "pattern %.*s matching this policy's other ISM templates with index "
                              "patterns %.*s, please use different priority",
                              QD_STR_ARG(id), QD_STR_ARG(shown),
                              QD_STR_ARG(qd_json_get(u, "index_patterns")->raw));
        }
        for (uint32_t i = 0; i < s->ndocuments; i++) {
            ism_policy p;
            if (!policy_at(s, i, &other) || qd_str_eq(other, id)) continue;
            if (qdi_ism_policy_get(s, a, other, &p, NULL)) continue;
            const qd_json_node *theirs = qd_json_get(p.at, "ism_template");
            for (const qd_json_node *u = theirs ? theirs->first : NULL; u; u = u->next) {
                if (!templates_meet(t, u)) continue;
                return qd_err_set(err, QD_E_ARG,
                                  "New policy %.*s has an ISM template with index "
                                  "pattern %.*s matching existing policy templates, please use a "
                                  "different priority than %lld",
                                  QD_STR_ARG(id), QD_STR_ARG(shown),
                                  (long long)qdi_ism_number(t, "priority", 0));
            }
        }
    }
    return 0;
}
