/* compile_expr.c: expressions become code: names, literals, members, conditions, casts. */
#include "analysis/regex/regex.h"
#include "script/painless/compile_int.h"

static int to_reg(qdp_compiler *c, int dst)
{
    return dst >= 0 ? dst : qdp_reg(c);
}

static int load_const(qdp_compiler *c, uint32_t pos, qd_sv v, int dst)
{
    int k = qdp_const(c, v), r = to_reg(c, dst);
    if (k < 0 || r < 0) return -1;
    return qdp_ins_add(c, pos, C_CONST, r, k & 0xFFFF, k >> 16) < 0 ? -1 : r;
}

int qdp_var_find(qdp_compiler *c, qd_str name)
{
    static const char *const names[] = {"params", "doc",   "ctx",    "_score",
                                        "_value", "state", "states", "values"};
    uint32_t have = qd_script_context_get(c->p->context)->vars;
    for (int i = 0; i < QD_SCRIPT_VARS; i++)
        if (have & 1u << i && qd_str_is(name, names[i])) return i;
    return -1;
}

static int var_type(int v)
{
    switch (v) {
    case QD_SCRIPT_V_PARAMS:
    case QD_SCRIPT_V_DOC:
    case QD_SCRIPT_V_CTX:
    case QD_SCRIPT_V_STATE:
        return QDI_T_MAP;
    case QD_SCRIPT_V_SCORE:
        return QDI_T_DOUBLE;
    case QD_SCRIPT_V_STATES:
        return QDI_T_LIST;
    case QD_SCRIPT_V_VALUES:
        return QDI_T_DOUBLE + QDI_T_ARRAY;
    default:
        return QDI_T_DEF;
    }
}

static int name(qdp_compiler *c, qdp_node *n, int dst)
{
    qdp_local *l = qdp_local_find(c->f, n->text);
    if (l) {
        n->type = l->type;
        if (dst < 0 || dst == l->reg) return l->reg;
        int from = l->reg;
        return qdp_ins_add(c, n->pos, C_MOVE, dst, from, 0) < 0 ? -1 : dst;
    }
    int v = qdp_var_find(c, n->text);
    if (v < 0)
        return qdp_fail(c, n->pos, NULL, "cannot resolve symbol [%.*s]", QD_STR_ARG(n->text));
    n->type = (int16_t)var_type(v);
    c->p->uses |= 1u << v;
    int r = to_reg(c, dst);
    int op = v == QD_SCRIPT_V_CTX || v == QD_SCRIPT_V_PARAMS ? C_WHOLE : C_VAR;
    return r < 0 || qdp_ins_add(c, n->pos, op, r, v, 0) < 0 ? -1 : r;
}

/* .name or ['name']: the name. */
static bool step_of(const qdp_node *n, qd_str *name)
{
    if (n->kind == N_FIELD && n->a->kind != N_TYPE) {
        *name = n->text;
        return true;
    }
    if (n->kind != N_INDEX || n->b->kind != N_CONST || n->b->value.tag != QD_SV_STRING)
        return false;
    *name = qd_sv_text(&n->b->value);
    return true;
}

/* The nodes of a path from the variable up; 0: it is none. */
static uint32_t path_nodes(qdp_compiler *c, qdp_node *n, qdp_node *at[QDP_PATH_MAX], int *var)
{
    uint32_t k = 0;
    qd_str name;
    for (; n->kind != N_NAME; n = n->a) {
        if (k == QDP_PATH_MAX || !step_of(n, &name)) return 0;
        at[k++] = n;
    }
    *var = k && !qdp_local_find(c->f, n->text) ? qdp_var_find(c, n->text) : -1;
    if (*var != QD_SCRIPT_V_CTX && *var != QD_SCRIPT_V_PARAMS) return 0;
    for (uint32_t i = 0; i < k / 2; i++) {
        qdp_node *other = at[i];
        at[i] = at[k - 1 - i];
        at[k - 1 - i] = other;
    }
    return k;
}

