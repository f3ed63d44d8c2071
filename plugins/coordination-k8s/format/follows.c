/* follows.c: how a root that came stands to the one that is known; see root.h. */
#include "fields.h"
#include "root.h"

/* What never falls, in the order in which it is told. */
typedef struct measure {
    const char *name;
    uint64_t known, came;
} measure;
enum { MEASURES = 8 };

/* The revision is of one epoch: under the next one a store may begin anew, as a mirror. */
static void measures(const ck_root *known, const ck_root *came, measure m[MEASURES])
{
    m[0] = (measure){"recoveries", known->recoveries, came->recoveries};
    m[1] = (measure){"epoch", known->epoch, came->epoch};
    m[2] = (measure){"term", known->leader.term, came->leader.term};
    m[3] = (measure){"index", known->index, came->index};
    int same = known->epoch == came->epoch;
    m[4] = (measure){"revision", same ? known->revision : 0, same ? came->revision : 0};
    m[5] = (measure){"shown", known->shown, came->shown};
    m[6] = (measure){"checkpoint", known->checkpoint, came->checkpoint};
    m[7] = (measure){"writes", known->writes, came->writes};
}

static int all_zeros(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i]) return 0;
    return 1;
}

/* The last entry whose id both have, when they differ in it or one before; 0: they agree. */
static uint64_t fork_at(const ck_root *a, const ck_root *b)
{
    uint64_t high = a->index > b->index ? a->index : b->index;
    uint64_t last = a->index < b->index ? a->index : b->index;
    for (uint64_t i = last; i > 0 && high - i < CK_IDS; i--)
        if (a->ids[i % CK_IDS] != b->ids[i % CK_IDS]) return i;
    return 0;
}

/* Another object, another store? */
static int foreign(const ck_root *known, const ck_root *came, char *why)
{
    if (known->uid[0] && strcmp(known->uid, came->uid))
        return ck_wrong(why, CK_FOREIGN,
                        "the root object was made anew: its uid is %s, the one followed until now "
                        "had %s",
                        came->uid[0] ? came->uid : "missing", known->uid);
    if (!all_zeros(known->store_id, 16) && !all_zeros(came->store_id, 16) &&
        memcmp(known->store_id, came->store_id, 16))
        return ck_wrong(why, CK_FOREIGN,
                        "the root object belongs to another store now: its storeId is not the one "
                        "followed until now");
    return 0;
}

int ck_root_follows(const ck_root *known, const ck_root *came, char *why)
{
    measure m[MEASURES];
    const measure *less = NULL, *more = NULL;
    if (foreign(known, came, why)) return CK_FOREIGN;
    if (known->version[0] && strcmp(known->version, came->version) == 0) return CK_SAME;
    measures(known, came, m);
    for (int i = MEASURES; i-- > 0;) {
        if (m[i].came < m[i].known) less = &m[i];
        if (m[i].came > m[i].known) more = &m[i];
    }
    if (less && more)
        return ck_wrong(why, CK_FOREIGN,
                        "the root object has %s %llu after %llu, but %s %llu after %llu: it is of "
                        "another history, as when a backup was restored and written to",
                        more->name, (unsigned long long)more->came, (unsigned long long)more->known,
                        less->name, (unsigned long long)less->came,
                        (unsigned long long)less->known);
    uint64_t fork = fork_at(known, came);
    if (fork && known->recoveries == came->recoveries)
        return ck_wrong(
            why, CK_FOREIGN,
            "the root object has another entry %llu than the one followed until now: it "
            "is of another history",
            (unsigned long long)fork);
    if (less)
        return ck_wrong(why, CK_STALE, "the root object has %s %llu, but %llu was seen already",
                        less->name, (unsigned long long)less->came,
                        (unsigned long long)less->known);
    if (memcmp(known->history_id, came->history_id, 16) && known->recoveries == came->recoveries &&
        !all_zeros(known->history_id, 16))
        return ck_wrong(why, CK_FOREIGN,
                        "the root object has another historyId than the one "
                        "followed until now, without a recovery");
    return CK_NEXT;
}
