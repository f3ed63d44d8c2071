/*
 * propose.c: commands become entries, those of one turn of the loop one entry; what an applied
 * entry came to goes back by the commands' names.
 */
#include "store.h"

#define SNAPSHOT_BYTES (32u << 20)

/* --- writing --- */

static void batch_done(cr_proposal *p, int32_t rc);

/* The writer stands in an open entry with room for one more command. */
static cr_writer *entry(qd_coord *c)
{
    if (c->batch && (c->batch->n == CR_ENTRY_COMMANDS || c->writer.bytes.n > CR_ENTRY_MAX / 2))
        cr_flush(c);
    if (!c->batch) {
        c->batch = cr_must(c->heap, sizeof *c->batch);
        *c->batch =
            (cr_batch){.proposal = {.done = batch_done}, .store = c, .number = ++c->batches};
        cr_writer_begin(&c->writer, c->heap);
    }
    return &c->writer;
}

static void own(qd_coord *c, cr_name name)
{
    c->batch->names[c->batch->n++] = name;
}

/* A command too large for an entry: its parts, each an entry, then the command that joins them. */
static void in_parts(qd_coord *c, const cr_bytes *whole, cr_name name)
{
    uint8_t sum[16];
    uint32_t n = 0;
    cr_sum128(whole->p, whole->n, sum);
    for (size_t at = 0; at < whole->n; at += CR_PART_BYTES, n++) {
        size_t left = whole->n - at;
        cr_writer *w = entry(c);
        cr_command_begin(w, CR_PART);
        cr_put(&w->bytes, sum, 16);
        cr_put32(&w->bytes, n);
        cr_put_str(&w->bytes, (qd_str){(const char *)whole->p + at,
                                       left < CR_PART_BYTES ? left : CR_PART_BYTES});
        cr_command_end(w);
        own(c, (cr_name){0, 0});
        cr_flush(c);
    }
    cr_writer *w = entry(c);
    cr_command_begin(w, CR_WHOLE);
    cr_put(&w->bytes, sum, 16);
    cr_put32(&w->bytes, n);
    cr_command_end(w);
    own(c, name);
}

void cr_propose(qd_coord *c, cr_name name, const uint8_t *command, size_t n)
{
    cr_bytes whole = {.heap = c->heap};
    if (name.owner) {
        cr_put8(&whole, CR_FROM);
        cr_put64(&whole, name.owner);
        cr_put64(&whole, name.number);
    }
    cr_put(&whole, command, n);
    if (c->batch && c->batch->n && c->writer.bytes.n + whole.n + 16 > CR_ENTRY_MAX) cr_flush(c);
    if (whole.n + CR_ENTRY_HEAD + 16 <= CR_ENTRY_MAX) {
        cr_writer *w = entry(c);
        cr_command_begin(w, whole.p[0]);
        cr_put(&w->bytes, whole.p + 1, whole.n - 1);
        cr_command_end(w);
        own(c, name);
    } else {
        in_parts(c, &whole, name);
    }
    cr_bytes_free(&whole);
}

/* Nothing of a batch is in the log any more, or nobody knows. */
static void lost(qd_coord *c, const cr_batch *b, int32_t rc)
{
    for (uint32_t i = 0; i < b->n; i++) {
        cr_name who = b->names[i];
        if (who.owner == c->incarnation) {
            cr_flight *f = cr_flight_find(c, who.number);
            if (f && f->where == CR_LOGGED) cr_flight_back(c, f, rc);
        } else if (who.owner) {
            cr_guest *g = cr_guest_find(c, who.owner, who.number);
            cr_answering a = {.owner = who.owner, .number = who.number, .rc = rc};
            if (g) cr_guest_done(c, g, &a);
        }
    }
}

