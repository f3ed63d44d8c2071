/*
 * ip.c: addresses: text to 16 bytes and back. IPv4 is held as IPv6-mapped (::ffff:a.b.c.d), so that
 * one order holds for both. Reading follows RFC 4291, writing RFC 5952.
 */
#include "mapping/field.h"
#include "json/number.h"

static bool parse_v4(qd_str s, uint8_t out[4])
{
    for (int i = 0; i < 4; i++) {
        unsigned v = 0, digits = 0;
        while (s.n && (unsigned)(*s.p - '0') <= 9) {
            v = v * 10 + (unsigned)(*s.p - '0');
            if (++digits > 3) return false;
            s = qd_str_sub(s, 1, s.n);
        }
        if (digits == 0 || v > 255 || (digits > 1 && v < (digits == 2 ? 10u : 100u))) return false;
        out[i] = (uint8_t)v;
        if (i < 3) {
            if (s.n == 0 || *s.p != '.') return false;
            s = qd_str_sub(s, 1, s.n);
        }
    }
    return s.n == 0;
}

static int hex_digit(char c)
{
    if ((unsigned)(c - '0') <= 9) return c - '0';
    c |= 32;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool parse_v6(qd_str s, uint8_t out[16])
{
    uint8_t b[16] = {0};
    int n = 0, gap = -1;
    if (qd_str_starts(s, QD_STR("::"))) {
        gap = 0;
        s = qd_str_sub(s, 2, s.n);
    }
    while (s.n) {
        if (n == 16) return false;
        ptrdiff_t colon = qd_str_find(s, ':');
        qd_str part = colon < 0 ? s : qd_str_sub(s, 0, (size_t)colon);
        if (colon < 0 && qd_str_find(part, '.') >= 0) {
            if (n > 12 || !parse_v4(part, b + n)) return false;
            n += 4;
            break;
        }
        unsigned v = 0;
        if (part.n == 0 || part.n > 4) return false;
        for (size_t i = 0; i < part.n; i++) {
            int d = hex_digit(part.p[i]);
            if (d < 0) return false;
            v = v << 4 | (unsigned)d;
        }
        b[n++] = (uint8_t)(v >> 8);
        b[n++] = (uint8_t)v;
        if (colon < 0) break;
        s = qd_str_sub(s, (size_t)colon + 1, s.n);
        if (s.n == 0) return false; /* a single colon at the end */
        if (*s.p == ':') {
            if (gap >= 0) return false;
            gap = n;
            s = qd_str_sub(s, 1, s.n);
        }
    }
    if (gap < 0 ? n != 16 : n > 14) return false;
    memset(out, 0, 16);
    size_t head = gap < 0 ? 16 : (size_t)gap, tail = (size_t)n - (gap < 0 ? 16 : head);
    memcpy(out, b, head);
    if (gap >= 0) memcpy(out + 16 - tail, b + head, tail);
    return true;
}

bool qd_ip_parse(qd_str text, uint8_t out[16])
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
    if (text.n > 64) return false;
    if (qd_str_find(text, ':') >= 0) {
        ptrdiff_t scope = qd_str_find(text, '%');
        return scope < 0 && parse_v6(text, out);
    }
    uint8_t v4[4];
    if (!parse_v4(text, v4)) return false;
    memcpy(out, mapped, 12);
    memcpy(out + 12, v4, 4);
    return true;
}

static bool is_mapped(const uint8_t ip[16])
{
    for (int i = 0; i < 10; i++) {
        if (ip[i]) return false;
    }
    return ip[10] == 0xFF && ip[11] == 0xFF;
}

size_t qd_ip_print(char out[46], const uint8_t ip[16])
{
    static const char hex[] = "0123456789abcdef";
    size_t n = 0;
    if (is_mapped(ip)) {
        for (int i = 12; i < 16; i++) {
            n += qd_u64_print(out + n, ip[i]);
            if (i < 15) out[n++] = '.';
        }
        out[n] = 0;
        return n;
    }
    uint16_t g[8];
    int best = -1, best_n = 1; /* the longest run of two or more zero groups becomes :: */
    for (int i = 0; i < 8; i++) g[i] = (uint16_t)(ip[2 * i] << 8 | ip[2 * i + 1]);
    for (int i = 0; i < 8; i++) {
        int k = i;
        while (k < 8 && g[k] == 0) k++;
        if (k - i > best_n) {
            best = i;
            best_n = k - i;
        }
        if (k > i) i = k;
    }
    for (int i = 0; i < 8; i++) {
        if (i == best) {
            out[n++] = ':';
            out[n++] = ':';
            i += best_n - 1;
            continue;
        }
        if (n && out[n - 1] != ':') out[n++] = ':';
        bool any = false;
        for (int k = 12; k >= 0; k -= 4) {
            int d = g[i] >> k & 15;
            if (d || any || k == 0) {
                out[n++] = hex[d];
                any = true;
            }
        }
    }
    out[n] = 0;
    return n;
}

int qd_ip_cidr(qd_str text, uint8_t lo[16], uint8_t hi[16], qd_err *err)
{
    ptrdiff_t slash = qd_str_find(text, '/');
    int64_t bits;
    uint8_t ip[16];
    qd_str address = slash < 0 ? text : qd_str_sub(text, 0, (size_t)slash);
    qd_str prefix = slash < 0 ? (qd_str){"", 0} : qd_str_sub(text, (size_t)slash + 1, text.n);
    if (slash < 0 || !prefix.n || qd_str_find(prefix, '/') >= 0) {
        return qd_err_set(err, QD_E_ARG, "Expected [ip/prefix] but was [%.*s]", QD_STR_ARG(text));
    }
    if (!qd_ip_parse(address, ip)) {
        return qd_err_set(err, QD_E_ARG, "'%.*s' is not an IP string literal.",
                          QD_STR_ARG(address));
    }
    if (qd_i64_parse(prefix, &bits) || bits < INT32_MIN || bits > INT32_MAX) {
        return qd_err_set(err, QD_E_NUMBER_FORMAT, "For input string: \"%.*s\"",
                          QD_STR_ARG(prefix));
    }
    int64_t most = qd_str_find(address, ':') < 0 ? 32 : 128;
    if (bits < 0 || bits > most) {
        return qd_err_set(err, QD_E_ARG,
                          "Illegal prefix length [%lld] in [%.*s]. Must be 0-32 for IPv4 ranges, "
                          "0-128 for IPv6 ranges",
                          (long long)bits, QD_STR_ARG(text));
    }
    if (most == 32) bits += 96;
    for (int i = 0; i < 16; i++) {
        int64_t left = bits - 8 * i;
        uint8_t mask = left >= 8 ? 0xFF : left <= 0 ? 0 : (uint8_t)(0xFF << (8 - left));
        lo[i] = ip[i] & mask;
        hi[i] = (uint8_t)(ip[i] | (uint8_t)~mask);
    }
    return 0;
}
