/*
 * propose.c: requests become commands, those of one turn of the loop one entry; what an applied
 * entry came to goes back to the requests.
 */
#include "store.h"

#define CONTAINER(type, n) ((type *)((char *)(n)-offsetof(type, plugin)))
#define SPACE_LOOK_NS 1000000 /* between looks at the free space */
#define SNAPSHOT_BYTES (32u << 20)

/* --- writing --- */

static void batch_done(cr_proposal *p, int32_t rc);

cr_writer *cr_command(qd_coord *c, uint8_t type)
{
    if (c->batch && (c->batch->n == CR_ENTRY_COMMANDS || c->writer.bytes.n > CR_ENTRY_MAX / 2))
        cr_flush(c);
    if (!c->batch) {
        c->batch = cr_must(c->heap, sizeof *c->batch);
        *c->batch = (cr_batch){.proposal = {.done = batch_done}, .store = c, .id = ++c->last_batch};
        cr_writer_begin(&c->writer, c->heap);
    }
    if (type) cr_command_begin(&c->writer, type);
    return &c->writer;
}

static void own(qd_coord *c, cr_node *node)
{
    c->batch->nodes[c->batch->n++] = node;
    if (node) node->state = CR_PROPOSED;
}

/* A command too large for an entry: its parts, each an entry, then the command that joins them. */
static void in_parts(qd_coord *c, cr_bytes *whole, cr_node *node)
{
    uint8_t sum[16];
    uint32_t n = 0;
    cr_sum128(whole->p, whole->n, sum);
    for (size_t at = 0; at < whole->n; at += CR_PART_BYTES, n++) {
        size_t left = whole->n - at;
        cr_writer *w = cr_command(c, CR_PART);
        cr_put(&w->bytes, sum, 16);
        cr_put32(&w->bytes, n);
        cr_put_str(&w->bytes, (qd_str){(const char *)whole->p + at,
                                       left < CR_PART_BYTES ? left : CR_PART_BYTES});
        cr_command_end(w);
        own(c, NULL);
        cr_flush(c);
    }
    cr_writer *w = cr_command(c, CR_WHOLE);
    cr_put(&w->bytes, sum, 16);
    cr_put32(&w->bytes, n);
    cr_command_end(w);
    own(c, node);
}

void cr_command_done(qd_coord *c, cr_node *node)
{
    if (c->writer.bytes.n + 8 <= CR_ENTRY_MAX) {
        own(c, node);
        return;
    }
    cr_bytes whole = cr_command_take(&c->writer);
    if (c->batch->n) {
        cr_flush(c);
    }
    if (whole.n + CR_ENTRY_HEAD + 16 <= CR_ENTRY_MAX) { /* it was the company that was too much */
        cr_writer *w = cr_command(c, whole.p[0]);
        cr_put(&w->bytes, whole.p + 1, whole.n - 1);
        cr_command_end(w);
        own(c, node);
    } else {
        in_parts(c, &whole, node);
    }
    cr_bytes_free(&whole);
}

static const char *why_not(int32_t rc)
{
    return rc == QD_E_NOSPACE ? "the disk of the coordination store is full"
           : rc == QD_E_NOMEM ? "out of memory: log entry"
                              : "the coordination store cannot write now";
}

void cr_flush(qd_coord *c)
{
    cr_batch *b = c->batch;
    if (!b) return;
    c->batch = NULL;
    int32_t rc = QD_E_NO_COORDINATION;
    if (b->n) {
        cr_writer_end(&c->writer, b->id ^ c->incarnation);
        rc = c->failed ? rc
                       : cr_consensus_propose(c->consensus, &b->proposal, c->writer.bytes.p,
                                              c->writer.bytes.n);
        c->since_snapshot += c->writer.bytes.n;
        if (rc == 0 && c->since_snapshot > SNAPSHOT_BYTES) {
            cr_consensus_snapshot_soon(c->consensus);
            c->since_snapshot = 0;
        }
    }
    cr_bytes_free(&c->writer.bytes);
    if (rc == 0) return;
    for (uint32_t i = 0; i < b->n; i++)
        if (b->nodes[i]) cr_end(c, b->nodes[i], rc, why_not(rc));
    cr_free(c->heap, b);
}

int32_t cr_space(qd_coord *c)
{
    int64_t now = c->plugin->clock->mono_ns(c->plugin->self);
    if (c->space_checked_ns && now - c->space_checked_ns < SPACE_LOOK_NS) return 0;
    uint64_t need = c->reserve_bytes, space = cr_folder_free(c);
    if (space < need && c->reserve_there) {
        cr_reserve_spend(c);
        space = cr_folder_free(c);
    } else if (!c->reserve_there && space > 4 * need &&
               (!c->young || now - c->ready_ns > CR_YOUNG_NS)) {
        cr_reserve_fill(c);
    }
    c->space_checked_ns = now;
    if (space >= need / 2) return 0;
    c->space_checked_ns = 0; /* look again for the next one */
    return QD_E_NOSPACE;
}

/* --- requests --- */

static void submit_session(qd_coord *c, cr_node *n)
{
    const qd_coord_session *r = CONTAINER(qd_coord_session, n);
    cr_writer *w = cr_command(c, r->action == QD_COORD_SESSION_OPEN   ? CR_OPEN
                                 : r->action == QD_COORD_SESSION_KEEP ? CR_KEEP
                                                                      : CR_CLOSE);
    if (r->action == QD_COORD_SESSION_OPEN) {
        cr_put(&w->bytes, r->id, 16);
        cr_put64(&w->bytes, (uint64_t)r->ttl_ns);
    } else {
        cr_put64(&w->bytes, r->session);
    }
    cr_command_end(w);
}

