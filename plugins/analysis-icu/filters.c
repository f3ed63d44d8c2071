/*
 * filters.c: icu_normalizer: terms in a normal form of Unicode; icu_transform: terms by a
 * transliterator; icu_folding: case, width, marks and letters with marks of their own folded.
 */
#include "icu.h"
#include <unicode/unorm2.h>
#include <unicode/ustring.h>
#include <unicode/utrans.h>

typedef struct filter {
    qd_self *self;
    const UNormalizer2 *norm; /* NULL: none */
    UTransliterator *trans;   /* NULL: none; each run has a copy */
} filter;

/* Letters whose stroke is no mark of its own (ø, ł) have their base in Latin-ASCII. */
static const char folds[] = "NFD; [:Nonspacing Mark:] Remove; NFC; Latin-ASCII; Lower";

static void close_filter(void *self)
{
    filter *f = (filter *)self;
    if (f->trans) utrans_close(f->trans);
    icu_mem->free(f);
}

static int32_t made(qd_self *self, filter f, void **out)
{
    filter *x = (filter *)icu_mem->alloc(self, sizeof *x);
    f.self = self;
    if (!x) {
        if (f.trans) utrans_close(f.trans);
        return QD_E_NOMEM;
    }
    *x = f;
    *out = x;
    return 0;
}

static int32_t trans_open(qd_str id, bool reverse, UTransliterator **out, qd_err *err)
{
    UErrorCode code = U_ZERO_ERROR;
    UChar name[512];
    int32_t n = 0;
    u_strFromUTF8(name, 512, &n, id.p, (int32_t)(id.n > 500 ? 500 : id.n), &code);
    if (U_SUCCESS(code) && id.n <= 500)
        *out =
            utrans_openU(name, n, reverse ? UTRANS_REVERSE : UTRANS_FORWARD, NULL, 0, NULL, &code);
    if (U_FAILURE(code) || id.n > 500)
        return ICU_FAIL("icu_transform: no transliterator [%.*s]", (int)(id.n > 500 ? 500 : id.n),
                        id.p);
    return 0;
}

static int32_t open_normalizer(qd_self *self, const qd_analyzer_config *c, void **out, qd_err *err)
{
    static const char *const known[] = {"name", NULL};
    qd_str name = icu_option(c, "name", "nfkc_cf");
    UErrorCode code = U_ZERO_ERROR;
    filter f = {0};
    int32_t rc = icu_options_check(c, known, err);
    if (rc) return rc;
    if (qd_plug_is(name, "nfc"))
        f.norm = unorm2_getNFCInstance(&code);
    else if (qd_plug_is(name, "nfkc"))
        f.norm = unorm2_getNFKCInstance(&code);
    else if (qd_plug_is(name, "nfkc_cf"))
        f.norm = unorm2_getNFKCCasefoldInstance(&code);
    else
        return ICU_FAIL("[%.*s]: the form [%.*s] is none of nfc, nfkc and nfkc_cf",
                        ICU_STR(c->name), ICU_STR(name));
    return U_FAILURE(code) ? icu_failed(code, "icu_normalizer", err) : made(self, f, out);
}

static int32_t open_folding(qd_self *self, const qd_analyzer_config *c, void **out, qd_err *err)
{
    static const char *const known[] = {NULL};
    UErrorCode code = U_ZERO_ERROR;
    filter f = {.norm = unorm2_getNFKCCasefoldInstance(&code)};
    int32_t rc = U_FAILURE(code) ? icu_failed(code, "icu_folding", err) : 0;
    if (!rc) rc = icu_options_check(c, known, err);
    if (!rc) rc = trans_open((qd_str){folds, sizeof folds - 1}, false, &f.trans, err);
    return rc ? rc : made(self, f, out);
}