int qdp_path_add(qdp_compiler *c, qdp_node *n)
{
    qdp_node *at[QDP_PATH_MAX];
    int var;
    uint32_t k = path_nodes(c, n, at, &var);
    if (!k) return -1;
    qd_str *names = qd_arena_calloc(&c->p->arena, k * sizeof *names);
    qdp_step *steps = qd_arena_calloc(&c->p->arena, k * sizeof *steps);
    for (uint32_t i = 0; names && steps && i < k; i++) {
        int site = at[i]->kind == N_FIELD ? qdp_site_add(c, at[i], 0, true, false) : 0;
        if (site < 0) return -2;
        (void)step_of(at[i], &names[i]);
        steps[i] = (qdp_step){.site = (uint32_t)site,
                              .pos = at[i]->pos,
                              .element = at[i]->kind == N_INDEX,
                              .safe = at[i]->flags & QDI_NULLSAFE};
    }
    qdp_path p = {.var = (qd_script_var)var, .n = k, .names = names, .steps = steps};
    if (!names || !steps || qd_vec_push(&c->p->paths, c->p->arena.account, p)) {
        qd_err_nomem(c->err, "a script");
        return -2;
    }
    if (c->p->paths.n > UINT16_MAX) return qdp_fail(c, n->pos, NULL, "the script is too large") - 1;
    c->p->uses |= 1u << var;
    return (int)c->p->paths.n - 1;
}

int qdp_there(qdp_compiler *c, qdp_node *n, int dst)
{
    if (!qd_str_is(n->text, "containsKey") || n->nargs != 1 || !n->a || n->flags & QDI_NULLSAFE ||
        n->a->kind != N_NAME || n->args->kind != N_CONST || n->args->value.tag != QD_SV_STRING)
        return -2;
    qdp_node key = {.kind = N_INDEX, .pos = n->pos, .a = n->a, .b = n->args, .text = n->text};
    int path = qdp_path_add(c, &key);
    if (path == -1) return -2;
    int r = path < 0 ? -1 : to_reg(c, dst);
    n->type = QDI_T_BOOLEAN;
    return r < 0 || qdp_ins_add(c, n->pos, C_THERE, r, 0, path) < 0 ? -1 : r;
}

/* The code of a path; false: n is none. */
static bool member(qdp_compiler *c, qdp_node *n, int dst, int *r)
{
    int path = qdp_path_add(c, n);
    if (path == -1) return false;
    n->type = QDI_T_DEF;
    *r = path < 0 ? -1 : to_reg(c, dst);
    if (*r >= 0 && qdp_ins_add(c, n->pos, C_MEMBER, *r, 0, path) < 0) *r = -1;
    return true;
}

int qdp_field_slot(qdp_compiler *c, qd_str field)
{
    for (size_t i = 0; i < c->p->fields.n; i++)
        if (qd_str_eq(c->p->fields.at[i], field)) return (int)i;
    if (c->p->fields.n >= 256) return -1;
    if (qd_vec_push(&c->p->fields, c->p->arena.account, field)) return -1;
    return (int)c->p->fields.n - 1;
}

/* doc['f'] of a constant name: its slot; -1 otherwise. */
static int doc_slot(qdp_compiler *c, const qdp_node *n)
{
    if (n->kind != N_INDEX || n->a->kind != N_NAME || !qd_str_is(n->a->text, "doc") ||
        n->b->kind != N_CONST || n->b->value.tag != QD_SV_STRING ||
        qdp_local_find(c->f, n->a->text) || qdp_var_find(c, n->a->text) < 0)
        return -1;
    c->p->uses |= QD_SCRIPT_BIT(DOC);
    return qdp_field_slot(c, qd_sv_text(&n->b->value));
}

static int element(qdp_compiler *c, qdp_node *n, int dst)
{
    int slot = doc_slot(c, n), r;
    n->type = QDI_T_DEF;
    if (member(c, n, dst, &r)) return r;
    if (slot >= 0) {
        r = to_reg(c, dst);
        return r < 0 || qdp_ins_add(c, n->pos, C_DOC, r, slot, 0) < 0 ? -1 : r;
    }
    int a = qdp_expr(c, n->a, -1);
    if (a < 0) return -1;
    int t = n->a->type;
    if (t >= QDI_T_ARRAY)
        n->type = (int16_t)(t - QDI_T_ARRAY);
    else if (!(qdp_type_tags(t) & (1ull << QD_SV_LIST | 1ull << QD_SV_MAP | 1ull << QD_SV_VALUES)))
        return qdp_fail(c, n->pos, NULL, "Attempting to address a non-array type [%s] as an array.",
                        qdp_type_full(t));
    bool list = t >= QDI_T_ARRAY || qdp_type_tags(t) == qdp_type_tags(QDI_T_LIST);
    int b = list ? qdp_expr_to(c, n->b, QDI_T_INT, -1) : qdp_expr(c, n->b, -1);
    r = to_reg(c, dst);
    return b < 0 || qdp_ins_add(c, n->pos, C_GETI, r, a, b) < 0 ? -1 : r;
}

