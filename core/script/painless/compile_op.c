/* compile_op.c: operators and assignments become code. */
#include "script/painless/compile_int.h"

static const struct {
    uint8_t op, code;
    uint8_t int_, long_, double_; /* 0: none */
    const char *text;
} operators[] = {{O_ADD, C_ADD, C_ADD_I, C_ADD_L, C_ADD_D, "+"},
                 {O_SUB, C_SUB, C_SUB_I, C_SUB_L, C_SUB_D, "-"},
                 {O_MUL, C_MUL, C_MUL_I, C_MUL_L, C_MUL_D, "*"},
                 {O_DIV, C_DIV, 0, 0, C_DIV_D, "/"},
                 {O_REM, C_REM, 0, 0, 0, "%"},
                 {O_BITAND, C_BITAND, 0, 0, 0, "&"},
                 {O_XOR, C_XOR, 0, 0, 0, "^"},
                 {O_BITOR, C_BITOR, 0, 0, 0, "|"},
                 {O_SHL, C_SHL, 0, 0, 0, "<<"},
                 {O_SHR, C_SHR, 0, 0, 0, ">>"},
                 {O_USHR, C_USHR, 0, 0, 0, ">>>"},
                 {O_EQ, C_EQ, C_EQ_I, C_EQ_L, C_EQ_D, "=="},
                 {O_NE, C_NE, C_NE_I, C_NE_L, C_NE_D, "!="},
                 {O_LT, C_LT, C_LT_I, C_LT_L, C_LT_D, "<"},
                 {O_LE, C_LE, C_LE_I, C_LE_L, C_LE_D, "<="},
                 {O_GT, C_GT, C_GT_I, C_GT_L, C_GT_D, ">"},
                 {O_GE, C_GE, C_GE_I, C_GE_L, C_GE_D, ">="},
                 {O_REF_EQ, C_REF_EQ, 0, 0, 0, "==="},
                 {O_REF_NE, C_REF_NE, 0, 0, 0, "!=="},
                 {O_FIND, C_FIND, 0, 0, 0, "=~"},
                 {O_MATCH, C_MATCH, 0, 0, 0, "==~"}};

static bool compares(int op)
{
    return op == O_EQ || op == O_NE || (op >= O_LT && op <= O_GT) || op == O_LE || op == O_GE ||
           op == O_REF_EQ || op == O_REF_NE || op == O_FIND || op == O_MATCH;
}

/* The type in which two numbers meet; -1 when an operator does not take them. */
static int promote(int op, int a, int b)
{
    bool bits = op == O_BITAND || op == O_XOR || op == O_BITOR;
    a = qdp_type_unboxed(a);
    b = qdp_type_unboxed(b);
    if (a == QDI_T_BOOLEAN && b == QDI_T_BOOLEAN && (bits || op == O_EQ || op == O_NE)) return a;
    if (a == QDI_T_DEF || b == QDI_T_DEF) return QDI_T_DEF;
    if (!qdp_type_number(a) || !qdp_type_number(b)) return -1;
    if (a == QDI_T_CHAR || a < QDI_T_INT) a = QDI_T_INT;
    if (b == QDI_T_CHAR || b < QDI_T_INT) b = QDI_T_INT;
    bool shift = op == O_SHL || op == O_SHR || op == O_USHR;
    int top = shift ? a : a > b ? a : b;
    if ((bits || shift) && (a > QDI_T_LONG || b > QDI_T_LONG)) return -1;
    return top;
}

static int fast(size_t i, int type)
{
    return type == QDI_T_INT      ? operators[i].int_
           : type == QDI_T_LONG   ? operators[i].long_
           : type == QDI_T_DOUBLE ? operators[i].double_
                                  : 0;
}

