/* icu.h: what the parts of the plugin share: services of the host, terms as UTF-16. */
#ifndef ICU_H
#define ICU_H

#include <quidditch/analyzer.h>
#include <quidditch/plugin.h>
#include <stdbool.h>
#include <string.h>
#include <unicode/utypes.h>

extern const qd_svc_mem *icu_mem;
extern const qd_svc_err *icu_errs;
extern const qd_token_filter_vtable icu_normalizer, icu_folding, icu_transform;
extern const qd_tokenizer_vtable icu_tokenizer;

#define ICU_FAIL(...) qd_plug_fail(icu_errs, err, QD_E_ARG, __VA_ARGS__)
#define ICU_STR(s) (int)(s).n, (s).p

/* A growing text of UTF-16 units; {0} at first. */
typedef struct icu_text {
    qd_self *self;
    UChar *at;
    int32_t n, cap;
} icu_text;

/* Room for so many units; what is there may go. QD_E_NOMEM. */
int32_t icu_room(icu_text *t, int32_t units);
/* Makes t the text of p[0 .. n), which is UTF-8. */
int32_t icu_read(icu_text *t, const char *p, uint32_t n);
/* Frees it. */
void icu_text_free(icu_text *t);
/* Appends token `from` with the text of t as its term. */
int32_t icu_put(qd_token_batch *out, const qd_token *from, const icu_text *t);
/* The error of a call of ICU. */
int32_t icu_failed(UErrorCode code, const char *what, qd_err *err);
/* The value of an option, or def. */
qd_str icu_option(const qd_analyzer_config *c, const char *key, const char *def);
/* Refuses options whose names are not in known, which ends with NULL. */
int32_t icu_options_check(const qd_analyzer_config *c, const char *const *known, qd_err *err);

#endif