/* Type.NAME, Type[].length and so on. */
static int type_constant(qdp_compiler *c, qdp_node *n, int dst)
{
    qd_sv v;
    int type;
    if (!qdp_constant_find(n->a->type, n->text, &v, &type))
        return qdp_fail(c, n->pos, NULL, "field [%s, %.*s] not found", qdp_type_full(n->a->type),
                        QD_STR_ARG(n->text));
    n->type = (int16_t)type;
    return load_const(c, n->pos, v, dst);
}

/* What a getter gives, where all that may be called give the same. */
static int getter_type(const qdp_site *s, int of)
{
    int type = -1;
    for (uint32_t i = 0; i < s->ngetters; i++) {
        if (!(s->getters[i]->tags & qdp_type_tags(of))) continue;
        type = type < 0 || type == s->getters[i]->result ? s->getters[i]->result : QDI_T_DEF;
    }
    return type;
}

static int field(qdp_compiler *c, qdp_node *n, int dst)
{
    if (n->a->kind == N_TYPE) return type_constant(c, n, dst);
    int slot = qd_str_is(n->text, "value") && !n->flags ? doc_slot(c, n->a) : -1, r;
    n->type = QDI_T_DEF;
    if (member(c, n, dst, &r)) return r;
    if (slot >= 0) {
        r = to_reg(c, dst);
        return r < 0 || qdp_ins_add(c, n->pos, C_DOCVALUE, r, slot, 0) < 0 ? -1 : r;
    }
    int a = qdp_expr(c, n->a, -1);
    if (a < 0) return -1;
    r = to_reg(c, dst);
    int safe = -1;
    if (n->flags & QDI_NULLSAFE) {
        if (qdp_type_primitive(n->a->type))
            return qdp_fail(c, n->pos, NULL, "Result of null safe operator must be nullable");
        if (qdp_ins_add(c, n->pos, C_MOVE, r, a, 0) < 0) return -1;
        safe = qdp_jump(c, n->pos, C_JNULL, r);
    }
    int site = qdp_site_add(c, n, 0, true, false);
    if (site < 0) return -1;
    const qdp_site *s = &c->p->sites.at[site];
    int t = n->a->type;
    if (t >= QDI_T_ARRAY && qd_str_is(n->text, "length"))
        n->type = QDI_T_INT;
    else if (t != QDI_T_DEF && !(qdp_type_tags(t) & (1ull << QD_SV_MAP | 1ull << QD_SV_LIST))) {
        int g = getter_type(s, t);
        if (g < 0)
            return qdp_fail(c, n->pos, NULL, "field [%s, %.*s] not found", qdp_type_full(t),
                            QD_STR_ARG(n->text));
        n->type = (int16_t)(safe >= 0 && qdp_type_primitive(g) ? QDI_T_DEF : g);
    }
    if (qdp_ins_add(c, n->pos, C_GETF, r, a, site) < 0) return -1;
    qdp_aim(c, safe);
    return r;
}

static int list(qdp_compiler *c, qdp_node *n, int dst)
{
    uint32_t top = c->f->top;
    int first = (int)top, r;
    for (qdp_node *e = n->args; e; e = e->next) {
        int at = qdp_reg(c);
        uint32_t mine = c->f->top;
        if (at < 0 || qdp_expr(c, e, at) < 0) return -1;
        if (e->type == QDI_T_VOID)
            return qdp_fail(c, e->pos, "class_cast_exception", "Cannot cast from [void] to [def].");
        c->f->top = mine;
    }
    c->f->top = top;
    r = to_reg(c, dst);
    n->type = n->kind == N_LIST ? QDI_T_ARRAYLIST : QDI_T_HASHMAP;
    return r < 0 || qdp_ins_add(c, n->pos, n->kind == N_LIST ? C_LIST : C_MAP, r, first,
                                (int)n->nargs) < 0
               ? -1
               : r;
}

