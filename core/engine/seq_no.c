/* seq_no.c: checkpoint over a ring of bits. See seq_no.h. */
#include "engine/seq_no.h"
#include <quidditch/types.h>
#include <string.h>

#define RING_MIN 1024u
#define RING_MAX ((uint64_t)1 << 27) /* 16 MiB: a replica refuses what is half as far ahead */

int qd_seq_no_init(qd_seq_no *s, int64_t max_seq_no, qd_account *account)
{
    memset(s, 0, sizeof *s);
    qd_assert(qd_seq_no_sound(max_seq_no));
    s->ahead = qd_calloc(account, RING_MIN / 8);
    if (!s->ahead) return QD_E_NOMEM;
    qd_mutex_init(&s->lock);
    s->ring_bits = RING_MIN;
    s->account = account;
    s->next = max_seq_no + 1;
    s->processed = s->persisted = s->covered = max_seq_no;
    return 0;
}

void qd_seq_no_fini(qd_seq_no *s)
{
    if (!s->ahead) return;
    qd_free(s->ahead);
    s->ahead = NULL;
    qd_mutex_fini(&s->lock);
}

static bool bit_get(const uint64_t *ring, uint64_t bits, int64_t n)
{
    uint64_t i = (uint64_t)n & (bits - 1);
    return ring[i / 64] >> (i % 64) & 1;
}

static void bit_put(uint64_t *ring, uint64_t bits, int64_t n, bool on)
{
    uint64_t i = (uint64_t)n & (bits - 1), one = (uint64_t)1 << (i % 64);
    ring[i / 64] = on ? ring[i / 64] | one : ring[i / 64] & ~one;
}

/* covered <= persisted <= processed < next, and the ring has room for what is between. */
static void holds(const qd_seq_no *s)
{
    qd_assert(s->covered <= s->persisted);
    qd_assert(s->persisted <= s->processed);
    qd_assert(s->processed < s->next);
    qd_assert((uint64_t)(s->next - 1 - s->processed) <= s->ring_bits);
    qd_assert(s->next <= QD_SEQ_NO_LIMIT); /* what is beyond was refused where it came from */
}

/* Room for numbers up to seq_no above the checkpoint. Under the lock. */
static int make_room(qd_seq_no *s, int64_t seq_no, qd_err *err)
{
    if (seq_no < 0 || seq_no >= QD_SEQ_NO_LIMIT)
        return qd_err_set(err, QD_E_LIMIT, "[%lld] is no sequence number: they are below [%lld]",
                          (long long)seq_no, (long long)QD_SEQ_NO_LIMIT);
    qd_assert(seq_no > s->processed); /* and so the room is counted in less than 2^53 */
    uint64_t need = (uint64_t)(seq_no - s->processed) + 1, bits = s->ring_bits;
    if (need <= bits) return 0;
    if (need > RING_MAX)
        return qd_err_set(err, QD_E_LIMIT,
                          "sequence number [%lld] is too far above the local checkpoint [%lld]: at "
                          "most [%llu] are kept track of",
                          (long long)seq_no, (long long)s->processed, (unsigned long long)RING_MAX);
    while (bits < need) bits *= 2;
    qd_assert((bits & (bits - 1)) == 0); /* a number's bit is found by a mask */
    uint64_t *ring = qd_calloc(s->account, bits / 8);
    if (!ring) return qd_err_nomem(err, "sequence numbers in flight");
    for (int64_t n = s->processed + 1; n < s->next; n++) {
        if (bit_get(s->ahead, s->ring_bits, n)) bit_put(ring, bits, n, true);
    }
    qd_free(s->ahead);
    s->ahead = ring;
    s->ring_bits = bits;
    return 0;
}

int qd_seq_no_assign(qd_seq_no *s, int64_t *out, qd_err *err)
{
    qd_mutex_lock(&s->lock);
    int rc = make_room(s, s->next, err);
    if (!rc) *out = s->next++;
    qd_assert(rc || *out > s->processed); /* a new number is not processed yet */
    holds(s);
    qd_mutex_unlock(&s->lock);
    return rc;
}

int qd_seq_no_advance(qd_seq_no *s, int64_t seq_no, qd_err *err)
{
    int rc = 0;
    qd_mutex_lock(&s->lock);
    if (seq_no >= s->next && !(rc = make_room(s, seq_no, err))) s->next = seq_no + 1;
    holds(s);
    qd_mutex_unlock(&s->lock);
    return rc;
}

