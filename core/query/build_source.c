/*
 * build_source.c: a field that is indexed without positions and scored alike: phrases find their
 * documents by the words and look at the source for the rest.
 */
#include "query/build_int.h"

/* Where documents have the text: the field or, of a multi-field, its parent, and what is copied
 * there. */
static int paths_of(qdi_builder *b, const qd_field *f, qd_node_source_phrase *to, qd_err *err)
{
    const qd_mapping *m = b->c->mapping;
    qd_str own = f->parent ? f->parent->name : f->name;
    uint32_t n = 1;
    for (int pass = 0; pass < 2; pass++) {
        qd_str *at = NULL;
        if (pass) {
            at = qd_arena_alloc(b->arena, n * sizeof *at);
            if (!at) return qd_err_nomem(err, "query");
            at[0] = own;
            to->paths = at;
            to->npaths = n;
            n = 1;
        }
        for (uint32_t i = 0; i < qd_mapping_nfields(m); i++) {
            const qd_field *x = qd_mapping_field_at(m, i);
            bool copied = false;
            for (uint32_t k = 0; k < x->ncopy_to && !copied; k++)
                copied = x->copy_to[k] && qd_str_eq(x->copy_to[k]->name, own);
            if (!copied) continue;
            if (pass) at[n] = x->name;
            n++;
        }
    }
    return 0;
}

/* All documents with a word of each position. */
static int holds_words(qdi_builder *b, const qd_node_phrase *p, const qd_node **out, qd_err *err)
{
    const qd_node **filter;
    uint32_t slots = 0;
    for (uint32_t i = 0; i < p->n; i++)
        slots += !i || p->terms[i].position != p->terms[i - 1].position;
    qd_node *all = qd_node_bool_make(b->arena, 0, 0, slots, 0, NULL, NULL, &filter, NULL);
    if (!all) return qd_err_nomem(err, "query");
    for (uint32_t i = 0, s = 0; i < p->n; s++) {
        uint32_t to = i + 1;
        while (to < p->n && p->terms[to].position == p->terms[i].position) to++;
        const qd_node **any;
        qd_node *one = qd_node_bool_make(b->arena, 0, to - i, 0, 0, NULL, &any, NULL, NULL);
        if (!one) return qd_err_nomem(err, "query");
        one->u.boolean.min_should = 1;
        for (uint32_t k = i; k < to; k++) {
            qd_node *x = p->terms[k].prefix
                             ? qdi_query_node(b, QD_NATIVE_PATTERN, err)
                             : qd_node_term_make(b->arena, p->field, p->terms[k].term);
            if (!x) return qd_err_nomem(err, "query");
            if (p->terms[k].prefix) {
                x->u.pattern.field = p->field;
                x->u.pattern.kind = QD_PATTERN_PREFIX;
                x->u.pattern.text = p->terms[k].term;
                x->u.pattern.rewrite = QD_REWRITE_CONSTANT;
            }
            any[k - i] = x;
        }
        filter[s] = one;
        i = to;
    }
    b->uncounted += p->n + slots; /* the phrase counts as one clause, as it does elsewhere */
    *out = all;
    return 0;
}

int qdi_source_phrase(qdi_builder *b, const qd_field *f, const qd_node_phrase *p, bool several,
                      const qd_node **out, qd_err *err)
{
    if (!qd_mapping_source_enabled(b->c->mapping))
        return qd_err_set(err, QD_E_ARG,
                          "Field [%.*s] of type [%s] cannot run positional queries since [_source] "
                          "is disabled.",
                          QD_STR_ARG(f->name), qd_field_type_name(f));
    qd_node *x = qdi_query_node(b, several ? QD_NATIVE_SOURCE_PHRASE : QD_NATIVE_CONSTANT, err);
    const qd_node *child = NULL;
    if (!x) return QD_E_NOMEM;
    int rc = holds_words(b, p, &child, err);
    if (rc) return rc;
    *out = x;
    if (!several) { /* of one position: nothing to look at */
        x->u.child = child;
        return 0;
    }
    x->u.source_phrase = (qd_node_source_phrase){.child = child,
                                                 .phrase = *p,
                                                 .analyzer = f->index_analyzer,
                                                 .gap = f->position_increment_gap};
    return paths_of(b, f, &x->u.source_phrase, err);
}

int qdi_constant_score(qdi_builder *b, const qd_node *child, const qd_node **out, qd_err *err)
{
    qd_node *x = qdi_query_node(b, QD_NATIVE_CONSTANT, err);
    if (!x) return QD_E_NOMEM;
    x->u.child = child;
    *out = x;
    return 0;
}
