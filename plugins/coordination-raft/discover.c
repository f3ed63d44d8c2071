/* discover.c: see discover.h. */
#include "discover.h"

#define FIRST_LOOK_NS 1000000000ll

static const uint8_t nobody[16];

static int is_set(const uint8_t id[16])
{
    return memcmp(id, nobody, 16) != 0;
}

static int is(const char *a, qd_str b)
{
    return qd_plug_is(b, a);
}

static void copy(char *to, size_t cap, qd_str s)
{
    size_t n = s.n < cap ? s.n : cap - 1;
    if (n) memcpy(to, s.p, n);
    to[n] = 0;
}

/* --- what is heard --- */

static int lists_differ(const cr_search *s, const cr_info *i)
{
    if (i->nfirst == 0 || s->nfirst == 0) return 0;
    if (i->nfirst != s->nfirst) return 1;
    for (uint32_t k = 0; k < i->nfirst; k++) {
        int found = 0;
        for (uint32_t j = 0; j < s->nfirst && !found; j++)
            found = is(s->first[j].name, i->first[k]) || is(s->first[j].address, i->first[k]);
        if (!found) return 1;
    }
    return 0;
}

static cr_found *place_of(cr_search *s, const cr_envelope *e, uint64_t incarnation, int64_t now)
{
    cr_found *oldest = &s->found[0];
    for (uint32_t k = 0; k < s->nfound; k++) {
        cr_found *f = &s->found[k];
        if (f->incarnation == incarnation || is(f->address, e->address)) return f;
        if (f->heard_ns < oldest->heard_ns) oldest = f;
    }
    if (s->nfound < CR_FOUND_MAX) return &s->found[s->nfound++];
    return now - oldest->heard_ns > CR_FOUND_NS ? oldest : NULL;
}

void cr_search_take(cr_search *s, const cr_envelope *e, const cr_info *i, qd_str asked,
                    int64_t now_ns)
{
    for (uint32_t k = 0; asked.n && k < s->nfirst; k++)
        if (is(s->first[k].address, asked)) s->first[k].incarnation = i->incarnation;
    for (uint32_t k = 0; asked.n && k < s->nseeds; k++)
        if (is(s->seeds[k], asked)) s->answered[k] = 1;
    for (uint32_t k = 0; k < s->nfirst; k++)
        if (s->first[k].name[0] && is(s->first[k].name, e->name))
            s->first[k].incarnation = i->incarnation;
    if (i->incarnation == s->incarnation) return;
    cr_found *f = place_of(s, e, i->incarnation, now_ns);
    if (!f) return;
    *f = (cr_found){.heard_ns = now_ns,
                    .id = e->from,
                    .incarnation = i->incarnation,
                    .recoveries = e->recoveries,
                    .epoch = i->epoch,
                    .leader = i->leader,
                    .pristine = (int)i->pristine,
                    .leads = (int)i->leads,
                    .lists = lists_differ(s, i),
                    .members = i->nmembers};
    memcpy(f->store_id, e->store_id, 16);
    memcpy(f->promised, i->promised, 16);
    for (uint32_t k = 0; k < i->nmembers; k++) f->me |= i->members[k].id == s->id;
    copy(f->name, sizeof f->name, e->name);
    copy(f->address, sizeof f->address, e->address);
    copy(f->leader_address, sizeof f->leader_address, i->leader_address);
}

static const cr_found *by_incarnation(const cr_search *s, uint64_t incarnation, int64_t now)
{
    for (uint32_t k = 0; k < s->nfound; k++)
        if (s->found[k].incarnation == incarnation && now - s->found[k].heard_ns < CR_FOUND_NS)
            return &s->found[k];
    return NULL;
}

/* --- promises --- */

int cr_search_promise(cr_search *s, const cr_envelope *e, const cr_forming *f)
{
    uint8_t id[16];
    int here = 0, theirs = 0;
    for (uint32_t k = 0; k < f->nmembers; k++) {
        here |= f->members[k].id == s->id && is(s->name, f->members[k].name);
        theirs |= f->members[k].id == e->from;
    }
    cr_forming_id(f, id);
    if (!here || !theirs || memcmp(id, e->store_id, 16) != 0) return 0;
    if (is_set(s->promised) && s->promised_to != e->from && !is(s->promised_name, e->name))
        return 0;
    memcpy(s->promised, id, 16);
    s->promised_to = e->from;
    copy(s->promised_name, sizeof s->promised_name, e->name);
    return 1;
}

