/*
 * describe.c: trees as Lucene's Query.toString writes them. Errors are the buffer's: appending goes
 * on and the status is looked at once.
 */
#include "query/dsl.h"
#include "query/scope.h"
#include "json/number.h"

static void put(qd_buf *to, const char *text)
{
    (void)!qd_buf_c(to, text);
}

static void put_str(qd_buf *to, qd_str s)
{
    (void)!qd_buf_str(to, s);
}

static void put_int(qd_buf *to, int64_t v)
{
    char text[QD_I64_TEXT_MAX];
    put_str(to, (qd_str){text, qd_i64_print(text, v)});
}

static void put_float(qd_buf *to, float v)
{
    char text[QD_F64_TEXT_MAX];
    put_str(to, (qd_str){text, qd_f32_print(text, v)});
}

static void put_field(qd_buf *to, qd_str field)
{
    put_str(to, field);
    put(to, ":");
}

static void describe(const qd_node *n, bool in_bool, qd_buf *to);

static void describe_list(const char *sign, const qd_node *const *list, uint32_t n, bool *first,
                          qd_buf *to)
{
    for (uint32_t i = 0; i < n; i++) {
        if (!*first) put(to, " ");
        *first = false;
        put(to, sign);
        describe(list[i], true, to);
    }
}

static void describe_bool(const qd_node_bool *b, qd_buf *to)
{
    bool first = true;
    describe_list("+", b->must, b->nmust, &first, to);
    describe_list("", b->should, b->nshould, &first, to);
    describe_list("#", b->filter, b->nfilter, &first, to);
    describe_list("-", b->must_not, b->nmust_not, &first, to);
}

static void describe_phrase(const qd_node_phrase *p, qd_buf *to)
{
    put_field(to, p->field);
    put(to, "\"");
    for (uint32_t i = 0, at = 0; i < p->n; at++) {
        uint32_t same = i;
        while (same < p->n && p->terms[same].position == at) same++;
        if (at) put(to, " ");
        if (same == i) { /* a hole */
            if (p->terms[i].position - at > 64) at = p->terms[i].position - 1;
            put(to, "?");
            continue;
        }
        if (same - i > 1) put(to, "(");
        for (uint32_t k = i; k < same; k++) {
            if (k > i) put(to, " ");
            put_str(to, p->terms[k].term);
            if (p->terms[k].prefix) put(to, "*");
        }
        if (same - i > 1) put(to, ")");
        i = same;
    }
    put(to, "\"");
    if (p->slop) {
        put(to, "~");
        put_int(to, p->slop);
    }
}

static void describe_pattern(const qd_node_pattern *p, qd_buf *to)
{
    put_field(to, p->field);
    if (p->kind == QD_PATTERN_REGEXP) put(to, "/");
    put_str(to, p->text);
    if (p->kind == QD_PATTERN_REGEXP) put(to, "/");
    if (p->kind == QD_PATTERN_PREFIX) put(to, "*");
    if (p->kind == QD_PATTERN_FUZZY) {
        put(to, "~");
        put_int(to, p->max_edits);
    }
    if (p->case_insensitive) put(to, " (ignore case)");
}

static void describe_range(const qd_node *n, qd_buf *to)
{
    const qd_node_range *g = &n->u.range;
    char ip[46];
    put_field(to, g->field);
    if (g->kind == QD_RANGE_TERM) {
        put(to, g->from_inclusive ? "[" : "{");
        put_str(to, g->has_from ? g->from : QD_STR("*"));
        put(to, " TO ");
        put_str(to, g->has_to ? g->to : QD_STR("*"));
        put(to, g->to_inclusive ? "]" : "}");
        return;
    }
    put(to, "[");
    if (g->kind == QD_RANGE_I64) {
        put_int(to, g->lo);
        put(to, " TO ");
        put_int(to, g->hi);
    } else {
        put_str(to, (qd_str){ip, qd_ip_print(ip, g->lo16)});
        put(to, " TO ");
        put_str(to, (qd_str){ip, qd_ip_print(ip, g->hi16)});
    }
    put(to, "]");
}

