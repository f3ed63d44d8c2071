/*
 * registry.c: who provides what. For each kind: the size of its vtable, the flags it knows, and its
 * slots with what makes them mandatory. A vtable that passes is copied, so that later look-ups read
 * the host's own struct only, whatever size the plugin's had.
 */
#include "plugin/host_int.h"
#include <quidditch/aggregation.h>
#include <quidditch/analyzer.h>
#include <quidditch/coordination.h>
#include <quidditch/field.h>
#include <quidditch/frontend.h>
#include <quidditch/operator.h>
#include <quidditch/processor.h>
#include <quidditch/route.h>
#include <quidditch/storage.h>

/* A slot: always there (flag 0), or there exactly when the flag is set, or is not. */
typedef struct slot {
    const char *name;
    size_t offset;
    uint64_t flag;
    bool unless;
} slot;

#define SLOT(type, member, flag)                                                                   \
    {                                                                                              \
#member, offsetof(type, member), (flag), false                                             \
    }
#define ST(member, flag) SLOT(qd_storage_vtable, member, flag)
static const slot storage_slots[] = {
    ST(open, 0),
    ST(close, 0),
    ST(info, 0),
    ST(capacity, 0),
    ST(object_open, 0),
    ST(object_close, 0),
    ST(object_map, QD_STORAGE_MMAP),
    ST(read_v, 0),
    ST(read_cancel, 0),
    ST(put_begin, 0),
    ST(put_write, 0),
    ST(put_commit, 0),
    ST(put_abort, 0),
    ST(sync_objects, QD_STORAGE_LAZY),
    ST(publish, 0),
    ST(publish_if, QD_STORAGE_CONDITIONAL_PUT),
    ST(get, 0),
    ST(log_open, QD_STORAGE_APPEND),
    ST(log_append_v, QD_STORAGE_APPEND),
    ST(log_sync, QD_STORAGE_APPEND),
    ST(log_read, QD_STORAGE_APPEND),
    ST(log_truncate, QD_STORAGE_APPEND),
    ST(log_close, QD_STORAGE_APPEND),
    ST(list, 0),
    ST(stat, 0),
    ST(remove, 0),
    ST(remove_tree, QD_STORAGE_TREE),
    ST(rename, QD_STORAGE_RENAME),
    ST(copy, QD_STORAGE_COPY),
    ST(sync_dir, QD_STORAGE_LAZY),
    {NULL, 0, 0, false},
};
#define CO(member, flag) SLOT(qd_coord_vtable, member, flag)
static const slot coordination_slots[] = {
    CO(open, 0),
    CO(close, 0),
    CO(info, 0),
    CO(identity, 0),
    CO(range, 0),
    CO(txn, 0),
    CO(session, 0),
    CO(election, 0),
    CO(members, 0),
    CO(result_free, 0),
    CO(watch, 0),
    CO(watch_close, 0),
    CO(cancel, 0),
    CO(compact, 0),
    CO(authority, QD_COORD_AUTHORITY),
    CO(export_at, QD_COORD_AUTHORITY),
    CO(import, QD_COORD_AUTHORITY),
    {NULL, 0, 0, false},
};
#define OP(member, flag) SLOT(qd_operator_vtable, member, flag)
static const slot operator_slots[] = {
    OP(parse, 0),
    OP(rewrite, QD_OPERATOR_REWRITES),
    OP(open_iter, QD_OPERATOR_ITERATES),
    OP(next_block, QD_OPERATOR_ITERATES),
    OP(max_score, QD_OPERATOR_MAX_SCORE),
    OP(close_iter, QD_OPERATOR_ITERATES),
    OP(match_block, QD_OPERATOR_TWO_PHASE),
    OP(explain, QD_OPERATOR_EXPLAINS),
    {NULL, 0, 0, false},
};
#define ANALYZER_SLOTS(type)                                                                       \
    {                                                                                              \
        SLOT(type, open, 0), SLOT(type, run, 0), SLOT(type, close, 0), {NULL, 0, 0, false},        \
    }
static const slot char_filter_slots[] = ANALYZER_SLOTS(qd_char_filter_vtable);
static const slot tokenizer_slots[] = ANALYZER_SLOTS(qd_tokenizer_vtable);
static const slot token_filter_slots[] = ANALYZER_SLOTS(qd_token_filter_vtable);
#define FR(member, flag) SLOT(qd_frontend_vtable, member, flag)
static const slot frontend_slots[] = {
    FR(open, 0), FR(address, 0), FR(drain, 0), FR(close, 0), {NULL, 0, 0, false},
};

