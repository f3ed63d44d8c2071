/*
 * coord_wire_fuzz.c: what masters say to each other, of any bytes: the envelope, each body, and
 * commands of other members: one that is found sound must be one that every machine takes. What was
 * read and written again reads the same.
 */
#include "heap.h"
#include <coordination-common/entry.h>
#include <coordination-common/machine.h>
#include <coordination-common/wire.h>
#include <coordination-raft/discover.h>
#include <stdlib.h>

static const cr_heap heap = {&mem, NULL};

/* A sound command in an entry: the machine must not call it damage. */
static void command(const uint8_t *p, size_t n)
{
    if (n < 2) return;
    cr_reader r = {.p = p + 1, .n = n - 1};
    if (!cr_command_sound(p[0], &r)) return;
    cr_machine *m = cr_machine_make(&heap, 16, 1 << 16);
    for (int i = 0; i < 2; i++) {
        cr_writer w;
        cr_writer_begin(&w, &heap);
        if (i == 0) {
            cr_command_begin(&w, CR_FORM);
            cr_put(&w.bytes, "0123456789abcdef", 16);
            cr_put64(&w.bytes, 1);
        } else {
            cr_command_begin(&w, CR_FROM);
            cr_put64(&w.bytes, 7);
            cr_put64(&w.bytes, 8);
            cr_put(&w.bytes, p, n);
        }
        cr_command_end(&w);
        cr_writer_end(&w, 1);
        if (w.bytes.n <= CR_ENTRY_MAX && cr_machine_apply(m, w.bytes.p, w.bytes.n))
            __builtin_trap();
        cr_bytes_free(&w.bytes);
    }
    cr_machine_free(m);
}

static void same(const cr_bytes *a, const uint8_t *p, size_t n)
{
    if (a->n != n || memcmp(a->p, p, n) != 0) __builtin_trap();
}

static void body(uint8_t type, cr_reader r)
{
    cr_reader all = r;
    cr_bytes out = {.heap = &heap};
    cr_info *i = calloc(1, sizeof *i);
    cr_forming *f = calloc(1, sizeof *f);
    cr_answering *a = calloc(1, sizeof *a);
    cr_search *s = calloc(1, sizeof *s);
    cr_decision *d = calloc(1, sizeof *d);
    cr_request q;
    uint64_t x, y;
    int32_t rc;
    qd_str text;
    switch (type) {
    case CR_SAY_PROBE:
    case CR_SAY_INFO: {
        cr_envelope e = {.type = type, .from = 5, .address = QD_STR("a:1"), .name = QD_STR("a")};
        if (cr_wire_info_read(&r, i)) break;
        cr_wire_info(&out, i);
        same(&out, all.p, all.n);
        s->id = 9;
        s->nfirst = 2;
        memcpy(s->first[0].name, "a", 2);
        memcpy(s->first[1].address, "b:1", 4);
        cr_search_take(s, &e, i, QD_STR("b:1"), 1);
        cr_search_decide(s, 2, d);
        break;
    }
    case CR_SAY_FORM:
        if (cr_wire_forming_read(&r, f)) break;
        cr_wire_forming(&out, f);
        cr_forming_id(f, s->promised);
        break;
    case CR_SAY_REQUEST:
        if (cr_wire_request_read(&r, &q)) break;
        cr_wire_request(&out, &q);
        same(&out, all.p, all.n);
        break;
    case CR_SAY_MORE:
    case CR_SAY_ANSWER:
        if (cr_wire_answer_read(&r, a)) break;
        cr_wire_answer(&out, a);
        break;
    default:
        if (cr_wire_numbers_read(&r, &x, &rc, &y, &text)) break;
        cr_wire_numbers(&out, x, rc, y, text);
        same(&out, all.p, all.n);
    }
    cr_bytes_free(&out);
    free(i);
    free(f);
    free(a);
    free(s);
    free(d);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    if (n == 0) return 0;
    cr_reader r = {.p = p + 1, .n = n - 1};
    cr_envelope e;
    if (p[0] == 0)
        command(p + 1, n - 1);
    else if (p[0] < CR_SAY_END)
        body(p[0], r);
    else if (cr_wire_read(&r, &e) == 0)
        body(e.type, r);
    return 0;
}
