/*
 * nodes.c: the rows by kind, and what they share: trees as Lucene's Query.toString writes them, and
 * what their work is.
 */
#include "search/nodes/nodes_int.h"
#include "json/number.h"

const qd_node_type *const qdi_node_types[] = {
#define QD_NODE(kind, row, holds) &qdi_node_##row,
#include "query/nodes.def"
#undef QD_NODE
};

/* --- describing ------------------------------------------------------------------------------ */

void qdi_put(qd_buf *to, const char *text)
{
    (void)!qd_buf_c(to, text);
}

void qdi_put_str(qd_buf *to, qd_str s)
{
    (void)!qd_buf_str(to, s);
}

void qdi_put_int(qd_buf *to, int64_t v)
{
    char text[QD_I64_TEXT_MAX];
    qdi_put_str(to, (qd_str){text, qd_i64_print(text, v)});
}

void qdi_put_float(qd_buf *to, float v)
{
    char text[QD_F64_TEXT_MAX];
    qdi_put_str(to, (qd_str){text, qd_f32_print(text, v)});
}

void qdi_put_field(qd_buf *to, qd_str field)
{
    qdi_put_str(to, field);
    qdi_put(to, ":");
}

void qdi_put_words(qd_buf *to, const char *name, qd_str field, const qd_str *terms, uint32_t n)
{
    qdi_put(to, name);
    if (n > 16) { /* a long list says no more than its length */
        qdi_put_field(to, field);
        qdi_put_int(to, n);
        qdi_put(to, " terms");
    }
    for (uint32_t i = 0; i < n && n <= 16; i++) {
        if (i) qdi_put(to, " ");
        if (field.n && (i == 0 || *name == 'S')) qdi_put_field(to, field);
        qdi_put_str(to, terms[i]);
    }
    qdi_put(to, ")");
}

void qdi_describe(const qd_node *n, bool in_bool, qd_buf *to)
{
    qdi_node_type_of(n)->describe(n, in_bool, to);
    if (n->boost != 1) {
        qdi_put(to, "^");
        qdi_put_float(to, n->boost);
    }
}

int qd_node_describe(const qd_node *root, qd_buf *out)
{
    qdi_describe(root, false, out);
    return qd_buf_status(out);
}

/* --- cost ------------------------------------------------------------------------------------ */

bool qdi_cost_one(const qd_node *n, uint32_t *passes)
{
    (void)n;
    ++*passes;
    return true;
}

bool qdi_cost_all(const qd_node *const *list, uint32_t n, uint32_t *passes)
{
    for (uint32_t i = 0; i < n; i++)
        if (!qd_node_cost(list[i], passes)) return false;
    return true;
}

bool qdi_cost_child(const qd_node *n, uint32_t *passes)
{
    return qd_node_cost(n->u.child, passes);
}

bool qd_node_cost(const qd_node *root, uint32_t *passes)
{
    const qd_node_type *type = qdi_node_type_of(root);
    return type->cost && type->cost(root, passes);
}

bool qdi_child_may_match(const qd_leaf *leaf, const qd_node *n, uint32_t depth)
{
    return qdi_node_may_match(leaf, n->u.child, depth + 1);
}
