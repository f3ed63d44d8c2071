/*
 * lib_string.c: String and StringBuilder. Places count UTF-16 units, as in Java; for texts of ASCII
 * they are those of bytes.
 */
#include "base/utf8.h"
#include "script/painless/lib_int.h"

static bool ascii(qd_str s)
{
    size_t i = 0;
    for (uint64_t w; i + sizeof w <= s.n; i += sizeof w) {
        memcpy(&w, s.p + i, sizeof w);
        if (w & 0x8080808080808080ull) return false;
    }
    for (; i < s.n; i++)
        if ((unsigned char)s.p[i] > 127) return false;
    return true;
}

static int64_t units(qd_str s)
{
    return ascii(s) ? (int64_t)s.n : (int64_t)qd_utf8_utf16(s);
}

/* The byte at which unit i begins; inside of a pair: that of the pair. */
static size_t byte_at(qd_str s, int64_t i)
{
    if (ascii(s)) return (size_t)i;
    const char *p = s.p, *end = s.p + s.n;
    uint32_t cp;
    while (i > 0 && p < end) {
        p += qd_utf8_next(p, end, &cp);
        i -= cp > 0xFFFF ? 2 : 1;
    }
    return (size_t)(p - s.p);
}

static int32_t unit_of(qd_str s, ptrdiff_t byte)
{
    return byte < 0 ? -1 : (int32_t)units(qd_str_sub(s, 0, (size_t)byte));
}

QDI_FN(length)
{
    QDI_UNUSED;
    *out = qd_sv_int((int32_t)units(qd_sv_text(&a[0])));
    return 0;
}

QDI_FN(is_empty)
{
    QDI_UNUSED;
    *out = qd_sv_bool(a[0].n == 0);
    return 0;
}

QDI_FN(is_blank)
{
    QDI_UNUSED;
    *out = qd_sv_bool(qd_str_trim(qd_sv_text(&a[0])).n == 0);
    return 0;
}

static int char_at(qdp_vm *vm, qd_str s, const qd_sv *at, qd_sv *out)
{
    int64_t i, n = units(s);
    uint32_t cp;
    if (qdp_arg_int(vm, at, &i)) return -1;
    if (i < 0 || i >= n)
        return qdp_throw(vm, QDI_T_STRING_BOUNDS, "String index out of range: %lld", (long long)i);
    size_t b = byte_at(s, i);
    if (b >= s.n) b = byte_at(s, i - 1);
    qd_utf8_next(s.p + b, s.p + s.n, &cp);
    if (cp > 0xFFFF)
        cp = byte_at(s, i) == byte_at(s, i + 1) || b != byte_at(s, i)
                 ? 0xDC00 + ((cp - 0x10000) & 0x3FF)
                 : 0xD800 + ((cp - 0x10000) >> 10);
    *out = (qd_sv){.tag = QD_SV_CHAR, .i = cp};
    return 0;
}

QDI_FN(string_char_at)
{
    (void)n;
    return char_at(vm, qd_sv_text(&a[0]), &a[1], out);
}

QDI_FN(substring)
{
    qd_str s = qd_sv_text(&a[0]);
    int64_t from, to, len = units(s);
    if (qdp_arg_int(vm, &a[1], &from)) return -1;
    to = len;
    if (n > 1 && qdp_arg_int(vm, &a[2], &to)) return -1;
    if (from < 0 || to > len || from > to)
        return qdp_throw(vm, QDI_T_STRING_BOUNDS, "begin %lld, end %lld, length %lld",
                         (long long)from, (long long)to, (long long)len);
    size_t b = byte_at(s, from), e = byte_at(s, to);
    *out = qd_sv_str(qd_str_sub(s, b, e - b));
    return 0;
}

QDI_FN(index_of)
{
    qd_str s = qd_sv_text(&a[0]), what;
    int64_t from = 0;
    if (qdp_arg_str(vm, &a[1], &what) || (n > 1 && qdp_arg_int(vm, &a[2], &from))) return -1;
    if (from < 0) from = 0;
    size_t b = from > units(s) ? s.n : byte_at(s, from);
    ptrdiff_t at = qd_str_find_str(qd_str_sub(s, b, s.n), what);
    *out = qd_sv_int(unit_of(s, at < 0 ? -1 : at + (ptrdiff_t)b));
    return qdp_steps(vm, s.n / 16);
}

