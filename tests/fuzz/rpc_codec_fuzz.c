/*
 * rpc_codec_fuzz.c: the reader of bodies on any bytes. The first part of the input says which reads
 * are made, the rest is read. No view leaves the bytes, an error stays, and an error object that
 * was read is written and read again as the same.
 */
#include "rpc/codec.h"
#include <stdlib.h>

static void inside(const qd_body_reader *r, qd_str s)
{
    if (s.n && ((const uint8_t *)s.p < r->begin || (const uint8_t *)s.p + s.n > r->end))
        __builtin_trap();
}

static void reads(qd_body_reader *r, const uint8_t *ops, size_t n, qd_arena *a, unsigned depth)
{
    char text[32];
    size_t count;
    for (size_t i = 0; i < n; i++) {
        bool bad = qd_body_reader_bad(r);
        switch (ops[i] % 16) {
        case 0:
            (void)qd_read_u8(r, "u8");
            break;
        case 1:
            (void)qd_read_bool(r, "bool");
            break;
        case 2:
            (void)qd_read_u16(r, "u16");
            break;
        case 3:
            (void)qd_read_u32(r, "u32");
            break;
        case 4:
            (void)qd_read_u64(r, "u64");
            break;
        case 5:
            (void)qd_read_varint(r, "varint");
            break;
        case 6:
            if (qd_read_varint_max(r, "max", ops[i]) > ops[i]) __builtin_trap();
            break;
        case 7:
            (void)qd_read_zigzag(r, "zigzag");
            break;
        case 8:
            (void)qd_read_double(r, "double");
            break;
        case 9:
            inside(r, qd_read_str(r, "str", ops[i]));
            break;
        case 10:
            (void)qd_read_str_copy(r, "copy", SIZE_MAX, a);
            break;
        case 11:
            qd_read_text(r, "text", text, sizeof text);
            if (strlen(text) >= sizeof text) __builtin_trap();
            break;
        case 12:
            inside(r, qd_read_raw(r, "raw", ops[i]));
            break;
        case 13:
            if (qd_read_array(r, "array", SIZE_MAX, 2) > qd_body_reader_left(r)) __builtin_trap();
            break;
        case 14:
            (void)qd_read_varints(r, "varints", 1000, a, &count);
            break;
        default: {
            qd_body_reader inner = qd_read_part(r, "part");
            if (depth < 4) reads(&inner, ops + i + 1, n - i - 1, a, depth + 1);
            break;
        }
        }
        if (bad && !qd_body_reader_bad(r)) __builtin_trap();
        if (r->p < r->begin || r->p > r->end) __builtin_trap();
    }
}

static void errors(qd_str bytes)
{
    qd_body_reader r;
    qd_writer w;
    qd_err one, two;
    qd_err_init(&one);
    qd_err_init(&two);
    qd_body_reader_init(&r, bytes, "error", 0x100);
    qd_read_err(&r, &one);
    if (qd_body_reader_bad(&r)) {
        if (one.code) __builtin_trap();
        return;
    }
    qd_writer_init(&w, NULL, 1 << 24, 0x100);
    qd_write_err(&w, &one);
    qd_body_reader_init(&r, qd_writer_view(&w), "error", 0x100);
    qd_read_err(&r, &two);
    if (qd_body_reader_end(&r, NULL) || two.code != one.code ||
        strcmp(qd_err_reason(&one), qd_err_reason(&two)) != 0 || two.ndetails != one.ndetails)
        __builtin_trap();
    qd_writer_fini(&w);
    qd_err_fini(&one);
    qd_err_fini(&two);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    qd_arena a;
    qd_body_reader r;
    qd_err err;
    if (n < 2) return 0;
    if (p[0] == 0xff) {
        errors((qd_str){(const char *)p + 1, n - 1});
        return 0;
    }
    size_t ops = p[0] % 32;
    if (ops > n - 1) ops = n - 1;
    qd_arena_init(&a, NULL, 1 << 20);
    qd_err_init(&err);
    qd_body_reader_init(&r, (qd_str){(const char *)p + 1 + ops, n - 1 - ops}, "fuzz", 0x100);
    reads(&r, p + 1, ops, &a, 0);
    (void)qd_body_reader_end(&r, &err);
    qd_err_fini(&err);
    qd_arena_fini(&a);
    return 0;
}
