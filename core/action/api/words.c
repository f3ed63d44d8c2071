/* words.c: errors in the words of the product that clients see. See words.h. */
#include "action/api/words.h"
#include "action/api/admin_int.h"
#include "base/str.h"
#include <string.h>

#define BIT(product) (1u << (product))
#define OPENSEARCH (BIT(QDI_OS2) | BIT(QDI_OS3))
#define BEFORE_8 (OPENSEARCH | BIT(QDI_ES7) | BIT(QDI_ES7102))

typedef struct words {
    uint32_t who; /* BIT(product) */
    int code;
    qdi_words_of of;         /* QDI_WORDS_ANY: whatever it is about */
    const char *text;        /* what the reason holds; NULL: anything */
    const char *type;        /* the new type; NULL: it stays */
    void (*say)(qd_err *e);  /* makes the new reason; NULL: now does, or it stays */
    const char *now;         /* the new reason; NULL: it stays */
    const char *key, *value; /* a detail's new value; NULL: none */
    bool outer;              /* not where it is the cause of another */
} words;

/* Cuts the first n bytes of the reason off. */
static void cut(qd_err *e, size_t n)
{
    memmove(e->reason, e->reason + n, strlen(e->reason + n) + 1);
}

/* "[1:9] " before a text. */
static size_t position(const char *text)
{
    size_t n = strspn(text, "[0123456789:");
    return text[0] == '[' && n > 3 && text[n] == ']' && text[n + 1] == ' ' ? n + 2 : 0;
}

static void without_position(qd_err *e)
{
    cut(e, position(e->reason));
}

/* "failed to parse: " and what its cause says: the cause alone says it. */
static void of_document(qd_err *e)
{
    static const char both[] = "failed to parse: ";
    without_position(e);
    if (e->cause && strncmp(e->reason, both, sizeof both - 1) == 0) e->reason[sizeof both - 3] = 0;
}

static void without_field(qd_err *e)
{
    const char *rest = strstr(e->reason, "Text fields are not");
    if (rest) cut(e, (size_t)(rest - e->reason));
}

static void with_doc(qd_err *e)
{
    static const char now[] = "Failed to parse mapping: ";
    qd_err_reword(e, "Failed to parse mapping [_doc]: %s", e->reason + sizeof now - 1);
}

static void collapse_type(qd_err *e)
{
    const char *from = strchr(e->reason, '['), *to = from ? strstr(from, "] of the type") : NULL;
    if (to)
        qd_err_reword(e,
                      "unknown type for collapse field `%.*s`, only keywords and numbers are "
                      "accepted",
                      (int)(to - from - 1), from + 1);
}

static void in_phase(qd_err *e)
{
    (void)qd_err_wrap(e, QD_E_SEARCH_PHASE, "%s", "");
    qd_err_type(e, NULL, 503);
    qd_err_detail_raw(e, QD_ERR_ROOT_CAUSE, QD_STR("[]"));
    qd_err_detail_str(e, "phase", QD_STR("fetch"));
    qd_err_detail_raw(e, "grouped", QD_STR("true"));
    qd_err_detail_raw(e, "failed_shards", QD_STR("[]"));
}

#define COLLAPSE_AFTER "Cannot use [collapse] in conjunction with [search_after] unless"

static const words table[] = {
    {BEFORE_8, QD_E_DOC_PARSING, .type = "mapper_parsing_exception", .say = of_document},
    {BEFORE_8, QD_E_STRICT_MAPPING, .say = without_position},
    {BEFORE_8, QD_E_XCONTENT, .text = "Unexpected end-of-input", .type = "json_e_o_f_exception",
     .say = without_position},
    {BEFORE_8, QD_E_XCONTENT, .text = "\n at [Source:", .type = "json_parse_exception",
     .say = without_position},
    {BEFORE_8, QD_E_MAPPER_PARSING, .text = "Failed to parse mapping: ", .say = with_doc},
    {BEFORE_8, QD_E_ARG, .text = "Fielddata is disabled on [", .say = without_field},
    {BEFORE_8, QD_E_INDEX_NOT_FOUND, QDI_WORDS_DOCUMENT, .key = "resource.type",
     .value = "index_expression"},
    {OPENSEARCH, QD_E_ARG, .text = "field name cannot contain only dots",
     .now = "field name cannot contain only the character [.]"},
    {OPENSEARCH, QD_E_ARG, .text = "You must set [node_names] or [node_ids] but not both",
     .now = "Please set node identifiers correctly. One and only one of [node_name], [node_names] "
            "and [node_ids] has to be set"},
    {OPENSEARCH, QD_E_ARG, .text = "collapse is not supported for the field [",
     .say = collapse_type},
    {BIT(QDI_OS3), QD_E_ARG, .text = COLLAPSE_AFTER,
     .now =
         "collapse field and sort field must be the same when use `collapse` in conjunction with "
         "`search_after`"},
    {BIT(QDI_OS2) | BIT(QDI_ES7) | BIT(QDI_ES7102), QD_E_ARG, .text = COLLAPSE_AFTER,
     .now = "cannot use `collapse` in conjunction with `search_after`"},
    {BEFORE_8, QD_E_TOO_MANY_BUCKETS, QDI_WORDS_REQUEST, .say = in_phase, .outer = true},
};

static bool fits(const words *w, uint32_t who, qdi_words_of of, const qd_err *e)
{
    if (!(w->who & who) || w->code != e->code) return false;
    if (w->of != QDI_WORDS_ANY && w->of != of) return false;
    return !w->text || strstr(qd_err_reason(e), w->text);
}

void qdi_words_error(const qd_actions *a, qdi_words_of of, qd_err *err)
{
    qdi_identity id;
    if (!err || !err->code) return;
    qdi_identity_get(a, &id);
    uint32_t who = BIT(id.product);
    if (!(who & BEFORE_8)) return;
    for (qd_err *e = err, *cause; e; e = cause) {
        cause = e->cause;
        for (size_t i = 0; i < QD_COUNT_OF(table); i++) {
            const words *w = &table[i];
            if (!fits(w, who, of, e)) continue;
            if (w->outer && e != err) continue;
            if (w->type) qd_err_type(e, w->type, 0);
            if (w->key) qd_err_detail_replace(e, w->key, qd_str_c(w->value));
            if (w->say && e->reason) w->say(e);
            if (w->now) qd_err_reword(e, "%s", w->now);
            break;
        }
    }
}

void qdi_words_answer(const qd_request *q, qd_err *err)
{
    uint32_t one = QD_API_READ | QD_API_WRITE, flags = q->api ? q->api->flags : 0;
    bool document = flags & one && flags & QD_API_PRIMARY;
    qdi_words_error(q->a, document ? QDI_WORDS_DOCUMENT : QDI_WORDS_REQUEST, err);
}