#define AG(member, flag) SLOT(qd_aggregation_vtable, member, flag)
#define AM(member)                                                                                 \
    {                                                                                              \
#member, offsetof(qd_aggregation_vtable, member), QD_AGGREGATION_BUCKETS, true             \
    }
static const slot aggregation_slots[] = {
    AG(parse, 0),
    AG(open, 0),
    AG(close, 0),
    AG(keys, QD_AGGREGATION_BUCKETS),
    AM(collect),
    AM(result),
    AM(reduce),
    AM(value),
    AG(write, QD_AGGREGATION_WRITES),
    AG(write_bucket, QD_AGGREGATION_BUCKET_MEMBERS),
    {NULL, 0, 0, false},
};
#define FI(member, flag) SLOT(qd_field_vtable, member, flag)
static const slot field_slots[] = {
    FI(check, 0),
    FI(parse, 0),
    FI(part, QD_FIELD_PART),
    {NULL, 0, 0, false},
};

static const slot route_slots[] = {
    SLOT(qd_route_vtable, routes, 0),
    SLOT(qd_route_vtable, handle, 0),
    {NULL, 0, 0, false},
};

static const slot processor_slots[] = {
    SLOT(qd_processor_vtable, open, 0),
    SLOT(qd_processor_vtable, run, 0),
    SLOT(qd_processor_vtable, close, 0),
    {NULL, 0, 0, false},
};

static const struct kind {
    const char *name;
    size_t size;
    uint64_t flags;
    uint16_t major, minor;
    const slot *slots;
} kinds[QD_KIND_COUNT] = {
    [QD_KIND_COORDINATION] = {"coordination", sizeof(qd_coord_vtable), 15, QD_COORDINATION_MAJOR,
                              QD_COORDINATION_MINOR, coordination_slots},
    [QD_KIND_STORAGE] = {"storage", sizeof(qd_storage_vtable), 2047, QD_STORAGE_MAJOR,
                         QD_STORAGE_MINOR, storage_slots},
    [QD_KIND_OPERATOR] = {"operator", sizeof(qd_operator_vtable), 127, QD_OPERATOR_MAJOR,
                          QD_OPERATOR_MINOR, operator_slots},
    [QD_KIND_CHAR_FILTER] = {"char_filter", sizeof(qd_char_filter_vtable), 7, QD_CHAR_FILTER_MAJOR,
                             QD_CHAR_FILTER_MINOR, char_filter_slots},
    [QD_KIND_TOKENIZER] = {"tokenizer", sizeof(qd_tokenizer_vtable), 7, QD_TOKENIZER_MAJOR,
                           QD_TOKENIZER_MINOR, tokenizer_slots},
    [QD_KIND_TOKEN_FILTER] = {"token_filter", sizeof(qd_token_filter_vtable), 7,
                              QD_TOKEN_FILTER_MAJOR, QD_TOKEN_FILTER_MINOR, token_filter_slots},
    [QD_KIND_FRONTEND] = {"frontend", sizeof(qd_frontend_vtable), 1, QD_FRONTEND_MAJOR,
                          QD_FRONTEND_MINOR, frontend_slots},
    [QD_KIND_AGGREGATION] = {"aggregation", sizeof(qd_aggregation_vtable), 31, QD_AGGREGATION_MAJOR,
                             QD_AGGREGATION_MINOR, aggregation_slots},
    [QD_KIND_FIELD] = {"field", sizeof(qd_field_vtable), 15, QD_FIELD_MAJOR, QD_FIELD_MINOR,
                       field_slots},
    [QD_KIND_ROUTE] = {"route", sizeof(qd_route_vtable), 0, QD_ROUTE_MAJOR, QD_ROUTE_MINOR,
                       route_slots},
    [QD_KIND_PROCESSOR] = {"processor", sizeof(qd_processor_vtable), 0, QD_PROCESSOR_MAJOR,
                           QD_PROCESSOR_MINOR, processor_slots},
};

const char *qd_plugin_kind_name(uint32_t kind)
{
    return kind > 0 && kind < QD_KIND_COUNT ? kinds[kind].name : NULL;
}

