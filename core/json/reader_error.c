/*
 * reader_error.c: texts of the reader's errors, as Jackson 2.17 words them, with Elasticsearch's
 * "[line:column] " before and Jackson's source note behind. Lines and columns are counted here.
 */
#include "base/utf8.h"
#include "json/reader_int.h"
#include <stdarg.h>
#include <stdio.h>

#define SOURCE_LINE                                                                                \
    "Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: %u"
#define SOURCE SOURCE_LINE ", column: %u"

void qd_json_position_on(const qd_json_reader *r, const char *from, const char *at, uint32_t *line,
                         uint32_t *column)
{
    const char *row = NULL;
    if (at > r->end) at = r->end;
    for (const char *p = from; p < at; p++) {
        if (*p == '\n' || (*p == '\r' && !(p + 1 < r->end && p[1] == '\n'))) {
            (*line)++;
            row = p + 1;
        }
    }
    *column = row ? (uint32_t)(at - row) + 1 : *column + (uint32_t)(at - from);
}

void qd_json_position(const qd_json_reader *r, const char *at, uint32_t *line, uint32_t *column)
{
    *line = r->line;
    *column = r->column;
    qd_json_position_on(r, r->begin, at, line, column);
}

const char *qd_json_event_name(qd_json_event event)
{
    switch (event) {
    case QD_JSON_OBJECT:
        return "START_OBJECT";
    case QD_JSON_OBJECT_END:
        return "END_OBJECT";
    case QD_JSON_ARRAY:
        return "START_ARRAY";
    case QD_JSON_ARRAY_END:
        return "END_ARRAY";
    case QD_JSON_KEY:
        return "FIELD_NAME";
    case QD_JSON_STRING:
        return "VALUE_STRING";
    case QD_JSON_NUMBER:
        return "VALUE_NUMBER";
    case QD_JSON_TRUE:
    case QD_JSON_FALSE:
        return "VALUE_BOOLEAN";
    case QD_JSON_NULL:
        return "VALUE_NULL";
    default:
        return "null";
    }
}

/* The place where the innermost open container started is not kept: found by reading anew. */
static const char *container_start(const qd_json_reader *r)
{
    const char *starts[QD_JSON_DEPTH_MAX];
    uint32_t depth = 0;
    bool in_string = false;
    for (const char *p = r->begin; p < r->failure_at; p++) {
        if (in_string) {
            if (*p == '\\')
                p++;
            else if (*p == '"')
                in_string = false;
        } else if (*p == '"') {
            in_string = true;
        } else if ((*p == '{' || *p == '[') && depth < QD_JSON_DEPTH_MAX) {
            starts[depth++] = p;
        } else if ((*p == '}' || *p == ']') && depth) {
            depth--;
        }
    }
    return depth ? starts[depth - 1] : r->begin;
}

static bool innermost_is_array(const qd_json_reader *r)
{
    return r->after == ST_AFTER_ELEMENT;
}

/* "Unexpected character ('x' (code 120))" */
static void unexpected(const qd_json_reader *r, qd_buf *b, const char *then)
{
    uint32_t c = 0;
    const char *at = r->failure_at;
    if (at < r->end) (void)qd_utf8_next(at, r->end, &c);
    if (c < ' ') {
        (void)qd_buf_printf(b, "Unexpected character ((CTRL-CHAR, code %u))%s", c, then);
        return;
    }
    char text[8];
    size_t n = qd_utf8_put(text, c);
    if (c > 255) {
        (void)qd_buf_printf(b, "Unexpected character ('%.*s' (code %u / 0x%x))%s", (int)n, text, c,
                            c, then);
    } else {
        (void)qd_buf_printf(b, "Unexpected character ('%.*s' (code %u))%s", (int)n, text, c, then);
    }
}

static void end_of_input(const qd_json_reader *r, qd_buf *b)
{
    uint32_t line, column;
    switch (r->failure_arg) {
    case EOF_IN_STRING:
        (void)qd_buf_c(b, "Unexpected end-of-input in VALUE_STRING");
        break;
    case EOF_IN_NAME:
        (void)qd_buf_c(b, "Unexpected end-of-input in field name");
        break;
    case EOF_COMMENT:
        (void)qd_buf_c(b, "Unexpected end-of-input in a comment");
        break;
    case EOF_IN_CONTAINER:
        qd_json_position(r, container_start(r), &line, &column);
        (void)qd_buf_printf(
            b,
            "Unexpected end-of-input: expected close marker for %s (start marker at [" SOURCE "])",
            innermost_is_array(r) ? "Array" : "Object", line, column);
        break;
    case EOF_BETWEEN:
        (void)qd_buf_printf(b, "Unexpected end-of-input within/between %s entries",
                            innermost_is_array(r) ? "Array" : "Object");
        break;
    default:
        (void)qd_buf_c(b, "Unexpected end-of-input");
    }
}