static int32_t open_transform(qd_self *self, const qd_analyzer_config *c, void **out, qd_err *err)
{
    static const char *const known[] = {"id", "dir", NULL};
    qd_str dir = icu_option(c, "dir", "forward");
    bool reverse = qd_plug_is(dir, "reverse");
    filter f = {0};
    int32_t rc = icu_options_check(c, known, err);
    if (!rc && !reverse && !qd_plug_is(dir, "forward"))
        rc = ICU_FAIL("[%.*s]: dir is forward or reverse, not [%.*s]", ICU_STR(c->name),
                      ICU_STR(dir));
    if (!rc) rc = trans_open(icu_option(c, "id", "Null"), reverse, &f.trans, err);
    return rc ? rc : made(self, f, out);
}

/* b as the normal form of a. */
static int32_t normalize(const filter *f, const icu_text *a, icu_text *b)
{
    UErrorCode code = U_BUFFER_OVERFLOW_ERROR;
    for (int32_t room = a->n * 2 + 16; code == U_BUFFER_OVERFLOW_ERROR; room = b->n + 1) {
        int32_t rc = icu_room(b, room);
        if (rc) return rc;
        code = U_ZERO_ERROR;
        b->n = unorm2_normalize(f->norm, a->at, a->n, b->at, b->cap, &code);
    }
    return U_FAILURE(code) ? QD_E_ARG : 0;
}

/* b as what the transliterator makes of a. It works in place: the room grows until it fits. */
static int32_t transliterate(const UTransliterator *trans, const icu_text *a, icu_text *b)
{
    UErrorCode code = U_BUFFER_OVERFLOW_ERROR;
    for (int64_t room = (int64_t)a->n * 4 + 64; code == U_BUFFER_OVERFLOW_ERROR; room *= 4) {
        if (room > INT32_MAX / 8) return QD_E_LIMIT;
        int32_t limit = a->n, rc = icu_room(b, (int32_t)room);
        if (rc) return rc;
        if (a->n) memcpy(b->at, a->at, (size_t)a->n * sizeof *a->at);
        b->n = a->n;
        code = U_ZERO_ERROR;
        utrans_transUChars(trans, b->at, &b->n, b->cap, 0, &limit, &code);
    }
    return U_FAILURE(code) ? QD_E_ARG : 0;
}

static int32_t run_filter(const void *self, qd_token_batch *in, qd_token_batch *out, qd_err *err)
{
    const filter *f = (const filter *)self;
    icu_text a = {.self = f->self}, b = {.self = f->self};
    UErrorCode code = U_ZERO_ERROR;
    UTransliterator *trans = f->trans ? utrans_clone(f->trans, &code) : NULL;
    int32_t rc = U_FAILURE(code) ? icu_failed(code, "a transliterator", err) : 0;
    for (uint32_t i = 0; !rc && i < in->ntokens; i++) {
        const qd_token *t = &in->tokens[i];
        rc = icu_read(&a, in->bytes + t->text, t->text_len);
        if (!rc && f->norm) {
            rc = normalize(f, &a, &b);
            icu_text x = a;
            a = b;
            b = x;
        }
        if (!rc && trans) {
            rc = transliterate(trans, &a, &b);
            icu_text x = a;
            a = b;
            b = x;
        }
        if (!rc) rc = icu_put(out, t, &a);
    }
    if (trans) utrans_close(trans);
    icu_text_free(&a);
    icu_text_free(&b);
    out->end_offset = in->end_offset;
    out->end_inc = in->end_inc;
    return rc;
}

#define FILTER(open)                                                                               \
    {                                                                                              \
        QD_VTABLE(qd_token_filter_vtable, TOKEN_FILTER, QD_ANALYZER_NORMALIZER), open, run_filter, \
            close_filter                                                                           \
    }
const qd_token_filter_vtable icu_normalizer = FILTER(open_normalizer);
const qd_token_filter_vtable icu_folding = FILTER(open_folding);
const qd_token_filter_vtable icu_transform = FILTER(open_transform);
