/* core.c: life, asks, turns, what it knows. */
#include "core_int.h"

uint64_t ck_random(ck_core *c, uint64_t below)
{
    c->random += 0x9e3779b97f4a7c15ull;
    uint64_t z = c->random;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    z ^= z >> 31;
    return below ? z % below : z;
}

int ck_due(ck_core *c, uint64_t at)
{
    if (at <= c->now) return 1;
    if (at < c->wake) c->wake = at;
    return 0;
}

uint64_t ck_back_off(ck_core *c, uint64_t *wait, uint64_t first, uint64_t most)
{
    *wait = *wait < first ? first : *wait * 2 > most ? most : *wait * 2;
    return c->now + *wait / 2 + ck_random(c, *wait / 2 + 1);
}

ck_ask *ck_ask_new(ck_core *c, uint32_t type)
{
    ck_ask *a = cr_must(c->heap, sizeof *a);
    memset(a, 0, sizeof *a);
    a->type = type;
    if (c->ready_last)
        c->ready_last->next = a;
    else
        c->ready_first = a;
    c->ready_last = a;
    return a;
}

static void ask_free(ck_core *c, ck_ask *a)
{
    ck_root_free(a->root);
    cr_free(c->heap, (void *)a->next_page.p);
    cr_free(c->heap, a);
}

ck_ask *ck_core_ask(ck_core *c, uint64_t now)
{
    ck_ask *a = c->ready_first;
    if (!a) return NULL;
    c->ready_first = a->next;
    if (!c->ready_first) c->ready_last = NULL;
    a->next = c->out;
    c->out = a;
    a->number = ++c->number;
    a->sent = now > c->now ? now : c->now;
    if (a->type == CK_FREEZE) a->index = c->applied;
    return a;
}

static int ask_out(ck_core *c, ck_ask *a)
{
    ck_ask **p = &c->out;
    while (*p && *p != a) p = &(*p)->next;
    if (!*p) return 0; /* answered already */
    *p = a->next;
    a->next = NULL;
    return 1;
}

static void answer_free(const ck_core *c, const ck_answer *a)
{
    if (a->root) ck_root_free(a->root);
    if (a->checkpoint) c->config.thaw(c->config.arg, a->checkpoint, 0);
}

void ck_core_answer(ck_core *c, ck_ask *a, const ck_answer *answer, uint64_t now)
{
    if (now > c->now) c->now = now;
    if (!ask_out(c, a)) return;
    c->again = 1;
    if (c->failed) {
        answer_free(c, answer);
        ask_free(c, a);
        return;
    }
    switch (a->type) {
    case CK_GET_ROOT:
        ck_get_answered(c, a, answer);
        break;
    case CK_CREATE_ROOT:
    case CK_PUT_ROOT:
        ck_put_answered(c, a, answer);
        break;
    case CK_BLOB_CREATE:
    case CK_BLOB_TOUCH:
        ck_upload_answered(c, a, answer);
        break;
    case CK_BLOB_GET:
        if (a->index)
            ck_upload_answered(c, a, answer);
        else
            ck_fetch_answered(c, a, answer);
        break;
    case CK_BLOB_LIST:
    case CK_BLOB_DELETE:
        ck_collect_answered(c, a, answer);
        break;
    case CK_LEASE_GET:
    case CK_LEASE_CREATE:
    case CK_LEASE_PUT:
        ck_lease_answered(c, a, answer);
        break;
    default:
        ck_freeze_answered(c, a, answer);
        break;
    }
    ask_free(c, a);
}

ck_core *ck_core_make(const ck_core_config *config)
{
    ck_core *c = cr_must(config->heap, sizeof *c);
    memset(c, 0, sizeof *c);
    c->config = *config;
    c->heap = config->heap;
    snprintf(c->name, sizeof c->name, "%.*s", (int)config->name.n, config->name.p);
    snprintf(c->address, sizeof c->address, "%.*s", (int)config->address.n, config->address.p);
    if (config->first) c->config.first = ck_root_clone(config->first);
    c->random = config->seed ^ config->id;
    c->applied = config->applied;
    c->epoch = config->epoch;
    if (!c->config.lease_ns) c->config.lease_ns = CK_LEASE_NS;
    if (!c->config.renew_ns) c->config.renew_ns = CK_RENEW_NS;
    if (!c->config.retry_ns) c->config.retry_ns = CK_RETRY_NS;
    c->tokens = CK_TOKENS;
    c->want_get = 1;
    c->spread = ck_random(c, CK_SPREAD_NS);
    return c;
}

static void flights_free(ck_core *c)
{
    while (c->first) {
        ck_flight *f = c->first;
        c->first = f->next;
        ck_entry_drop(f->entry);
        cr_free(c->heap, f);
    }
    c->last = NULL;
    c->nflights = 0;
}

