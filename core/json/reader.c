/*
 * reader.c: the state machine of the pull parser. See reader.h.
 *
 * qd_json_next knows from the state what may come, takes one token and sets the next state. Colons
 * and commas are taken together with the token before or behind them, so that a caller makes one
 * call for each event and none for punctuation. Strings are in reader_string.c, texts of errors in
 * reader_error.c.
 */
#include "json/reader_int.h"
#include "json/scan_int.h"

enum state {
    ST_VALUE,        /* a value must come */
    ST_FIRST_MEMBER, /* behind {: a key or } */
    ST_FIRST_ELEMENT,
    ST_AFTER, /* behind a value: a comma, an end, or the end of all */
    ST_DONE,
    ST_FAILED,
};

void qd_json_reader_init_slack(qd_json_reader *r, qd_str input, size_t slack, uint32_t flags,
                               uint32_t depth_max)
{
    if (depth_max == 0) depth_max = QD_JSON_DEPTH_DEFAULT;
    if (depth_max > QD_JSON_DEPTH_MAX) depth_max = QD_JSON_DEPTH_MAX;
    r->event = QD_JSON_EOF;
    r->integer = false;
    r->text = (qd_str){NULL, 0};
    r->depth = 0;
    r->depth_max = depth_max;
    r->flags = flags;
    r->state = ST_VALUE;
    r->begin = r->at = r->token = input.n ? input.p : "";
    r->end = r->begin + input.n;
    r->safe = input.n + slack >= SCAN_BLOCK ? r->end + slack - SCAN_BLOCK : NULL;
    r->failure = QD_JSON_FINE;
    qdi_json_out_reset(r);
    if (r->keys) qdi_json_keys_reset(r->keys);
}

void qd_json_reader_init(qd_json_reader *r, qd_str input, uint32_t flags, uint32_t depth_max)
{
    qd_json_reader_init_slack(r, input, 0, flags, depth_max);
}

void qd_json_reader_fini(qd_json_reader *r)
{
    qdi_json_out_free(r);
    qdi_json_keys_free(r->keys);
    *r = QD_JSON_READER(r->account);
}

qd_json_event qdi_json_failed(qd_json_reader *r, qd_json_failure what, const char *at, uint32_t arg)
{
    r->state = ST_FAILED;
    r->failure = what;
    r->failure_at = at;
    r->failure_arg = arg;
    r->at = at;
    return r->event = QD_JSON_ERROR;
}

/* Behind a comment that starts at p; NULL: failed. */
static const char *skip_comment(qd_json_reader *r, const char *p)
{
    const char *start = p;
    if (!(r->flags & QD_JSON_COMMENTS)) {
        qdi_json_failed(r, QD_JSON_BAD_COMMENT, p, 0);
        return NULL;
    }
    if (++p < r->end && *p == '/') {
        while (p < r->end && *p != '\n') p++;
        return p;
    }
    if (p < r->end && *p == '*') {
        for (p++; r->end - p >= 2; p++) {
            if (p[0] == '*' && p[1] == '/') return p + 2;
        }
    }
    qdi_json_failed(r, QD_JSON_END_OF_INPUT, start, EOF_COMMENT);
    return NULL;
}

/* White space and comments; NULL: failed. */
static const char *skip_space_slow(qd_json_reader *r, const char *p)
{
    for (; p < r->end; p++) {
        char c = *p;
        if (c == ' ' || c == '\n' || c == '\t' || c == '\r') continue;
        if (c == '/') {
            p = skip_comment(r, p);
            if (!p) return NULL;
            p--;
            continue;
        }
        if ((unsigned char)c < ' ') {
            qdi_json_failed(r, QD_JSON_BAD_SPACE, p, 0);
            return NULL;
        }
        break;
    }
    return p;
}

QD_INLINE const char *skip_space(qd_json_reader *r, const char *p)
{
    if (QD_LIKELY(p < r->end && (unsigned char)*p > ' ' && *p != '/')) return p;
    return skip_space_slow(r, p);
}

QD_INLINE bool in_array(const qd_json_reader *r)
{
    return r->arrays[(r->depth - 1) / 64] >> ((r->depth - 1) % 64) & 1;
}

