/* compile.c: functions and statements become code. */
#include "script/painless/compile_int.h"
#include <stdarg.h>
#include <stdio.h>

int qdp_fail(qdp_compiler *c, uint32_t pos, const char *type, const char *fmt, ...)
{
    char text[220];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (c->err && c->err->code) return -1;
    c->at = pos;
    qd_err_set(c->err, QD_E_ARG, "%s", text);
    if (type) qd_err_type(c->err, type, 0);
    return -1;
}

int qdp_reg(qdp_compiler *c)
{
    qdp_fn *f = c->f;
    if (f->top >= QDI_STACK / 8) return qdp_fail(c, 0, NULL, "the script needs too many registers");
    int r = (int)f->top++;
    if (f->top > f->max) f->max = f->top;
    return r;
}

int qdp_ins_add(qdp_compiler *c, uint32_t pos, int op, int a, int b, int c3)
{
    qd_account *acc = c->p->arena.account;
    qdp_fn *f = c->f;
    if (a < 0 || b < 0 || c3 < 0) return -1;
    if (f->ins.n > 1u << 20) return qdp_fail(c, pos, NULL, "the script is too large");
    qdp_ins ins = {(uint16_t)op, (uint16_t)a, (uint16_t)b, (uint16_t)c3};
    if (qd_vec_push(&f->ins, acc, ins) || qd_vec_push(&f->pos, acc, pos)) {
        qd_err_nomem(c->err, "a script");
        return -1;
    }
    return (int)f->ins.n - 1;
}

int qdp_jump(qdp_compiler *c, uint32_t pos, int op, int a)
{
    return qdp_ins_add(c, pos, op, a, 0, 0);
}

void qdp_aim_at(qdp_compiler *c, int jump, uint32_t target)
{
    if (jump < 0) return;
    c->f->ins.at[jump].b = (uint16_t)target;
    c->f->ins.at[jump].c = (uint16_t)(target >> 16);
}

void qdp_aim(qdp_compiler *c, int jump)
{
    qdp_aim_at(c, jump, (uint32_t)c->f->ins.n);
}

int qdp_const(qdp_compiler *c, qd_sv v)
{
    for (size_t i = 0; i < c->p->consts.n; i++)
        if (qd_sv_equal(&c->p->consts.at[i], &v)) return (int)i;
    if (qd_vec_push(&c->p->consts, c->p->arena.account, v)) {
        qd_err_nomem(c->err, "a script");
        return -1;
    }
    return (int)c->p->consts.n - 1;
}

qdp_local *qdp_local_find(qdp_fn *f, qd_str name)
{
    for (size_t i = f->locals.n; i-- > 0;)
        if (qd_str_eq(f->locals.at[i].name, name)) return &f->locals.at[i];
    return NULL;
}

int qdp_local_add(qdp_compiler *c, uint32_t pos, qd_str name, int type)
{
    if (type == QDI_T_VOID)
        return qdp_fail(c, pos, NULL, "Cannot declare a variable of type [void].");
    for (size_t i = 0; i < c->f->locals.n; i++)
        if (qd_str_eq(c->f->locals.at[i].name, name))
            return qdp_fail(c, pos, NULL, "Variable [%.*s] is already defined.", QD_STR_ARG(name));
    int r = qdp_reg(c);
    qdp_local l = {name, (int16_t)type, (uint16_t)r, false};
    if (r < 0 || qd_vec_push(&c->f->locals, c->p->arena.account, l)) return -1;
    return r;
}

static int block(qdp_compiler *c, qdp_node *n)
{
    size_t locals = c->f->locals.n;
    uint32_t top = c->f->top;
    if (n->kind == N_BLOCK) {
        for (qdp_node *s = n->args; s; s = s->next)
            if (qdp_statement(c, s) < 0) return -1;
    } else if (qdp_statement(c, n) < 0)
        return -1;
    c->f->locals.n = locals;
    c->f->top = top;
    return 0;
}

static int decl(qdp_compiler *c, qdp_node *n)
{
    for (; n; n = n->args) {
        uint32_t top = c->f->top;
        int r = qdp_reg(c); /* the value first: a declaration does not see itself */
        if (r < 0) return -1;
        if (n->a) {
            if (qdp_expr_to(c, n->a, n->type, r) < 0) return -1;
        } else {
            qd_sv zero = {.tag = qdp_type_primitive(n->type) ? qdp_type_tag(n->type) : QD_SV_NULL};
            int k = qdp_const(c, zero);
            if (qdp_ins_add(c, n->pos, C_CONST, r, k < 0 ? k : k & 0xFFFF, k >> 16) < 0) return -1;
        }
        c->f->top = top;
        if (qdp_local_add(c, n->pos, n->text, n->type) < 0) return -1;
    }
    return 0;
}

