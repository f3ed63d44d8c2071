/* lead.c: a leader's entries: proposals, groups, writes of the root. */
#include "core_int.h"

int32_t ck_core_propose(ck_core *c, void *proposal, const uint8_t *entry, size_t n)
{
    if (c->failed) return QD_E_NO_COORDINATION;
    if (!ck_leads(c) || c->resigning) return QD_E_NOT_LEADER;
    ck_flight *f = cr_must(c->heap, sizeof *f);
    memset(f, 0, sizeof *f);
    uint64_t id = ck_random(c, 0);
    f->entry = ck_entry_make(c->heap, 0, 0, id ? id : 1, entry, n);
    f->proposal = proposal;
    if (c->last)
        c->last->next = f;
    else
        c->first = f;
    c->last = f;
    c->nflights++;
    if (f->entry->large) {
        ck_content of = {CK_BLOB_ENTRY, f->entry->hash, f->entry->bytes, f->entry->n};
        f->left = ck_upload_begin(c, &of, f->entry, f);
    }
    c->again = 1;
    return 0;
}

/* Tells a proposal its end; what is known of the flight stays. */
static void tell(ck_core *c, ck_flight *f, int32_t rc)
{
    void *proposal = f->proposal;
    uint64_t index = f->index;
    f->proposal = NULL;
    if (proposal) c->config.done(c->config.arg, proposal, index, rc);
}

void ck_flight_end(ck_core *c, ck_flight *f, int32_t rc)
{
    ck_flight **p = &c->first, *before = NULL;
    for (; *p != f; p = &(*p)->next) before = *p;
    *p = f->next;
    if (c->last == f) c->last = before;
    c->nflights--;
    ck_upload_drop(c, f);
    tell(c, f, rc);
    ck_entry_drop(f->entry);
    cr_free(c->heap, f);
    c->again = 1;
}

/* One that was sent is not in the root, and can not come any more. */
static void not_there(ck_core *c, ck_flight *f)
{
    if (f->refused)
        ck_flight_end(c, f, f->refused);
    else if (!c->term || c->root->leader.id != c->config.id || c->root->leader.term != c->term)
        ck_flight_end(c, f, QD_E_NOT_LEADER);
    else {
        f->state = CK_QUEUED; /* its place in the queue is that before it was sent */
        f->index = 0;
    }
}

void ck_settle(ck_core *c)
{
    for (ck_flight *f = c->first, *next; f; f = next) {
        next = f->next;
        if (f->state != CK_SENT) continue;
        int has = ck_root_has(c->root, f->index, f->entry->id);
        if (QD_MUTANT(k8s, IDS_IGNORED)) has = 0;
        if (has > 0)
            f->state = CK_THERE;
        else if (has < 0)
            ck_flight_end(c, f, QD_E_UNKNOWN_OUTCOME);
        else
            not_there(c, f);
    }
    if (c->w.kind == CK_W_NONE) return;
    const ck_root *n = c->w.next, *r = c->root;
    if (QD_MUTANT(k8s, TAKEOVER_NO_CAS) && c->w.kind == CK_W_TAKE && r->leader.id != c->config.id) {
        memcpy(c->w.next->version, r->version, sizeof r->version);
        return;
    }
    int ours = r->leader.term == n->leader.term && r->leader.id == n->leader.id;
    if (c->w.checkpoint && r->checkpoint >= n->checkpoint)
        ck_checkpoint_end(c, r->checkpoint == n->checkpoint &&
                                 memcmp(r->pages, n->pages, sizeof r->pages) == 0);
    if (ours && r->writes == n->writes && r->index == n->index) ck_sure_written(c, c->w.first);
    ck_write_end(c);
}

void ck_flights_drop(ck_core *c, int32_t rc)
{
    for (ck_flight *f = c->first, *next; f; f = next) {
        next = f->next;
        if (f->state == CK_QUEUED) ck_flight_end(c, f, rc);
    }
}

/* --- writes --- */

void ck_write_begin(ck_core *c, uint32_t kind, ck_root *next)
{
    int doubt = c->w.kind != CK_W_NONE && c->w.doubt;
    uint64_t was = next->leader.id;
    ck_write_end(c);
    if (kind != CK_W_CREATE) next->writes = c->root->writes + 1;
    if (kind == CK_W_CREATE || kind == CK_W_TAKE) {
        next->leader.id = c->config.id;
        next->leader.term = kind == CK_W_CREATE ? 1 : c->root->leader.term + 1;
        memcpy(next->leader.name, c->name, sizeof c->name);
        memcpy(next->leader.address, c->address, sizeof c->address);
        ck_root_speaker_add(next, c->config.id, c->name, c->address, was);
    }
    c->w = (ck_write){.kind = kind, .next = next, .state = CK_W_READY, .doubt = doubt};
    c->again = 1;
}

void ck_write_end(ck_core *c)
{
    ck_root_free(c->w.next);
    memset(&c->w, 0, sizeof c->w);
    c->again = 1;
}