static int logic(qdp_compiler *c, qdp_node *n, int dst)
{
    int r = dst >= 0 && dst >= (int)c->f->top - 1 ? dst : qdp_reg(c);
    if (r < 0 || qdp_expr_to(c, n->a, QDI_T_BOOLEAN, r) < 0) return -1;
    int j = qdp_jump(c, n->pos, n->op == O_AND ? C_JF : C_JT, r);
    if (j < 0 || qdp_expr_to(c, n->b, QDI_T_BOOLEAN, r) < 0) return -1;
    qdp_aim(c, j);
    n->type = QDI_T_BOOLEAN;
    if (dst >= 0 && dst != r) return qdp_ins_add(c, n->pos, C_MOVE, dst, r, 0) < 0 ? -1 : dst;
    return r;
}

/* The type of either of two. */
static int join(int a, int b)
{
    if (a == b) return a;
    int ua = qdp_type_unboxed(a), ub = qdp_type_unboxed(b);
    if (qdp_type_number(ua) && qdp_type_number(ub)) {
        if (ua == QDI_T_CHAR || ub == QDI_T_CHAR) return QDI_T_INT;
        return ua > ub ? ua : ub;
    }
    return QDI_T_DEF;
}

static int conditional(qdp_compiler *c, qdp_node *n, int dst)
{
    uint32_t top = c->f->top;
    int r = qdp_reg(c), test;
    if (r < 0 || (test = qdp_expr_to(c, n->a, QDI_T_BOOLEAN, -1)) < 0) return -1;
    int no = qdp_jump(c, n->pos, C_JF, test);
    c->f->top = top + 1;
    if (no < 0 || qdp_expr(c, n->b, r) < 0) return -1;
    int cast = qdp_ins_add(c, n->pos, C_NOP, 0, 0, 0), over = qdp_jump(c, n->pos, C_JUMP, 0);
    qdp_aim(c, no);
    c->f->top = top + 1;
    if (cast < 0 || over < 0 || qdp_expr(c, n->c, r) < 0) return -1;
    int type = join(n->b->type, n->c->type);
    if (type == QDI_T_VOID) return qdp_fail(c, n->pos, NULL, "Extraneous conditional statement.");
    if (qdp_type_number(type)) {
        if (n->b->type != type)
            c->f->ins.at[cast] = (qdp_ins){C_CAST, (uint16_t)r, (uint16_t)r, (uint16_t)type};
        if (qdp_convert(c, n->pos, r, n->c->type, type, false, r) < 0) return -1;
    }
    qdp_aim(c, over);
    n->type = (int16_t)type;
    c->f->top = top + 1;
    if (dst < 0) return r;
    return qdp_ins_add(c, n->pos, C_MOVE, dst, r, 0) < 0 ? -1 : dst;
}

static int elvis(qdp_compiler *c, qdp_node *n, int dst)
{
    uint32_t top = c->f->top;
    int r = qdp_reg(c);
    if (r < 0 || qdp_expr(c, n->a, r) < 0) return -1;
    if (qdp_type_primitive(n->a->type) || (n->a->kind == N_CONST && n->a->value.tag != QD_SV_NULL))
        return qdp_fail(c, n->pos, NULL, "Extraneous elvis operator. LHS is a primitive.");
    int j = qdp_jump(c, n->pos, C_JSOME, r);
    c->f->top = top + 1;
    if (j < 0 || qdp_expr(c, n->b, r) < 0) return -1;
    qdp_aim(c, j);
    c->f->top = top + 1;
    n->type = (int16_t)(n->a->type == n->b->type ? n->a->type : QDI_T_DEF);
    if (dst < 0) return r;
    return qdp_ins_add(c, n->pos, C_MOVE, dst, r, 0) < 0 ? -1 : dst;
}

