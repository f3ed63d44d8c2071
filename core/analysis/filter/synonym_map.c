/*
 * synonym_map.c: reads rules in Solr's format ("a, b c => d", "a, b") into a trie.
 */
#include "analysis/filter/synonym_int.h"

#define FEW_OUTPUTS 32u /* of a node: looked through one by one */
#define MANY_OUTPUTS                                                                               \
    (1u << 20) /* of all nodes that have more: 1,024 terms that stand for each other */

int qd_syn_init(qd_syn_map *m)
{
    memset(m, 0, sizeof *m);
    return qd_vec_push(&m->nodes, NULL, (qd_syn_node){0});
}

void qd_syn_fini(qd_syn_map *m)
{
    for (size_t i = 0; i < m->nodes.n; i++) qd_vec_fini(&m->nodes.at[i].outputs);
    qd_vec_fini(&m->nodes);
    qd_wordset_fini(&m->words);
    qd_wordset_fini(&m->phrases);
    qd_free(m->edges);
    qd_free(m->many);
    m->edges = NULL;
    m->many = NULL;
}

static size_t edge_slot(const qd_syn_edge *e, size_t mask, uint64_t key)
{
    size_t h = (size_t)((key * 0x9E3779B97F4A7C15ull) >> 20);
    while (e[h & mask].key && e[h & mask].key != key) h++;
    return h & mask;
}

uint32_t qd_syn_step(const qd_syn_map *m, uint32_t node, const char *p, size_t n)
{
    if (!m->nedges) return 0;
    int64_t word = qd_wordset_find(&m->words, p, n);
    if (word < 0) return 0;
    const qd_syn_edge *e =
        &m->edges[edge_slot(m->edges, m->mask, (uint64_t)node << 32 | (uint64_t)(word + 1))];
    return e->key ? e->to : 0;
}

static int edges_grow(qd_syn_map *m)
{
    size_t slots = m->edges ? (m->mask + 1) * 2 : 64;
    qd_syn_edge *e = qd_calloc(NULL, slots * sizeof *e);
    if (!e) return QD_E_NOMEM;
    for (size_t i = 0; m->edges && i <= m->mask; i++)
        if (m->edges[i].key) e[edge_slot(e, slots - 1, m->edges[i].key)] = m->edges[i];
    qd_free(m->edges);
    m->edges = e;
    m->mask = slots - 1;
    return 0;
}

/* The node behind `node` by a word, made when it is not there. */
static int step_make(qd_syn_map *m, uint32_t *node, qd_str word)
{
    uint32_t to = qd_syn_step(m, *node, word.p, word.n);
    if (!to) {
        int rc = qd_wordset_add(&m->words, word);
        if (!rc && (!m->edges || m->nedges * 2 > m->mask)) rc = edges_grow(m);
        if (!rc) rc = qd_vec_push(&m->nodes, NULL, (qd_syn_node){0});
        if (rc) return rc;
        to = (uint32_t)m->nodes.n - 1;
        uint64_t key =
            (uint64_t)*node << 32 | (uint64_t)(qd_wordset_find(&m->words, word.p, word.n) + 1);
        m->edges[edge_slot(m->edges, m->mask, key)] = (qd_syn_edge){key, to};
        m->nedges++;
    }
    *node = to;
    return 0;
}

static uint64_t *many_slot(uint64_t *at, size_t mask, uint64_t key)
{
    size_t h = (size_t)((key * 0x9E3779B97F4A7C15ull) >> 20);
    while (at[h & mask] && at[h & mask] != key) h++;
    return &at[h & mask];
}

static int many_add(qd_syn_map *m, uint32_t node, uint32_t phrase, bool *there)
{
    if (m->nmany == MANY_OUTPUTS) return QD_E_LIMIT;
    if (!m->many || m->nmany * 2 > m->many_mask) {
        size_t slots = m->many ? (m->many_mask + 1) * 2 : 256;
        uint64_t *at = qd_calloc(NULL, slots * sizeof *at);
        if (!at) return QD_E_NOMEM;
        for (size_t i = 0; m->many && i <= m->many_mask; i++)
            if (m->many[i]) *many_slot(at, slots - 1, m->many[i]) = m->many[i];
        qd_free(m->many);
        m->many = at;
        m->many_mask = slots - 1;
    }
    uint64_t key = (uint64_t)node << 32 | (phrase + 1u);
    uint64_t *slot = many_slot(m->many, m->many_mask, key);
    *there = *slot != 0;
    m->nmany += !*there;
    *slot = key;
    return 0;
}

/* Has the node this output? Looking through thousands for each of thousands has no end. */
static int has_output(qd_syn_map *m, uint32_t node, uint32_t phrase, bool *there)
{
    const qd_syn_node *n = &m->nodes.at[node];
    *there = false;
    if (n->outputs.n < FEW_OUTPUTS) {
        for (size_t i = 0; i < n->outputs.n; i++) *there |= n->outputs.at[i] == phrase;
        return 0;
    }
    bool unused;
    for (size_t i = 0; n->outputs.n == FEW_OUTPUTS && i < FEW_OUTPUTS; i++) {
        int rc = many_add(m, node, n->outputs.at[i], &unused);
        if (rc) return rc;
    }
    return many_add(m, node, phrase, there);
}