static double tokens_at(const ck_core *c, uint64_t now)
{
    double more = (double)(now - c->tokens_at) / (double)CK_TOKEN_NS;
    return c->tokens + more > CK_TOKENS ? CK_TOKENS : c->tokens + more;
}

uint64_t ck_core_crowded(const ck_core *c, uint64_t now)
{
    if (c->failed || !ck_leads(c) || c->resigning || now < c->tokens_at) return 0;
    if (c->w.kind == CK_W_COMMIT && c->w.state == CK_W_OUT && !c->w.doubt) return UINT64_MAX;
    double there = tokens_at(c, now);
    if (c->w.kind != CK_W_NONE || there >= 1) return 0;
    return now + (uint64_t)((1 - there) * (double)CK_TOKEN_NS) + 1;
}

/* 1 when there is a token for one write of the root; else a turn is wanted when there will be. */
static int token_there(ck_core *c)
{
    c->tokens = tokens_at(c, c->now);
    c->tokens_at = c->now;
    if (c->tokens < 1) {
        (void)ck_due(c, c->now + (uint64_t)((1 - c->tokens) * (double)CK_TOKEN_NS) + 1);
        return 0;
    }
    return 1;
}

static void early(ck_core *c)
{
    for (ck_flight *f = c->first; f; f = f->next)
        if (f->state == CK_SENT) tell(c, f, 0);
}

/* Sends what is under way, once more perhaps: the same, with the same ids. */
static void send(ck_core *c)
{
    if (c->w.kind == CK_W_NONE || c->w.state != CK_W_READY) return;
    if (!ck_due(c, c->w.at) || !token_there(c)) return;
    c->tokens -= 1;
    ck_ask *a = ck_ask_new(c, c->w.kind == CK_W_CREATE ? CK_CREATE_ROOT : CK_PUT_ROOT);
    a->root = ck_root_clone(c->w.next);
    if (!c->w.first) c->w.first = c->number + 1;
    c->w.ask = a;
    c->w.state = CK_W_OUT;
    c->counts.puts++;
    if (QD_MUTANT(k8s, ANSWER_EARLY)) early(c);
}

/* The next entry that may go. */
static int may_go(const ck_flight *f)
{
    return f && f->state == CK_QUEUED && (f->left == 0 || QD_MUTANT(k8s, BLOBS_LATE));
}

static ck_flight *queue(const ck_core *c)
{
    ck_flight *f = c->first;
    while (f && f->state != CK_QUEUED) f = f->next;
    return f;
}

/* Entries into the next root, in order, as many as there is room for. */
static uint32_t fill(ck_core *c, ck_root *next)
{
    uint32_t n = 0, most = c->narrow ? 1 : CK_GROUP_MAX;
    for (ck_flight *f = queue(c); n < most && may_go(f); f = f->next) {
        ck_entry *e = ck_entry_moved(f->entry, next->index + 1, c->term);
        if (!ck_root_room(next, c->config.site, e)) {
            c->no_room = 1;
            ck_entry_drop(e);
            break;
        }
        f->index = e->index;
        f->state = CK_SENT;
        ck_root_push(next, e);
        n++;
    }
    if (c->narrow && n) c->narrow--;
    return n;
}

static void stamp(ck_core *c, ck_root *next)
{
    c->stamp = 0;
    if (c->config.stamp) c->config.stamp(c->config.arg, next);
}

/* The next group, if there is one. */
static void commit(ck_core *c)
{
    if (!ck_leads(c) || c->w.kind != CK_W_NONE || c->applied < c->root->index) return;
    int prove = c->pending > c->now; /* the lease counts once a write comes behind it */
    if (!may_go(queue(c)) && c->cp != CK_CP_READY && !c->stamp && !prove) return;
    /* until there is a token the group grows */
    if (!ck_due(c, c->hold) || !token_there(c)) return;
    ck_root *next = ck_root_clone(c->root);
    int pages = c->cp == CK_CP_READY;
    if (pages) {
        uint64_t upto = c->checkpoint->index;
        if (QD_MUTANT(k8s, TAIL_CUT_EARLY)) upto = next->index;
        ck_root_checkpoint(next, upto, c->checkpoint->pages);
    }
    uint32_t n = fill(c, next);
    if (n == 0 && !pages && !c->stamp && !prove) {
        ck_root_free(next); /* no room: the checkpoint comes first */
        return;
    }
    stamp(c, next);
    ck_write_begin(c, CK_W_COMMIT, next);
    c->w.checkpoint = pages;
}

static void time_out(ck_core *c)
{
    for (ck_flight *f = c->first, *next; f; f = next) {
        next = f->next;
        if (!f->until)
            f->until = c->now + CK_TELL_NS; /* the time of a turn: that of a call may be old */
        if (!f->proposal || !ck_due(c, f->until)) continue;
        if (f->state == CK_QUEUED)
            ck_flight_end(c, f, QD_E_NO_COORDINATION);
        else
            tell(c, f, QD_E_UNKNOWN_OUTCOME);
    }
}