int qdp_operate(qdp_compiler *c, uint32_t pos, int op, int a, int ta, int b, int tb, int dst,
                int *type)
{
    size_t i = 0;
    while (operators[i].op != op) i++;
    int t = promote(op, ta, tb), code = operators[i].code;
    bool text = op == O_ADD && (ta == QDI_T_STRING || tb == QDI_T_STRING);
    bool same = op == O_EQ || op == O_NE || op == O_REF_EQ || op == O_REF_NE;
    if (ta == QDI_T_VOID || tb == QDI_T_VOID) t = -1, same = text = false;
    if (text)
        code = C_CONCAT;
    else if (t < 0 && !same && op != O_FIND && op != O_MATCH)
        return qdp_fail(c, pos, "class_cast_exception",
                        "Cannot apply [%s] operation to types [%s] and [%s].", operators[i].text,
                        qdp_type_full(ta), qdp_type_full(tb));
    int quick = text ? 0 : fast(i, t);
    if (quick) {
        if (qdp_type_unboxed(ta) != t && (a = qdp_convert(c, pos, a, ta, t, true, -1)) < 0)
            return -1;
        if (qdp_type_unboxed(tb) != t && (b = qdp_convert(c, pos, b, tb, t, true, -1)) < 0)
            return -1;
        /* a box may be null: the general instruction finds out */
        if (qdp_type_primitive(ta) && qdp_type_primitive(tb)) code = quick;
    }
    *type = text ? QDI_T_STRING : compares(op) ? QDI_T_BOOLEAN : t;
    int r = dst >= 0 ? dst : qdp_reg(c);
    return r < 0 || qdp_ins_add(c, pos, code, r, a, b) < 0 ? -1 : r;
}

/* May the value of a register change while n is computed? */
static bool impure(const qdp_node *n)
{
    if (!n) return false;
    if (n->kind == N_ASSIGN || n->kind == N_STEP) return true;
    if (impure(n->a) || impure(n->b) || impure(n->c)) return true;
    for (const qdp_node *e = n->args; e; e = e->next)
        if (impure(e)) return true;
    return false;
}

/* A constant int beside a long or double is one of that type from the start. */
static void widen(qdp_node *n, const qdp_node *with)
{
    if (n->kind != N_CONST || n->value.tag != QD_SV_INT) return;
    if (with->type == QDI_T_DOUBLE) {
        n->value = qd_sv_double((double)n->value.i);
        n->type = QDI_T_DOUBLE;
    } else if (with->type == QDI_T_LONG) {
        n->value.tag = QD_SV_LONG;
        n->type = QDI_T_LONG;
    }
}

int qdp_compile_binary(qdp_compiler *c, qdp_node *n, int dst)
{
    uint32_t top = c->f->top;
    int a = qdp_expr(c, n->a, impure(n->b) ? qdp_reg(c) : -1);
    if (a < 0) return -1;
    widen(n->b, n->a);
    int b = qdp_expr(c, n->b, -1), type;
    if (b < 0) return -1;
    int r = qdp_operate(c, n->pos, n->op, a, n->a->type, b, n->b->type, dst, &type);
    if (r < 0) return -1;
    n->type = (int16_t)type;
    if (dst < 0 && r > (int)top) { /* the result moves down to where the operands began */
        c->f->ins.at[c->f->ins.n - 1].a = (uint16_t)top;
        r = (int)top;
    }
    if (dst < 0) c->f->top = (uint32_t)r + 1;
    return r;
}

/* What is assigned to: a local, a member, an element. */
typedef struct target {
    qdp_node *n;
    int of, at, site, type;
    int local, path; /* path: of a member of ctx */
} target;

/* ctx.name, which is put without ctx as a whole: its path, or -1. */
static int ctx_member(qdp_compiler *c, qdp_node *n)
{
    if (n->a->kind != N_NAME || !qd_str_is(n->a->text, "ctx")) return -1;
    return qdp_path_add(c, n);
}

static int target_open(qdp_compiler *c, qdp_node *n, target *t)
{
    *t = (target){
        .n = n, .of = -1, .at = -1, .site = -1, .local = -1, .path = -1, .type = QDI_T_DEF};
    if (n->kind == N_NAME) {
        qdp_local *l = qdp_local_find(c->f, n->text);
        if (!l) {
            if (qdp_var_find(c, n->text) >= 0)
                return qdp_fail(c, n->pos, NULL, "Variable [%.*s] is read-only.",
                                QD_STR_ARG(n->text));
            return qdp_fail(c, n->pos, NULL, "cannot resolve symbol [%.*s]", QD_STR_ARG(n->text));
        }
        if (l->captured)
            return qdp_fail(c, n->pos, NULL, "Variable [%.*s] is read-only.", QD_STR_ARG(n->text));
        t->local = l->reg;
        t->type = l->type;
        return 0;
    }
    if ((n->kind != N_FIELD && n->kind != N_INDEX) || n->flags & QDI_NULLSAFE ||
        n->a->kind == N_TYPE)
        return qdp_fail(c, n->pos, NULL, "Left-hand side cannot be assigned a value.");
    t->path = ctx_member(c, n);
    if (t->path != -1) return t->path;
    t->of = qdp_expr(c, n->a, qdp_reg(c));
    if (t->of < 0) return -1;
    if (n->a->type >= QDI_T_ARRAY && n->kind == N_INDEX) t->type = n->a->type - QDI_T_ARRAY;
    if (n->kind == N_INDEX) return t->at = qdp_expr(c, n->b, qdp_reg(c));
    return t->site = qdp_site_add(c, n, 1, true, true);
}

