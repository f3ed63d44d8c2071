/* engine.c: Painless as a language of core/script: compile, run, errors. */
#include "script/painless/engine.h"
#include "analysis/regex/regex.h"
#include "script/painless/vm_int.h"

/* A place of the source in characters, and what lies around it, as script_stack shows it. */
int qdp_script_error(qd_err *err, qd_str source, uint32_t at, bool compile)
{
    if (!err) return QD_E_ARG;
    if (at > source.n) at = (uint32_t)source.n;
    uint32_t from = at > 25 ? at - 25 : 0, to = source.n - at > 25 ? at + 25 : (uint32_t)source.n;
    if (!compile) { /* the statement */
        from = to = at;
        while (from > 0 && source.p[from - 1] != ';' && source.p[from - 1] != '\n' &&
               source.p[from - 1] != '{')
            from--;
        while (from < at && (source.p[from] == ' ' || source.p[from] == '\t')) from++;
        while (to < source.n && source.p[to] != ';' && source.p[to] != '\n') to++;
        if (to < source.n && source.p[to] == ';') to++;
    }
    while (from > 0 && (source.p[from] & 0xC0) == 0x80) from--;
    while (to < source.n && (source.p[to] & 0xC0) == 0x80) to++;
    qd_buf line, stack;
    qd_buf_init(&line, NULL, 1u << 20);
    qd_buf_init(&stack, NULL, 1u << 20);
    if (from) qd_buf_c(&line, "... ");
    qd_buf_add(&line, source.p + from, to - from);
    if (to < source.n) qd_buf_c(&line, " ...");
    qd_json_writer w;
    qd_json_writer_init(&w, &stack, false);
    qd_json_array(&w);
    qd_json_str(&w, qd_buf_view(&line));
    qd_buf_reset(&line);
    for (uint32_t i = from ? 0 : 4; i < 4 + at - from; i++) qd_buf_char(&line, ' ');
    qd_buf_c(&line, "^---- HERE");
    qd_json_str(&w, qd_buf_view(&line));
    qd_json_array_end(&w);
    qd_err_wrap(err, QD_E_ARG, compile ? "compile error" : "runtime error");
    qd_err_type(err, "script_exception", 400);
    qd_err_detail_raw(err, "script_stack", qd_buf_view(&stack));
    qd_err_detail_str(err, "script", source);
    qd_err_detail_str(err, "lang", QD_STR("painless"));
    qd_buf_reset(&line);
    qd_buf_printf(&line, "{\"offset\":%u,\"start\":%u,\"end\":%u}", at, from, to);
    qd_err_detail_raw(err, "position", qd_buf_view(&line));
    qd_buf_fini(&line);
    qd_buf_fini(&stack);
    return QD_E_ARG;
}

static void program_free(void *compiled)
{
    qdp_program *p = compiled;
    for (qdp_pattern *r = p->patterns; r; r = r->next) {
        qd_regex_free(r->regex);
        qd_regex_free(r->anchored);
    }
    qd_vec_fini(&p->codes);
    qd_vec_fini(&p->consts);
    qd_vec_fini(&p->sites);
    qd_vec_fini(&p->closures);
    qd_vec_fini(&p->paths);
    qd_vec_fini(&p->fields);
    qd_arena_fini(&p->arena);
    qd_free(p);
}

static int compile(qd_str source, qd_script_context context, uint8_t variant, qd_account *account,
                   void **out, size_t *bytes, qd_err *err)
{
    (void)variant;
    qdp_program *p = qd_calloc(account, sizeof *p);
    if (!p) return qd_err_nomem(err, "a script");
    qd_arena_init(&p->arena, account, 32u << 20);
    p->context = context;
    p->source = qd_arena_str(&p->arena, source);
    qdp_parser parser = {.a = &p->arena, .source = p->source, .err = err};
    uint32_t at = 0;
    int rc = p->source.p || !source.n ? qdp_lex(&parser) : qd_err_nomem(err, "a script");
    if (rc == 0) {
        qdp_node *root = qdp_parse(&parser);
        rc = root ? qdp_compile(p, root, &at, err) : err->code;
        if (!root) at = parser.failed_at;
    } else
        at = parser.failed_at;
    if (rc) {
        if (rc == QD_E_ARG) qdp_script_error(err, p->source, at, true);
        program_free(p);
        return rc;
    }
    *bytes = p->arena.total + sizeof *p + p->consts.cap * sizeof(qd_sv) +
             p->sites.cap * sizeof(qdp_site) + p->codes.cap * sizeof(void *) +
             p->closures.cap * sizeof(qdp_closure) + p->paths.cap * sizeof(qdp_path);
    *out = p;
    return 0;
}

static int run(const void *compiled, qd_script_exec *x, qd_sv *out, qd_err *err)
{
    const qdp_program *p = compiled;
    qdp_vm *vm = x->state;
    if (!vm) {
        vm = qd_calloc(x->arena.account, sizeof *vm);
        if (!vm) return qd_err_nomem(err, "the stack of a script");
        x->state = vm;
        vm->x = x;
        vm->random[0] = (uint64_t)x->now_ms * 0x9E3779B97F4A7C15ull + 1;
        vm->random[1] = (uintptr_t)vm ^ 0xD1B54A32D192ED03ull;
    }
    vm->p = p; /* one machine runs several scripts, one after the other */
    vm->steps = (int64_t)x->steps_max;
    vm->err = err;
    if (qdp_vm_run(vm, out) == 0) return 0;
    if (err->code == 0) {
        const qdp_exception *e = vm->exc.object;
        qd_err_set(err, e->type == QDI_T_OBJECT ? QD_E_BREAKER : QD_E_ARG, "%.*s",
                   QD_STR_ARG(e->message));
        qd_err_type(err, qdp_exception_type(e->type), 0);
    }
    return qdp_script_error(err, p->source, vm->exc_pos, false);
}

static void close_run(qd_script_exec *x)
{
    qd_free(x->state);
}

static uint32_t fields(const void *compiled, const qd_str **names)
{
    const qdp_program *p = compiled;
    *names = p->fields.at;
    return (uint32_t)p->fields.n;
}

static bool uses(const void *compiled, qd_script_var v)
{
    return ((const qdp_program *)compiled)->uses & 1u << v;
}

const qd_script_lang qd_script_painless = {
    .name = "painless",
    .module = "lang-painless",
    .contexts = ~(1ull << QD_SCRIPT_TEMPLATE | 1ull << QD_SCRIPT_INGEST_TEMPLATE),
    .standard = QD_SCRIPT_CONTEXTS,
    .compile = compile,
    .run = run,
    .close = close_run,
    .free = program_free,
    .fields = fields,
    .uses = uses,
    .batch = qdp_batch};