void qd_seq_no_reset(qd_seq_no *s, int64_t checkpoint)
{
    qd_assert(qd_seq_no_sound(checkpoint));
    qd_mutex_lock(&s->lock);
    memset(s->ahead, 0, s->ring_bits / 8);
    s->next = checkpoint + 1;
    s->processed = s->persisted = s->covered = checkpoint;
    s->resets++;
    holds(s);
    qd_mutex_unlock(&s->lock);
}

/* Moves the checkpoint over what is processed already. Under the lock. */
static void move_on(qd_seq_no *s)
{
    while (s->processed + 1 < s->next && bit_get(s->ahead, s->ring_bits, s->processed + 1)) {
        bit_put(s->ahead, s->ring_bits, ++s->processed, false);
    }
}

void qd_seq_no_cover(qd_seq_no *s, int64_t checkpoint)
{
    qd_assert(qd_seq_no_sound(checkpoint));
    qd_mutex_lock(&s->lock);
    if (checkpoint >= s->next) s->next = checkpoint + 1;
    int64_t had = s->processed, ring_end = s->processed + (int64_t)s->ring_bits;
    for (int64_t n = s->processed + 1; n <= checkpoint && n <= ring_end; n++) {
        bit_put(s->ahead, s->ring_bits, n, false);
    }
    if (checkpoint > s->processed) s->processed = checkpoint;
    if (checkpoint > s->persisted) s->persisted = checkpoint;
    if (checkpoint > s->covered) s->covered = checkpoint;
    move_on(s);
    qd_assert(s->processed >= had && s->processed >= checkpoint && s->covered >= checkpoint);
    holds(s);
    qd_mutex_unlock(&s->lock);
}

bool qd_seq_no_has(qd_seq_no *s, int64_t seq_no)
{
    qd_mutex_lock(&s->lock);
    bool yes =
        seq_no <= s->processed || (seq_no < s->next && bit_get(s->ahead, s->ring_bits, seq_no));
    qd_mutex_unlock(&s->lock);
    return yes;
}

void qd_seq_no_processed(qd_seq_no *s, int64_t seq_no)
{
    qd_mutex_lock(&s->lock);
    if (seq_no > s->processed) {
        qd_assert(seq_no < s->next);
        bit_put(s->ahead, s->ring_bits, seq_no, true);
        move_on(s);
    }
    holds(s);
    qd_mutex_unlock(&s->lock);
}

int64_t qd_seq_no_gap(qd_seq_no *s, int64_t after)
{
    qd_mutex_lock(&s->lock);
    int64_t n = (after > s->processed ? after : s->processed) + 1;
    while (n < s->next && bit_get(s->ahead, s->ring_bits, n)) n++;
    qd_assert(n > s->processed && n > after);
    if (n >= s->next) n = -1;
    qd_mutex_unlock(&s->lock);
    return n;
}

qd_seq_no_mark qd_seq_no_mark_get(qd_seq_no *s)
{
    qd_mutex_lock(&s->lock);
    qd_seq_no_mark m = {s->processed, s->resets};
    holds(s);
    qd_mutex_unlock(&s->lock);
    return m;
}

void qd_seq_no_persisted(qd_seq_no *s, const qd_seq_no_mark *m)
{
    qd_mutex_lock(&s->lock);
    qd_assert(m->resets <= s->resets); /* a mark is older than now, */
    qd_assert(m->resets < s->resets || m->checkpoint <= s->processed); /* and so is what it saw */
    if (m->resets == s->resets && m->checkpoint > s->persisted) s->persisted = m->checkpoint;
    holds(s);
    qd_mutex_unlock(&s->lock);
}

void qd_seq_no_all_persisted(qd_seq_no *s)
{
    qd_mutex_lock(&s->lock);
    s->persisted = s->processed;
    holds(s);
    qd_mutex_unlock(&s->lock);
}

void qd_seq_no_get(qd_seq_no *s, int64_t *max, int64_t *local, int64_t *durable)
{
    qd_mutex_lock(&s->lock);
    if (max) *max = s->next - 1;
    if (local) *local = s->processed;
    if (durable) *durable = s->persisted;
    qd_mutex_unlock(&s->lock);
}

void qd_seq_no_get_all(qd_seq_no *s, int64_t *max, int64_t *local, int64_t *durable,
                       int64_t *covered)
{
    qd_mutex_lock(&s->lock);
    *max = s->next - 1;
    *local = s->processed;
    *durable = s->persisted;
    *covered = s->covered;
    qd_mutex_unlock(&s->lock);
}