void cr_forming_id(const cr_forming *f, uint8_t out[16])
{
    uint8_t ids[8 * CR_WIRE_MEMBERS_MAX];
    uint64_t sorted[CR_WIRE_MEMBERS_MAX];
    uint32_t n = 0;
    for (uint32_t k = 0; k < f->nmembers; k++) {
        uint32_t at = n++;
        for (; at && sorted[at - 1] > f->members[k].id; at--) sorted[at] = sorted[at - 1];
        sorted[at] = f->members[k].id;
    }
    for (uint32_t k = 0; k < n; k++) cr_store64(ids + 8 * k, sorted[k]);
    cr_sum128(ids, 8u * n, out);
}

/* --- deciding --- */

typedef struct words {
    char *p;
    size_t cap, n;
} words;

__attribute__((format(printf, 2, 3))) static void say(words *w, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    int k = vsnprintf(w->p + w->n, w->cap - w->n, format, ap);
    va_end(ap);
    if (k > 0) w->n = w->n + (size_t)k < w->cap ? w->n + (size_t)k : w->cap - 1;
}

static const char *call(const cr_first *f)
{
    return f->name[0] ? f->name : f->address;
}

/* A store is there. */
static void decide_formed(cr_search *s, const cr_found *f, int64_t now, cr_decision *out, words *w)
{
    const cr_found *leader = NULL;
    memcpy(out->store_id, f->store_id, 16);
    out->recoveries = f->recoveries;
    for (uint32_t k = 0; k < s->nfound; k++) {
        const cr_found *o = &s->found[k];
        if (now - o->heard_ns >= CR_FOUND_NS || !is_set(o->store_id)) continue;
        if (memcmp(o->store_id, f->store_id, 16) != 0) {
            out->trouble = 1;
            say(w,
                "two clusters answer under this name: that of %s at %s, and that of %s at %s. Give "
                "discovery.seed_hosts (or RAFT_PEERS) of one of them only, and each cluster a "
                "cluster.name of its own",
                f->name, f->address, o->name, o->address);
            return;
        }
        if (o->recoveries > out->recoveries) {
            out->recoveries = o->recoveries;
            f = o;
        }
        if (o->leads) leader = o;
        if (o->me) out->who = o;
    }
    if (out->who) { /* its old one: the list is there, it may be needed for a majority */
        out->type = memcmp(s->promised, f->store_id, 16) == 0 ? CR_GO_PROMISED : CR_GO_RESUME;
        return;
    }
    out->who = leader ? leader : f;
    int all = 1; /* so that a second cluster is seen before one of them is joined */
    for (uint32_t k = 0; k < s->nseeds; k++) all &= s->answered[k];
    if (!all && now - s->began_ns < FIRST_LOOK_NS) {
        say(w, "a cluster is at %s; waiting for the other addresses", f->address);
        return;
    }
    if (leader || f->leader_address[0]) {
        out->type = CR_GO_JOIN;
        say(w, "asking the leader of the cluster at %s to let this node in", f->address);
        return;
    }
    say(w,
        "the cluster at %s (%s) has no leader, so it can let nobody in: more than half of its "
        "voting masters are needed. Start them; if their data is lost for good, run \"qd master "
        "recover --unsafe\" on the one that has the newest",
        f->address, f->name);
}

/* Who of the first members has not been found. */
static uint32_t say_missing(const cr_search *s, int64_t now, words *w)
{
    uint32_t missing = 0;
    for (uint32_t k = 0; k < s->nfirst; k++) {
        const cr_first *one = &s->first[k];
        if (one->incarnation == s->incarnation || by_incarnation(s, one->incarnation, now))
            continue;
        say(w, "%s[%s]", missing ? ", " : w->n ? "; waiting for " : "waiting for ", call(one));
        missing++;
    }
    return missing;
}

