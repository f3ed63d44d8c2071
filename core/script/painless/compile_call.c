/* compile_call.c: calls, constructors, lambdas and references become code. */
#include "script/painless/compile_int.h"

int qdp_site_add(qdp_compiler *c, qdp_node *n, uint32_t nargs, bool field, bool setter)
{
    qdp_site s = {.name = n->text, .nargs = nargs, .index = -1};
    int64_t i;
    if (field && qd_str_i64(n->text, &i) && i >= 0 && i < INT32_MAX) s.index = (int32_t)i;
    if (qdp_site_bind(c->p, &s, field, setter) ||
        qd_vec_push(&c->p->sites, c->p->arena.account, s)) {
        qd_err_nomem(c->err, "a script");
        return -1;
    }
    if (c->p->sites.n > UINT16_MAX) return qdp_fail(c, n->pos, NULL, "the script is too large");
    return (int)c->p->sites.n - 1;
}

/* The arguments into registers that follow each other; types: of parameters, or NULL. */
static int arguments(qdp_compiler *c, qdp_node *args, const int16_t *types)
{
    int i = 0;
    for (qdp_node *e = args; e; e = e->next, i++) {
        int at = qdp_reg(c);
        uint32_t mine = c->f->top;
        if (at < 0) return -1;
        int r = types ? qdp_expr_to(c, e, types[i], at) : qdp_expr(c, e, at);
        if (r < 0) return -1;
        if (e->type == QDI_T_VOID)
            return qdp_fail(c, e->pos, "class_cast_exception", "Cannot cast from [void] to [def].");
        c->f->top = mine;
    }
    return 0;
}

/* own functions: their number is that of their code */
static const qdp_node *function_find(qdp_compiler *c, qd_str name, uint32_t nargs, int *code)
{
    int i = 1;
    for (const qdp_node *f = c->functions; f; f = f->next) {
        if (f->kind != N_FUNCTION) continue;
        if (qd_str_eq(f->text, name) && f->nargs == nargs) {
            *code = i;
            return f;
        }
        i++;
    }
    return NULL;
}

static int call_emit(qdp_compiler *c, qdp_node *n, int dst)
{
    uint8_t tag = qd_script_context_get(c->p->context)->emit;
    int16_t types[2] = {tag == QD_SV_STRING                       ? QDI_T_STRING
                        : tag == QD_SV_DOUBLE || tag == QD_SV_GEO ? QDI_T_DOUBLE
                        : tag == QD_SV_BOOL                       ? QDI_T_BOOLEAN
                        : tag == QD_SV_MAP                        ? QDI_T_MAP
                                                                  : QDI_T_LONG,
                        QDI_T_DOUBLE};
    uint32_t top = c->f->top;
    bool named = tag == QD_SV_MAP && n->nargs == 2; /* of a composite: a name and a value */
    if (n->nargs != (tag == QD_SV_GEO ? 2u : 1u) && !named)
        return qdp_fail(c, n->pos, NULL, "Unknown call [emit] with [%u] arguments.", n->nargs);
    if (named) types[0] = QDI_T_STRING, types[1] = QDI_T_OBJECT;
    if (arguments(c, n->args, types) < 0) return -1;
    n->type = QDI_T_VOID;
    c->f->top = top;
    return qdp_ins_add(c, n->pos, C_EMIT, 0, (int)top, (int)n->nargs) < 0 ? -1
           : dst >= 0                                                     ? dst
                                                                          : (int)top;
}

/* name(args): an own function, emit, one of the context's. */
static int call_plain(qdp_compiler *c, qdp_node *n, int dst)
{
    uint32_t top = c->f->top;
    int code, r;
    const qdp_node *f = function_find(c, n->text, n->nargs, &code);
    if (f) {
        int16_t types[64];
        int i = 0;
        for (const qdp_node *a = f->args; a && i < 64; a = a->next) types[i++] = a->type;
        if (n->nargs > 64) return qdp_fail(c, n->pos, NULL, "too many arguments");
        if (arguments(c, n->args, types) < 0) return -1;
        c->f->top = top;
        r = dst >= 0 ? dst : qdp_reg(c);
        n->type = f->type;
        return r < 0 || qdp_ins_add(c, n->pos, C_USER, r, (int)top, code) < 0 ? -1 : r;
    }
    if (qd_str_is(n->text, "emit") && qd_script_context_get(c->p->context)->emit)
        return call_emit(c, n, dst);
    const qdp_method *m = c->p->context == QD_SCRIPT_SCORE || c->p->context == QD_SCRIPT_NUMBER_SORT
                              ? qdp_static_find(QDI_T_VOID, n->text, n->nargs)
                              : NULL;
    if (!m)
        return qdp_fail(c, n->pos, NULL, "Unknown call [%.*s] with [%u] arguments.",
                        QD_STR_ARG(n->text), n->nargs);
    if (arguments(c, n->args, NULL) < 0) return -1;
    int site = qdp_site_add(c, n, n->nargs, false, false);
    if (site < 0) return -1;
    const qdp_method **one = qd_arena_alloc(&c->p->arena, sizeof *one);
    if (!one) return qd_err_nomem(c->err, "a script"), -1;
    *one = m;
    c->p->sites.at[site].m = one;
    c->f->top = top;
    r = dst >= 0 ? dst : qdp_reg(c);
    n->type = m->result;
    return r < 0 || qdp_ins_add(c, n->pos, C_STATIC, r, (int)top, site) < 0 ? -1 : r;
}

