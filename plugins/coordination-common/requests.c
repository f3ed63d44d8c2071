/* requests.c: the requests of callers: lists of them, their parts, their ends. */
#include "store.h"

#define CONTAINER CR_CONTAINER

void cr_nodes_append(cr_nodes *l, cr_node *n)
{
    n->next = NULL;
    n->previous = l->last;
    if (l->last)
        l->last->next = n;
    else
        l->first = n;
    l->last = n;
}

void cr_nodes_unlink(cr_nodes *l, cr_node *n)
{
    *(n->previous ? &n->previous->next : &l->first) = n->next;
    *(n->next ? &n->next->previous : &l->last) = n->previous;
}

/* The op and the error object of a request. */
static qd_op *parts_of(cr_node *n, qd_err **err)
{
#define PARTS(type)                                                                                \
    do {                                                                                           \
        *err = CONTAINER(type, n)->err;                                                            \
        return &CONTAINER(type, n)->op;                                                            \
    } while (0)
    switch (n->kind) {
    case CR_RANGE:
        PARTS(qd_coord_range);
    case CR_TXN_REQUEST:
        PARTS(qd_coord_txn);
    case CR_SESSION_REQUEST:
        PARTS(qd_coord_session);
    case CR_ELECTION_REQUEST:
        PARTS(qd_coord_election);
    case CR_MEMBERS:
        PARTS(qd_coord_members);
    case CR_AUTHORITY_REQUEST:
        PARTS(qd_coord_authority);
    case CR_EXPORT:
        PARTS(qd_coord_export);
    default:
        PARTS(qd_coord_import);
    }
#undef PARTS
}

qd_op *cr_op_of(cr_node *n)
{
    qd_err *err;
    return parts_of(n, &err);
}

void cr_end(qd_coord *c, cr_node *n, int32_t rc, const char *reason)
{
    qd_err *err;
    qd_op *op = parts_of(n, &err);
    cr_nodes_unlink(&c->pending, n);
    if (rc && reason && err) c->plugin->err->set(err, rc, (qd_str){reason, strlen(reason)});
    size_t weight = cr_weight(n);
    pthread_mutex_lock(&c->lock);
    c->live--;
    c->updates -= weight > 0;
    c->bytes -= weight;
    pthread_mutex_unlock(&c->lock);
    c->plugin->loop->complete(op, rc); /* the request is not ours any more */
}

size_t cr_weight(const cr_node *n)
{
    size_t sum = 64;
    switch (n->kind) {
    case CR_TXN_REQUEST: {
        const qd_coord_txn *t = CONTAINER(const qd_coord_txn, n);
        if (t->nchanges == 0) return 0;
        for (uint32_t i = 0; i < t->ncompares; i++) sum += t->compares[i].key.n + 64;
        for (uint32_t i = 0; i < t->nchanges; i++)
            sum += t->changes[i].key.n + t->changes[i].value.n + 32;
        return sum;
    }
    case CR_SESSION_REQUEST:
        return CONTAINER(const qd_coord_session, n)->action == QD_COORD_SESSION_KEEP ? 0 : sum;
    case CR_ELECTION_REQUEST: /* one that waits is no work */
        return 0;
    case CR_AUTHORITY_REQUEST:
        return sum;
    case CR_IMPORT_REQUEST: {
        const qd_coord_import *t = CONTAINER(const qd_coord_import, n);
        for (uint32_t i = 0; i < t->nevents; i++)
            sum += t->events[i].kv.key.n + t->events[i].kv.value_len + 64;
        return sum;
    }
    default:
        return 0;
    }
}

const char *cr_reason_of(int32_t rc)
{
    switch (rc) {
    case QD_E_CONFLICT:
        return "a compare does not hold";
    case QD_E_FENCED:
        return "this store, or this leader, is not in charge any more";
    case QD_E_SESSION_EXPIRED:
        return "the session has ended";
    case QD_E_UNKNOWN_OUTCOME:
        return "the change may or may not be committed: ask again with the same request id";
    case QD_E_NOSPACE:
        return "the disk of the coordination store is full";
    case QD_E_NOMEM:
        return "out of memory: coordination store";
    case QD_E_REJECTED:
        return "the coordination store has too many requests waiting";
    case QD_E_NOT_LEADER:
    case QD_E_NO_COORDINATION:
        return "the coordination store has no leader";
    case QD_E_CANCELLED:
        return "cancelled";
    case QD_E_CLOSED:
        return "the coordination store is closed";
    default:
        return "the coordination store refused it";
    }
}

static int32_t finish_election(cr_node *n, const cr_answering *a)
{
    qd_coord_election *e = CONTAINER(qd_coord_election, n);
    if (a->rc == 0 && a->waiting) {
        n->state = CR_WAITING;
        return 1;
    }
    if (a->rc == 0 && e->action == QD_COORD_ELECT) e->token = a->token;
    return 0;
}

void cr_finish(qd_coord *c, cr_node *n, const cr_answering *a)
{
    int32_t rc = a->rc;
    switch (n->kind) {
    case CR_TXN_REQUEST:
        CONTAINER(qd_coord_txn, n)->revision = a->revision;
        CONTAINER(qd_coord_txn, n)->failed = a->failed;
        break;
    case CR_SESSION_REQUEST: {
        qd_coord_session *s = CONTAINER(qd_coord_session, n);
        if (s->action == QD_COORD_SESSION_OPEN && rc == 0) {
            s->session = a->session;
            s->ttl_ns = a->ttl_ns;
        }
        break;
    }
    case CR_ELECTION_REQUEST:
        if (finish_election(n, a)) return;
        break;
    case CR_AUTHORITY_REQUEST:
        CONTAINER(qd_coord_authority, n)->revision = a->revision;
        break;
    case CR_MEMBERS:
        if (rc == 0)
            rc = cr_members_result(c, CONTAINER(qd_coord_members, n), a->members, a->nmembers);
        break;
    default:
        break;
    }
    char text[CR_WIRE_TEXT_MAX + 1];
    if (rc && a->text.n && a->text.n <= CR_WIRE_TEXT_MAX) {
        memcpy(text, a->text.p, a->text.n);
        text[a->text.n] = 0;
        cr_end(c, n, rc, text);
        return;
    }
    cr_end(c, n, rc, rc ? cr_reason_of(rc) : NULL);
}