/* A condition: its register, as boolean. */
static int condition(qdp_compiler *c, qdp_node *n)
{
    return qdp_expr_to(c, n, QDI_T_BOOLEAN, -1);
}

static int branch(qdp_compiler *c, qdp_node *n)
{
    int r = condition(c, n->a);
    int jump = qdp_jump(c, n->pos, C_JF, r);
    if (jump < 0 || block(c, n->b) < 0) return -1;
    if (n->c) {
        int over = qdp_jump(c, n->pos, C_JUMP, 0);
        qdp_aim(c, jump);
        if (over < 0 || block(c, n->c) < 0) return -1;
        jump = over;
    }
    qdp_aim(c, jump);
    return 0;
}

static void loop_end(qdp_compiler *c, qdp_loop *l, uint32_t again)
{
    for (size_t i = 0; i < l->breaks.n; i++) qdp_aim(c, (int)l->breaks.at[i]);
    for (size_t i = 0; i < l->continues.n; i++) qdp_aim_at(c, (int)l->continues.at[i], again);
    qd_vec_fini(&l->breaks);
    qd_vec_fini(&l->continues);
    c->f->loop = l->outer;
}

/* Elasticsearch refuses loops that are nothing and never end. */
static bool is_endless(const qdp_node *test, const qdp_node *body)
{
    bool always =
        !test || (test->kind == N_CONST && test->value.tag == QD_SV_BOOL && test->value.i);
    return always && (!body || (body->kind == N_BLOCK && !body->args));
}

/* while, do and for: a test b, step c, body d; first: the test stands behind the body. */
static int loop(qdp_compiler *c, uint32_t pos, qdp_node *test, qdp_node *step, qdp_node *body,
                bool last)
{
    qdp_loop l = {.outer = c->f->loop};
    uint32_t begin = (uint32_t)c->f->ins.n, again = begin, top = c->f->top;
    int rc = 0, out = -1;
    if (is_endless(test, body))
        return qdp_fail(c, pos, NULL, "no paths escape from %s loop",
                        last            ? "do while"
                        : step || !test ? "for"
                                        : "while");
    c->f->loop = &l;
    if (test && !last) {
        int r = condition(c, test);
        out = qdp_jump(c, pos, C_JF, r);
        if (out < 0) rc = -1;
        c->f->top = top;
    }
    if (rc == 0 && body) rc = block(c, body);
    again = (uint32_t)c->f->ins.n;
    if (rc == 0 && step && qdp_expr(c, step, -1) < 0) rc = -1;
    c->f->top = top;
    if (rc == 0 && last) {
        int r = condition(c, test), j = qdp_jump(c, pos, C_JT, r);
        qdp_aim_at(c, j, begin);
        rc = j < 0 ? -1 : 0;
    } else if (rc == 0) {
        int j = qdp_jump(c, pos, C_JUMP, 0);
        qdp_aim_at(c, j, begin);
        rc = j < 0 ? -1 : 0;
    }
    c->f->top = top;
    qdp_aim(c, out);
    loop_end(c, &l, again);
    return rc;
}

static int loop_for(qdp_compiler *c, qdp_node *n)
{
    size_t locals = c->f->locals.n;
    uint32_t top = c->f->top;
    if (n->a) {
        if (n->a->kind == N_DECL) {
            if (decl(c, n->a) < 0) return -1;
        } else if (qdp_expr(c, n->a, -1) < 0)
            return -1;
    }
    int rc = loop(c, n->pos, n->b, n->c, n->d, false);
    c->f->locals.n = locals;
    c->f->top = top;
    return rc;
}

