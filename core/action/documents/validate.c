/* validate.c: what is wrong with an operation before it is tried. See documents_int.h. */
#include "action/documents/documents_int.h"
#include "base/str.h"
#include <stdarg.h>
#include <stdio.h>

#define ID_MAX 512 /* bytes */
#define TEXT_MAX ((size_t)1 << 20)

void qdi_problems_init(doc_problems *p, qd_account *account)
{
    qd_buf_init(&p->text, account, TEXT_MAX);
    p->n = 0;
}

void qdi_problem(doc_problems *p, const char *fmt, ...)
{
    char text[ID_MAX * 4];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    (void)qd_buf_printf(&p->text, "%u: %s;", ++p->n, text);
}

int qdi_problems_end(doc_problems *p, qd_err *err)
{
    int rc = p->n ? qd_err_set(err, QD_E_VALIDATION, "Validation Failed: %.*s",
                               QD_STR_ARG(qd_buf_view(&p->text)))
                  : 0;
    qd_buf_fini(&p->text);
    return rc;
}

/* Versions, sequence numbers and terms that do not go together. */
static void versions(const doc_item *i, doc_problems *p)
{
    bool cas = i->if_seq_no != QD_SEQ_NO_UNASSIGNED,
         external = i->version_type != QD_VERSION_INTERNAL;
    if (external ? !i->has_version || i->version < 0 : i->has_version && i->version <= 0) {
        qdi_problem(p, "illegal version value [%lld] for version type [%s]",
                    (long long)(i->has_version ? i->version : QD_VERSION_ANY),
                    qdi_version_type_name(i->version_type));
    }
    if (!external && i->has_version && !i->ingested && !i->placed) {
        qdi_problem(p, "internal versioning can not be used for optimistic concurrency control."
                       " Please use `if_seq_no` and `if_primary_term` instead");
    }
    if (cas && (external || i->has_version)) {
        qdi_problem(p, "compare and write operations can not use versioning");
    }
    if (cas && i->if_primary_term == 0) qdi_problem(p, "ifSeqNo is set, but primary term is [0]");
    if (!cas && i->if_primary_term != 0) {
        qdi_problem(p, "ifSeqNo is unassigned, but primary term is [%lld]",
                    (long long)i->if_primary_term);
    }
}

/* The first thing wrong with a creation; others are not looked for then. */
static const char *creation(const doc_item *i)
{
    if (i->version_type != QD_VERSION_INTERNAL) {
        return "create operations only support internal versioning. use index instead";
    }
    if (i->has_version) {
        return "create operations do not support explicit versions. use index instead";
    }
    if (i->if_seq_no != QD_SEQ_NO_UNASSIGNED || i->if_primary_term != 0) {
        return "create operations do not support compare and set. use index instead";
    }
    return NULL;
}

void qdi_item_problems(const doc_item *i, doc_problems *p)
{
    bool external = i->version_type != QD_VERSION_INTERNAL;
    if (i->index.n == 0) qdi_problem(p, "index is missing");
    if ((i->op == DOC_UPDATE || i->op == DOC_DELETE) && i->id.n == 0) {
        qdi_problem(p, "id is missing");
    }
    const char *bad = i->op == DOC_CREATE ? creation(i) : NULL;
    if (bad) {
        qdi_problem(p, "%s", bad);
        return;
    }
    if (i->op == DOC_UPDATE && (external || i->has_version)) {
        qdi_problem(p, "internal versioning can not be used for optimistic concurrency control."
                       " Please use `if_seq_no` and `if_primary_term` instead");
        return;
    }
    if (i->op == DOC_INDEX && i->id.n == 0 && (external || i->has_version)) {
        qdi_problem(p, "an id must be provided if version type or value are set");
    }
    versions(i, p);
    if (i->id.n > ID_MAX && i->op != DOC_DELETE && i->op != DOC_UPDATE) {
        qdi_problem(p, "id [%.*s] is too long, must be no longer than %d bytes but was: %zu",
                    (int)(i->id.n > 2 * ID_MAX ? 2 * ID_MAX : i->id.n), i->id.p, ID_MAX, i->id.n);
    }
}

int qdi_item_validate(const doc_item *i, qd_err *err)
{
    doc_problems p;
    qdi_problems_init(&p, NULL);
    qdi_item_problems(i, &p);
    return qdi_problems_end(&p, err);
}
