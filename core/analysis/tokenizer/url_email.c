/*
 * url_email.c: the tokenizer uax_url_email: the words of the standard tokenizer, but URLs (RFC
 * 3986) and e-mail addresses (RFC 5322) whole. As in Lucene's grammar the longest of them counts,
 * and a host without a scheme is a URL only when its last label is a top level domain, which
 * libpsl's list of public suffixes tells.
 */
#include "analysis/builtin_int.h"
#include "analysis/tokenizer/standard_int.h"
#include <libpsl.h>

/* Bytes that a host or the local part of an address may have: bounds the time where none comes. */
enum { HOST_BYTES = 255, LOCAL_BYTES = 255 };

typedef struct url_email {
    qd_part head;
    uint32_t max_units;
} url_email;

typedef struct text {
    const char *p;
    size_t n;
} text;

static bool is_alnum(unsigned char c)
{
    return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
}

static bool is_digit(unsigned char c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex(unsigned char c)
{
    return is_digit(c) || ((c | 32) >= 'a' && (c | 32) <= 'f');
}

static bool is_in(unsigned char c, const char *set)
{
    return c && strchr(set, c);
}

static unsigned char at(text t, size_t i)
{
    return i < t.n ? (unsigned char)t.p[i] : 0;
}

/* --- hosts ------------------------------------------------------------------------------------ */

static bool is_tld(const char *p, size_t n)
{
    char label[64];
    if (n < 2 || n >= sizeof label) return false;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)p[i];
        label[i] = (char)(c >= 'A' && c <= 'Z' ? c | 32 : c);
    }
    label[n] = 0;
    return psl_is_public_suffix2(psl_builtin(), label, PSL_TYPE_ICANN | PSL_TYPE_NO_STAR_RULE);
}

/* End of the label at i; i where none is. It begins and ends with a letter or digit. */
static size_t label_end(text t, size_t i)
{
    size_t end = i, k = i;
    while (is_alnum(at(t, k)) || (k > i && at(t, k) == '-')) {
        if (is_alnum(at(t, k))) end = k + 1;
        k++;
    }
    return end;
}

/* How a host name may end. */
typedef enum last_label {
    LAST_ANY,
    LAST_TLD,      /* a top level domain */
    LAST_TLD_FIRST /* what begins with one; the name ends behind it */
} last_label;

static size_t tld_end(text t, size_t from, size_t to, last_label last)
{
    size_t least = last == LAST_TLD_FIRST ? from + 2 : to;
    for (size_t end = to; end >= least && end > from; end--)
        if (is_tld(t.p + from, end - from)) return end;
    return 0;
}

/* End of the host name at i; 0: none. */
static size_t name_end(text t, size_t i, last_label last)
{
    size_t end = 0, from = i;
    for (uint32_t labels = 1; from - i < HOST_BYTES; labels++) {
        size_t to = label_end(t, from);
        if (to == from) break;
        size_t tld = last != LAST_ANY && labels > 1 ? tld_end(t, from, to, last) : 0;
        if (last == LAST_ANY || tld) end = tld ? tld : to;
        if (at(t, to) != '.') break;
        from = to + 1;
    }
    return end;
}

static size_t ipv4_end(text t, size_t i)
{
    for (int part = 0; part < 4; part++) {
        uint32_t v = 0, digits = 0;
        if (part && at(t, i++) != '.') return 0;
        for (; at(t, i) >= '0' && at(t, i) <= '9' && digits < 4; digits++, i++)
            v = v * 10 + (at(t, i) - '0');
        if (!digits || v > 255) return 0;
    }
    return is_alnum(at(t, i)) ? 0 : i;
}

