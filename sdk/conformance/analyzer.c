/*
 * analyzer.c: the contract of char filters, tokenizers and token filters as tests: results are
 * within bounds, valid UTF-8, equal on every run and thread; errors are codes.
 */
#include "suite.h"
#include <pthread.h>
#include <stdlib.h>

static const char *const texts[] = {
    "",
    "The quick brown fox jumps over the lazy dog.",
    "  white   space\t\nand\r\npunctuation!?... (all) [of] {it}; a:b, c@d.e \"quoted\" 'single'",
    "Stra\xc3\x9f"
    "e na\xc3\xafve \xc3\x85ngstr\xc3\xb6m \xce\xb1\xce\xb2\xce\xb3 "
    "\xd0\x9c\xd0\xbe\xd1\x81\xd0\xba\xd0\xb2\xd0\xb0 \xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e "
    "\xf0\x9f\x98\x80 x\xcc\x81",
    "1234 3.14 -5 1e10 0xff 192.168.0.1 2024-01-01T00:00:00Z",
    "<b>mark</b> &amp; &#x41; <script>x</script>",
};
#define NTEXTS (COUNT(texts) + 1) /* and a long one */

static qd_str text_of(size_t i)
{
    static char longer[200000];
    if (i < COUNT(texts)) return str_c(texts[i]);
    if (!longer[0])
        for (size_t k = 0; k < sizeof longer; k++)
            longer[k] = k % 7 == 6 && k < 150000
                            ? ' '
                            : (char)('a' + k * 31 % 26); /* ends in one huge word */
    return (qd_str){longer, sizeof longer};
}

static int utf8_ok(const char *p, size_t n)
{
    const uint8_t *s = (const uint8_t *)p;
    for (size_t i = 0; i < n;) {
        uint32_t c = s[i], k = c < 0x80                ? 0
                               : c >= 0xf0 && c < 0xf5 ? 3
                               : c >= 0xe0             ? 2
                               : c >= 0xc2             ? 1
                                                       : 9;
        if (k == 9 || c > 0xf4 || k > n - i - 1) return 0;
        for (uint32_t j = 1; j <= k; j++)
            if ((s[i + j] & 0xc0) != 0x80) return 0;
        if ((c == 0xe0 && s[i + 1] < 0xa0) || (c == 0xed && s[i + 1] > 0x9f)) return 0;
        if ((c == 0xf0 && s[i + 1] < 0x90) || (c == 0xf4 && s[i + 1] > 0x8f)) return 0;
        i += k + 1;
    }
    return 1;
}

static uint32_t utf16_units(qd_str s)
{
    uint32_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = (uint8_t)s.p[i];
        n += (c & 0xc0) != 0x80 ? 1 + (c >= 0xf0) : 0;
    }
    return n;
}

static int32_t batch_grow(qd_token_batch *b, uint32_t tokens, uint32_t bytes)
{
    if (bytes > (64u << 20) || tokens > (8u << 20)) return QD_E_LIMIT;
    uint32_t nt = b->ntokens + tokens, nb = b->nbytes + bytes;
    if (nt > b->tokens_cap) {
        void *p = realloc(b->tokens, (size_t)nt * 2 * sizeof *b->tokens);
        if (!p) return QD_E_NOMEM;
        b->tokens = p;
        b->tokens_cap = nt * 2;
    }
    if (nb > b->bytes_cap) {
        void *p = realloc(b->bytes, (size_t)nb * 2);
        if (!p) return QD_E_NOMEM;
        b->bytes = p;
        b->bytes_cap = nb * 2;
    }
    return 0;
}

static void batch_init(qd_token_batch *b, qd_arena *arena)
{
    memset(b, 0, sizeof *b);
    b->grow = batch_grow;
    b->arena = arena;
}

static void batch_free(qd_token_batch *b)
{
    free(b->tokens);
    free(b->bytes);
}

