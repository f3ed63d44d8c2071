/* vm.c: the interpreter. */
#include "script/painless/vm_int.h"

#define TARGET(i) ((uint32_t)(i)->b | (uint32_t)(i)->c << 16)

/* Looks for a catch from the innermost frame down to `least`; false: none, the frames are gone. */
static bool unwind(qdp_vm *vm, uint32_t least)
{
    const qdp_exception *e = vm->exc.object;
    while (vm->nframes > least) {
        qdp_frame *f = &vm->frames[vm->nframes - 1];
        uint32_t at = f->at - 1;
        if (!vm->exc_placed) {
            vm->exc_pos = f->code->pos[at];
            vm->exc_placed = true;
        }
        for (uint32_t i = 0; !vm->fatal && i < f->code->nhandlers; i++) {
            const qdp_handler *h = &f->code->handlers[i];
            if (at < h->from || at >= h->to || !qdp_exception_is(e->type, h->type)) continue;
            f->base[h->reg] = vm->exc;
            f->at = h->target;
            vm->exc_placed = false;
            vm->top = f->base + f->code->nregs;
            return true;
        }
        vm->nframes--;
        vm->top = vm->nframes
                      ? vm->frames[vm->nframes - 1].base + vm->frames[vm->nframes - 1].code->nregs
                      : vm->stack;
    }
    return false;
}

/* A window for code at base, whose parameters are there. */
static int enter(qdp_vm *vm, const qdp_code *code, qd_sv *base, uint16_t dst)
{
    if (vm->nframes >= QDI_FRAMES || base + code->nregs > vm->stack + QDI_STACK) {
        vm->fatal = true;
        return qdp_throw(vm, QDI_T_EXCEPTION,
                         "the calls of the script nest too deep (stack_overflow_error)");
    }
    vm->frames[vm->nframes++] = (qdp_frame){code, base, 0, dst};
    vm->top = base + code->nregs;
    return 0;
}

static int closure_make(qdp_vm *vm, uint32_t at, const qd_sv *from, qd_sv *out)
{
    const qdp_closure *k = &vm->p->closures.at[at];
    qdp_closure *c = qd_arena_alloc(&vm->x->arena, sizeof *c + k->n * sizeof *c->captured);
    if (!c) return qdp_nomem(vm);
    *c = *k;
    c->captured = (qd_sv *)(void *)(c + 1);
    if (k->n) memcpy(c->captured, from, k->n * sizeof *from);
    *out = (qd_sv){.tag = QD_SV_FUNCTION, .object = c};
    return 0;
}

static int list_make(qdp_vm *vm, const qd_sv *from, uint32_t n, bool array, qd_sv *out)
{
    qd_sv l;
    if (qd_sv_list_make(&vm->x->arena, n, &l)) return qdp_nomem(vm);
    if (n) memcpy(l.list->v, from, n * sizeof *from);
    l.list->n = n;
    if (array) {
        l.tag = QD_SV_ARRAY;
        l.list->fixed = 2;
    }
    *out = l;
    return 0;
}

static int map_make(qdp_vm *vm, const qd_sv *from, uint32_t n, qd_sv *out)
{
    qd_sv m;
    if (qd_sv_map_make(&vm->x->arena, &m)) return qdp_nomem(vm);
    for (uint32_t i = 0; i + 1 < n; i += 2)
        if (qd_sv_map_set_in(&vm->x->arena, m.map, from[i], from[i + 1], &vm->steps))
            return qdp_nomem(vm);
    *out = m;
    return 0;
}

static int array_make(qdp_vm *vm, const qd_sv *length, int type, qd_sv *out)
{
    if (length->i < 0) return qdp_throw(vm, QDI_T_NEGATIVE_SIZE, "%lld", (long long)length->i);
    qd_sv l, zero = {.tag = qdp_type_primitive(type) ? qdp_type_tag(type) : QD_SV_NULL};
    if (qdp_steps(vm, (uint64_t)length->i)) return -1;
    if (qd_sv_list_make(&vm->x->arena, (uint32_t)length->i, &l)) return qdp_nomem(vm);
    for (int64_t i = 0; i < length->i; i++) l.list->v[i] = zero;
    l.list->n = (uint32_t)length->i;
    l.list->fixed = 2;
    l.tag = QD_SV_ARRAY;
    *out = l;
    return 0;
}

/* a: what is gone through, a + 1: how far. A set or a list that grows meanwhile ends where it did.
 */