static qd_json_event open_container(qd_json_reader *r, const char *p, bool array)
{
    if (QD_UNLIKELY(r->depth >= r->depth_max)) return qdi_json_failed(r, QD_JSON_TOO_DEEP, p, 0);
    uint64_t bit = (uint64_t)1 << (r->depth % 64), *word = &r->arrays[r->depth / 64];
    *word = array ? *word | bit : *word & ~bit;
    r->depth++;
    if (r->flags & QD_JSON_STRICT_KEYS) {
        if (!qdi_json_keys_ready(r)) return qdi_json_failed(r, QD_JSON_NO_MEMORY, p, 0);
        qdi_json_keys_open(r->keys, r->depth);
    }
    r->at = p + 1;
    r->state = array ? ST_FIRST_ELEMENT : ST_FIRST_MEMBER;
    return r->event = array ? QD_JSON_ARRAY : QD_JSON_OBJECT;
}

static qd_json_event close_container(qd_json_reader *r, const char *p, bool array)
{
    if (QD_UNLIKELY(r->depth == 0 || in_array(r) != array)) {
        return qdi_json_failed(r, QD_JSON_BAD_CLOSE, p, 0);
    }
    if (r->flags & QD_JSON_STRICT_KEYS) qdi_json_keys_close(r->keys, r->depth);
    r->depth--;
    r->token = p;
    r->at = p + 1;
    r->state = ST_AFTER;
    return r->event = array ? QD_JSON_ARRAY_END : QD_JSON_OBJECT_END;
}

/* The string behind a quote. Most end within 16 bytes and are plain: those without a call. */
QD_INLINE bool read_string(qd_json_reader *r, const char *at, bool name)
{
    if (QD_LIKELY(r->safe && at <= r->safe)) {
        uint32_t quote, stop, high;
        scan_16(at, &quote, &stop, &high);
        uint32_t first = stop & (0u - stop);
        if (QD_LIKELY((quote & first) && !(high & (first - 1)))) {
            size_t n = (size_t)__builtin_ctz(first);
            if (QD_UNLIKELY(at + n >= r->end)) return qdi_json_string(r, at, name);
            r->text = (qd_str){at, n};
            r->at = at + n + 1;
            return true;
        }
    }
    return qdi_json_string(r, at, name);
}

static bool ends_token(const char *p, const char *end)
{
    if (p >= end) return true;
    char c = *p;
    return c == ',' || c == '}' || c == ']' || c == ':' || c == ' ' || c == '\n' || c == '\r' ||
           c == '\t' || c == '/';
}

QD_INLINE const char *digits(const char *p, const char *end)
{
    while (p < end && (unsigned)(*p - '0') <= 9) p++;
    return p;
}

static qd_json_event bad_number(qd_json_reader *r, qd_json_failure what, const char *p)
{
    if (p >= r->end) return qdi_json_failed(r, QD_JSON_END_OF_INPUT, r->end, EOF_IN_VALUE);
    return qdi_json_failed(r, what, p, 0);
}

/* Does the input go on with word? */
static bool at_word(const qd_json_reader *r, const char *p, const char *word, size_t n)
{
    return (size_t)(r->end - p) >= n && memcmp(p, word, n) == 0;
}

static qd_json_event bare_minus(qd_json_reader *r, const char *p)
{
    if (at_word(r, p, "Infinity", 8)) return qdi_json_failed(r, QD_JSON_NON_STANDARD, p + 8, 0);
    return bad_number(r, QD_JSON_BARE_MINUS, p);
}

static qd_json_event read_number(qd_json_reader *r, const char *p)
{
    const char *start = p, *q;
    p += *p == '-';
    q = digits(p, r->end);
    if (q == p) return bare_minus(r, p);
    if (*p == '0' && q - p > 1) return bad_number(r, QD_JSON_LEADING_ZERO, p + 1);
    r->integer = true;
    if (q < r->end && *q == '.') {
        p = q + 1;
        q = digits(p, r->end);
        if (q == p) return bad_number(r, QD_JSON_BARE_POINT, p);
        r->integer = false;
    }
    if (q < r->end && (*q | 32) == 'e') {
        p = q + 1;
        if (p < r->end && (*p == '+' || *p == '-')) p++;
        q = digits(p, r->end);
        if (q == p) return bad_number(r, QD_JSON_BARE_EXPONENT, p);
        r->integer = false;
    }
    if (QD_UNLIKELY(!ends_token(q, r->end))) {
        return qdi_json_failed(r, r->depth ? QD_JSON_NO_COMMA : QD_JSON_NO_SPACE, q, 0);
    }
    r->text = (qd_str){start, (size_t)(q - start)};
    r->at = q;
    r->state = ST_AFTER;
    return r->event = QD_JSON_NUMBER;
}