uint32_t qd_plugin_kind_of(qd_str name)
{
    for (uint32_t i = 1; i < QD_KIND_COUNT; i++)
        if (kinds[i].name && qd_str_is(name, kinds[i].name)) return i;
    return 0;
}

void qdi_kind_version(uint32_t kind, uint16_t *major, uint16_t *minor)
{
    *major = kinds[kind].major;
    *minor = kinds[kind].minor;
}

static int check_slots(qd_self *self, const struct kind *k, const char *name, const char *copy,
                       size_t given, qd_err *err)
{
    uint64_t flags = ((const qd_vtable *)(const void *)copy)->flags;
    for (const slot *s = k->slots; s->name; s++) {
        void *fn;
        memcpy(&fn, copy + s->offset, sizeof fn);
        bool wanted = s->flag == 0 || ((flags & s->flag) != 0) != s->unless;
        if (wanted && !fn)
            return qd_err_set(
                err, QD_E_ABI, "%s: %s [%s] lacks the slot %s%s: wanted a function, found %s",
                self->name, k->name, name, s->name, s->flag ? ", which its flags promise" : "",
                s->offset < given ? "NULL" : "a shorter table");
        if (!wanted && fn)
            return qd_err_set(
                err, QD_E_ABI, "%s: %s [%s] has the slot %s %s (%#llx)", self->name, k->name, name,
                s->name, s->unless ? "beside a flag that excludes it" : "without the flag for it",
                (unsigned long long)s->flag);
    }
    return 0;
}

static int check_table(qd_self *self, const struct kind *k, const char *name, const qd_vtable *head,
                       qd_err *err)
{
    if (head->struct_size < sizeof *head)
        return qd_err_set(err, QD_E_ABI, "%s: %s [%s]: struct_size is %u", self->name, k->name,
                          name, head->struct_size);
    bool fits = head->major == k->major &&
                (k->major == 0 ? head->minor == k->minor : head->minor <= k->minor);
    if (!fits)
        return qd_err_set(err, QD_E_ABI,
                          "%s: %s [%s]: wanted version %u.%u of the kind, found %u.%u", self->name,
                          k->name, name, k->major, k->minor, head->major, head->minor);
    uint64_t unknown = head->flags & ~k->flags & ~QD_FLAG_HINTS;
    if (unknown)
        return qd_err_set(err, QD_E_ABI, "%s: %s [%s]: unknown flags %#llx: wanted bits of %#llx",
                          self->name, k->name, name, (unsigned long long)unknown,
                          (unsigned long long)k->flags);
    return 0;
}

static bool provided_name_ok(const char *name)
{
    size_t n = strlen(name);
    return n > 0 && n < 64 && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_.-") == n;
}

int32_t qdi_provide(qd_self *self, uint32_t kind, const char *name, const void *vtable, qd_err *err)
{
    QD_CHECK(self, QD_SELF_MAGIC);
    qd_plugin_host *h = self->host;
    if (h->initialising != self)
        return qd_err_set(err, QD_E_STATE, "%s: provide is for init only", self->name);
    if (!qd_plugin_kind_name(kind))
        return qd_err_set(err, QD_E_ABI, "%s: provides the unknown kind %u", self->name, kind);
    const struct kind *k = &kinds[kind];
    if (!name || !provided_name_ok(name) || !vtable)
        return qd_err_set(err, QD_E_ARG, "%s: provides a %s with a bad name: wanted [a-z0-9_.-]+",
                          self->name, k->name);
    const qd_vtable *head = vtable;
    int rc = check_table(self, k, name, head, err);
    if (rc) return rc;
    qd_self *other;
    if (qd_plugin_find(h, kind, qd_str_c(name), &other))
        return qd_err_set(err, QD_E_EXISTS, "%s: duplicate name: %s [%s] is already provided by %s",
                          self->name, k->name, name, other->name);
    char *copy = qd_arena_calloc(&h->arena, k->size);
    if (!copy) return qd_err_nomem(err, "a vtable");
    memcpy(copy, vtable, head->struct_size < k->size ? head->struct_size : k->size);
    if (head->struct_size > k->size) /* lookup hands the copy out: QD_HAS must not go behind it */
        ((qd_vtable *)(void *)copy)->struct_size = (uint32_t)k->size;
    rc = check_slots(self, k, name, copy, head->struct_size, err);
    if (rc) return rc;
    qd_provided p = {qd_arena_str(&h->arena, qd_str_c(name)), self, copy};
    if (!p.name.p || qd_vec_push(&h->provided[kind], &h->account, p))
        return qd_err_nomem(err, "registry");
    self->kinds |= 1u << kind;
    return 0;
}