static int unary(qdp_compiler *c, qdp_node *n, int dst)
{
    if (n->op == O_NOT) {
        int a = qdp_expr_to(c, n->a, QDI_T_BOOLEAN, -1), r = to_reg(c, dst);
        n->type = QDI_T_BOOLEAN;
        return a < 0 || qdp_ins_add(c, n->pos, C_NOT, r, a, 0) < 0 ? -1 : r;
    }
    if (n->op == O_SUB && n->a->kind == N_CONST && (qdp_number(&n->a->value))) {
        qd_sv v = n->a->value;
        if (v.tag >= QD_SV_FLOAT)
            v.f = -v.f;
        else
            v.i =
                v.tag == QD_SV_INT ? (int32_t)(0u - (uint32_t)v.i) : (int64_t)(0u - (uint64_t)v.i);
        n->type = n->a->type;
        n->kind = N_CONST;
        n->value = v;
        return load_const(c, n->pos, v, dst);
    }
    int a = qdp_expr(c, n->a, -1), r = to_reg(c, dst), t;
    if (a < 0) return -1;
    t = qdp_type_unboxed(n->a->type);
    bool real = t == QDI_T_FLOAT || t == QDI_T_DOUBLE;
    if (t != QDI_T_DEF && (!qdp_type_number(t) || (real && n->op == O_BITNOT)))
        return qdp_fail(c, n->pos, "class_cast_exception",
                        "Cannot apply [%c] operation to type [%s].",
                        n->op == O_SUB   ? '-'
                        : n->op == O_ADD ? '+'
                                         : '~',
                        qdp_type_full(n->a->type));
    n->type = (int16_t)(t == QDI_T_DEF ? t : t < QDI_T_INT || t == QDI_T_CHAR ? QDI_T_INT : t);
    int op = n->op == O_SUB ? C_NEG : n->op == O_ADD ? C_PLUS : C_BITNOT;
    return qdp_ins_add(c, n->pos, op, r, a, 0) < 0 ? -1 : r;
}

int qdp_convert(qdp_compiler *c, uint32_t pos, int r, int from, int to, bool explicit_, int dst)
{
    int uf = qdp_type_unboxed(from), ut = qdp_type_unboxed(to);
    bool run = false, ok = true;
    if (from == QDI_T_VOID || to == QDI_T_VOID)
        ok = false;
    else if (to == QDI_T_DEF || to == QDI_T_OBJECT || from == to || uf == ut)
        run = uf == ut && from != to && qdp_type_primitive(to);
    else if (from == QDI_T_DEF)
        run = true;
    else if (qdp_type_number(uf) && qdp_type_number(ut)) {
        run = true;
        ok = explicit_ || (uf == QDI_T_CHAR ? ut >= QDI_T_INT : ut != QDI_T_CHAR && ut > uf);
        if (to >= QDI_T_BOOLEAN_BOX && !explicit_) ok = false;
    } else if (uf == QDI_T_STRING && ut == QDI_T_CHAR)
        run = true;
    else if (uf == QDI_T_CHAR && ut == QDI_T_STRING)
        run = true;
    else if (uf == QDI_T_BOOLEAN || ut == QDI_T_BOOLEAN)
        ok = from == QDI_T_OBJECT && explicit_, run = true;
    else if (from >= QDI_T_ARRAY || to >= QDI_T_ARRAY)
        ok = from == QDI_T_OBJECT && explicit_, run = true;
    else {
        uint64_t tf = qdp_type_tags(from), tt = qdp_type_tags(to);
        bool ex = tf == 1ull << QD_SV_EXCEPTION && tt == tf;
        run = (tf & ~tt) != 0 || ex;
        ok = ex ? explicit_ || qdp_exception_is(from, to) : run ? explicit_ && (tf & tt) : true;
    }
    if (!ok)
        return qdp_fail(c, pos, "class_cast_exception", "Cannot cast from [%s] to [%s].",
                        qdp_type_full(from), qdp_type_full(to));
    if (!run) {
        if (dst < 0 || dst == r) return r;
        return qdp_ins_add(c, pos, C_MOVE, dst, r, 0) < 0 ? -1 : dst;
    }
    int d = to_reg(c, dst);
    unsigned arg = (unsigned)to | (explicit_ ? QDI_EXPLICIT : 0);
    return d < 0 || qdp_ins_add(c, pos, C_CAST, d, r, (int)arg) < 0 ? -1 : d;
}