void ck_lead_turn(ck_core *c)
{
    time_out(c);
    if (c->failed || (!c->root && c->w.kind != CK_W_CREATE)) return;
    commit(c);
    send(c);
}

/* --- what became of a write --- */

/* Refused, and none before it may land still. */
static void refused(ck_core *c, const ck_answer *a)
{
    uint32_t n = 0;
    ck_flight *only = NULL;
    for (ck_flight *f = c->first; f; f = f->next) {
        if (f->state != CK_SENT) continue;
        f->state = CK_QUEUED;
        f->index = 0;
        only = f;
        n++;
    }
    if (c->w.kind != CK_W_COMMIT || n == 0) {
        if (c->w.kind == CK_W_TAKE || c->w.kind == CK_W_CREATE) c->want_get = 1;
        c->hold = c->get_at = c->now + CK_RETRY_NS;
        if (c->w.kind == CK_W_GIVE_UP) c->released = 1; /* it cannot: the lease runs out */
        if (c->w.checkpoint) ck_checkpoint_end(c, 0);
    }
    ck_write_end(c);
    if (n == 1)
        ck_flight_end(c, only, a->rc ? a->rc : QD_E_NO_COORDINATION);
    else
        c->narrow = n; /* which of them it was shows when each goes alone */
}

/* Refused, but one that was sent before may land: a write without these entries has to win. */
static void refused_in_doubt(ck_core *c, const ck_answer *a)
{
    uint32_t n = 0;
    ck_flight *only = NULL;
    for (ck_flight *f = c->first; f; f = f->next)
        if (f->state == CK_SENT) {
            only = f;
            n++;
        }
    if (QD_MUTANT(k8s, REFUSED_SETTLES)) {
        refused(c, a);
        return;
    }
    uint64_t wait = c->w.wait;
    if (c->w.kind == CK_W_COMMIT && n) {
        if (n == 1)
            only->refused = a->rc ? a->rc : QD_E_NO_COORDINATION;
        else
            c->narrow = n;
        ck_write_begin(c, CK_W_SETTLE, ck_root_clone(c->root));
        c->w.wait = wait;
        return;
    }
    c->w.at = ck_back_off(c, &c->w.wait, 100 * CK_MS, CK_RETRY_NS);
    c->w.state = CK_W_READY;
}

static void landed(ck_core *c, ck_ask *ask, const ck_answer *a)
{
    ck_root *r = ck_root_clone(c->w.next);
    uint64_t index = r->index;
    snprintf(r->uid, sizeof r->uid, "%s", a->uid ? a->uid : "");
    snprintf(r->version, sizeof r->version, "%s", a->version ? a->version : "");
    c->counts.committed += c->w.kind == CK_W_COMMIT;
    ck_see(c, r, CK_BY_WRITE, 0);
    ck_reads_serve(c, ask->number, index);
}

static void unknown(ck_core *c, const ck_answer *a)
{
    c->counts.unknowns++;
    c->w.doubt = 1;
    c->w.state = CK_W_LOOK;
    c->w.at = c->w.wait ? ck_back_off(c, &c->w.wait, 50 * CK_MS, CK_RETRY_NS) : c->now;
    c->w.wait = c->w.wait ? c->w.wait : 1;
    if (c->w.at < c->now + a->retry_ns) c->w.at = c->now + a->retry_ns;
    if (!QD_MUTANT(k8s, FAILED_BY_READ)) return;
    for (ck_flight *f = c->first, *next; f; f = next) {
        next = f->next;
        if (f->state == CK_SENT) ck_flight_end(c, f, QD_E_NOT_LEADER);
    }
    ck_write_end(c);
}

static void new_ids(ck_core *c)
{
    for (ck_flight *f = c->first; f; f = f->next) {
        if (f->state != CK_SENT) continue;
        ck_entry *e =
            ck_entry_make(c->heap, 0, 0, ck_random(c, 0) | 1, f->entry->bytes, f->entry->n);
        ck_entry_drop(f->entry);
        f->entry = e;
        f->state = CK_QUEUED;
        f->index = 0;
    }
    ck_write_end(c);
}

void ck_put_answered(ck_core *c, ck_ask *ask, const ck_answer *a)
{
    if (c->w.ask != ask || c->w.kind == CK_W_NONE) return; /* it was decided without it */
    c->w.ask = NULL;
    switch (a->outcome) {
    case CK_OK:
        landed(c, ask, a);
        break;
    case CK_REFUSED:
        c->counts.refused++;
        if (c->w.doubt)
            refused_in_doubt(c, a);
        else
            refused(c, a);
        break;
    case CK_UNKNOWN:
        unknown(c, a);
        if (QD_MUTANT(k8s, NEW_ID) && c->w.kind == CK_W_COMMIT) new_ids(c);
        break;
    default: /* another root is there, or none: which one decides */
        c->counts.conflicts++;
        c->w.state = CK_W_LOOK;
        if (a->outcome == CK_EXISTS) c->get_at = 0; /* somebody else made it: it is there */
        break;
    }
}
