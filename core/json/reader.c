/*
 * reader.c: the state machine of the pull parser. See reader.h.
 *
 * qd_json_next knows from the state what may come, takes one token and sets the next state. Colons
 * and commas are taken together with the token before or behind them, so that a caller makes one
 * call for each event and none for punctuation. Strings are in reader_string.c, texts of errors in
 * reader_error.c.
 */
#include "json/keys_int.h"

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
    r->after = ST_AFTER_ALL;
    r->begin = r->at = r->token = input.n ? input.p : "";
    r->end = r->begin + input.n;
    r->line = r->column = 1;
    r->safe = r->end + slack;
    r->failure = QD_JSON_FINE;
    qdi_json_out_reset(r);
    if (r->keys) qdi_json_keys_reset(r->keys);
}

void qd_json_reader_init(qd_json_reader *r, qd_str input, uint32_t flags, uint32_t depth_max)
{
    qd_json_reader_init_slack(r, input, 0, flags, depth_max);
}

void qd_json_reader_at(qd_json_reader *r, uint32_t line, uint32_t column)
{
    r->line = line;
    r->column = column;
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
static QD_NOINLINE const char *skip_space(qd_json_reader *r, const char *p)
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

/* Mostly there is no white space, or one space: those are skipped without a call. */
QD_INLINE const char *skip_one_space(const qd_json_reader *r, const char *p)
{
    return p < r->end && *p == ' ' ? p + 1 : p;
}

QD_INLINE qd_json_event opened(qd_json_reader *r, const char *p, bool array)
{
    r->at = p + 1;
    r->state = array ? ST_FIRST_ELEMENT : ST_FIRST_MEMBER;
    r->after = array ? ST_AFTER_ELEMENT : ST_AFTER_MEMBER;
    return r->event = array ? QD_JSON_ARRAY : QD_JSON_OBJECT;
}

/* The first at its depth, or one too deep. */
static QD_NOINLINE qd_json_event open_deeper(qd_json_reader *r, const char *p, bool array)
{
    if (r->depth >= r->depth_max) return qdi_json_failed(r, QD_JSON_TOO_DEEP, p, 0);
    r->around[r->depth++] = r->after;
    if (r->flags & QD_JSON_STRICT_KEYS) {
        if (!qdi_json_keys_room(r, r->depth)) {
            return qdi_json_failed(r, QD_JSON_NO_MEMORY, p, 0);
        }
        keys_open(r->keys, r->depth);
    }
    return opened(r, p, array);
}

QD_INLINE qd_json_event open_container(qd_json_reader *r, const char *p, bool array)
{
    if (r->depth >= r->depth_max || !(r->flags & QD_JSON_STRICT_KEYS) ||
        !keys_has_room(r->keys, r->depth + 1)) {
        return open_deeper(r, p, array);
    }
    r->around[r->depth++] = r->after;
    keys_open(r->keys, r->depth);
    return opened(r, p, array);
}

QD_INLINE qd_json_event closed(qd_json_reader *r, const char *p, bool array)
{
    r->depth--;
    r->token = p;
    r->at = p + 1;
    r->state = r->after = r->around[r->depth];
    return r->event = array ? QD_JSON_ARRAY_END : QD_JSON_OBJECT_END;
}

static QD_NOINLINE qd_json_event close_hashed(qd_json_reader *r, const char *p, bool array)
{
    qdi_json_keys_drop(r->keys, r->depth);
    return closed(r, p, array);
}

QD_INLINE qd_json_event close_container(qd_json_reader *r, const char *p, bool array)
{
    if (QD_UNLIKELY(r->after != (array ? ST_AFTER_ELEMENT : ST_AFTER_MEMBER))) {
        return qdi_json_failed(r, QD_JSON_BAD_CLOSE, p, 0);
    }
    if ((r->flags & QD_JSON_STRICT_KEYS) && keys_hashed(r->keys, r->depth)) {
        return close_hashed(r, p, array);
    }
    return closed(r, p, array);
}

/* Bytes of the string whose first byte is at, if it ends within 16 and is plain; -1: not known. */
QD_INLINE int short_string(const qd_json_reader *r, const char *at)
{
    if (QD_UNLIKELY(r->safe - at < 16)) return -1;
    uint32_t quote, stop, high;
    scan_16(at, &quote, &stop, &high);
    uint32_t first = stop & (0u - stop);
    if (QD_UNLIKELY(!(quote & first) || (high & (first - 1)))) return -1;
    int n = __builtin_ctz(first);
    return QD_LIKELY(at + n < r->end) ? n : -1;
}

static QD_NOINLINE qd_json_event long_string(qd_json_reader *r, const char *at)
{
    if (!qdi_json_string(r, at, false)) return QD_JSON_ERROR;
    r->state = r->after;
    return r->event = QD_JSON_STRING;
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

static QD_NOINLINE qd_json_event read_any_number(qd_json_reader *r, const char *p)
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
    r->state = r->after;
    return r->event = QD_JSON_NUMBER;
}

/* Digits, with a fraction or without, that end within 16 bytes; all others byte by byte. */
QD_INLINE qd_json_event read_number(qd_json_reader *r, const char *p)
{
    if (QD_UNLIKELY(r->safe - p < 18)) return read_any_number(r, p);
    const char *start = p;
    p += *p == '-';
    uint32_t others = ~scan_digits(p); /* at the least those from 16 on */
    uint32_t n = (uint32_t)__builtin_ctz(others);
    if (QD_UNLIKELY(n == 0 || (*p == '0' && n > 1))) return read_any_number(r, start);
    bool integer = p[n] != '.';
    if (!integer) {
        others &= others - 1;
        uint32_t point = n;
        n = (uint32_t)__builtin_ctz(others);
        if (QD_UNLIKELY(n == point + 1)) return read_any_number(r, start);
    }
    char c = p[n];
    if (QD_UNLIKELY(n >= 16 || p + n >= r->end || (c != ',' && c != '}' && c != ']'))) {
        return read_any_number(r, start);
    }
    r->integer = integer;
    r->text = (qd_str){start, (size_t)(p + n - start)};
    r->at = p + n;
    r->state = r->after;
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
        r->state = r->after;
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

/* A value behind white space, a word, or none. */
static QD_NOINLINE qd_json_event other_value(qd_json_reader *r, const char *p)
{
    p = skip_space(r, p);
    if (!p) return QD_JSON_ERROR;
    if (p >= r->end) {
        return qdi_json_failed(r, QD_JSON_END_OF_INPUT, r->end,
                               !r->depth                      ? EOF_NOTHING
                               : r->state == ST_FIRST_ELEMENT ? EOF_IN_CONTAINER
                                                              : EOF_BETWEEN);
    }
    r->token = p;
    char c = *p;
    if (c == '"') return long_string(r, p + 1);
    if ((unsigned)(c - '0') <= 9 || c == '-') return read_any_number(r, p);
    if (c == '{' || c == '[') return open_container(r, p, c == '[');
    return read_word(r, p);
}

QD_INLINE qd_json_event read_value(qd_json_reader *r, const char *p)
{
    if (QD_UNLIKELY(p >= r->end)) return other_value(r, p);
    r->token = p;
    char c = *p;
    if (c == '"') {
        int n = short_string(r, ++p);
        if (n < 0) return long_string(r, p);
        r->text = (qd_str){p, (size_t)n};
        r->at = p + n + 1;
        r->state = r->after;
        return r->event = QD_JSON_STRING;
    }
    if ((unsigned)(c - '0') <= 9 || c == '-') return read_number(r, p);
    if (c == '{' || c == '[') return open_container(r, p, c == '[');
    return other_value(r, p);
}

/* Behind a key: the colon. */
static QD_NOINLINE qd_json_event read_colon(qd_json_reader *r, const char *p)
{
    p = skip_space(r, p);
    if (!p) return QD_JSON_ERROR;
    if (p >= r->end) return qdi_json_failed(r, QD_JSON_END_OF_INPUT, r->end, EOF_BETWEEN);
    if (*p != ':') return qdi_json_failed(r, QD_JSON_NO_COLON, p, 0);
    r->at = p + 1;
    r->state = ST_VALUE;
    return r->event = QD_JSON_KEY;
}

static QD_NOINLINE qd_json_event given_twice(qd_json_reader *r)
{
    return qdi_json_failed(r, QD_JSON_DUPLICATE, r->at, 0);
}

/* The key behind a quote, by its hash, or the expected one near the end of the input. */
static bool read_name(qd_json_reader *r, const char *at)
{
    bool strict = r->flags & QD_JSON_STRICT_KEYS;
    known_key *e = strict ? r->keys->expected : NULL;
    if (e && keys_is(e, at, (size_t)(r->end - at))) {
        r->text = (qd_str){at, e->n};
        r->at = at + e->n + 1;
        r->key_hash = e->hash;
        if (keys_note(r->keys, r->depth, e)) return true;
        given_twice(r);
        return false;
    }
    int n = short_string(r, at);
    if (n >= 0) {
        r->text = (qd_str){at, (size_t)n};
        r->at = at + n + 1;
    } else if (!qdi_json_string(r, at, true)) {
        return false;
    }
    if (!strict) return true;
    r->key_hash = qd_json_key_hash(r->text);
    int added = qdi_json_keys_add(r, r->key_hash);
    if (QD_LIKELY(added > 0)) return true;
    if (added < 0)
        qdi_json_failed(r, QD_JSON_NO_MEMORY, r->at, 0);
    else
        given_twice(r);
    return false;
}

/* A key that is not the expected one, or behind white space, or near the end of the input. */
static QD_NOINLINE qd_json_event other_key(qd_json_reader *r, const char *p)
{
    p = skip_space(r, p);
    if (!p) return QD_JSON_ERROR;
    if (p >= r->end) {
        return qdi_json_failed(r, QD_JSON_END_OF_INPUT, r->end,
                               r->state == ST_FIRST_MEMBER ? EOF_IN_CONTAINER : EOF_BETWEEN);
    }
    if (*p != '"') return qdi_json_failed(r, QD_JSON_NO_KEY, p, 0);
    r->token = p;
    return read_name(r, p + 1) ? read_colon(r, r->at) : QD_JSON_ERROR;
}

QD_INLINE qd_json_event read_key(qd_json_reader *r, const char *p)
{
    if (QD_UNLIKELY(r->safe - p <= SCAN_PAIR || *p != '"' || !(r->flags & QD_JSON_STRICT_KEYS))) {
        return other_key(r, p);
    }
    const char *at = p + 1;
    known_key *e = keys_expected(r->keys, at);
    if (!e || QD_UNLIKELY(at + e->n >= r->end)) return other_key(r, p);
    r->token = p;
    r->text = (qd_str){at, e->n};
    r->key_hash = e->hash;
    r->at = p = at + e->n + 1;
    if (QD_UNLIKELY(!keys_note(r->keys, r->depth, e))) return given_twice(r);
    if (QD_UNLIKELY(p >= r->end || *p != ':')) return read_colon(r, p);
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

/* Behind the top-level value, or the end of all. */
static QD_NOINLINE qd_json_event after_all(qd_json_reader *r)
{
    if (r->state >= ST_DONE) return r->event;
    if (!(r->flags & QD_JSON_ONE_VALUE)) {
        const char *p = skip_space(r, r->at);
        if (!p) return QD_JSON_ERROR;
        if (p < r->end) return behind_the_end(r, p);
    }
    r->state = ST_DONE;
    return r->event = QD_JSON_EOF;
}

/* No comma stands behind a value in a container. */
static qd_json_event no_comma(qd_json_reader *r, const char *p)
{
    if (p >= r->end) return qdi_json_failed(r, QD_JSON_END_OF_INPUT, r->end, EOF_IN_CONTAINER);
    if (*p == '}' || *p == ']') return close_container(r, p, *p == ']');
    return qdi_json_failed(r, QD_JSON_NO_COMMA, p, 0);
}

/* No comma stands at the place behind a value, nor an end at that of a first one. */
static QD_NOINLINE qd_json_event next_spaced(qd_json_reader *r)
{
    const char *p = skip_space(r, r->at);
    if (!p) return QD_JSON_ERROR;
    bool array = r->after == ST_AFTER_ELEMENT;
    if (r->state <= ST_AFTER_ELEMENT) {
        if (p >= r->end || *p != ',') return no_comma(r, p);
        p++;
    } else if (p < r->end && *p == (array ? ']' : '}')) {
        return close_container(r, p, array);
    }
    return array ? other_value(r, p) : other_key(r, p);
}

/* All calls on the common ways are the last thing done, so that no register has to be saved. */
qd_json_event qd_json_next(qd_json_reader *r)
{
    const char *p = r->at;
    unsigned state = r->state;
    if (state == ST_VALUE) return read_value(r, skip_one_space(r, p));
    if (QD_UNLIKELY(state >= ST_AFTER_ALL)) return after_all(r);
    if (QD_UNLIKELY(p >= r->end)) return next_spaced(r);
    bool array = r->after == ST_AFTER_ELEMENT;
    if (*p == (array ? ']' : '}')) return close_container(r, p, array);
    if (state <= ST_AFTER_ELEMENT) {
        if (QD_UNLIKELY(*p != ',')) return next_spaced(r);
        p = skip_one_space(r, p + 1);
    } else if (QD_UNLIKELY((unsigned char)*p <= ' ' || *p == '/')) {
        return next_spaced(r);
    }
    return array ? read_value(r, p) : read_key(r, p);
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