void ck_core_free(ck_core *c)
{
    if (!c) return;
    for (ck_ask *a = c->ready_first, *next; a; a = next) {
        next = a->next;
        ask_free(c, a);
    }
    for (ck_ask *a = c->out, *next; a; a = next) {
        next = a->next;
        ask_free(c, a);
    }
    flights_free(c);
    while (c->uploads) {
        ck_upload *u = c->uploads;
        c->uploads = u->next;
        ck_upload_free(c, u);
    }
    while (c->fetches) {
        ck_fetch *f = c->fetches;
        c->fetches = f->next;
        ck_fetch_free(c, f);
    }
    if (c->checkpoint) c->config.thaw(c->config.arg, c->checkpoint, 0);
    cr_free(c->heap, c->gc.listed);
    cr_free(c->heap, c->gc.next);
    cr_free(c->heap, c->waits);
    ck_root_free(c->w.next);
    ck_root_free(c->root);
    ck_root_free(c->before);
    ck_root_free((ck_root *)c->config.first);
    cr_free(c->heap, c);
}

void ck_warn(ck_core *c, const char *text)
{
    c->config.warn(c->config.arg, text);
}

void ck_fail(ck_core *c, const char *why)
{
    if (c->failed) return;
    c->failed = 1;
    c->sure = c->pending = 0;
    int led = c->told;
    c->term = 0;
    c->told = 0;
    c->again = 1;
    c->config.failed(c->config.arg, why);
    if (led) c->config.lead(c->config.arg, 0);
    c->news = 1;
}

/* Nothing goes on: what waits is told so. */
static void failed_turn(ck_core *c)
{
    ck_reads_end(c, QD_E_NO_COORDINATION);
    for (ck_flight *f = c->first, *next; f; f = next) {
        next = f->next;
        ck_flight_end(c, f, f->state == CK_QUEUED ? QD_E_NO_COORDINATION : QD_E_UNKNOWN_OUTCOME);
    }
}

void ck_core_turn(ck_core *c, uint64_t now)
{
    if (c->in_turn) return;
    c->in_turn = 1;
    if (now > c->now) c->now = now;
    do {
        c->again = 0;
        c->wake = UINT64_MAX;
        if (c->failed) {
            failed_turn(c);
            continue;
        }
        ck_apply_turn(c);
        ck_load_turn(c);
        ck_reads_turn(c);
        ck_upload_turn(c);
        ck_checkpoint_turn(c);
        ck_elect_turn(c);
        ck_lead_turn(c);
        ck_collect_turn(c);
        ck_fetch_turn(c);
        ck_get_turn(c);
    } while (c->again);
    if (c->news) {
        c->news = 0;
        c->config.changed(c->config.arg);
    }
    if (c->again) c->wake = c->now;
    c->in_turn = 0;
}

uint64_t ck_core_deadline(const ck_core *c)
{
    return c->again ? c->now : c->wake;
}

void ck_core_root_seen(ck_core *c, ck_root *r, uint64_t now)
{
    if (now > c->now) c->now = now;
    c->again = 1;
    if (c->failed)
        ck_root_free(r);
    else
        ck_see(c, r, CK_BY_WATCH, 0);
}

void ck_core_root_look(ck_core *c)
{
    c->want_get = 1;
    c->again = 1;
}

void ck_core_stamp_soon(ck_core *c)
{
    c->stamp = 1;
    c->again = 1;
}

const ck_core_counts *ck_core_counted(const ck_core *c)
{
    return &c->counts;
}

void ck_core_look(const ck_core *c, ck_core_view *out)
{
    memset(out, 0, sizeof *out);
    out->role = c->failed                                                       ? CK_STOPPED
                : !c->root                                                      ? CK_STARTING
                : ck_leads(c)                                                   ? CK_LEADS
                : c->term || c->w.kind == CK_W_TAKE || c->w.kind == CK_W_CREATE ? CK_TAKES_OVER
                                                                                : CK_FOLLOWS;
    out->applied = c->applied;
    out->loading = c->loading;
    out->collecting = c->gc.state != CK_GC_IDLE;
    out->checkpointing = c->cp != CK_CP_NONE;
    out->older = c->older;
    for (const ck_flight *f = c->first; f; f = f->next) {
        out->queued += f->state == CK_QUEUED;
        out->in_doubt += f->state == CK_SENT;
    }
    out->root = c->root;
    out->before = c->before;
    out->before_from = c->before_from;
    if (!c->root) return;
    out->term = c->root->leader.term;
    out->leader = c->root->leader.id;
    out->leader_name = (qd_str){c->root->leader.name, strlen(c->root->leader.name)};
    out->leader_address = (qd_str){c->root->leader.address, strlen(c->root->leader.address)};
    out->committed = c->root->index;
    out->checkpoint = c->root->checkpoint;
    out->epoch = c->root->epoch;
}