static qd_json_event read_word(qd_json_reader *r, const char *p)
{
    static const struct {
        const char *word;
        size_t n;
        qd_json_event event;
    } words[] = {{"true", 4, QD_JSON_TRUE}, {"false", 5, QD_JSON_FALSE}, {"null", 4, QD_JSON_NULL}};
    size_t room = (size_t)(r->end - p);
    for (size_t i = 0; i < QD_COUNT_OF(words); i++) {
        if (room < words[i].n || memcmp(p, words[i].word, words[i].n) != 0) continue;
        if (!ends_token(p + words[i].n, r->end)) break;
        r->at = p + words[i].n;
        r->state = ST_AFTER;
        return r->event = words[i].event;
    }
    r->token = p;
    if (*p == '+') return qdi_json_failed(r, QD_JSON_PLUS, p + 1, 0);
    if (at_word(r, p, "NaN", 3)) return qdi_json_failed(r, QD_JSON_NON_STANDARD, p + 3, 0);
    if (at_word(r, p, "Infinity", 8)) return qdi_json_failed(r, QD_JSON_NON_STANDARD, p + 8, 0);
    const char *q = p;
    while (q < r->end && ((unsigned)((*q | 32) - 'a') < 26 || (unsigned)(*q - '0') < 10 ||
                          *q == '_' || *q == '$' || (*q & 0x80))) {
        q++;
    }
    if (q == p) return qdi_json_failed(r, QD_JSON_NO_VALUE, p, 0);
    return qdi_json_failed(r, QD_JSON_BAD_TOKEN, q, 0);
}

static qd_json_event read_value(qd_json_reader *r, const char *p)
{
    if (QD_UNLIKELY(p >= r->end)) {
        return qdi_json_failed(r, QD_JSON_END_OF_INPUT, r->end,
                               !r->depth                      ? EOF_NOTHING
                               : r->state == ST_FIRST_ELEMENT ? EOF_IN_CONTAINER
                                                              : EOF_BETWEEN);
    }
    r->token = p;
    switch (*p) {
    case '"':
        if (!read_string(r, p + 1, false)) return QD_JSON_ERROR;
        r->state = ST_AFTER;
        return r->event = QD_JSON_STRING;
    case '{':
        return open_container(r, p, false);
    case '[':
        return open_container(r, p, true);
    case '-':
    case '0':
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
    case '7':
    case '8':
    case '9':
        return read_number(r, p);
    default:
        return read_word(r, p);
    }
}

static qd_json_event read_key(qd_json_reader *r, const char *p)
{
    if (QD_UNLIKELY(p >= r->end)) {
        return qdi_json_failed(r, QD_JSON_END_OF_INPUT, r->end,
                               r->state == ST_FIRST_MEMBER ? EOF_IN_CONTAINER : EOF_BETWEEN);
    }
    if (QD_UNLIKELY(*p != '"')) return qdi_json_failed(r, QD_JSON_NO_KEY, p, 0);
    r->token = p;
    if (!read_string(r, p + 1, true)) return QD_JSON_ERROR;
    if (r->flags & QD_JSON_STRICT_KEYS) {
        r->key_hash = qd_json_key_hash(r->text);
        int added = qdi_json_keys_add(r, r->key_hash);
        if (QD_UNLIKELY(added <= 0)) {
            return qdi_json_failed(r, added < 0 ? QD_JSON_NO_MEMORY : QD_JSON_DUPLICATE, r->at, 0);
        }
    }
    p = r->at;
    if (QD_UNLIKELY(p >= r->end || *p != ':')) {
        p = skip_space(r, p);
        if (!p) return QD_JSON_ERROR;
        if (p >= r->end) return qdi_json_failed(r, QD_JSON_END_OF_INPUT, r->end, EOF_BETWEEN);
        if (*p != ':') return qdi_json_failed(r, QD_JSON_NO_COLON, p, 0);
    }
    r->at = p + 1;
    r->state = ST_VALUE;
    return r->event = QD_JSON_KEY;
}