/* One rule: the words of `in` (parted by NUL) give `out`. */
static int rule_add(qd_syn_map *m, qd_str in, qd_str out, bool keep)
{
    uint32_t node = 0;
    qd_str rest = in;
    while (rest.p) {
        int rc = step_make(m, &node, qd_str_split(&rest, '\0'));
        if (rc) return rc;
    }
    int rc = qd_wordset_add(&m->phrases, out);
    if (rc) return rc;
    uint32_t phrase = (uint32_t)qd_wordset_find(&m->phrases, out.p, out.n);
    qd_syn_node *n = &m->nodes.at[node];
    n->final = true;
    n->keep |= keep;
    bool there;
    rc = has_output(m, node, phrase, &there);
    return rc || there ? rc : qd_vec_push(&n->outputs, NULL, phrase);
}

/* A list of phrases in one buffer. */
typedef struct side {
    qd_buf text;
    QD_VEC(qd_span) at;
} side;

static void side_fini(side *s)
{
    qd_buf_fini(&s->text);
    qd_vec_fini(&s->at);
}

static qd_str side_at(const side *s, size_t i)
{
    return (qd_str){s->text.p + s->at.at[i].from, s->at.at[i].to - s->at.at[i].from};
}

/* Length of s up to the next separator that no backslash stands before. */
static size_t cut(qd_str s, qd_str sep)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\\')
            i++;
        else if (qd_str_starts(qd_str_sub(s, i, s.n), sep))
            return i;
    }
    return s.n;
}

/* Backslashes off, white space off both ends (Java's trim: all up to U+0020). */
static qd_str unescape(qd_str s, char *out)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\\' && i + 1 < s.n) i++;
        out[n++] = s.p[i];
    }
    qd_str r = {out, n};
    while (r.n && (unsigned char)r.p[0] <= ' ') r = qd_str_sub(r, 1, r.n);
    while (r.n && (unsigned char)r.p[r.n - 1] <= ' ') r.n--;
    return r;
}

static int side_parse(side *s, qd_str text, bool lenient, qd_syn_analyze *analyze, void *arg,
                      qd_err *err)
{
    char *plain = qd_alloc(NULL, text.n + 1);
    if (!plain) return qd_err_nomem(err, "synonyms");
    int rc = 0;
    while (!rc && text.n) {
        size_t n = cut(text, QD_STR(","));
        qd_str one = qd_str_sub(text, 0, n);
        text = qd_str_sub(text, n + 1, text.n);
        if (!one.n) continue;
        uint32_t from = (uint32_t)s->text.n;
        rc = analyze(arg, unescape(one, plain), &s->text, lenient ? NULL : err);
        if (rc == QD_E_ARG && lenient) {
            s->text.n = from;
            rc = 0;
            continue;
        }
        if (!rc && qd_vec_push(&s->at, NULL, ((qd_span){from, (uint32_t)s->text.n})))
            rc = qd_err_nomem(err, "synonyms");
    }
    qd_free(plain);
    return rc;
}

static int rules_add(qd_syn_map *m, const side *in, const side *out, bool expand, bool keep)
{
    for (size_t i = 0; i < in->at.n; i++)
        for (size_t j = 0; j < out->at.n; j++) {
            if (in == out && expand && i == j) continue;
            if (in == out && !expand && j) break; /* all to the first */
            int rc = rule_add(m, side_at(in, i), side_at(out, j), keep);
            if (rc) return rc;
        }
    return 0;
}

int qd_syn_line(qd_syn_map *m, qd_str line, bool expand, bool lenient, qd_syn_analyze *analyze,
                void *arg, qd_err *err)
{
    if (line.n && line.p[line.n - 1] == '\r') line.n--;
    if (!line.n || line.p[0] == '#') return 0;
    side in = {.at = {0}}, out = {.at = {0}};
    qd_buf_init(&in.text, NULL, 1 << 24);
    qd_buf_init(&out.text, NULL, 1 << 24);
    size_t n = cut(line, QD_STR("=>"));
    qd_str right = qd_str_sub(line, n + 2, line.n);
    bool mapping = n < line.n;
    int rc = 0;
    if (mapping && cut(right, QD_STR("=>")) < right.n)
        rc = qd_err_set(err, QD_E_ARG, "more than one explicit mapping specified on the same line");
    if (!rc) rc = side_parse(&in, qd_str_sub(line, 0, n), lenient, analyze, arg, err);
    if (!rc && mapping) rc = side_parse(&out, right, lenient, analyze, arg, err);
    if (!rc)
        rc =
            mapping ? rules_add(m, &in, &out, true, false) : rules_add(m, &in, &in, expand, expand);
    if (rc == QD_E_NOMEM) rc = qd_err_nomem(err, "synonyms");
    if (rc == QD_E_LIMIT)
        rc = qd_err_set(
            err, QD_E_ARG,
            "synonym rules of terms with more than [%u] synonyms make more than [%u] pairs",
            FEW_OUTPUTS, MANY_OUTPUTS);
    side_fini(&in);
    side_fini(&out);
    return rc;
}
