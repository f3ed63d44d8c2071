/* text.c: terms to UTF-16 and back, options. */
#include "icu.h"
#include <unicode/ustring.h>

int32_t icu_room(icu_text *t, int32_t units)
{
    if (units <= t->cap) return 0;
    UChar *at = (UChar *)icu_mem->alloc(t->self, ((size_t)units + 64) * sizeof *at);
    if (!at) return QD_E_NOMEM;
    icu_mem->free(t->at);
    t->at = at;
    t->cap = units + 64;
    return 0;
}

int32_t icu_read(icu_text *t, const char *p, uint32_t n)
{
    UErrorCode code = U_ZERO_ERROR;
    if (n > INT32_MAX / 4) return QD_E_LIMIT;
    int32_t rc = icu_room(t, (int32_t)n + 1);
    if (rc) return rc;
    u_strFromUTF8(t->at, t->cap, &t->n, p, (int32_t)n, &code);
    return U_FAILURE(code) ? QD_E_ARG : 0;
}

void icu_text_free(icu_text *t)
{
    icu_mem->free(t->at);
}

int32_t icu_put(qd_token_batch *out, const qd_token *from, const icu_text *t)
{
    UErrorCode code = U_ZERO_ERROR;
    int32_t bytes = 0, rc = out->grow(out, 1, (uint32_t)t->n * 3 + 1);
    if (rc) return rc;
    u_strToUTF8WithSub(out->bytes + out->nbytes, t->n * 3 + 1, &bytes, t->at, t->n, 0xFFFD, NULL,
                       &code);
    if (U_FAILURE(code)) return QD_E_ARG;
    qd_token *to = &out->tokens[out->ntokens++];
    *to = *from;
    to->text = out->nbytes;
    to->text_len = (uint32_t)bytes;
    out->nbytes += (uint32_t)bytes;
    return 0;
}

int32_t icu_failed(UErrorCode code, const char *what, qd_err *err)
{
    if (code == U_MEMORY_ALLOCATION_ERROR) return QD_E_NOMEM;
    return ICU_FAIL("%s: ICU says %s", what, u_errorName(code));
}

qd_str icu_option(const qd_analyzer_config *c, const char *key, const char *def)
{
    for (uint32_t i = 0; i < c->noptions; i++)
        if (qd_plug_is(c->options[i].key, key)) return c->options[i].value;
    return (qd_str){def, strlen(def)};
}

int32_t icu_options_check(const qd_analyzer_config *c, const char *const *known, qd_err *err)
{
    for (uint32_t i = 0; i < c->noptions; i++) {
        bool is = qd_plug_is(c->options[i].key, "type");
        for (const char *const *k = known; *k && !is; k++) is = qd_plug_is(c->options[i].key, *k);
        if (!is)
            return ICU_FAIL("[%.*s]: the option [%.*s] is not supported by this version",
                            ICU_STR(c->name), ICU_STR(c->options[i].key));
    }
    return 0;
}