static int call_static(qdp_compiler *c, qdp_node *n, int owner, qd_str name, int dst)
{
    uint32_t top = c->f->top;
    if (owner == QDI_T_PROCESSORS && c->p->context != QD_SCRIPT_INGEST)
        return qdp_fail(c, n->pos, NULL, "cannot resolve symbol [Processors]");
    const qdp_method *m = qdp_static_find(owner, name, n->nargs);
    if (!m) {
        if (n->kind == N_NEW)
            return qdp_fail(c, n->pos, NULL, "constructor [%s, <init>/%u] not found",
                            qdp_type_full(owner), n->nargs);
        return qdp_fail(c, n->pos, NULL, "static method [%s, %.*s/%u] not found",
                        qdp_type_full(owner), QD_STR_ARG(name), n->nargs);
    }
    if (arguments(c, n->args, NULL) < 0) return -1;
    int site = qdp_site_add(c, n, n->nargs, false, false);
    const qdp_method **one = qd_arena_alloc(&c->p->arena, sizeof *one);
    if (site < 0 || !one) return -1;
    *one = m;
    c->p->sites.at[site].m = one;
    c->p->sites.at[site].index = owner; /* what a constructor makes */
    c->f->top = top;
    int r = dst >= 0 ? dst : qdp_reg(c);
    n->type = (int16_t)(n->kind == N_NEW ? owner : m->result);
    return r < 0 || qdp_ins_add(c, n->pos, C_STATIC, r, (int)top, site) < 0 ? -1 : r;
}

/* Which of a site's methods a receiver of the type has: their common result, or -1. */
static int result_of(const qdp_site *s, int type)
{
    int result = -1;
    for (uint32_t i = 0; i < s->n; i++) {
        if (!(s->m[i]->tags & qdp_type_tags(type))) continue;
        result = result < 0 || result == s->m[i]->result ? s->m[i]->result : QDI_T_DEF;
    }
    return result;
}

int qdp_compile_call(qdp_compiler *c, qdp_node *n, int dst)
{
    if (!n->a) return call_plain(c, n, dst);
    if (n->a->kind == N_TYPE) return call_static(c, n, n->a->type, n->text, dst);
    uint32_t top = c->f->top;
    int known = qdp_there(c, n, dst);
    if (known != -2) return known;
    int self = qdp_reg(c), safe = -1;
    if (self < 0 || qdp_expr(c, n->a, self) < 0) return -1;
    c->f->top = top + 1;
    int t = n->a->type;
    if (n->flags & QDI_NULLSAFE) {
        if (qdp_type_primitive(t))
            return qdp_fail(c, n->pos, NULL, "Result of null safe operator must be nullable");
        safe = qdp_jump(c, n->pos, C_JNULL, self);
    }
    if (arguments(c, n->args, NULL) < 0) return -1;
    int site = qdp_site_add(c, n, n->nargs, false, false);
    if (site < 0) return -1;
    int result = result_of(&c->p->sites.at[site], t);
    if (t != QDI_T_DEF && result < 0)
        return qdp_fail(c, n->pos, NULL, "member method [%s, %.*s/%u] not found", qdp_type_full(t),
                        QD_STR_ARG(n->text), n->nargs);
    /* what may be void is known at run time only where the receiver is */
    n->type = (int16_t)(t == QDI_T_DEF ? QDI_T_DEF : result);
    if (safe >= 0 && qdp_type_primitive(n->type)) n->type = QDI_T_DEF;
    if (qdp_ins_add(c, n->pos, C_CALL, self, self, site) < 0) return -1;
    qdp_aim(c, safe);
    c->f->top = top + 1;
    if (dst < 0 || dst == self) return self;
    return qdp_ins_add(c, n->pos, C_MOVE, dst, self, 0) < 0 ? -1 : dst;
}