static void submit_election(qd_coord *c, cr_node *n)
{
    const qd_coord_election *r = CONTAINER(qd_coord_election, n);
    cr_writer *w = cr_command(c, r->action == QD_COORD_ELECT ? CR_ELECT : CR_RESIGN);
    if (r->action == QD_COORD_ELECT) {
        n->number = ++c->last_number;
        cr_put64(&w->bytes, c->incarnation);
        cr_put64(&w->bytes, n->number);
        cr_put64(&w->bytes, r->session);
        cr_put_str(&w->bytes, r->name);
        cr_put_str(&w->bytes, r->value);
    } else {
        cr_put64(&w->bytes, r->session);
        cr_put64(&w->bytes, r->token.epoch);
        cr_put64(&w->bytes, r->token.term);
        cr_put_str(&w->bytes, r->name);
    }
    cr_command_end(w);
}

void cr_submit(qd_coord *c, cr_node *n)
{
    cr_writer *w;
    int32_t rc = cr_space(c);
    if (rc) {
        cr_end(c, n, rc, why_not(rc));
        return;
    }
    switch (n->kind) {
    case CR_TXN_REQUEST:
        w = cr_command(c, 0);
        cr_write_txn(w, CONTAINER(qd_coord_txn, n));
        break;
    case CR_SESSION_REQUEST:
        submit_session(c, n);
        break;
    case CR_ELECTION_REQUEST:
        submit_election(c, n);
        break;
    case CR_AUTHORITY_REQUEST: {
        const qd_coord_authority *r = CONTAINER(qd_coord_authority, n);
        w = cr_command(c, CR_AUTHORITY);
        cr_put(&w->bytes, r->id, 16);
        cr_put32(&w->bytes, r->action);
        cr_put64(&w->bytes, r->epoch);
        cr_put64(&w->bytes, r->new_epoch);
        cr_put64(&w->bytes, r->revision);
        cr_command_end(w);
        break;
    }
    default:
        w = cr_command(c, 0);
        cr_write_import(w, CONTAINER(qd_coord_import, n));
        break;
    }
    cr_command_done(c, n);
}

/* --- outcomes --- */

/* Hands a command's result to its request; 0: it goes on waiting. */
static int take_result(cr_node *n, const cr_result *r)
{
    switch (n->kind) {
    case CR_TXN_REQUEST: {
        qd_coord_txn *t = CONTAINER(qd_coord_txn, n);
        t->revision = r->revision;
        t->failed = r->failed;
        return 1;
    }
    case CR_SESSION_REQUEST: {
        qd_coord_session *s = CONTAINER(qd_coord_session, n);
        if (s->action == QD_COORD_SESSION_OPEN && r->rc == 0) {
            s->session = r->session;
            s->ttl_ns = r->ttl_ns;
        }
        return 1;
    }
    case CR_ELECTION_REQUEST:
        if (r->waiting) {
            n->state = CR_WAITING;
            return 0;
        }
        if (r->rc == 0 && CONTAINER(qd_coord_election, n)->action == QD_COORD_ELECT)
            CONTAINER(qd_coord_election, n)->token = r->token;
        return 1;
    case CR_AUTHORITY_REQUEST:
        CONTAINER(qd_coord_authority, n)->revision = r->revision;
        return 1;
    default:
        return 1;
    }
}

static const char *reason_of(int32_t rc)
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
    default:
        return "the coordination store refused it";
    }
}

/* Candidates that wait no more. */
static void end_candidates(qd_coord *c)
{
    const cr_outcome *o = &c->machine->out;
    for (uint32_t i = 0; i < o->nended; i++) {
        const cr_ended *e = &o->ended[i];
        if (e->owner != c->incarnation) continue;
        for (cr_node *n = c->pending.first, *next; n; n = next) {
            next = n->next;
            if (n->kind != CR_ELECTION_REQUEST || n->number != e->number) continue;
            CONTAINER(qd_coord_election, n)->token = e->token;
            cr_end(c, n, e->rc, e->rc ? reason_of(e->rc) : NULL);
            break;
        }
    }
}

int32_t cr_on_apply(void *arg, uint64_t index, const uint8_t *entry, size_t n)
{
    qd_coord *c = arg;
    if (index <= c->applied) { /* the rows have it already */
        c->machine->out.proposal = 0;
        return 0;
    }
    cr_machine *m = c->machine;
    int32_t rc = cr_machine_apply(m, entry, n);
    if (rc) return rc;
    c->applied = index;
    c->replayed++;
    c->dirty = 1;
    if (m->out.replaced)
        for (qd_coord_watch *w = c->watches; w; w = w->next) w->from = 0; /* all is gone */
    cr_rows_push(c->rows, &m->out.rows, index, m->out.replaced);
    if (m->out.sessions) cr_deadlines_update(c, m->state != QD_COORD_ACTIVE);
    cr_identity_update(c);
    return 0;
}

/* Right after cr_on_apply, or when it will never come. */
static void batch_done(cr_proposal *p, int32_t rc)
{
    cr_batch *b = (cr_batch *)p;
    qd_coord *c = b->store;
    const cr_outcome *o = &c->machine->out;
    if (rc == 0 && (o->proposal != (b->id ^ c->incarnation) || o->nresults != b->n))
        rc = QD_E_UNKNOWN_OUTCOME;
    for (uint32_t i = 0; i < b->n; i++) {
        cr_node *n = b->nodes[i];
        if (!n) continue;
        int32_t code = rc ? rc : o->results[i].rc;
        if (rc || take_result(n, &o->results[i])) cr_end(c, n, code, code ? reason_of(code) : NULL);
    }
    if (rc == 0) end_candidates(c);
    cr_free(c->heap, b);
}