int qdp_expr_to(qdp_compiler *c, qdp_node *n, int type, int dst)
{
    if (n->kind == N_CONST && type == QDI_T_DOUBLE && n->value.tag == QD_SV_INT) {
        n->value = qd_sv_double((double)n->value.i); /* known now: no cast later */
        n->type = QDI_T_DOUBLE;
    } else if (n->kind == N_CONST && type == QDI_T_LONG && n->value.tag == QD_SV_INT) {
        n->value.tag = QD_SV_LONG;
        n->type = QDI_T_LONG;
    }
    int r = qdp_expr(c, n, dst);
    if (r < 0) return -1;
    if (n->kind == N_CONST && n->value.tag == QD_SV_NULL && qdp_type_primitive(type))
        return qdp_fail(c, n->pos, "class_cast_exception",
                        "Cannot cast null to a primitive type [%s].", qdp_type_name(type));
    return qdp_convert(c, n->pos, r, n->type, type, false, dst);
}

static int cast(qdp_compiler *c, qdp_node *n, int dst)
{
    int r = qdp_expr(c, n->a, -1);
    return r < 0 ? -1 : qdp_convert(c, n->pos, r, n->a->type, n->type, true, dst);
}

static int instance_of(qdp_compiler *c, qdp_node *n, int dst)
{
    int a = qdp_expr(c, n->a, -1), r = to_reg(c, dst), type = n->type;
    n->type = QDI_T_BOOLEAN;
    return a < 0 || r < 0 || qdp_ins_add(c, n->pos, C_INSTANCE, r, a, type) < 0 ? -1 : r;
}

static int regex(qdp_compiler *c, qdp_node *n, int dst)
{
    qd_sv v = qd_sv_str(n->text);
    int r = to_reg(c, dst);
    n->type = QDI_T_PATTERN;
    /* compiled once, with the script */
    qdp_pattern *p = qd_arena_calloc(&c->p->arena, sizeof *p);
    if (!p) return qd_err_nomem(c->err, "a script"), -1;
    qd_err why;
    qd_err_init(&why);
    if (qd_regex_compile(n->text, n->re, &p->regex, &why)) {
        qdp_fail(c, n->pos, NULL, "Error compiling regex: %s", qd_err_reason(&why));
        qd_err_fini(&why);
        return -1;
    }
    qd_err_fini(&why);
    qd_str whole = qd_arena_printf(&c->p->arena, QDP_ANCHORED, QD_STR_ARG(n->text));
    if (whole.p && qd_regex_compile(whole, n->re, &p->anchored, NULL))
        p->anchored = NULL; /* what is too large is made when it is needed, and fails then */
    p->text = n->text;
    p->flags = n->re;
    p->next = c->p->patterns;
    c->p->patterns = p;
    v = (qd_sv){.tag = QD_SV_PATTERN, .object = p};
    return load_const(c, n->pos, v, r);
}

static int expr(qdp_compiler *c, qdp_node *n, int dst)
{
    switch (n->kind) {
    case N_CONST:
        return load_const(c, n->pos, n->value, dst);
    case N_NAME:
        return name(c, n, dst);
    case N_FIELD:
        return field(c, n, dst);
    case N_INDEX:
        return element(c, n, dst);
    case N_CALL:
        return qdp_compile_call(c, n, dst);
    case N_NEW:
    case N_ARRAY:
        return qdp_compile_new(c, n, dst);
    case N_LIST:
    case N_MAP:
        return list(c, n, dst);
    case N_LAMBDA:
        return qdp_compile_lambda(c, n, dst);
    case N_REF:
        return qdp_compile_ref(c, n, dst);
    case N_REGEX:
        return regex(c, n, dst);
    case N_UNARY:
        return unary(c, n, dst);
    case N_BINARY:
        return qdp_compile_binary(c, n, dst);
    case N_LOGIC:
        return logic(c, n, dst);
    case N_COND:
        return conditional(c, n, dst);
    case N_ELVIS:
        return elvis(c, n, dst);
    case N_ASSIGN:
    case N_STEP:
        return qdp_compile_assign(c, n, dst);
    case N_CAST:
        return cast(c, n, dst);
    case N_INSTANCEOF:
        return instance_of(c, n, dst);
    default:
        return qdp_fail(c, n->pos, NULL, "not a valid expression [%.*s]", QD_STR_ARG(n->text));
    }
}

int qdp_expr(qdp_compiler *c, qdp_node *n, int dst)
{
    if (++c->depth > 4 * QDI_DEPTH) return qdp_fail(c, n->pos, NULL, "the script nests too deep");
    int r = expr(c, n, dst);
    c->depth--;
    return r;
}
