/*
 * version.c: software versions in the order of semantic versioning. The index has them as they are,
 * so terms and patterns work as a keyword's do; the column has a key that orders before the text:
 * ranges, sorting and buckets go by it.
 *
 * Key of a version: 1, for each number of the main part its digits behind 128 + how many they are,
 * then 3, or 2 and the identifiers of the pre-release (a number: 1, how many digits, the digits)
 * with 2 between them, 0; the rest behind a plus, 0. Anything else: 2, the text, 0. Behind the key
 * stand the text and its length in four bytes.
 */
#include "base/features.h"
#include "mapping/doc_int.h"
#include "mapping/type_int.h"
#include "mapping/types/text_int.h"

#define TEXT_BYTES_MAX 10000
#define DIGITS_MAX 127

static const param_row params[] = {
    {"meta", PARAM_OTHER, KIND_META, UPDATE_FREE, NULL},
};

static int finish(field_builder *b, qd_field *f, qd_err *err)
{
    (void)b;
    (void)err;
    f->doc_values = true;
    f->text_column = true;
    f->ignore_malformed = false; /* whatever the index says */
    return 0;
}

typedef struct cursor {
    qd_str rest;
    char *out; /* room for 3 bytes a byte of text */
    size_t n;
} cursor;

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_word(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
}

static void put(cursor *c, uint8_t byte)
{
    c->out[c->n++] = (char)byte;
}

static void put_text(cursor *c, size_t n)
{
    memcpy(c->out + c->n, c->rest.p, n);
    c->n += n;
    c->rest = qd_str_sub(c->rest, n, c->rest.n);
}

static bool skip(cursor *c, char what)
{
    if (!c->rest.n || c->rest.p[0] != what) return false;
    c->rest = qd_str_sub(c->rest, 1, c->rest.n);
    return true;
}

/* A number has no zeros before it. */
static bool good_number(qd_str s, size_t n)
{
    return n && n <= DIGITS_MAX && (n == 1 || s.p[0] != '0');
}

static bool main_part(cursor *c)
{
    do {
        size_t n = 0;
        while (n < c->rest.n && is_digit(c->rest.p[n])) n++;
        if (!good_number(c->rest, n)) return false;
        put(c, (uint8_t)(128 + n));
        put_text(c, n);
    } while (skip(c, '.'));
    return true;
}

static bool pre_release(cursor *c)
{
    bool first = true;
    do {
        size_t n = 0;
        bool digits = true;
        for (; n < c->rest.n && is_word(c->rest.p[n]); n++) digits &= is_digit(c->rest.p[n]);
        if (!n || (digits && !good_number(c->rest, n))) return false;
        if (!first) put(c, 2);
        first = false;
        if (digits) {
            put(c, 1);
            put(c, (uint8_t)n);
        }
        put_text(c, n);
    } while (skip(c, '.'));
    put(c, 0);
    return true;
}

static bool build_part(cursor *c)
{
    bool word = false;
    put(c, '+');
    for (size_t i = 0; i < c->rest.n; i++) {
        bool dot = c->rest.p[i] == '.';
        if (dot ? !word : !is_word(c->rest.p[i])) return false;
        word = !dot;
    }
    put_text(c, c->rest.n);
    return word;
}

static bool valid_key(cursor *c)
{
    put(c, 1);
    if (!main_part(c)) return false;
    if (skip(c, '-')) {
        put(c, 2);
        if (!pre_release(c)) return false;
    } else {
        put(c, 3);
    }
    if (skip(c, '+') && !build_part(c)) return false;
    put(c, 0);
    return c->rest.n == 0;
}

/* The key of a text; out has room for QD_KEY_ROOM of it. */
static size_t key_of(qd_str text, char *out)
{
    cursor c = {text, out, 0};
    if (valid_key(&c)) return c.n;
    c = (cursor){text, out, 0};
    put(&c, 2);
    if (text.n) put_text(&c, text.n);
    put(&c, 0);
    return c.n;
}

static size_t encode(qd_str text, char *out)
{
    size_t n = key_of(text, out);
    uint32_t len = (uint32_t)text.n;
    if (text.n) memcpy(out + n, text.p, text.n);
    n += text.n;
    for (int i = 0; i < 4; i++) out[n++] = (char)(len >> 8 * i);
    return n;
}

static int value(doc *d, const qd_field *f, qd_err *err)
{
    qd_str text = qdi_doc_text(d);
    if (text.n > TEXT_BYTES_MAX)
        return qd_err_set(err, QD_E_ARG, "Field [%.*s] takes versions of at most %d bytes, got %zu",
                          QD_STR_ARG(f->name), TEXT_BYTES_MAX, text.n);
    char *out = qd_arena_bytes(&d->arena, QD_COLUMN_KEY_ROOM(text.n));
    if (!out) return qd_err_nomem(err, "version");
    return qdi_doc_str(d, f, (qd_str){out, encode(text, out)}, err);
}

static void write_bytes(const qd_field *f, qd_str bytes, qd_json_writer *w)
{
    qd_json_str(w, qd_field_column_term(f, bytes));
}

const struct qd_field_type qdi_type_version = {
    .value_class = QD_VALUE_TERM,
    .name = "version",
    .collapses = true,
    .level = QD_FEATURES_TYPES_0_2,
    .params = params,
    .nparams = QD_COUNT_OF(params),
    .finish = finish,
    .value = value,
    .term = qdi_text_term,
    .range = qdi_text_range,
    .shown = qdi_text_shown,
    .column_key = key_of,
    .column_bytes = encode,
    .write_bytes = write_bytes,
};