void cr_flush(qd_coord *c)
{
    cr_batch *b = c->batch;
    if (!b) return;
    c->batch = NULL;
    int32_t rc = QD_E_NO_COORDINATION;
    if (b->n) {
        cr_writer_end(&c->writer, c->incarnation);
        rc = c->failed || !c->consensus
                 ? rc
                 : cr_consensus_propose(c->consensus, &b->proposal, c->writer.bytes.p,
                                        c->writer.bytes.n);
    }
    cr_bytes_free(&c->writer.bytes);
    if (rc == 0) {
        c->coming += b->n;
        return;
    }
    if (rc == QD_E_REJECTED) rc = QD_E_NOT_LEADER; /* leadership is being handed over */
    cr_deadlines_again(c, b->number);
    lost(c, b, rc);
    cr_free(c->heap, b);
}

void cr_flush_soon(qd_coord *c)
{
    if (c->batch && c->consensus && cr_consensus_crowded(c->consensus)) {
        c->unsure = 1; /* what waits may be nobody's, as an end of a session: nothing else looks */
        return;
    }
    cr_flush(c);
}

/* --- outcomes --- */

/* Candidates that wait no more. */
static void end_candidates(qd_coord *c)
{
    const cr_outcome *o = &c->machine->out;
    for (uint32_t i = 0; i < o->nended; i++) {
        const cr_ended *e = &o->ended[i];
        if (e->owner != c->incarnation) continue;
        for (cr_node *n = c->pending.first, *next; n; n = next) {
            next = n->next;
            if (n->kind != CR_ELECTION_REQUEST || n->number != e->number ||
                CR_CONTAINER(qd_coord_election, n)->action != QD_COORD_ELECT)
                continue;
            CR_CONTAINER(qd_coord_election, n)->token = e->token;
            cr_flight *f = cr_flight_find(c, e->number); /* its answer is yet to come */
            if (f) f->node = NULL;
            cr_end(c, n, e->rc, e->rc ? cr_reason_of(e->rc) : NULL);
            if (f) cr_flight_done(c, f, &(cr_answering){.rc = 0});
            break;
        }
    }
}

static void tell(qd_coord *c, const cr_result *r)
{
    cr_answering a = {.owner = r->owner,
                      .number = r->number,
                      .rc = r->rc,
                      .failed = r->failed,
                      .waiting = (uint32_t)r->waiting,
                      .revision = r->revision,
                      .session = r->session,
                      .ttl_ns = r->ttl_ns,
                      .token = r->token};
    if (r->owner == c->incarnation || c->guests.n) cr_told(c, (cr_name){r->owner, r->number}, &a);
}

int32_t cr_on_apply(void *arg, uint64_t index, const uint8_t *bytes, size_t n)
{
    qd_coord *c = arg;
    if (index <= c->applied) return 0; /* the rows have it already */
    cr_machine *m = c->machine;
    int32_t rc = cr_machine_apply(m, bytes, n);
    if (rc) return rc;
    c->applied = index;
    c->dirty = 1;
    c->since_snapshot += n;
    if (c->since_snapshot > SNAPSHOT_BYTES && c->consensus) {
        cr_consensus_snapshot_soon(c->consensus);
        c->since_snapshot = 0;
    }
    if (m->out.replaced)
        for (qd_coord_watch *w = c->watches; w; w = w->next) w->from = 0; /* all is gone */
    if (m->out.sessions) cr_deadlines_update(c, m->state != QD_COORD_ACTIVE);
    cr_identity_update(c); /* before anybody is told */
    for (uint32_t i = 0; i < m->out.nresults; i++)
        if (m->out.results[i].owner) tell(c, &m->out.results[i]);
    end_candidates(c);
    cr_home_applied(c, &m->out.rows, index, m->out.replaced);
    return 0;
}

/* Right after cr_on_apply, which told everybody; or it will never come; or nobody knows. */
static void batch_done(cr_proposal *p, int32_t rc)
{
    cr_batch *b = (cr_batch *)p;
    qd_coord *c = b->store;
    c->coming -= b->n;
    if (rc == QD_E_UNKNOWN_OUTCOME)
        cr_deadlines_unsure(c, b->number);
    else if (rc)
        cr_deadlines_again(c, b->number);
    /* With 0 only those are left whose parts another leader took: nothing happened. */
    lost(c, b, rc ? rc : QD_E_NOT_LEADER);
    cr_free(c->heap, b);
}