static int new_array(qdp_compiler *c, qdp_node *n, int dst)
{
    uint32_t top = c->f->top;
    int element = n->type - QDI_T_ARRAY, r;
    if (n->flags & QDI_INIT) {
        for (qdp_node *e = n->args; e; e = e->next) {
            int at = qdp_reg(c);
            uint32_t mine = c->f->top;
            if (at < 0 || qdp_expr_to(c, e, element, at) < 0) return -1;
            c->f->top = mine;
        }
        c->f->top = top;
        r = qdp_reg(c);
        /* the elements, then what they are */
        if (r < 0 || qdp_ins_add(c, n->pos, C_FILL, r, (int)top, (int)n->nargs) < 0) return -1;
    } else {
        if (n->nargs > 1)
            return qdp_fail(c, n->pos, NULL,
                            "arrays of several dimensions are not supported by this version");
        int len = qdp_expr_to(c, n->args, QDI_T_INT, -1);
        c->f->top = top;
        r = qdp_reg(c);
        if (len < 0 || qdp_ins_add(c, n->pos, C_ARRAY, r, len, element) < 0) return -1;
    }
    if (dst < 0 || dst == r) return r;
    return qdp_ins_add(c, n->pos, C_MOVE, dst, r, 0) < 0 ? -1 : dst;
}

int qdp_compile_new(qdp_compiler *c, qdp_node *n, int dst)
{
    if (n->kind == N_ARRAY) return new_array(c, n, dst);
    return call_static(c, n, n->type, QD_STR("new"), dst);
}

/* The locals of the function around that a body names. */
static int captures(qdp_compiler *c, qdp_fn *f, const qdp_node *n, int depth)
{
    if (!n || depth > 1000) return 0;
    if (n->kind == N_NAME && !qdp_local_find(f, n->text)) {
        qdp_local *o = qdp_local_find(c->f, n->text);
        if (o) {
            qdp_local l = {n->text, o->type, (uint16_t)f->locals.n, true};
            if (qd_vec_push(&f->locals, c->p->arena.account, l)) return -1;
        }
    }
    const qdp_node *parts[] = {n->a, n->b, n->c, n->d};
    for (int i = 0; i < 4; i++)
        if (captures(c, f, parts[i], depth + 1) < 0) return -1;
    for (const qdp_node *e = n->args; e; e = n->kind == N_DECL ? NULL : e->next)
        if (captures(c, f, e, depth + 1) < 0) return -1;
    return 0;
}

/* Captured values into registers that follow each other, and the closure. */
static int close_over(qdp_compiler *c, uint32_t pos, const qdp_closure *k, const qdp_fn *f, int dst)
{
    uint32_t top = c->f->top;
    for (uint32_t i = 0; i < k->n; i++) {
        int at = qdp_reg(c);
        qdp_local *o = qdp_local_find(c->f, f->locals.at[i].name);
        if (at < 0 || !o || qdp_ins_add(c, pos, C_MOVE, at, o->reg, 0) < 0) return -1;
    }
    c->f->top = top;
    if (qd_vec_push(&c->p->closures, c->p->arena.account, *k)) return -1;
    int r = dst >= 0 ? dst : qdp_reg(c);
    return r < 0 || qdp_ins_add(c, pos, C_CLOSURE, r, (int)top, (int)c->p->closures.n - 1) < 0 ? -1
                                                                                               : r;
}

int qdp_compile_lambda(qdp_compiler *c, qdp_node *n, int dst)
{
    qdp_fn f = {.outer = c->f, .lambda = true, .result = QDI_T_DEF};
    qdp_code *code = qd_arena_calloc(&c->p->arena, sizeof *code);
    if (!code || qd_vec_push(&c->p->codes, c->p->arena.account, code)) {
        qd_err_nomem(c->err, "a script");
        return -1;
    }
    int rc = 0, r = -1;
    /* parameters hide what is outside: they are put aside while captures are sought */
    qdp_fn seek = {0};
    for (qdp_node *a = n->args; rc == 0 && a; a = a->next) {
        qdp_local l = {a->text, a->type, 0, false};
        rc = qd_vec_push(&seek.locals, c->p->arena.account, l);
    }
    size_t nparams = seek.locals.n;
    if (rc == 0) rc = captures(c, &seek, n->b, 0);
    for (size_t i = nparams; rc == 0 && i < seek.locals.n; i++) {
        qdp_local l = seek.locals.at[i];
        l.reg = (uint16_t)f.locals.n;
        rc = qd_vec_push(&f.locals, c->p->arena.account, l);
    }
    qdp_closure k = {.code = code, .n = (uint32_t)f.locals.n};
    for (size_t i = 0; rc == 0 && i < nparams; i++) {
        qdp_local l = seek.locals.at[i];
        l.reg = (uint16_t)f.locals.n;
        rc = qd_vec_push(&f.locals, c->p->arena.account, l);
    }
    qd_vec_fini(&seek.locals);
    f.top = f.max = (uint32_t)f.locals.n;
    code->nparams = (uint16_t)f.locals.n;
    code->ncaptured = (uint16_t)k.n;
    if (rc == 0) {
        r = close_over(c, n->pos, &k, &f, dst);
        if (qdp_function(c, &f, n->b, code) < 0) r = -1;
    } else
        qd_vec_fini(&f.locals);
    n->type = QDI_T_FUNCTION;
    return r;
}

