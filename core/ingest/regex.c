/* regex.c: see regex_int.h. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "base/str.h"
#include "base/utf8.h"
#include "ingest/regex_int.h"
#include <pcre2.h>

#define PATTERN_MAX ((size_t)256 << 10)
#define STEPS_MAX 500000u
#define DEPTH_MAX 200000u /* where nothing is compiled to machine code */
#define STACK_MIN ((size_t)32 << 10)
#define STACK_MAX ((size_t)1 << 20)
#define HEAP_KIB_MAX 16384u
#define GROUPS_MAX 1000u

struct qdi_regex {
    pcre2_code *code;
    qd_account *account;
    qd_str pattern;
    uint32_t groups;
};
struct qdi_regex_state {
    pcre2_general_context *general;
    pcre2_match_context *match;
    pcre2_match_data *data;
    pcre2_jit_stack *stack;
};

static void *give(size_t n, void *account)
{
    return qd_alloc(account, n);
}

static void take(void *p, void *account)
{
    (void)account;
    qd_free(p);
}

static void free_code(void *arg)
{
    pcre2_code_free(arg);
}

static int fail(int code, PCRE2_SIZE at, qd_str pattern, qd_err *err)
{
    PCRE2_UCHAR why[256];
    if (code == PCRE2_ERROR_HEAP_FAILED) return qd_err_nomem(err, "regular expression");
    if (pcre2_get_error_message(code, why, sizeof why) < 0) why[0] = 0;
    return qd_err_set(err, QD_E_ARG, "%s near index %zu\n%.*s", (const char *)why, (size_t)at,
                      QD_STR_ARG(pattern));
}

static int compile(qd_str pattern, qd_str given, uint32_t flags, qdi_regex *x, qd_account *account,
                   qd_err *err)
{
    int why;
    PCRE2_SIZE at;
    uint32_t options = PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C;
    if (flags & QDI_REGEX_NAMED) options |= PCRE2_NO_AUTO_CAPTURE;
    pcre2_general_context *g = pcre2_general_context_create(give, take, account);
    pcre2_compile_context *c = g ? pcre2_compile_context_create(g) : NULL;
    if (c) {
        (void)pcre2_set_newline(c,
                                flags & QDI_REGEX_JAVA ? PCRE2_NEWLINE_ANYCRLF : PCRE2_NEWLINE_LF);
        (void)pcre2_set_max_pattern_length(c, PATTERN_MAX);
        (void)pcre2_set_parens_nest_limit(c, 200);
        x->code = pcre2_compile((PCRE2_SPTR)(pattern.p ? pattern.p : ""), pattern.n, options, &why,
                                &at, c);
    }
    int rc = !c ? qd_err_nomem(err, "regular expression") : 0;
    if (c && !x->code) rc = fail(why, at, given, err);
    pcre2_compile_context_free(c);
    pcre2_general_context_free(g);
    return rc;
}

int qdi_regex_make(qd_arena *a, qd_str pattern, uint32_t flags, qdi_regex **out, qd_err *err)
{
    qdi_regex *x = qd_arena_calloc(a, sizeof *x);
    if (!x) return qd_err_nomem(err, "regular expression");
    x->pattern = pattern;
    x->account = a->account;
    qd_buf b;
    qd_buf_init(&b, a->account, PATTERN_MAX);
    int rc = qdi_regex_translate(pattern, flags, &b, err);
    if (!rc) rc = compile(qd_buf_view(&b), pattern, flags, x, a->account, err);
    qd_buf_fini(&b);
    if (rc) return rc;
    if (qd_arena_on_reset(a, free_code, x->code)) return qd_err_nomem(err, "regular expression");
    (void)pcre2_pattern_info(x->code, PCRE2_INFO_CAPTURECOUNT, &x->groups);
    if (x->groups >= GROUPS_MAX)
        return qd_err_set(err, QD_E_ARG, "a regular expression may have at most [%u] groups",
                          GROUPS_MAX - 1);
    (void)pcre2_jit_compile(x->code, PCRE2_JIT_COMPLETE); /* without it the search is slower */
    *out = x;
    return 0;
}

uint32_t qdi_regex_group(const qdi_regex *x, const char *name)
{
    int n = pcre2_substring_number_from_name(x->code, (PCRE2_SPTR)name);
    return n > 0 ? (uint32_t)n : 0;
}

uint32_t qdi_regex_groups(const qdi_regex *x)
{
    return x->groups;
}

static struct qdi_regex_state *room_of(const qdi_regex *x, qdi_regex_room *room)
{
    struct qdi_regex_state *s = room->state;
    if (s) return s;
    s = room->state = qd_calloc(x->account, sizeof *s);
    if (!s) return NULL;
    s->general = pcre2_general_context_create(give, take, x->account);
    if (s->general) s->match = pcre2_match_context_create(s->general);
    if (s->match) s->data = pcre2_match_data_create(GROUPS_MAX, s->general);
    if (s->data) s->stack = pcre2_jit_stack_create(STACK_MIN, STACK_MAX, s->general);
    if (!s->data) {
        qdi_regex_room_free(room);
        return NULL;
    }
    if (s->stack) pcre2_jit_stack_assign(s->match, NULL, s->stack);
    (void)pcre2_set_match_limit(s->match, STEPS_MAX);
    (void)pcre2_set_depth_limit(s->match, DEPTH_MAX);
    (void)pcre2_set_heap_limit(s->match, HEAP_KIB_MAX);
    return s;
}

int qdi_regex_find(const qdi_regex *x, qdi_regex_room *room, qd_str text, size_t from,
                   const size_t **at, qd_err *err)
{
    struct qdi_regex_state *s = room_of(x, room);
    if (!s) return qd_err_nomem(err, "search of a regular expression");
    /* ids and routing come from paths, which may hold any bytes */
    if (!from && !qd_utf8_valid(text, NULL))
        return qd_err_set(err, QD_E_ARG, "the text to be searched is not valid UTF-8");
    int n = pcre2_match(x->code, (PCRE2_SPTR)(text.p ? text.p : ""), text.n, from,
                        PCRE2_NO_UTF_CHECK, s->data, s->match);
    if (n == PCRE2_ERROR_NOMATCH) return 0;
    if (n < 0) {
        room->too_long++;
        return qd_err_set(
            err, QD_E_ARG,
            "the search for the pattern [%.*s] in a text of [%zu] bytes took more than "
            "the [%u] steps that it may",
            (int)(x->pattern.n > 200 ? 200 : x->pattern.n), x->pattern.p, text.n, STEPS_MAX);
    }
    *at = pcre2_get_ovector_pointer(s->data);
    for (uint32_t k = (uint32_t)n; k <= x->groups; k++)
        ((size_t *)(uintptr_t)*at)[2 * k] = ((size_t *)(uintptr_t)*at)[2 * k + 1] = SIZE_MAX;
    return 1;
}

void qdi_regex_room_free(qdi_regex_room *room)
{
    struct qdi_regex_state *s = room->state;
    if (!s) return;
    if (s->stack) pcre2_jit_stack_free(s->stack);
    pcre2_match_data_free(s->data);
    pcre2_match_context_free(s->match);
    pcre2_general_context_free(s->general);
    qd_free(s);
    room->state = NULL;
}

const size_t *qdi_regex_last(const qdi_regex_room *room)
{
    return pcre2_get_ovector_pointer(room->state->data);
}