static int loop_each(qdp_compiler *c, qdp_node *n)
{
    size_t locals = c->f->locals.n;
    uint32_t top = c->f->top;
    int it = qdp_reg(c), index = qdp_reg(c), value = qdp_reg(c);
    if (it < 0 || index < 0 || value < 0) return -1;
    int r = qdp_expr(c, n->a, -1);
    if (r < 0 || qdp_ins_add(c, n->pos, C_EACH, it, r, 0) < 0) return -1;
    int var = qdp_local_add(c, n->pos, n->text, n->type);
    if (var < 0) return -1;
    qdp_loop l = {.outer = c->f->loop};
    c->f->loop = &l;
    uint32_t begin = (uint32_t)c->f->ins.n;
    int out = qdp_jump(c, n->pos, C_NEXT, it);
    int rc = out < 0 || qdp_convert(c, n->pos, value, QDI_T_DEF, n->type, false, var) < 0 ? -1 : 0;
    if (rc == 0) rc = block(c, n->b);
    int j = rc == 0 ? qdp_jump(c, n->pos, C_JUMP, 0) : -1;
    qdp_aim_at(c, j, begin);
    qdp_aim(c, out);
    loop_end(c, &l, begin);
    c->f->locals.n = locals;
    c->f->top = top;
    return rc < 0 || j < 0 ? -1 : 0;
}

static int try_catch(qdp_compiler *c, qdp_node *n)
{
    qd_account *acc = c->p->arena.account;
    uint32_t from = (uint32_t)c->f->ins.n;
    if (block(c, n->a) < 0) return -1;
    uint32_t to = (uint32_t)c->f->ins.n;
    QD_VEC(uint32_t) ends = {0};
    int rc = 0;
    int j = qdp_jump(c, n->pos, C_JUMP, 0);
    if (j < 0 || qd_vec_push(&ends, acc, (uint32_t)j)) rc = -1;
    for (qdp_node *k = n->args; rc == 0 && k; k = k->next) {
        size_t locals = c->f->locals.n;
        uint32_t top = c->f->top;
        if (!(qdp_type_tags(k->type) & 1ull << QD_SV_EXCEPTION) || k->type <= QDI_T_OBJECT)
            rc = qdp_fail(c, k->pos, "class_cast_exception",
                          "cannot cast from [%s] to [java.lang.Exception]", qdp_type_full(k->type));
        int r = rc == 0 ? qdp_local_add(c, k->pos, k->text, k->type) : -1;
        if (r < 0) break;
        qdp_handler h = {from, to, (uint32_t)c->f->ins.n, (uint16_t)r, k->type};
        if (qd_vec_push(&c->f->handlers, acc, h)) rc = -1;
        if (rc == 0) rc = block(c, k->a);
        j = rc == 0 ? qdp_jump(c, k->pos, C_JUMP, 0) : -1;
        if (j < 0 || qd_vec_push(&ends, acc, (uint32_t)j)) rc = -1;
        c->f->locals.n = locals;
        c->f->top = top;
    }
    for (size_t i = 0; i < ends.n; i++) qdp_aim(c, (int)ends.at[i]);
    qd_vec_fini(&ends);
    return c->err && c->err->code ? -1 : rc;
}

static int leave(qdp_compiler *c, qdp_node *n)
{
    if (!c->f->loop)
        return qdp_fail(c, n->pos, NULL, "%s statement outside of a loop",
                        n->kind == N_BREAK ? "Break" : "Continue");
    int j = qdp_jump(c, n->pos, C_JUMP, 0);
    if (j < 0) return -1;
    int rc = n->kind == N_BREAK
                 ? qd_vec_push(&c->f->loop->breaks, c->p->arena.account, (uint32_t)j)
                 : qd_vec_push(&c->f->loop->continues, c->p->arena.account, (uint32_t)j);
    return rc ? -1 : 0;
}

static int give(qdp_compiler *c, qdp_node *n, qdp_node *value)
{
    int r = 0;
    if (value && c->f->result == QDI_T_VOID && !c->f->lambda)
        return qdp_fail(c, n->pos, "class_cast_exception", "Cannot cast from [def] to [void].");
    if (value)
        r = qdp_expr_to(c, value, c->f->result == QDI_T_VOID ? QDI_T_DEF : c->f->result, -1);
    else {
        if (c->f->result != QDI_T_VOID && !c->f->lambda && c->f->outer == NULL &&
            c->f->code != c->p->codes.at[0])
            return qdp_fail(c, n->pos, NULL, "not all paths provide a return value");
        r = qdp_reg(c);
        qd_sv zero = {.tag = qdp_type_primitive(c->f->result) ? qdp_type_tag(c->f->result)
                                                              : QD_SV_NULL};
        int k = qdp_const(c, zero);
        if (r < 0 || qdp_ins_add(c, n->pos, C_CONST, r, k & 0xFFFF, k < 0 ? k : k >> 16) < 0)
            return -1;
    }
    return qdp_ins_add(c, n->pos, C_RETURN, r, 0, 0);
}