static void describe_words(const char *name, qd_str field, const qd_str *terms, uint32_t n,
                           qd_buf *to)
{
    put(to, name);
    if (n > 16) { /* a long list says no more than its length */
        put_field(to, field);
        put_int(to, n);
        put(to, " terms");
    }
    for (uint32_t i = 0; i < n && n <= 16; i++) {
        if (i) put(to, " ");
        if (field.n && (i == 0 || *name == 'S')) put_field(to, field);
        put_str(to, terms[i]);
    }
    put(to, ")");
}

static void describe_dis_max(const qd_node_dis_max *d, qd_buf *to)
{
    put(to, d->blended ? "blended(" : "(");
    for (uint32_t i = 0; i < d->n; i++) {
        if (i) put(to, " | ");
        describe(d->children[i], true, to);
    }
    put(to, ")");
    if (d->tie_breaker != 0) {
        put(to, "~");
        put_float(to, d->tie_breaker);
    }
}

static void describe_kind(const qd_node *n, qd_buf *to)
{
    switch (n->kind) {
    case QD_NATIVE_MATCH_NONE:
        put(to, "MatchNoDocsQuery(\"\")");
        break;
    case QD_NATIVE_MATCH_ALL:
        put(to, "*:*");
        break;
    case QD_NATIVE_TERM:
        put_field(to, n->u.term.field);
        put_str(to, n->u.term.term);
        break;
    case QD_NATIVE_SYNONYM:
        describe_words("Synonym(", n->u.synonym.field, n->u.synonym.terms, n->u.synonym.n, to);
        break;
    case QD_NATIVE_PHRASE:
        if (n->u.phrase.pairs)
            describe(n->u.phrase.pairs, true, to);
        else
            describe_phrase(&n->u.phrase, to);
        break;
    case QD_NATIVE_BOOL:
        describe_bool(&n->u.boolean, to);
        break;
    case QD_NATIVE_DIS_MAX:
        describe_dis_max(&n->u.dis_max, to);
        break;
    case QD_NATIVE_CONSTANT:
        put(to, "ConstantScore(");
        describe(n->u.child, false, to);
        put(to, ")");
        break;
    case QD_NATIVE_BOOST:
        describe(n->u.child, true, to);
        break;
    case QD_NATIVE_TERM_SET:
        describe_words("(", n->u.term_set.field, n->u.term_set.terms, n->u.term_set.n, to);
        break;
    case QD_NATIVE_RANGE:
        describe_range(n, to);
        break;
    case QD_NATIVE_PATTERN:
        describe_pattern(&n->u.pattern, to);
        break;
    case QD_NATIVE_EXISTS:
        put(to, "FieldExistsQuery [field=");
        put_str(to, n->u.exists);
        put(to, "]");
        break;
    case QD_NATIVE_IDS:
        describe_words("_id:(", (qd_str){"", 0}, n->u.ids.ids, n->u.ids.n, to);
        break;
    case QD_NATIVE_DOC_SET:
        put(to, "DocSet");
        break;
    case QD_NATIVE_CUSTOM:
        put(to, "Operator");
        if (n->u.custom.scope) {
            put(to, "(");
            put(to, n->u.custom.scope->name);
            put(to, ")");
        }
        break;
    }
}

static void describe(const qd_node *n, bool in_bool, qd_buf *to)
{
    const qd_node_bool *b = &n->u.boolean;
    bool is_bool = n->kind == QD_NATIVE_BOOL;
    bool least = is_bool && b->min_should > 0 && !(b->min_should == 1 && !b->nmust && !b->nfilter);
    bool parens = is_bool && (in_bool || least || n->boost != 1);
    if (parens) put(to, "(");
    describe_kind(n, to);
    if (parens) put(to, ")");
    if (least) {
        put(to, "~");
        put_int(to, b->min_should);
    }
    if (n->boost != 1) {
        put(to, "^");
        put_float(to, n->boost);
    }
}

int qd_node_describe(const qd_node *root, qd_buf *out)
{
    describe(root, false, out);
    return qd_buf_status(out);
}