QDI_FN(last_index_of)
{
    qd_str s = qd_sv_text(&a[0]), what;
    (void)n;
    if (qdp_arg_str(vm, &a[1], &what)) return -1;
    ptrdiff_t at = (ptrdiff_t)s.n - (ptrdiff_t)what.n;
    for (; at >= 0 && what.n; at--) {
        if (s.p[at] != what.p[0]) continue;
        if (qdp_steps(vm, what.n / 64)) return -1;
        if (memcmp(s.p + at, what.p, what.n) == 0) break;
    }
    *out = qd_sv_int(unit_of(s, at < 0 ? -1 : at));
    return qdp_steps(vm, s.n / 4);
}

QDI_FN(contains)
{
    qd_str what;
    (void)n;
    if (qdp_arg_str(vm, &a[1], &what)) return -1;
    *out = qd_sv_bool(qd_str_find_str(qd_sv_text(&a[0]), what) >= 0);
    return qdp_steps(vm, a[0].n / 16);
}

QDI_FN(starts_with)
{
    qd_str what, s = qd_sv_text(&a[0]);
    int64_t from = 0;
    if (qdp_arg_str(vm, &a[1], &what) || (n > 1 && qdp_arg_int(vm, &a[2], &from))) return -1;
    if (from < 0 || from > units(s))
        *out = qd_sv_bool(false);
    else
        *out = qd_sv_bool(qd_str_starts(qd_str_sub(s, byte_at(s, from), s.n), what));
    return 0;
}

QDI_FN(ends_with)
{
    qd_str what;
    (void)n;
    if (qdp_arg_str(vm, &a[1], &what)) return -1;
    *out = qd_sv_bool(qd_str_ends(qd_sv_text(&a[0]), what));
    return 0;
}

/* Simple cases of ASCII, Latin-1, Greek and Cyrillic: those whose texts keep their length. */
static uint32_t cased(uint32_t c, bool up)
{
    if (c < 128)
        return up ? (c >= 'a' && c <= 'z' ? c - 32 : c) : (c >= 'A' && c <= 'Z' ? c + 32 : c);
    if (up && ((c >= 0xE0 && c <= 0xFE && c != 0xF7) || (c >= 0x3B1 && c <= 0x3C9 && c != 0x3C2) ||
               (c >= 0x430 && c <= 0x44F)))
        return c - 32;
    if (!up && ((c >= 0xC0 && c <= 0xDE && c != 0xD7) || (c >= 0x391 && c <= 0x3A9) ||
                (c >= 0x410 && c <= 0x42F)))
        return c + 32;
    if (up && c >= 0x450 && c <= 0x45F) return c - 80;
    if (!up && c >= 0x400 && c <= 0x40F) return c + 80;
    if (c >= 0x100 && c <= 0x137) return up ? c & ~1u : c | 1u;
    return c;
}

static int to_case(qdp_vm *vm, qd_str s, bool up, qd_sv *out)
{
    char *p = qd_arena_bytes(&vm->x->arena, s.n + 5);
    if (!p) return qdp_nomem(vm);
    size_t at = 0;
    for (const char *c = s.p, *end = s.p + s.n; c < end;) {
        uint32_t cp;
        c += qd_utf8_next(c, end, &cp);
        char room[4];
        size_t w = qd_utf8_put(room, cased(cp, up));
        if (at + w > s.n + 4) break;
        memcpy(p + at, room, w);
        at += w;
    }
    p[at] = 0;
    *out = qd_sv_str((qd_str){p, at});
    return qdp_steps(vm, s.n / 8);
}

QDI_FN(to_lower)
{
    (void)n;
    return to_case(vm, qd_sv_text(&a[0]), false, out);
}

QDI_FN(to_upper)
{
    (void)n;
    return to_case(vm, qd_sv_text(&a[0]), true, out);
}

QDI_FN(trim)
{
    QDI_UNUSED;
    qd_str s = qd_sv_text(&a[0]);
    while (s.n && (unsigned char)s.p[0] <= ' ') s.p++, s.n--;
    while (s.n && (unsigned char)s.p[s.n - 1] <= ' ') s.n--;
    *out = qd_sv_str(s);
    return 0;
}

/* What b holds as a STRING; frees b. */
static int taken(qdp_vm *vm, qd_buf *b, qd_sv *out)
{
    int rc = qd_buf_status(b) ? qdp_nomem(vm) : qdp_string(vm, qd_buf_view(b), out);
    if (rc == 0) rc = qdp_steps(vm, b->n / 16);
    qd_buf_fini(b);
    return rc;
}