/* Is it an address of version 6 (RFC 4291, 2.2)? */
static bool is_ipv6(text t)
{
    uint32_t groups = 0;
    bool gap = false;
    for (size_t i = 0; i < t.n;) {
        size_t to = i;
        while (to < i + 4 && is_hex(at(t, to))) to++;
        if (at(t, to) == '.') { /* of version 4, at the end */
            groups += 2;
            return ipv4_end(t, i) == t.n && (gap ? groups < 8 : groups == 8);
        }
        groups += to > i;
        if (to == t.n) break;
        if (at(t, to) != ':' || groups > 8) return false;
        bool two = at(t, to + 1) == ':';
        if ((two && gap) || (!two && (to == i || to + 1 == t.n))) return false;
        gap |= two;
        i = to + 1 + two;
    }
    return gap ? groups < 8 : groups == 8;
}

/* An address in brackets: of version 6, of version 4 where v4 says so. */
static size_t bracket_end(text t, size_t i, bool v4)
{
    size_t to = i + 1;
    if (at(t, i) != '[') return 0;
    while (to - i < 48 && at(t, to) && at(t, to) != ']') to++;
    text inner = {t.p + i + 1, to - i - 1};
    if (at(t, to) != ']' || !inner.n) return 0;
    return is_ipv6(inner) || (v4 && ipv4_end(inner, 0) == inner.n) ? to + 1 : 0;
}

static size_t host_end(text t, size_t i, last_label last)
{
    size_t end = bracket_end(t, i, false), v4 = end ? 0 : ipv4_end(t, i);
    if (end) return end;
    end = name_end(t, i, last);
    return v4 > end ? v4 : end;
}

/* --- URLs: the characters are those of Lucene's grammar, fewer than RFC 3986 has in paths --------
 */

#define PATH "&-./:;=@_~"
#define FTP_PATH "&-./:=?@_~"
#define QUERY "!$&'()*+,-./:;=?@_~"
#define USER "!$&'()*+,-.:;=_~"

static size_t chars_end(text t, size_t i, const char *also)
{
    for (;; i++) {
        unsigned char c = at(t, i);
        if (is_alnum(c) || is_in(c, also)) continue;
        if (c == '%' && is_hex(at(t, i + 1)) && is_hex(at(t, i + 2))) continue;
        return i;
    }
}

static size_t fragment_end(text t, size_t i)
{
    return at(t, i) == '#' ? chars_end(t, i + 1, QUERY) : i;
}

/* The port behind a host. */
static size_t port_end(text t, size_t i)
{
    size_t k = i + 1;
    if (at(t, i) != ':') return i;
    while (is_digit(at(t, k))) k++;
    return k > i + 1 ? k : i;
}

/* Port, path, query and fragment behind a host. */
static size_t rest_end(text t, size_t i)
{
    i = port_end(t, i);
    if (at(t, i) == '/') i = chars_end(t, i, PATH);
    if (at(t, i) == '?') i = chars_end(t, i + 1, QUERY);
    return fragment_end(t, i);
}

static bool begins(text t, size_t i, const char *s)
{
    for (; *s; s++, i++) {
        unsigned char c = at(t, i);
        if ((c >= 'A' && c <= 'Z' ? c | 32 : c) != (unsigned char)*s) return false;
    }
    return true;
}

/* End of the user and its @ before a host; i where none is. */
static size_t user_end(text t, size_t i)
{
    size_t k = chars_end((text){t.p, t.n < i + HOST_BYTES ? t.n : i + HOST_BYTES}, i, USER);
    return at(t, k) == '@' && k > i ? k + 1 : i;
}

/* http:// and https:// take any host, ftp:// and file:// want a path. */
static size_t scheme_end(text t, size_t i)
{
    bool http = begins(t, i, "http://"), ftp = begins(t, i, "ftp://");
    size_t from = i + (http ? 7 : ftp ? 6 : 8); /* https://, file:/// */
    bool file = begins(t, i, "file://");
    if (file) {
        size_t end = host_end(t, i + 7, LAST_ANY), path = end ? end : i + 7;
        return at(t, path) == '/' ? fragment_end(t, chars_end(t, path, FTP_PATH)) : 0;
    }
    if (!http && !ftp && !begins(t, i, "https://")) return 0;
    size_t user = user_end(t, from), end = host_end(t, user, LAST_ANY);
    if (!end && user > from) end = host_end(t, from, LAST_ANY);
    if (!end || !ftp) return end ? rest_end(t, end) : 0;
    end = port_end(t, end);
    return at(t, end) == '/' ? fragment_end(t, chars_end(t, end, FTP_PATH)) : 0;
}