static int batch_equal(const qd_token_batch *a, const qd_token_batch *b)
{
    if (a->ntokens != b->ntokens || a->end_offset != b->end_offset || a->end_inc != b->end_inc)
        return 0;
    for (uint32_t i = 0; i < a->ntokens; i++) {
        const qd_token *x = &a->tokens[i], *y = &b->tokens[i];
        if (x->text_len != y->text_len || x->start != y->start || x->end != y->end ||
            x->type != y->type || x->position_inc != y->position_inc ||
            x->position_len != y->position_len ||
            (x->text_len && memcmp(a->bytes + x->text, b->bytes + y->text, x->text_len) != 0))
            return 0;
    }
    return 1;
}

/* The words of a text at white space, as input for filters; offsets of UTF-16 units. */
static int32_t split(qd_str in, qd_token_batch *out)
{
    uint32_t units = 0;
    for (size_t i = 0; i < in.n;) {
        size_t from = i;
        uint32_t at = units;
        while (i < in.n && !strchr(" \t\r\n", in.p[i])) i++;
        units += utf16_units((qd_str){in.p + from, i - from});
        if (i > from) {
            int32_t rc = out->grow(out, 1, (uint32_t)(i - from));
            if (rc) return rc;
            memcpy(out->bytes + out->nbytes, in.p + from, i - from);
            out->tokens[out->ntokens++] =
                (qd_token){out->nbytes, (uint32_t)(i - from), at, units, 1, 1, QD_TOKEN_WORD, 0, 0};
            out->nbytes += (uint32_t)(i - from);
        } else {
            i++;
            units++;
        }
    }
    out->end_offset = units;
    return 0;
}

static void check_batch(qd_conform *c, const qd_token_batch *b, uint32_t units, uint64_t flags)
{
    CHECK(c, b->ntokens <= b->tokens_cap && b->nbytes <= b->bytes_cap);
    uint64_t position = 0;
    for (uint32_t i = 0; i < b->ntokens; i++) {
        const qd_token *t = &b->tokens[i];
        CHECK(c, t->text <= b->nbytes && t->text_len <= b->nbytes - t->text);
        CHECK(c, utf8_ok(b->bytes + t->text, t->text_len));
        CHECK(c, t->start <= t->end && t->end <= units);
        CHECK(c, t->position_len >= 1);
        CHECK(c, t->position_len == 1 || (flags & QD_ANALYZER_GRAPH));
        CHECK(c, i > 0 || t->position_inc > 0);
        CHECK(c, t->type < QD_TOKEN_TYPE_OTHER ||
                     (uint32_t)(t->type - QD_TOKEN_TYPE_OTHER) < b->ntype_names);
        position += t->position_inc;
    }
    CHECK(c, position <= 1u << 30);
}

/* One part of an analyzer, whichever kind it is. */
typedef struct part {
    qd_conform *c;
    const qd_tokenizer_vtable *tokenizer;
    const qd_token_filter_vtable *filter;
    const qd_char_filter_vtable *chars;
    uint64_t flags;
    void *instance;
} part;

static int32_t open_part(part *p, const qd_pair *options, uint32_t n, void **out)
{
    qd_analyzer_config config = {.struct_size = sizeof config,
                                 .noptions = n,
                                 .name = S("conformance"),
                                 .options = options,
                                 .json = S("{}"),
                                 .config_dir = p->c->folder};
    if (p->tokenizer) return p->tokenizer->open(p->c->self, &config, out, p->c->err);
    if (p->filter) return p->filter->open(p->c->self, &config, out, p->c->err);
    return p->chars->open(p->c->self, &config, out, p->c->err);
}

static void close_part(part *p, void *instance)
{
    if (p->tokenizer)
        p->tokenizer->close(instance);
    else if (p->filter)
        p->filter->close(instance);
    else
        p->chars->close(instance);
}