QDI_FN(replace)
{
    qd_str s = qd_sv_text(&a[0]), what, with;
    qd_buf b;
    (void)n;
    if (qdp_arg_str(vm, &a[1], &what) || qdp_arg_str(vm, &a[2], &with)) return -1;
    qd_buf_init(&b, vm->x->arena.account, 16u << 20);
    if (!what.n) {
        *out = a[0];
        return 0;
    }
    for (;;) {
        ptrdiff_t at = qd_str_find_str(s, what);
        if (at < 0) break;
        qd_buf_add(&b, s.p, (size_t)at);
        qd_buf_str(&b, with);
        s = qd_str_sub(s, (size_t)at + what.n, s.n);
    }
    qd_buf_str(&b, s);
    return taken(vm, &b, out);
}

/* splitOnToken(token[, limit]) */
QDI_FN(split_on)
{
    qd_str s = qd_sv_text(&a[0]), token;
    int64_t limit = -1;
    qd_sv l, part;
    if (qdp_arg_str(vm, &a[1], &token) || (n > 1 && qdp_arg_int(vm, &a[2], &limit))) return -1;
    if (!token.n) return qdp_throw(vm, QDI_T_ILLEGAL_ARGUMENT, "Cannot split on an empty token");
    if (qd_sv_list_make(&vm->x->arena, 4, &l)) return qdp_nomem(vm);
    for (int64_t i = 1; limit <= 0 || i < limit; i++) {
        ptrdiff_t at = qd_str_find_str(s, token);
        if (at < 0) break;
        part = qd_sv_str(qd_str_sub(s, 0, (size_t)at));
        if (qdp_list_push(vm, l.list, part)) return -1;
        s = qd_str_sub(s, (size_t)at + token.n, s.n);
    }
    if (qdp_list_push(vm, l.list, qd_sv_str(s))) return -1;
    l.tag = QD_SV_ARRAY;
    l.list->fixed = 2;
    *out = l;
    return 0;
}

QDI_FN(repeat)
{
    int64_t times;
    qd_buf b;
    (void)n;
    if (qdp_arg_int(vm, &a[1], &times)) return -1;
    if (times < 0)
        return qdp_throw(vm, QDI_T_ILLEGAL_ARGUMENT, "count is negative: %lld", (long long)times);
    if (a[0].n && times > (4 << 20) / a[0].n) return qdp_nomem(vm);
    qd_buf_init(&b, vm->x->arena.account, 8u << 20);
    for (int64_t i = 0; a[0].n && i < times; i++) qd_buf_str(&b, qd_sv_text(&a[0]));
    return taken(vm, &b, out);
}

QDI_FN(equals_ignore_case)
{
    qd_sv x, y;
    (void)n;
    if (a[1].tag != QD_SV_STRING) {
        *out = qd_sv_bool(false);
        return 0;
    }
    if (to_case(vm, qd_sv_text(&a[0]), false, &x) || to_case(vm, qd_sv_text(&a[1]), false, &y))
        return -1;
    *out = qd_sv_bool(qd_sv_equal(&x, &y));
    return 0;
}

QDI_FN(compare_ignore_case)
{
    qd_sv x, y;
    qd_str s;
    (void)n;
    if (qdp_arg_str(vm, &a[1], &s) || to_case(vm, qd_sv_text(&a[0]), false, &x) ||
        to_case(vm, s, false, &y))
        return -1;
    *out = qd_sv_int(qd_str_cmp(qd_sv_text(&x), qd_sv_text(&y)));
    return 0;
}

QDI_FN(concat)
{
    qd_str s;
    (void)n;
    if (qdp_arg_str(vm, &a[1], &s)) return -1;
    qd_str t =
        qd_arena_printf(&vm->x->arena, "%.*s%.*s", QD_STR_ARG(qd_sv_text(&a[0])), QD_STR_ARG(s));
    *out = qd_sv_str(t);
    return t.p ? 0 : qdp_nomem(vm);
}

QDI_FN(to_chars)
{
    (void)n;
    qd_str s = qd_sv_text(&a[0]);
    qd_sv l;
    if (qd_sv_list_make(&vm->x->arena, a[0].n, &l)) return qdp_nomem(vm);
    for (const char *c = s.p, *end = s.p + s.n; c < end;) {
        uint32_t cp;
        c += qd_utf8_next(c, end, &cp);
        if (qdp_list_push(vm, l.list, (qd_sv){.tag = QD_SV_CHAR, .i = cp})) return -1;
    }
    l.tag = QD_SV_ARRAY;
    l.list->fixed = 2;
    *out = l;
    return 0;
}

QDI_FN(value_of)
{
    (void)n;
    return qdp_text(vm, &a[0], out);
}