static int target_read(qdp_compiler *c, const target *t)
{
    if (t->local >= 0) return t->local;
    int r = qdp_reg(c);
    int rc = t->path >= 0 ? qdp_ins_add(c, t->n->pos, C_MEMBER, r, 0, t->path)
             : t->at >= 0 ? qdp_ins_add(c, t->n->pos, C_GETI, r, t->of, t->at)
                          : qdp_ins_add(c, t->n->pos, C_GETF, r, t->of,
                                        qdp_site_add(c, t->n, 0, true, false));
    return rc < 0 ? -1 : r;
}

static int target_write(qdp_compiler *c, const target *t, int r)
{
    if (t->local >= 0) return r == t->local ? 0 : qdp_ins_add(c, t->n->pos, C_MOVE, t->local, r, 0);
    if (t->path >= 0) return qdp_ins_add(c, t->n->pos, C_PUT, 0, r, t->path);
    if (t->at >= 0) return qdp_ins_add(c, t->n->pos, C_SETI, t->of, t->at, r);
    return qdp_ins_add(c, t->n->pos, C_SETF, t->of, r, t->site);
}

static int step(qdp_compiler *c, qdp_node *n, const target *t)
{
    int one = qdp_reg(c), k = qdp_const(c, qd_sv_int(1)), type, old = -1;
    if (qdp_ins_add(c, n->pos, C_CONST, one, k & 0xFFFF, k < 0 ? k : k >> 16) < 0) return -1;
    int r = target_read(c, t);
    if (r < 0) return -1;
    if (!(n->flags & QDI_PRE)) {
        old = qdp_reg(c);
        if (qdp_ins_add(c, n->pos, C_MOVE, old, r, 0) < 0) return -1;
    }
    bool plain = t->type == QDI_T_INT && t->local >= 0;
    int sum = qdp_operate(c, n->pos, n->op == O_INC ? O_ADD : O_SUB, r, t->type, one, QDI_T_INT,
                          plain ? t->local : -1, &type);
    if (sum < 0 || (sum = qdp_convert(c, n->pos, sum, type, t->type, true, -1)) < 0) return -1;
    if (target_write(c, t, sum) < 0) return -1;
    return old >= 0 ? old : sum;
}

static int assign(qdp_compiler *c, qdp_node *n, const target *t)
{
    int r, type;
    if (!n->op) {
        r = qdp_expr_to(c, n->b, t->type, t->local >= 0 && !impure(n->b) ? -1 : qdp_reg(c));
        return r < 0 || target_write(c, t, r) < 0 ? -1 : r;
    }
    int old = target_read(c, t), b = qdp_expr(c, n->b, -1);
    if (old < 0 || b < 0) return -1;
    r = qdp_operate(c, n->pos, n->op, old, t->type, b, n->b->type, -1, &type);
    if (r < 0) return -1;
    if (t->type != QDI_T_DEF && (r = qdp_convert(c, n->pos, r, type, t->type, true, -1)) < 0)
        return -1;
    return target_write(c, t, r) < 0 ? -1 : r;
}

int qdp_compile_assign(qdp_compiler *c, qdp_node *n, int dst)
{
    uint32_t top = c->f->top;
    target t;
    if (dst < 0) {
        dst = qdp_reg(c);
        if (dst < 0) return -1;
        top = c->f->top;
    }
    if (target_open(c, n->a, &t) < 0) return -1;
    int r = n->kind == N_STEP ? step(c, n, &t) : assign(c, n, &t);
    if (r < 0) return -1;
    n->type = (int16_t)t.type;
    if (r != dst && qdp_ins_add(c, n->pos, C_MOVE, dst, r, 0) < 0) return -1;
    c->f->top = top;
    return dst;
}