/* Runs a tokenizer or token filter over a text into out. */
static int32_t run_part(part *p, qd_str in, qd_token_batch *out)
{
    if (p->tokenizer) return p->tokenizer->run(p->instance, in, out, NULL);
    qd_token_batch words;
    batch_init(&words, out->arena);
    int32_t rc = split(in, &words);
    if (rc == 0) rc = p->filter->run(p->instance, &words, out, NULL);
    if (rc == 1) {
        qd_token_batch t = *out;
        *out = words;
        words = t;
        rc = 0;
    } else if (out->end_offset == 0) {
        out->end_offset = words.end_offset;
    }
    batch_free(&words);
    return rc;
}

static void results_are_sound(part *p)
{
    for (size_t i = 0; i < NTEXTS; i++) {
        qd_token_batch a, b;
        batch_init(&a, p->c->arena);
        batch_init(&b, p->c->arena);
        CHECK_EQ(p->c, run_part(p, text_of(i), &a), 0);
        check_batch(p->c, &a, utf16_units(text_of(i)), p->flags);
        if (p->c->outcome) return;
        if (p->tokenizer) CHECK_EQ(p->c, a.end_offset, utf16_units(text_of(i)));
        CHECK_EQ(p->c, run_part(p, text_of(i), &b), 0);
        CHECK(p->c, batch_equal(&a, &b));
        batch_free(&a);
        batch_free(&b);
    }
}

typedef struct runner {
    part *p;
    const qd_token_batch *wanted;
    int32_t rc;
} runner;

static void *run_many(void *arg)
{
    runner *r = arg;
    for (int round = 0; round < 50 && r->rc == 0; round++) {
        for (size_t i = 0; i < COUNT(texts) && r->rc == 0; i++) {
            qd_token_batch b;
            batch_init(&b,
                       NULL); /* the arena is one thread's: filters that want one get none here */
            b.arena = r->wanted[i].arena;
            r->rc = run_part(r->p, text_of(i), &b);
            if (r->rc == 0 && !batch_equal(&b, &r->wanted[i])) r->rc = QD_E_INTERNAL;
            batch_free(&b);
        }
    }
    return NULL;
}

/* Alternating instances of one thread each would hide shared state: two run over one at a time. */
static void instances_are_independent(part *p)
{
    static qd_token_batch wanted[COUNT(texts)];
    for (size_t i = 0; i < COUNT(texts); i++) {
        batch_init(&wanted[i], p->c->arena);
        CHECK_EQ(p->c, run_part(p, text_of(i), &wanted[i]), 0);
    }
    void *first = p->instance, *second;
    CHECK_EQ(p->c, open_part(p, p->c->options, p->c->noptions, &second), 0);
    runner r = {p, wanted, 0};
    pthread_t t;
    CHECK_EQ(p->c, pthread_create(&t, NULL, run_many, &r), 0);
    pthread_join(t, NULL); /* from another thread than the one that opened it */
    CHECK_EQ(p->c, r.rc, 0);
    p->instance = second;
    (void)run_many(&r);
    p->instance = first;
    CHECK_EQ(p->c, r.rc, 0);
    close_part(p, second);
    for (size_t i = 0; i < COUNT(texts); i++) batch_free(&wanted[i]);
}

static void unknown_options_are_refused(part *p)
{
    qd_pair options[17];
    uint32_t n = p->c->noptions < 16 ? p->c->noptions : 16;
    if (n) memcpy(options, p->c->options, n * sizeof *options);
    options[n] = (qd_pair){S("no_such_option_at_all"), S("1")};
    void *instance;
    int32_t rc = open_part(p, options, n + 1, &instance);
    if (rc == 0) close_part(p, instance);
    CHECK_EQ(p->c, rc, QD_E_ARG);
}