QDI_FN(join)
{
    qd_str by;
    const qd_sv *v;
    uint32_t k;
    qd_buf b;
    if (qdp_arg_str(vm, &a[0], &by)) return -1;
    if (n == 2 && a[1].tag != QD_SV_STRING) {
        if (qdp_items(vm, &a[1], &v, &k)) return -1;
    } else
        v = a + 1, k = n - 1;
    qd_buf_init(&b, vm->x->arena.account, 16u << 20);
    for (uint32_t i = 0; i < k; i++) {
        if (i) qd_buf_str(&b, by);
        qd_sv_append(&v[i], &b);
    }
    return taken(vm, &b, out);
}

static void drop_buf(void *b)
{
    qd_buf_fini(b);
}

QDI_FN(builder_new)
{
    qd_buf *b = qd_arena_calloc(&vm->x->arena, sizeof *b);
    if (!b) return qdp_nomem(vm);
    qd_buf_init(b, vm->x->arena.account, 16u << 20);
    if (qd_arena_on_reset(&vm->x->arena, drop_buf, b)) return qdp_nomem(vm);
    if (n && a[0].tag == QD_SV_STRING) qd_buf_str(b, qd_sv_text(&a[0]));
    *out = (qd_sv){.tag = QD_SV_BUILDER, .object = b};
    return qd_buf_status(b) ? qdp_nomem(vm) : 0;
}

QDI_FN(append)
{
    (void)n;
    qd_buf *b = a[0].object;
    size_t before = b->n;
    if (a[1].tag == QD_SV_BUILDER && a[1].object == b) {
        if (qd_buf_reserve(b, b->n)) qd_buf_add(b, b->p, b->n);
    } else
        qd_sv_append(&a[1], b);
    *out = a[0];
    if (qd_buf_status(b)) return qdp_nomem(vm);
    return qdp_steps(vm, (b->n - before) / 16);
}

QDI_FN(builder_text)
{
    (void)n;
    return qdp_string(vm, qd_buf_view(a[0].object), out);
}

QDI_FN(builder_length)
{
    (void)n;
    qd_str s = qd_buf_view(a[0].object);
    *out = qd_sv_int((int32_t)units(s));
    return qdp_steps(vm, s.n / 256);
}

QDI_FN(builder_char_at)
{
    (void)n;
    qd_str s = qd_buf_view(a[0].object);
    return qdp_steps(vm, s.n / 256) ? -1 : char_at(vm, s, &a[1], out);
}

/* setLength, deleteCharAt, insert, replace, reverse: the text taken, changed and put back. */
static int splice(qdp_vm *vm, qd_buf *b, int64_t from, int64_t to, qd_str with)
{
    qd_sv old, w;
    if (qdp_string(vm, qd_buf_view(b), &old) || qdp_string(vm, with, &w)) return -1;
    qd_str s = qd_sv_text(&old);
    int64_t len = units(s);
    if (to > len) to = len;
    if (from < 0 || from > to)
        return qdp_throw(vm, QDI_T_STRING_BOUNDS, "start %lld, end %lld, length %lld",
                         (long long)from, (long long)to, (long long)len);
    size_t x = byte_at(s, from), y = byte_at(s, to);
    qd_buf_reset(b);
    qd_buf_add(b, s.p, x);
    qd_buf_str(b, qd_sv_text(&w));
    qd_buf_add(b, s.p + y, s.n - y);
    return qd_buf_status(b) ? qdp_nomem(vm) : qdp_steps(vm, s.n / 8);
}

QDI_FN(set_length)
{
    int64_t len;
    (void)n;
    (void)out;
    if (qdp_arg_int(vm, &a[1], &len)) return -1;
    return splice(vm, a[0].object, len, INT32_MAX, (qd_str){"", 0});
}

QDI_FN(delete_at)
{
    int64_t i, to;
    if (qdp_arg_int(vm, &a[1], &i)) return -1;
    to = i + 1;
    if (n > 1 && qdp_arg_int(vm, &a[2], &to)) return -1;
    *out = a[0];
    return splice(vm, a[0].object, i, to, (qd_str){"", 0});
}

QDI_FN(insert)
{
    int64_t i;
    qd_sv t;
    (void)n;
    if (qdp_arg_int(vm, &a[1], &i) || qdp_text(vm, &a[2], &t)) return -1;
    *out = a[0];
    return splice(vm, a[0].object, i, i, qd_sv_text(&t));
}