/* Something stands behind the top-level value: a token, or what is none. */
static qd_json_event behind_the_end(qd_json_reader *r, const char *p)
{
    if (*p == '}' || *p == ']') return qdi_json_failed(r, QD_JSON_BAD_CLOSE, p, 0);
    if (qdi_json_token_name(*p)) return qdi_json_failed(r, QD_JSON_TRAILING, p, 0);
    return read_word(r, p);
}

/* Behind a value or an end. */
static qd_json_event after_value(qd_json_reader *r, const char *p)
{
    if (r->depth == 0) {
        if (p < r->end && !(r->flags & QD_JSON_ONE_VALUE)) return behind_the_end(r, p);
        r->state = ST_DONE;
        return r->event = QD_JSON_EOF;
    }
    if (QD_UNLIKELY(p >= r->end)) {
        return qdi_json_failed(r, QD_JSON_END_OF_INPUT, r->end, EOF_IN_CONTAINER);
    }
    if (*p == ',') {
        p = skip_space(r, p + 1);
        if (!p) return QD_JSON_ERROR;
        return in_array(r) ? read_value(r, p) : read_key(r, p);
    }
    if (*p == '}' || *p == ']') return close_container(r, p, *p == ']');
    return qdi_json_failed(r, QD_JSON_NO_COMMA, p, 0);
}

qd_json_event qd_json_next(qd_json_reader *r)
{
    if (r->state == ST_AFTER && r->depth == 0 && (r->flags & QD_JSON_ONE_VALUE)) {
        r->state = ST_DONE;
        return r->event = QD_JSON_EOF;
    }
    if (QD_UNLIKELY(r->state >= ST_DONE)) return r->event;
    const char *p = skip_space(r, r->at);
    if (QD_UNLIKELY(!p)) return QD_JSON_ERROR;
    switch (r->state) {
    case ST_VALUE:
        return read_value(r, p);
    case ST_FIRST_MEMBER:
        if (p < r->end && *p == '}') return close_container(r, p, false);
        return read_key(r, p);
    case ST_FIRST_ELEMENT:
        if (p < r->end && *p == ']') return close_container(r, p, true);
        return read_value(r, p);
    default:
        return after_value(r, p);
    }
}

static int failed_code(const qd_json_reader *r)
{
    return r->failure == QD_JSON_NO_MEMORY ? QD_E_NOMEM : QD_E_XCONTENT;
}

int qd_json_skip(qd_json_reader *r)
{
    if (r->event == QD_JSON_ERROR) return failed_code(r);
    if (r->event == QD_JSON_KEY && qd_json_next(r) < 0) return failed_code(r);
    if (r->event != QD_JSON_OBJECT && r->event != QD_JSON_ARRAY) return 0;
    uint32_t outside = r->depth - 1;
    while (r->depth > outside) {
        if (qd_json_next(r) < 0) return failed_code(r);
    }
    return 0;
}

int qd_json_raw(qd_json_reader *r, qd_str *raw)
{
    if (r->event == QD_JSON_ERROR) return failed_code(r);
    if (r->event == QD_JSON_KEY && qd_json_next(r) < 0) return failed_code(r);
    const char *start = r->token;
    int rc = qd_json_skip(r);
    if (rc == 0) *raw = (qd_str){start, (size_t)(r->at - start)};
    return rc;
}

int qd_json_i64(const qd_json_reader *r, int64_t *out)
{
    if (r->event != QD_JSON_NUMBER || !r->integer) return QD_E_ARG;
    return qd_i64_parse(r->text, out);
}

int qd_json_u64(const qd_json_reader *r, uint64_t *out)
{
    if (r->event != QD_JSON_NUMBER || !r->integer) return QD_E_ARG;
    if (r->text.p[0] == '-') {
        if (qd_str_is(r->text, "-0")) return *out = 0, 0;
        return QD_E_LIMIT;
    }
    return qd_u64_parse(r->text, out);
}

int qd_json_f64(const qd_json_reader *r, double *out)
{
    return r->event == QD_JSON_NUMBER ? qd_f64_parse(r->text, out) : QD_E_ARG;
}