static int each(qdp_vm *vm, qd_sv *r, const qd_sv *of)
{
    r[1] = qd_sv_long(0);
    if (of->tag == QD_SV_NULL) return qdp_throw(vm, QDI_T_NULL_POINTER, "Cannot iterate over null");
    if (of->tag != QD_SV_LIST && of->tag != QD_SV_SET && of->tag != QD_SV_ARRAY &&
        of->tag != QD_SV_VALUES)
        return qdp_throw(vm, QDI_T_ILLEGAL_ARGUMENT, "Cannot iterate over [%s]", qdp_class(of));
    if (of->tag == QD_SV_VALUES) {
        const qd_script_values *v = of->object;
        return list_make(vm, v->v, v->n, false, r);
    }
    r[0] = *of;
    return 0;
}

static bool next(qd_sv *r)
{
    if (r[0].tag == QD_SV_SET) {
        const qd_sv_map *m = r[0].map;
        while (r[1].i < m->n && m->e[r[1].i].key.tag == QD_SV_GONE) r[1].i++;
        if (r[1].i >= m->n) return false;
        r[2] = m->e[r[1].i++].key;
        return true;
    }
    if (r[1].i >= r[0].list->n) return false;
    r[2] = r[0].list->v[r[1].i++];
    return true;
}

static int concat(qdp_vm *vm, const qd_sv *a, const qd_sv *b, qd_sv *out)
{
    char ra[QD_SV_PRINT], rb[QD_SV_PRINT];
    qd_sv ta, tb;
    qd_str x, y;
    if (a->tag <= QD_SV_STRING)
        x = qd_sv_print(a, ra);
    else if (qdp_text(vm, a, &ta) == 0)
        x = qd_sv_text(&ta);
    else
        return -1;
    if (b->tag <= QD_SV_STRING)
        y = qd_sv_print(b, rb);
    else if (qdp_text(vm, b, &tb) == 0)
        y = qd_sv_text(&tb);
    else
        return -1;
    if (x.n + y.n > QD_SCRIPT_MEMORY) return qdp_nomem(vm);
    char *p = qd_arena_bytes(&vm->x->arena, x.n + y.n + 1);
    if (!p) return qdp_nomem(vm);
    if (x.n) memcpy(p, x.p, x.n);
    if (y.n) memcpy(p + x.n, y.p, y.n);
    p[x.n + y.n] = 0;
    *out = qd_sv_str((qd_str){p, x.n + y.n});
    return 0;
}

static int emit(qdp_vm *vm, const qd_sv *v, uint32_t n)
{
    const qd_script_host *h = &vm->x->host;
    if (!h->emit) return 0;
    if (h->emit(h->self, v, n, vm->err) == 0) return 0;
    vm->fatal = true;
    return -1;
}

static int throw_value(qdp_vm *vm, const qd_sv *v)
{
    if (v->tag != QD_SV_EXCEPTION) return qdp_throw(vm, QDI_T_NULL_POINTER, "Cannot throw null");
    vm->exc = *v;
    return -1;
}

