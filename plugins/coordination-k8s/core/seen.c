/* seen.c: roots that come: which are taken, what they decide. */
#include "core_int.h"
#include <stdio.h>

/* The first one: of the store that is followed, not behind what the state has. */
static int first_fits(ck_core *c, const ck_root *r)
{
    static const uint8_t none[16];
    char why[CK_WHY];
    if (memcmp(c->config.store, none, 16) != 0 && memcmp(c->config.store, r->store_id, 16) != 0)
        snprintf(why, sizeof why,
                 "the root object %s is of another store than the one that this node follows",
                 c->config.site->root);
    else if (r->epoch < c->epoch)
        snprintf(why, sizeof why, "the root object %s is of epoch %llu, this node knows epoch %llu",
                 c->config.site->root, (unsigned long long)r->epoch, (unsigned long long)c->epoch);
    else if (r->index < c->applied)
        snprintf(why, sizeof why,
                 "the root object %s ends with entry %llu, this node has applied %llu: "
                 "an older state was restored",
                 c->config.site->root, (unsigned long long)r->index,
                 (unsigned long long)c->applied);
    else
        return 1;
    ck_fail(c, why);
    return 0;
}

static void take(ck_core *c, ck_root *r)
{
    ck_root *former = c->root;
    if (former && r->checkpoint > former->checkpoint) {
        former = c->before;
        c->before = c->root;
        c->before_from = c->from;
        c->from = r->writes;
    }
    if (!c->root) c->from = r->writes;
    ck_root_free(former);
    c->root = r;
    c->seq++;
    c->get_at = 0;
    if (r->epoch > c->epoch) c->epoch = r->epoch;
    c->news = 1;
    c->again = 1;
    ck_settle(c);
    ck_elect_root(c);
}

/* 1 when a root is to be taken. */
static int newer(ck_core *c, ck_root *r, int how, uint64_t seq)
{
    char why[CK_WHY] = "";
    int is = ck_root_follows(c->root, r, why);
    if (is == CK_NEXT) return 1;
    if (is == CK_SAME) return 0;
    if (is == CK_STALE) {
        c->counts.stale++;
        if (QD_MUTANT(k8s, STALE_TAKEN)) return 1;
        /* a read of the quorum never shows what is older than what was known when it began */
        if (how == CK_BY_GET && seq == c->seq) {
            size_t n = strlen(why);
            snprintf(why + n, sizeof why - n, ": an older state was restored");
            ck_fail(c, why);
        }
        return 0;
    }
    if (how == CK_BY_GET)
        ck_fail(c, why);
    else
        c->want_get = 1; /* a cache may show what was there before; the quorum tells */
    return 0;
}

void ck_see(ck_core *c, ck_root *r, int how, uint64_t seq)
{
    int fits = !c->root && how == CK_BY_WATCH ? 0
               : !c->root                     ? first_fits(c, r)
                                              : newer(c, r, how, seq);
    c->heard = c->now;
    if (fits)
        take(c, r);
    else
        ck_root_free(r);
}