/* The first members, in the order of their names. 0: something is wrong or missing (words say). */
static int first_members(cr_search *s, int64_t now, cr_decision *out, words *w,
                         uint32_t *coordinator)
{
    uint32_t strange = 0;
    cr_forming *f = &out->forming;
    *f = (cr_forming){0};
    for (uint32_t k = 0; k < s->nfirst; k++) {
        const cr_first *one = &s->first[k];
        const cr_found *o = by_incarnation(s, one->incarnation, now);
        cr_who who = {.role = QD_COORD_VOTER};
        if (one->incarnation == s->incarnation) {
            who.id = s->id;
            who.name = qd_plug_str(s->name);
            who.address = qd_plug_str(s->address);
        } else if (o) {
            who.id = o->id;
            who.name = qd_plug_str(o->name);
            who.address = qd_plug_str(o->address);
            if (o->lists) {
                out->trouble = 1;
                say(w,
                    "%s%s at %s names other cluster.initial_master_nodes (or RAFT_PEERS) than this "
                    "node: give all masters the same list",
                    w->n ? "; " : "", o->name, o->address);
            }
        } else {
            continue;
        }
        for (uint32_t j = 0; j < f->nmembers; j++) {
            if (f->members[j].id != who.id && cr_compare(f->members[j].name, who.name) != 0)
                continue;
            out->trouble = 1;
            say(w,
                "%stwo masters are named [%.*s], at %.*s and at %.*s: give each a node.name of its "
                "own",
                w->n ? "; " : "", (int)who.name.n, who.name.p, (int)who.address.n, who.address.p,
                (int)f->members[j].address.n, f->members[j].address.p);
        }
        f->members[f->nmembers++] = who;
    }
    uint32_t missing = say_missing(s, now, w);
    int self = 0;
    for (uint32_t k = 0; k < s->nfirst; k++) self |= s->first[k].incarnation == s->incarnation;
    if (missing && s->nseeds == 0)
        say(w, ", but no address is given to look at: set discovery.seed_hosts");
    if (missing && !self && strange++ == 0) say(w, "; there is also [%s], this node", s->name);
    for (uint32_t k = 0; missing && k < s->nfound; k++) {
        const cr_found *o = &s->found[k];
        int listed = now - o->heard_ns >= CR_FOUND_NS;
        for (uint32_t j = 0; j < s->nfirst; j++)
            listed |= s->first[j].incarnation == o->incarnation;
        if (listed) continue;
        say(w, "%s[%s] at %s", strange++ ? ", " : "; there is also ", o->name, o->address);
    }
    if (strange)
        say(w, ", which the list does not name: does cluster.initial_master_nodes have a name "
               "mistyped? It takes node.name as it is");
    *coordinator = 0;
    for (uint32_t k = 1; k < f->nmembers; k++)
        if (cr_compare(f->members[k].name, f->members[*coordinator].name) < 0) *coordinator = k;
    return !missing && !out->trouble;
}

static void decide_first(cr_search *s, int64_t now, cr_decision *out, words *w)
{
    uint32_t coordinator;
    if (!first_members(s, now, out, w, &coordinator)) return;
    const cr_forming *f = &out->forming;
    int listed = 0, agreed = 1;
    cr_forming_id(f, out->store_id);
    for (uint32_t k = 0; k < f->nmembers; k++) {
        listed |= f->members[k].id == s->id;
        if (f->members[k].id == s->id) continue;
        for (uint32_t j = 0; j < s->nfound; j++)
            if (s->found[j].id == f->members[k].id)
                agreed &= memcmp(s->found[j].promised, out->store_id, 16) == 0;
    }
    if (!listed) {
        say(w, "this node, [%s], is none of the first members: waiting for them to form a cluster",
            s->name);
    } else if (f->members[coordinator].id != s->id) {
        say(w, "waiting for [%.*s] to form the cluster", (int)f->members[coordinator].name.n,
            f->members[coordinator].name.p);
    } else {
        out->type = agreed ? CR_GO_FORM : CR_GO_PROPOSE;
        say(w, "forming a cluster of %u", f->nmembers);
    }
}

void cr_search_decide(cr_search *s, int64_t now, cr_decision *out)
{
    words w = {out->why, sizeof out->why, 0};
    if (!s->began_ns) s->began_ns = now;
    out->type = CR_GO_WAIT;
    out->trouble = 0;
    out->who = NULL;
    out->recoveries = 0;
    out->why[0] = 0;
    memset(out->store_id, 0, 16);
    for (uint32_t k = 0; k < s->nfound; k++) {
        const cr_found *f = &s->found[k];
        if (now - f->heard_ns >= CR_FOUND_NS) continue;
        if (is(s->name, qd_plug_str(f->name)) && f->pristine) {
            out->trouble = 1;
            say(&w,
                "another master at %s has the name of this node, [%s]: give each a node.name of "
                "its own",
                f->address, f->name);
            return;
        }
        /* whoever asked for the promise is somebody else now: it never formed */
        if (is_set(s->promised) && is(s->promised_name, qd_plug_str(f->name)) &&
            f->id != s->promised_to && !is_set(f->store_id))
            memset(s->promised, 0, 16);
    }
    for (uint32_t k = 0; k < s->nfound; k++) {
        const cr_found *f = &s->found[k];
        if (now - f->heard_ns >= CR_FOUND_NS || !is_set(f->store_id)) continue;
        decide_formed(s, f, now, out, &w);
        return;
    }
    if (s->nfirst) {
        decide_first(s, now, out, &w);
        return;
    }
    say(&w, "looking for a master at");
    for (uint32_t k = 0; k < s->nseeds; k++) say(&w, "%s %s", k ? "," : "", s->seeds[k]);
    say(&w, "; to form a new cluster give cluster.initial_master_nodes");
}