/* Instructions that are not short: 0 or -1. */
static int slow(qdp_vm *vm, const qdp_ins *i, qd_sv *r)
{
    const qdp_program *p = vm->p;
    switch (i->op) {
    case C_MEMBER:
        return qdp_member(vm, &p->paths.at[i->c], &r[i->a]);
    case C_WHOLE:
        return qdp_whole(vm, (qd_script_var)i->b, &r[i->a]);
    case C_THERE:
        r[i->a] = qd_sv_bool(qdp_member_there(vm, &p->paths.at[i->c]));
        return 0;
    case C_PUT:
        return qdp_member_put(vm, &p->paths.at[i->c], &r[i->b]);
    case C_FIND:
    case C_MATCH:
        return qdp_regex_test(vm, &r[i->b], &r[i->c], i->op == C_MATCH, &r[i->a]);
    case C_CAST:
        return qdp_cast(vm, &r[i->b], i->c & 0x7FFF, i->c & QDI_EXPLICIT, &r[i->a]);
    case C_INSTANCE:
        r[i->a] = qd_sv_bool(qdp_instance(&r[i->b], i->c));
        return 0;
    case C_CONCAT:
        return concat(vm, &r[i->b], &r[i->c], &r[i->a]);
    case C_LIST:
        return list_make(vm, &r[i->b], i->c, false, &r[i->a]);
    case C_FILL:
        return list_make(vm, &r[i->b], i->c, true, &r[i->a]);
    case C_MAP:
        return map_make(vm, &r[i->b], i->c, &r[i->a]);
    case C_ARRAY:
        return array_make(vm, &r[i->b], i->c, &r[i->a]);
    case C_GETI:
        return qdp_index_get(vm, &r[i->b], &r[i->c], &r[i->a]);
    case C_SETI:
        return qdp_index_set(vm, &r[i->a], &r[i->b], &r[i->c]);
    case C_GETF:
        return qdp_field_get(vm, &r[i->b], &p->sites.at[i->c], &r[i->a]);
    case C_SETF:
        return qdp_field_set(vm, &r[i->a], &p->sites.at[i->c], &r[i->b]);
    case C_CALL:
        vm->steps -= 4;
        return qdp_invoke(vm, &p->sites.at[i->c], &r[i->b], &r[i->a]);
    case C_STATIC: {
        const qdp_site *s = &p->sites.at[i->c];
        qd_sv v = qd_sv_null();
        v.more = (uint8_t)s->index;
        vm->steps -= 4;
        if (s->m[0]->fn(vm, &r[i->b], s->nargs, &v)) return -1;
        r[i->a] = v;
        return 0;
    }
    case C_CLOSURE:
        return closure_make(vm, i->c, &r[i->b], &r[i->a]);
    case C_DOC:
        return qdp_doc(vm, i->b, p->fields.at[i->b], &r[i->a]);
    case C_DOCVALUE:
        return qdp_doc_value(vm, i->b, p->fields.at[i->b], &r[i->a]);
    case C_EACH:
        return each(vm, &r[i->a], &r[i->b]);
    case C_EMIT:
        return emit(vm, &r[i->b], i->c);
    case C_THROW:
        return throw_value(vm, &r[i->a]);
    case C_NEG:
    case C_PLUS:
    case C_BITNOT:
        return qdp_unary(vm, i->op, &r[i->b], &r[i->a]);
    default:
        return qdp_arith(vm, i->op, &r[i->b], &r[i->c], &r[i->a]);
    }
}

#define INT(expr)                                                                                  \
    r[i->a] = (qd_sv){.tag = QD_SV_INT, .i = (int32_t)(expr)};                                     \
    break
#define LONG(expr)                                                                                 \
    r[i->a] = (qd_sv){.tag = QD_SV_LONG, .i = (int64_t)(expr)};                                    \
    break
#define DOUBLE(expr)                                                                               \
    r[i->a] = (qd_sv){.tag = QD_SV_DOUBLE, .f = (expr)};                                           \
    break
/* Mostly a jump follows that looks at it: both at once, which saves a dispatch. */
#define BOOL(expr)                                                                                 \
    yes = (expr);                                                                                  \
    r[i->a] = (qd_sv){.tag = QD_SV_BOOL, .i = yes};                                                \
    if (code[at].op == C_JF && code[at].a == i->a) at = yes ? at + 1 : TARGET(&code[at]);          \
    break
#define B r[i->b]
#define C r[i->c]