static void bad_close(const qd_json_reader *r, qd_buf *b)
{
    if (r->depth == 0) {
        (void)qd_buf_printf(
            b,
            "Unexpected close marker '%c': expected '%c' (for root starting at [" SOURCE_LINE "])",
            *r->failure_at, *r->failure_at == '}' ? ']' : '}', 1u);
        return;
    }
    uint32_t line, column;
    bool array = innermost_is_array(r);
    qd_json_position(r, container_start(r), &line, &column);
    (void)qd_buf_printf(
        b, "Unexpected close marker '%c': expected '%c' (for %s starting at [" SOURCE "])",
        *r->failure_at, array ? ']' : '}', array ? "Array" : "Object", line, column);
}

static void bad_utf8_text(const qd_json_reader *r, qd_buf *b)
{
    unsigned char c = (unsigned char)*r->failure_at;
    if (c >= 0xC2 && c <= 0xF4) { /* a good start: some byte behind it is wrong */
        const char *p = r->failure_at + 1;
        while (p < r->end && ((unsigned char)*p & 0xC0) == 0x80 && p < r->failure_at + 3) p++;
        c = p < r->end ? (unsigned char)*p : 0;
        (void)qd_buf_printf(b, "Invalid UTF-8 middle byte 0x%x", c);
    } else {
        (void)qd_buf_printf(b, "Invalid UTF-8 start byte 0x%x", c);
    }
}

const char *qdi_json_token_name(char c)
{
    switch (c) {
    case '{':
        return "START_OBJECT";
    case '[':
        return "START_ARRAY";
    case '"':
        return "VALUE_STRING";
    case 't':
    case 'f':
        return "VALUE_BOOLEAN";
    case 'n':
        return "VALUE_NULL";
    case '-':
        return "VALUE_NUMBER";
    default:
        return c >= '0' && c <= '9' ? "VALUE_NUMBER" : NULL;
    }
}

#define VALUES "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')"

static void describe(const qd_json_reader *r, qd_buf *b)
{
    switch (r->failure) {
    case QD_JSON_END_OF_INPUT:
        end_of_input(r, b);
        break;
    case QD_JSON_NO_KEY:
        unexpected(r, b, ": was expecting double-quote to start field name");
        break;
    case QD_JSON_NO_COLON:
        unexpected(r, b, ": was expecting a colon to separate field name and value");
        break;
    case QD_JSON_NO_COMMA:
        unexpected(r, b,
                   innermost_is_array(r) ? ": was expecting comma to separate Array entries"
                                         : ": was expecting comma to separate Object entries");
        break;
    case QD_JSON_NO_VALUE:
        unexpected(r, b, ": expected a valid value " VALUES);
        break;
    case QD_JSON_NO_SPACE:
        unexpected(r, b, ": Expected space separating root-level values");
        break;
    case QD_JSON_BAD_TOKEN: {
        size_t n = (size_t)(r->failure_at - r->token);
        (void)qd_buf_printf(b, "Unrecognized token '%.*s%s': was expecting " VALUES,
                            (int)(n > 256 ? 256 : n), r->token, n > 256 ? "..." : "");
        break;
    }
    case QD_JSON_BAD_CLOSE:
        bad_close(r, b);
        break;
    case QD_JSON_BAD_SPACE:
        (void)qd_buf_printf(
            b,
            "Illegal character ((CTRL-CHAR, code %u)): only regular white space (\\r, "
            "\\n, \\t) is allowed between tokens",
            (unsigned)(unsigned char)*r->failure_at);
        break;
    case QD_JSON_BAD_CONTROL:
        (void)qd_buf_printf(
            b,
            "Illegal unquoted character ((CTRL-CHAR, code %u)): has to be escaped using "
            "backslash to be included in %s",
            (unsigned)(unsigned char)*r->failure_at, r->failure_arg ? "name" : "string value");
        break;
    case QD_JSON_BAD_ESCAPE: {
        uint32_t c;
        size_t n = qd_utf8_next(r->failure_at, r->end, &c);
        (void)qd_buf_printf(b, "Unrecognized character escape '%.*s' (code %u)", (int)n,
                            r->failure_at, c);
        break;
    }
    case QD_JSON_BAD_HEX:
        unexpected(r, b, ": expected a hex-digit for character escape sequence");
        break;
    case QD_JSON_BAD_UTF8:
        bad_utf8_text(r, b);
        break;
    case QD_JSON_BAD_COMMENT:
        unexpected(r, b,
                   ": maybe a (non-standard) comment? (not recognized as one since Feature "
                   "'ALLOW_COMMENTS' not enabled for parser)");
        break;
    case QD_JSON_LEADING_ZERO:
        (void)qd_buf_c(b, "Invalid numeric value: Leading zeroes not allowed");
        break;
    case QD_JSON_BARE_MINUS:
        unexpected(r, b,
                   " in numeric value: expected digit (0-9) to follow minus sign, for valid "
                   "numeric value");
        break;
    case QD_JSON_BARE_POINT:
        unexpected(r, b, " in numeric value: Decimal point not followed by a digit");
        break;
    case QD_JSON_BARE_EXPONENT:
        unexpected(r, b, " in numeric value: Exponent indicator not followed by a digit");
        break;
    case QD_JSON_DUPLICATE:
        (void)qd_buf_printf(b, "Duplicate field '%.*s'", QD_STR_ARG(r->text));
        break;
    case QD_JSON_TOO_DEEP:
        (void)qd_buf_printf(b,
                            "Document nesting depth (%u) exceeds the maximum allowed (%u, from "
                            "`StreamReadConstraints.getMaxNestingDepth()`)",
                            r->depth_max + 1, r->depth_max);
        break;
    case QD_JSON_NON_STANDARD:
        (void)qd_buf_printf(b,
                            "Non-standard token '%.*s': enable "
                            "`JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS` to allow",
                            (int)(r->failure_at - r->token), r->token);
        break;
    case QD_JSON_PLUS:
        (void)qd_buf_c(b,
                       "Unexpected character ('+' (code 43)) in numeric value: JSON spec does not "
                       "allow numbers to have plus signs: enable "
                       "`JsonReadFeature.ALLOW_LEADING_PLUS_SIGN_FOR_NUMBERS` to allow");
        break;
    default:
        (void)qd_buf_c(b, "cannot be read");
    }
}