static void no_memory_is_an_error(part *p)
{
    for (uint64_t n = 1; n < 1000; n++) {
        void *instance;
        p->c->alloc_fail(p->c, n);
        int32_t rc = open_part(p, p->c->options, p->c->noptions, &instance);
        p->c->alloc_fail(p->c, 0);
        p->c->err_clear(p->c);
        CHECK(p->c, rc == 0 || rc == QD_E_NOMEM);
        if (rc) continue;
        close_part(p, instance);
        return;
    }
}

static void opens_many_times(part *p)
{
    for (int i = 0; i < 100; i++) {
        void *instance;
        CHECK_EQ(p->c, open_part(p, p->c->options, p->c->noptions, &instance), 0);
        close_part(p, instance);
    }
}

static int32_t text_grow(qd_text *t, uint32_t bytes, uint32_t fixes)
{
    if (bytes > (64u << 20) || fixes > (8u << 20)) return QD_E_LIMIT;
    uint32_t nb = t->nbytes + bytes, nf = t->nfixes + fixes;
    if (nb > t->bytes_cap) {
        void *p = realloc(t->bytes, (size_t)nb * 2);
        if (!p) return QD_E_NOMEM;
        t->bytes = p;
        t->bytes_cap = nb * 2;
    }
    if (nf > t->fixes_cap) {
        void *p = realloc(t->fixes, (size_t)nf * 2 * sizeof *t->fixes);
        if (!p) return QD_E_NOMEM;
        t->fixes = p;
        t->fixes_cap = nf * 2;
    }
    return 0;
}

static void texts_are_sound(part *p)
{
    for (size_t i = 0; i < NTEXTS; i++) {
        qd_text out = {.grow = text_grow, .arena = p->c->arena};
        qd_str in = text_of(i);
        CHECK_EQ(p->c, p->chars->run(p->instance, in, &out, p->c->err), 0);
        CHECK(p->c, out.nbytes <= out.bytes_cap && out.nfixes <= out.fixes_cap);
        CHECK(p->c, utf8_ok(out.bytes ? out.bytes : "", out.nbytes));
        int64_t units = utf16_units(in), mine = utf16_units((qd_str){out.bytes, out.nbytes});
        for (uint32_t k = 0; k < out.nfixes; k++) {
            CHECK(p->c, k == 0 || out.fixes[k].offset > out.fixes[k - 1].offset);
            int64_t back = (int64_t)out.fixes[k].offset + out.fixes[k].diff;
            CHECK(p->c, out.fixes[k].offset <= mine && back >= 0 && back <= units);
        }
        free(out.bytes);
        free(out.fixes);
    }
}

static void opens(part *p)
{
    CHECK_EQ(p->c, open_part(p, p->c->options, p->c->noptions, &p->instance), 0);
}

static void run_all(part *p)
{
    qd_conform *c = p->c;
    RUN(c, "it opens", opens(p));
    if (c->outcome) return;
    if (p->chars) {
        RUN(c, "texts and corrections are sound", texts_are_sound(p));
    } else {
        RUN(c, "tokens are sound and repeat", results_are_sound(p));
        RUN(c, "instances are independent", instances_are_independent(p));
    }
    RUN(c, "unknown options are refused", unknown_options_are_refused(p));
    RUN(c, "it opens many times", opens_many_times(p));
    RUN(c, "out of memory is an error", no_memory_is_an_error(p));
    close_part(p, p->instance);
}

void qd_conform_char_filter(qd_conform *c, const char *name, const qd_char_filter_vtable *vt)
{
    (void)name;
    run_all(&(part){.c = c, .chars = vt, .flags = vt->head.flags});
}

void qd_conform_tokenizer(qd_conform *c, const char *name, const qd_tokenizer_vtable *vt)
{
    (void)name;
    run_all(&(part){.c = c, .tokenizer = vt, .flags = vt->head.flags});
}

void qd_conform_token_filter(qd_conform *c, const char *name, const qd_token_filter_vtable *vt)
{
    (void)name;
    run_all(&(part){.c = c, .filter = vt, .flags = vt->head.flags});
}