/* Does a word go on at i? */
static bool goes_on(text t, size_t i)
{
    unsigned char c = at(t, i);
    uint32_t cp;
    if (c < 0x80) return is_alnum(c) || c == '_';
    (void)qd_u8_next(t.p + i, t.p + t.n, &cp);
    return qd_char_letter(cp);
}

static size_t url_end(text t, size_t i)
{
    size_t end = scheme_end(t, i);
    if (end) return end;
    end = host_end(t, i, LAST_TLD);
    if (!end || goes_on(t, end)) return 0;
    /* the dot of the root counts where the text goes on */
    bool more = end + 1 < t.n && !is_alnum(at(t, end + 1)) && at(t, end + 1) != '_';
    if (at(t, end) == '.' && more && end == name_end(t, i, LAST_TLD)) end++;
    return rest_end(t, end);
}

/* --- addresses -------------------------------------------------------------------------------- */

#define ATOM "!#$%&'*+,-./=?^_`{|}~"

static size_t quoted_end(text t, size_t i)
{
    size_t k = i + 1;
    for (; k - i < LOCAL_BYTES && at(t, k) && at(t, k) != '"'; k++) {
        if (at(t, k) == '\n' || at(t, k) == '\r' || at(t, k) >= 0x80) return 0;
        if (at(t, k) == '\\') k++;
    }
    return at(t, k) == '"' ? k + 1 : 0;
}

/* Words of a name with dots between or around them, or quoted ones parted by dots. */
static size_t local_end(text t, size_t i)
{
    size_t k = i;
    bool quoted = at(t, k) == '"';
    while (k - i < LOCAL_BYTES) {
        if (at(t, k) == '"') {
            if (k > i && at(t, k - 1) != '.') return 0;
            if (!(k = quoted_end(t, k))) return 0;
            if (at(t, k) != '.') return k;
        } else if (is_alnum(at(t, k)) || is_in(at(t, k), ATOM)) {
            k++;
        } else {
            break;
        }
    }
    return quoted && k == i ? 0 : k;
}

static size_t email_end(text t, size_t i)
{
    size_t k = local_end(t, i);
    if (!k) return 0;
    if (k == i || at(t, k) != '@') return 0;
    size_t end = bracket_end(t, k + 1, true);
    if (end) return end;
    end = name_end(t, k + 1, LAST_TLD_FIRST);
    return end && at(t, end) == '.' ? end + 1 : end;
}

/* --- tokens ----------------------------------------------------------------------------------- */

/* The longest URL or address at i; 0: none. */
static size_t found_at(text t, size_t i, uint8_t *type)
{
    size_t url = url_end(t, i), email = email_end(t, i);
    *type = email > url ? QD_TOKEN_EMAIL : QD_TOKEN_URL;
    return email > url ? email : url;
}

/* Puts a token at place n, which is free: the word of that place is read already. */
static void put(qd_tokens *t, size_t n, qd_span span, uint8_t type)
{
    t->term[n] = span;
    t->type[n] = type;
    if (t->has & QD_TOKENS_OFFSETS) t->offset[n] = span;
}

/* Makes place n, the one of word w, a free one: the words from w on move by one. */
static int insert(qd_analysis *s, size_t *w)
{
    qd_tokens *t = &s->b->t;
    size_t more = t->n - *w, at = *w;
    if (qd_batch_reserve(s, s->b, t->n + 1)) return QD_E_NOMEM;
    memmove(t->term + at + 1, t->term + at, more * sizeof *t->term);
    memmove(t->type + at + 1, t->type + at, more * sizeof *t->type);
    if (t->has & QD_TOKENS_OFFSETS)
        memmove(t->offset + at + 1, t->offset + at, more * sizeof *t->offset);
    t->n++;
    ++*w;
    return 0;
}