static int raise(qdp_compiler *c, qdp_node *n)
{
    int r = qdp_expr(c, n->a, -1);
    if (r < 0) return -1;
    if (!(qdp_type_tags(n->a->type) & 1ull << QD_SV_EXCEPTION))
        return qdp_fail(c, n->pos, "class_cast_exception",
                        "Cannot cast from [%s] to [java.lang.Exception].",
                        qdp_type_full(n->a->type));
    return qdp_ins_add(c, n->pos, C_THROW, r, 0, 0);
}

static int statement(qdp_compiler *c, qdp_node *n)
{
    switch (n->kind) {
    case N_EXPR:
        if (n->a->kind == N_CONST || n->a->kind == N_NAME)
            return qdp_fail(c, n->a->pos, NULL,
                            "not a statement: result not used from the expression");
        return qdp_expr(c, n->a, -1) < 0 ? -1 : 0;
    case N_DECL:
        return decl(c, n);
    case N_BLOCK:
        return block(c, n);
    case N_IF:
        return branch(c, n);
    case N_WHILE:
        return loop(c, n->pos, n->a, NULL, n->b, false);
    case N_DO:
        return loop(c, n->pos, n->a, NULL, n->b, true);
    case N_FOR:
        return loop_for(c, n);
    case N_EACH:
        return loop_each(c, n);
    case N_RETURN:
        return give(c, n, n->a);
    case N_BREAK:
    case N_CONTINUE:
        return leave(c, n);
    case N_TRY:
        return try_catch(c, n);
    case N_THROW:
        return raise(c, n);
    default:
        return qdp_fail(c, n->pos, NULL, "not a statement");
    }
}

int qdp_statement(qdp_compiler *c, qdp_node *n)
{
    uint32_t top = c->f->top;
    int rc = statement(c, n);
    if (n->kind != N_DECL) c->f->top = top;
    return rc < 0 ? -1 : 0;
}

/* The statements of a body, and the return at its end. */
int qdp_function(qdp_compiler *c, qdp_fn *f, qdp_node *body, qdp_code *code)
{
    qdp_fn *outer = c->f;
    int rc = 0;
    c->f = f;
    f->code = code;
    bool expr = body->kind < N_EXPR;
    qdp_node *s = expr ? NULL : body->kind == N_BLOCK ? body->args : body;
    if (expr) {
        qdp_node ret = {.kind = N_RETURN, .pos = body->pos};
        rc = give(c, &ret, body);
    }
    for (; rc >= 0 && s; s = s->next) {
        if (s->kind == N_FUNCTION) continue;
        bool last =
            !s->next && s->kind == N_EXPR && f->result != QDI_T_VOID && code == c->p->codes.at[0];
        rc = last ? give(c, s, s->a) : qdp_statement(c, s);
    }
    if (rc >= 0 && !expr) {
        qdp_node ret = {.kind = N_RETURN, .pos = (uint32_t)c->p->source.n};
        bool lambda = f->lambda;
        f->lambda = true; /* the end may be out of reach: no complaint */
        rc = give(c, &ret, NULL);
        f->lambda = lambda;
    }
    if (rc >= 0) {
        code->n = (uint32_t)f->ins.n;
        code->nregs = (uint16_t)(f->max + 1);
        code->ins = qd_arena_alloc(&c->p->arena, f->ins.n * sizeof *code->ins);
        code->pos = qd_arena_alloc(&c->p->arena, f->pos.n * sizeof *code->pos);
        code->handlers = qd_arena_alloc(&c->p->arena, f->handlers.n * sizeof *code->handlers + 1);
        code->nhandlers = (uint32_t)f->handlers.n;
        code->result = (int16_t)f->result;
        if (code->ins && code->pos && code->handlers) {
            memcpy(code->ins, f->ins.at, f->ins.n * sizeof *code->ins);
            memcpy(code->pos, f->pos.at, f->pos.n * sizeof *code->pos);
            if (f->handlers.n)
                memcpy(code->handlers, f->handlers.at, f->handlers.n * sizeof *code->handlers);
        } else {
            qd_err_nomem(c->err, "a script");
            rc = -1;
        }
    }
    qd_vec_fini(&f->ins);
    qd_vec_fini(&f->pos);
    qd_vec_fini(&f->handlers);
    qd_vec_fini(&f->locals);
    c->f = outer;
    return rc < 0 ? -1 : 0;
}