QDI_FN(builder_replace)
{
    int64_t i, to;
    qd_str s;
    (void)n;
    if (qdp_arg_int(vm, &a[1], &i) || qdp_arg_int(vm, &a[2], &to) || qdp_arg_str(vm, &a[3], &s))
        return -1;
    *out = a[0];
    return splice(vm, a[0].object, i, to, s);
}

QDI_FN(reverse)
{
    (void)n;
    qd_buf *b = a[0].object;
    qd_sv old;
    if (qdp_string(vm, qd_buf_view(b), &old)) return -1;
    qd_str s = qd_sv_text(&old);
    char *to = b->p + b->n;
    for (const char *c = s.p, *end = s.p + s.n; c < end;) {
        uint32_t cp;
        size_t w = qd_utf8_next(c, end, &cp);
        to -= w;
        memcpy(to, c, w);
        c += w;
    }
    *out = a[0];
    return qdp_steps(vm, s.n / 8);
}

#define S QDI_TAG(STRING)
const qdp_method qdp_lib_string[] = {
    {"length", 0, 0, QDI_T_INT, S, length},
    {"isEmpty", 0, 0, QDI_T_BOOLEAN, S, is_empty},
    {"isBlank", 0, 0, QDI_T_BOOLEAN, S, is_blank},
    {"charAt", 1, 0, QDI_T_CHAR, S, string_char_at},
    {"substring", 1, 0, QDI_T_STRING, S, substring},
    {"substring", 2, 0, QDI_T_STRING, S, substring},
    {"subSequence", 2, 0, QDI_T_STRING, S, substring},
    {"indexOf", 1, 0, QDI_T_INT, S, index_of},
    {"indexOf", 2, 0, QDI_T_INT, S, index_of},
    {"lastIndexOf", 1, 0, QDI_T_INT, S, last_index_of},
    {"contains", 1, 0, QDI_T_BOOLEAN, S, contains},
    {"startsWith", 1, 0, QDI_T_BOOLEAN, S, starts_with},
    {"startsWith", 2, 0, QDI_T_BOOLEAN, S, starts_with},
    {"endsWith", 1, 0, QDI_T_BOOLEAN, S, ends_with},
    {"toLowerCase", 0, 0, QDI_T_STRING, S, to_lower},
    {"toUpperCase", 0, 0, QDI_T_STRING, S, to_upper},
    {"trim", 0, 0, QDI_T_STRING, S, trim},
    {"strip", 0, 0, QDI_T_STRING, S, trim},
    {"replace", 2, 0, QDI_T_STRING, S, replace},
    {"splitOnToken", 1, 0, QDI_T_STRING + QDI_T_ARRAY, S, split_on},
    {"splitOnToken", 2, 0, QDI_T_STRING + QDI_T_ARRAY, S, split_on},
    {"repeat", 1, 0, QDI_T_STRING, S, repeat},
    {"equalsIgnoreCase", 1, 0, QDI_T_BOOLEAN, S, equals_ignore_case},
    {"compareToIgnoreCase", 1, 0, QDI_T_INT, S, compare_ignore_case},
    {"concat", 1, 0, QDI_T_STRING, S, concat},
    {"toCharArray", 0, 0, QDI_T_CHAR + QDI_T_ARRAY, S, to_chars},
    {"valueOf", 1, QDI_T_STRING, QDI_T_STRING, 0, value_of},
    {"copyValueOf", 1, QDI_T_STRING, QDI_T_STRING, 0, value_of},
    {"join", -1, QDI_T_STRING, QDI_T_STRING, 0, join},
    {0},
};

#define SB QDI_TAG(BUILDER)
const qdp_method qdp_lib_builder[] = {
    {"new", 0, QDI_T_BUILDER, QDI_T_BUILDER, 0, builder_new},
    {"new", 1, QDI_T_BUILDER, QDI_T_BUILDER, 0, builder_new},
    {"append", 1, 0, QDI_T_BUILDER, SB, append},
    {"toString", 0, 0, QDI_T_STRING, SB, builder_text},
    {"length", 0, 0, QDI_T_INT, SB, builder_length},
    {"charAt", 1, 0, QDI_T_CHAR, SB, builder_char_at},
    {"setLength", 1, 0, QDI_T_VOID, SB, set_length},
    {"deleteCharAt", 1, 0, QDI_T_BUILDER, SB, delete_at},
    {"delete", 2, 0, QDI_T_BUILDER, SB, delete_at},
    {"insert", 2, 0, QDI_T_BUILDER, SB, insert},
    {"replace", 3, 0, QDI_T_BUILDER, SB, builder_replace},
    {"reverse", 0, 0, QDI_T_BUILDER, SB, reverse},
    {0},
};