/* Leaves of word w what lies behind `end`, from its next letter or digit on. */
static void cut(text all, qd_tokens *t, size_t w, size_t end)
{
    bool number = true, any = false;
    while (end < t->term[w].to && is_in(at(all, end), ".':,;")) end++;
    for (size_t i = end; i < t->term[w].to; i++) {
        number &= is_digit(at(all, i)) || is_in(at(all, i), ".',;");
        any |= is_alnum(at(all, i)) || at(all, i) >= 0x80;
    }
    t->term[w].from = any ? (uint32_t)end : t->term[w].to;
    if (t->type[w] == QD_TOKEN_ALPHANUM && number) t->type[w] = QD_TOKEN_NUM;
}

/* What begins at i, where the next word stands at or behind it: its end and type; 0: nothing. A
 * word counts where it is longer. */
static size_t scan_at(text all, size_t i, qd_span word, uint32_t max_units, uint8_t *type)
{
    unsigned char c = at(all, i);
    *type = QD_TOKEN_ALPHANUM; /* mailto, apart from its address */
    if (word.from == i && begins(all, i, "mailto:") && email_end(all, i + 7)) return i + 6;
    if (!is_alnum(c) && !is_in(c, ATOM "\"[")) return 0;
    size_t end = found_at(all, i, type);
    bool longer = word.from > i || end >= word.to;
    return end > word.from && end - i <= max_units && longer ? end : 0;
}

/* Writes the words again as a scanner would that tries words, URLs and addresses at each place
 * behind the last token and takes the longest. */
static int overlay(qd_analysis *s, uint32_t max_units)
{
    qd_tokens *t = &s->b->t;
    text all = {s->src, s->nsrc};
    size_t n = 0, w = 0;
    int rc = 0;
    for (size_t i = 0; w < t->n && !rc;) {
        uint8_t type;
        qd_span word = t->term[w];
        size_t end = scan_at(all, i, word, max_units, &type);
        if (!end && word.from > i) {
            i++;
            continue;
        }
        if (!end) {
            put(t, n++, word, t->type[w++]);
            i = word.to;
            continue;
        }
        while (w < t->n && t->term[w].to <= end) w++;
        if (w < t->n && t->term[w].from < end) cut(all, t, w, end);
        if (w < t->n && t->term[w].from >= t->term[w].to) w++; /* nothing is left of it */
        if (n == w) rc = insert(s, &w);
        if (!rc) put(t, n++, (qd_span){(uint32_t)i, (uint32_t)end}, type);
        i = end;
    }
    if (!rc) t->n = n;
    return rc;
}

static int run(const qd_part *p, qd_analysis *s, qd_err *err)
{
    uint32_t max_units = ((const url_email *)p)->max_units;
    (void)err;
    int rc = qd_standard_run(s, max_units, false);
    return rc ? rc : overlay(s, max_units);
}

static const qd_part_ops ops = {run, qd_part_release, NULL};

int qd_make_uax_url_email(const qd_part_conf *c, qd_part **out, qd_err *err)
{
    int64_t max;
    int rc = qd_conf_int(c, "max_token_length", 255, &max, err);
    if (!rc && (max < 1 || max > 1048576))
        rc = qd_err_set(err, QD_E_ARG,
                        "maxTokenLen must be greater than 0 and less than 1048576 passed: %lld",
                        (long long)max);
    if (!rc) rc = qd_part_alloc(c, sizeof(url_email), QD_STAGE_TOKENIZER, &ops, out, err);
    if (rc) return rc;
    (*out)->want = QD_ANALYZE_TYPES;
    ((url_email *)*out)->max_units = (uint32_t)max;
    return 0;
}