/* Runs until the frame `least` returns. */
static int run(qdp_vm *vm, uint32_t least, qd_sv *out)
{
    qdp_frame *f = &vm->frames[vm->nframes - 1];
    const qdp_ins *code = f->code->ins, *i;
    const qd_sv *consts = vm->p->consts.at;
    uint32_t at = f->at;
    qd_sv *r = f->base;
    bool yes;
    for (;;) {
        i = &code[at++];
        switch (i->op) {
        case C_NOP:
            break;
        case C_CONST:
            r[i->a] = consts[TARGET(i)];
            break;
        case C_MOVE:
            r[i->a] = B;
            break;
        case C_VAR:
            r[i->a] = vm->x->vars[i->b];
            break;
        case C_JUMP:
        jump : {
            uint32_t to = TARGET(i);
            if (to < at) {
                vm->steps -= at - to;
                if (QD_UNLIKELY(vm->steps < 0)) {
                    qdp_steps(vm, 0);
                    goto thrown;
                }
            }
            at = to;
            break;
        }
        case C_JT:
            if (r[i->a].i) goto jump;
            break;
        case C_JF:
            if (!r[i->a].i) at = TARGET(i);
            break;
        case C_JNULL:
            if (r[i->a].tag == QD_SV_NULL) at = TARGET(i);
            break;
        case C_JSOME:
            if (r[i->a].tag != QD_SV_NULL) at = TARGET(i);
            break;
        case C_NEXT:
            if (!next(&r[i->a])) at = TARGET(i);
            break;
        case C_NOT:
            BOOL(!B.i);
        case C_REF_EQ:
        case C_REF_NE: {
            bool same =
                B.tag == C.tag &&
                (B.i == C.i || (B.tag == QD_SV_STRING && qd_sv_equal_in(&B, &C, &vm->steps)));
            if (QD_UNLIKELY(vm->steps < 0)) {
                qdp_steps(vm, 0);
                goto thrown;
            }
            BOOL(same == (i->op == C_REF_EQ));
        }
        case C_EQ:
        case C_NE: {
            bool same = qdp_equal(vm, &B, &C);
            if (QD_UNLIKELY(vm->steps < 0)) {
                qdp_steps(vm, 0);
                goto thrown;
            }
            BOOL(same == (i->op == C_EQ));
        }
        case C_ADD_I:
            INT((uint32_t)B.i + (uint32_t)C.i);
        case C_SUB_I:
            INT((uint32_t)B.i - (uint32_t)C.i);
        case C_MUL_I:
            INT((uint32_t)B.i * (uint32_t)C.i);
        case C_LT_I:
        case C_LT_L:
            BOOL(B.i < C.i);
        case C_LE_I:
        case C_LE_L:
            BOOL(B.i <= C.i);
        case C_GT_I:
        case C_GT_L:
            BOOL(B.i > C.i);
        case C_GE_I:
        case C_GE_L:
            BOOL(B.i >= C.i);
        case C_EQ_I:
        case C_EQ_L:
            BOOL(B.i == C.i);
        case C_NE_I:
        case C_NE_L:
            BOOL(B.i != C.i);
        case C_DIV:
        case C_REM:
            if (C.tag < QD_SV_INT || C.tag > QD_SV_LONG || C.i <= 0) goto other;
            if (B.tag == QD_SV_INT && C.tag == QD_SV_INT) {
                INT(i->op == C_DIV ? B.i / C.i : B.i % C.i);
            }
            if (B.tag != QD_SV_LONG && (B.tag != QD_SV_INT || C.tag != QD_SV_LONG)) goto other;
            LONG(i->op == C_DIV ? B.i / C.i : B.i % C.i);
        case C_CAST: { /* what loses nothing is the same whether it is asked for or not */
            int to = i->c & 0x7FFF, tag = B.tag;
            if (to == QDI_T_DOUBLE && (tag == QD_SV_INT || tag == QD_SV_LONG)) {
                DOUBLE((double)B.i);
            }
            if (to == QDI_T_LONG && (tag == QD_SV_INT || tag == QD_SV_LONG)) {
                LONG(B.i);
            }
            if ((to != QDI_T_DOUBLE || tag != QD_SV_DOUBLE) &&
                (to != QDI_T_INT || tag != QD_SV_INT))
                goto other;
            r[i->a] = B;
            break;
        }
        case C_ADD_L:
            LONG((uint64_t)B.i + (uint64_t)C.i);
        case C_SUB_L:
            LONG((uint64_t)B.i - (uint64_t)C.i);
        case C_MUL_L:
            LONG((uint64_t)B.i * (uint64_t)C.i);
        case C_ADD_D:
            DOUBLE(B.f + C.f);
        case C_SUB_D:
            DOUBLE(B.f - C.f);
        case C_MUL_D:
            DOUBLE(B.f * C.f);
        case C_DIV_D:
            DOUBLE(B.f / C.f);
        case C_LT_D:
            BOOL(B.f < C.f);
        case C_LE_D:
            BOOL(B.f <= C.f);
        case C_GT_D:
            BOOL(B.f > C.f);
        case C_GE_D:
            BOOL(B.f >= C.f);
        case C_EQ_D:
            BOOL(B.f == C.f);
        case C_NE_D:
            BOOL(B.f != C.f);
        case C_USER: {
            const qdp_code *callee = vm->p->codes.at[i->c];
            vm->steps -= 8;
            f->at = at;
            if (vm->steps < 0) {
                qdp_steps(vm, 0);
                goto thrown;
            }
            if (enter(vm, callee, r + i->b, i->a)) goto thrown;
            f = &vm->frames[vm->nframes - 1];
            code = callee->ins;
            r = f->base;
            at = 0;
            break;
        }
        case C_RETURN: {
            qd_sv v = r[i->a];
            uint16_t dst = f->dst;
            vm->nframes--;
            if (vm->nframes == least) {
                vm->top = least ? vm->frames[least - 1].base + vm->frames[least - 1].code->nregs
                                : vm->stack;
                *out = v;
                return 0;
            }
            f = &vm->frames[vm->nframes - 1];
            vm->top = f->base + f->code->nregs;
            code = f->code->ins;
            r = f->base;
            at = f->at;
            r[dst] = v;
            break;
        }
        other:
        default:
            f->at = at;
            if (QD_UNLIKELY(slow(vm, i, r))) goto thrown;
            break;
        }
        continue;
    thrown:
        f->at = at;
        if (!unwind(vm, least)) return -1;
        f = &vm->frames[vm->nframes - 1];
        code = f->code->ins;
        r = f->base;
        at = f->at;
    }
}
#undef B
#undef C