void qdi_provided_drop(qd_self *self)
{
    qd_plugin_host *h = self->host;
    qdi_edges_drop(self);
    for (uint32_t kind = 1; kind < QD_KIND_COUNT; kind++) {
        size_t kept = 0;
        for (size_t i = 0; i < h->provided[kind].n; i++)
            if (h->provided[kind].at[i].self != self)
                h->provided[kind].at[kept++] = h->provided[kind].at[i];
        h->provided[kind].n = kept;
    }
}

const void *qd_plugin_find(const qd_plugin_host *h, uint32_t kind, qd_str name, qd_self **self)
{
    QD_CHECK(h, QD_PLUGIN_HOST_MAGIC);
    qd_assert(kind > 0 && kind < QD_KIND_COUNT);
    for (size_t i = 0; i < h->provided[kind].n; i++) {
        const qd_provided *p = &h->provided[kind].at[i];
        if (!qd_str_eq(p->name, name)) continue;
        if (self) *self = p->self;
        return p->vtable;
    }
    return NULL;
}

const void *qd_plugin_next(const qd_plugin_host *h, uint32_t kind, size_t *pos, qd_str *name,
                           qd_self **self)
{
    QD_CHECK(h, QD_PLUGIN_HOST_MAGIC);
    qd_assert(kind > 0 && kind < QD_KIND_COUNT);
    if (*pos >= h->provided[kind].n) return NULL;
    const qd_provided *p = &h->provided[kind].at[(*pos)++];
    if (name) *name = p->name;
    if (self) *self = p->self;
    return p->vtable;
}

/* Are they the same but for '_' and '-'? Names of files have no '_'. */
static bool like(qd_str file, qd_str name)
{
    size_t i = 0;
    if (file.n != name.n) return false;
    while (i < name.n && (file.p[i] == name.p[i] || (file.p[i] == '-' && name.p[i] == '_'))) i++;
    return i == name.n;
}

/* The refused plugin that would most likely have provided it: "<kind>-<name>", "<name>", or the
 * only one whose note announces the kind. */
static const qd_self *likely(const qd_plugin_host *h, uint32_t kind, qd_str name)
{
    const qd_self *only = NULL;
    size_t announcing = 0;
    qd_str kind_name = qd_str_c(kinds[kind].name);
    for (size_t i = 0; i < h->refused.n; i++) {
        const qd_self *s = h->refused.at[i];
        qd_str file = qd_str_c(s->name);
        bool prefixed = file.n == kind_name.n + 1 + name.n && qd_str_starts(file, kind_name) &&
                        qd_str_ends(file, name);
        if (like(file, name) || prefixed) return s;
        if (s->kinds & (1u << kind)) only = s, announcing++;
    }
    return announcing == 1 ? only : NULL;
}

const char *qd_plugin_refused(const qd_plugin_host *h, uint32_t kind, qd_str name,
                              const char **reason)
{
    const qd_self *r = likely(h, kind, name);
    if (!r) return NULL;
    *reason = r->reason;
    return r->name;
}

int qd_plugin_need(const qd_plugin_host *h, uint32_t kind, qd_str name, const char *wanted_by,
                   const void **vtable, qd_self **self, qd_err *err)
{
    const void *found = qd_plugin_find(h, kind, name, self);
    if (found) {
        *vtable = found;
        return 0;
    }
    const qd_self *r = likely(h, kind, name);
    if (r)
        return qd_err_set(err, QD_E_PLUGIN, "%s wants %s [%.*s], but plugin [%s] was refused: %s",
                          wanted_by, kinds[kind].name, QD_STR_ARG(name), r->name, r->reason);
    return qd_err_set(err, QD_E_PLUGIN,
                      "%s wants %s [%.*s], but no loaded plugin provides it; look at plugins.path "
                      "[%.*s] and plugins.allow",
                      wanted_by, kinds[kind].name, QD_STR_ARG(name),
                      QD_STR_ARG(h->config.npaths ? h->config.paths[0] : QD_STR("")));
}