/* Jackson tells where it has read to: behind the byte that ended a word or a character. */
static uint32_t read_further(const qd_json_reader *r)
{
    if (r->failure == QD_JSON_BAD_TOKEN) return r->failure_at < r->end;
    if (r->failure != QD_JSON_BAD_UTF8) return 0;
    unsigned char c = (unsigned char)*r->failure_at;
    uint32_t n = 1;
    if (c < 0xC2 || c > 0xF4) return n;
    while (n < 3 && r->failure_at + n < r->end &&
           ((unsigned char)r->failure_at[n] & 0xC0) == 0x80) {
        n++;
    }
    return n + 1;
}

int qd_json_fail(const qd_json_reader *r, qd_err *err)
{
    if (r->failure == QD_JSON_NO_MEMORY) return qd_err_nomem(err, "reading JSON");
    if (!err || err->code) return QD_E_XCONTENT;
    qd_buf b;
    uint32_t line, column;
    qd_buf_init(&b, r->account, 64 << 10);
    if (r->failure == QD_JSON_TRAILING) { /* what follows is sound, but nobody expects it */
        qd_buf_fini(&b);
        int rc =
            qd_err_set(err, QD_E_XCONTENT, "Malformed content, found extra data after parsing: %s",
                       qdi_json_token_name(*r->failure_at));
        qd_err_type(err, "illegal_argument_exception", 0);
        return rc;
    }
    qd_json_position(r, r->failure_at, &line, &column);
    column += read_further(r);
    (void)qd_buf_printf(&b, "[%u:%u] ", line, column);
    describe(r, &b);
    (void)qd_buf_printf(&b, "\n at [" SOURCE "]", line, column);
    int rc = qd_err_set(err, QD_E_XCONTENT, "%.*s", QD_STR_ARG(qd_buf_view(&b)));
    if (r->failure == QD_JSON_END_OF_INPUT) qd_err_type(err, "x_content_e_o_f_exception", 0);
    qd_buf_fini(&b);
    return rc;
}

int qd_json_err_at(const qd_json_reader *r, qd_err *err, int code, const char *fmt, ...)
{
    if (!err || err->code) return code;
    qd_buf b;
    uint32_t line, column;
    va_list ap;
    char text[1024];
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    qd_buf_init(&b, r->account, 1 << 20);
    if (n >= (int)sizeof text && qd_buf_reserve(&b, (size_t)n + 1)) {
        va_start(ap, fmt);
        vsnprintf(b.p, (size_t)n + 1, fmt, ap);
        va_end(ap);
    }
    (void)qd_err_set(err, code, "%s", n >= (int)sizeof text && b.p ? b.p : text);
    qd_buf_fini(&b);
    qd_json_position(r, r->token, &line, &column);
    qd_err_detail_i64(err, "line", line);
    qd_err_detail_i64(err, "col", column);
    return code;
}