int qdp_compile_ref(qdp_compiler *c, qdp_node *n, int dst)
{
    qdp_closure k = {0};
    int code, r = -1;
    uint32_t top = c->f->top;
    n->type = QDI_T_FUNCTION;
    if (n->a->kind == N_NAME && qd_str_is(n->a->text, "this")) {
        for (uint32_t i = 0; i < 8 && !k.code; i++)
            if (function_find(c, n->text, i, &code)) k.code = c->p->codes.at[code];
        if (!k.code)
            return qdp_fail(c, n->pos, NULL, "Unknown reference [this::%.*s].",
                            QD_STR_ARG(n->text));
    } else {
        /* bound when it is called: by the number of arguments */
        int site = qdp_site_add(c, n, UINT32_MAX, false, false);
        if (site < 0) return -1;
        k.site = (const qdp_site *)(uintptr_t)(site + 1);
        if (n->a->kind == N_TYPE) {
            c->p->sites.at[site].index = n->a->type;
            if (!c->p->sites.at[site].n && !qd_str_is(n->text, "new"))
                return qdp_fail(c, n->pos, NULL,
                                "function reference [%s::%.*s] matching "
                                "[java.util.function.Function, apply/1] not found",
                                qdp_type_full(n->a->type), QD_STR_ARG(n->text));
        } else {
            r = qdp_reg(c);
            if (r < 0 || qdp_expr(c, n->a, r) < 0) return -1;
            k.n = 1;
        }
    }
    c->f->top = top;
    if (qd_vec_push(&c->p->closures, c->p->arena.account, k)) return -1;
    r = dst >= 0 ? dst : qdp_reg(c);
    return r < 0 || qdp_ins_add(c, n->pos, C_CLOSURE, r, (int)top, (int)c->p->closures.n - 1) < 0
               ? -1
               : r;
}

static int function(qdp_compiler *c, qdp_node *n, qdp_code *code)
{
    qdp_fn f = {.result = n->type};
    code->name = n->text;
    for (qdp_node *a = n->args; a; a = a->next) {
        qdp_local l = {a->text, a->type, (uint16_t)f.locals.n, false};
        if (qd_vec_push(&f.locals, c->p->arena.account, l)) return -1;
    }
    f.top = f.max = code->nparams = (uint16_t)n->nargs;
    return qdp_function(c, &f, n->b, code);
}

static int result_type(qd_script_context context)
{
    switch (qd_script_context_get(context)->result) {
    case QD_SV_GONE:
        return QDI_T_VOID;
    case QD_SV_BOOL:
        return QDI_T_BOOLEAN;
    case QD_SV_DOUBLE:
        return QDI_T_DOUBLE;
    case QD_SV_STRING:
        return QDI_T_STRING;
    default:
        return QDI_T_DEF;
    }
}

static int code_add(qdp_compiler *c)
{
    qdp_code *code = qd_arena_calloc(&c->p->arena, sizeof *code);
    if (code && qd_vec_push(&c->p->codes, c->p->arena.account, code) == 0) return 0;
    return qd_err_nomem(c->err, "a script");
}

int qdp_compile(qdp_program *p, qdp_node *root, uint32_t *at, qd_err *err)
{
    qdp_compiler c = {.p = p, .functions = root->args, .err = err};
    int rc = code_add(&c), i = 1;
    for (const qdp_node *n = root->args; rc == 0 && n; n = n->next)
        if (n->kind == N_FUNCTION) rc = code_add(&c);
    for (qdp_node *n = root->args; rc == 0 && n; n = n->next)
        if (n->kind == N_FUNCTION) rc = function(&c, n, p->codes.at[i++]);
    qdp_fn f = {.result = result_type(p->context)};
    if (rc == 0) rc = qdp_function(&c, &f, root, p->codes.at[0]);
    *at = c.at;
    if (rc && err && !err->code) qd_err_nomem(err, "a script");
    /* sites do not move any more: references to them become pointers */
    for (size_t k = 0; rc == 0 && k < p->closures.n; k++)
        if (p->closures.at[k].site)
            p->closures.at[k].site = &p->sites.at[(uintptr_t)p->closures.at[k].site - 1];
    const qdp_node *only = root->args;
    if (rc == 0 && only && !only->next && (only->kind == N_EXPR || only->kind == N_RETURN))
        p->pure = only->a;
    return rc ? (err ? err->code : QD_E_ARG) : 0;
}