int qdp_vm_run(qdp_vm *vm, qd_sv *out)
{
    vm->nframes = vm->nested = 0;
    vm->fatal = vm->exc_placed = false;
    vm->exc_pos = 0;
    vm->exc = qd_sv_null();
    if (enter(vm, vm->p->codes.at[0], vm->stack, 0)) return -1;
    return run(vm, 0, out);
}

/* A method of a reference "name" for these arguments: of its type, or of the first argument. */
static int call_site(qdp_vm *vm, const qdp_closure *k, qd_sv *args, uint32_t n, qd_sv *out)
{
    const qdp_site *s = k->site;
    *out = qd_sv_null();
    if (s->index >= 0 && !k->n) {
        const qdp_method *m = qdp_static_find(s->index, s->name, n);
        out->more = (uint8_t)s->index;
        if (m) return m->fn(vm, args, n, out);
    }
    for (uint32_t i = 0; n && i < s->n; i++)
        if (s->m[i]->tags & 1ull << args[0].tag &&
            (s->m[i]->nargs == (int)n - 1 || s->m[i]->nargs < 0))
            return qdp_receiver(vm, args, n - 1) ? -1 : s->m[i]->fn(vm, args, n - 1, out);
    if (n && args[0].tag == QD_SV_NULL)
        return qdp_throw(vm, QDI_T_NULL_POINTER, "cannot call [%.*s] of null", QD_STR_ARG(s->name));
    return qdp_throw(vm, QDI_T_ILLEGAL_ARGUMENT, "dynamic method [%s, %.*s/%u] not found",
                     n ? qdp_class(&args[0]) : "", QD_STR_ARG(s->name), n ? n - 1 : 0);
}

int qdp_call(qdp_vm *vm, const qd_sv *fn, const qd_sv *args, uint32_t n, qd_sv *out)
{
    if (fn->tag != QD_SV_FUNCTION)
        return qdp_throw(vm, fn->tag == QD_SV_NULL ? QDI_T_NULL_POINTER : QDI_T_CLASS_CAST,
                         "[%s] is no function", qdp_class(fn));
    const qdp_closure *k = fn->object;
    uint32_t total = k->n + n;
    qd_sv *base = vm->top;
    vm->steps -= 8;
    if (vm->steps < 0) return qdp_steps(vm, 0);
    if (vm->nested >= QDI_NESTED || base + total + 2 > vm->stack + QDI_STACK) {
        vm->fatal = true;
        return qdp_throw(vm, QDI_T_EXCEPTION,
                         "the calls of the script nest too deep (stack_overflow_error)");
    }
    if (k->n) memcpy(base, k->captured, k->n * sizeof *base);
    if (n) memcpy(base + k->n, args, n * sizeof *base);
    vm->nested++;
    int rc;
    if (k->code) {
        if (total != k->code->nparams)
            rc = qdp_throw(vm, QDI_T_ILLEGAL_ARGUMENT,
                           "Incorrect number of parameters for [lambda]: %u instead of %u", n,
                           k->code->nparams - k->n);
        else {
            uint32_t least = vm->nframes;
            rc = enter(vm, k->code, base, 0);
            if (rc == 0) rc = run(vm, least, out);
        }
    } else {
        vm->top = base + total;
        rc = call_site(vm, k, base, total, out);
        vm->top = base;
    }
    vm->nested--;
    return rc;
}
