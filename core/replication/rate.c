/* rate.c: see rate.h. */
#include "replication/rate.h"
#include "base/assert.h"

#define HALF_LIFE_NS 5e9
#define FORGET_NS UINT64_C(60000000000) /* a device that has not been used so long is not known */
#define BURST 0.1                       /* seconds' worth that may go at once */
#define SHARE 0.5                       /* of what there is */

/* 2 to the power of -x, for x >= 0: a rational that is exact at whole numbers and off by less than
 * a percent between them. */
static double fade(double x)
{
    double whole = 1;
    if (x > 60) return 0;
    for (; x >= 1; x -= 1) whole /= 2;
    return whole * (1 - x * (0.6931 - x * (0.2402 - x * 0.0471)));
}

void qd_rate_bounds(qd_rate *r, uint64_t least, uint64_t most)
{
    r->most = (double)most;
    r->least = most && least > most ? (double)most : (double)least;
    qd_assert(r->most <= 0 || r->least <= r->most);
}

void qd_rate_init(qd_rate *r, uint64_t start, uint64_t least, uint64_t most, uint64_t now_ns)
{
    *r = (qd_rate){.start = (double)start, .filled_ns = now_ns};
    qd_rate_bounds(r, least, most);
}

void qd_rate_observe(qd_rate *r, qd_rate_kind kind, uint64_t bytes, uint64_t busy_ns,
                     uint64_t now_ns)
{
    double since = now_ns > r->seen_ns[kind] ? (double)(now_ns - r->seen_ns[kind]) : 0;
    double keep = r->seen_ns[kind] ? fade(since / HALF_LIFE_NS) : 0;
    qd_assert(keep >= 0 && keep <= 1); /* what was measured counts less, never more */
    r->bytes[kind] = r->bytes[kind] * keep + (double)bytes;
    r->busy_ns[kind] = r->busy_ns[kind] * keep + (double)busy_ns;
    if (now_ns > r->seen_ns[kind]) r->seen_ns[kind] = now_ns;
}

double qd_rate_capacity(const qd_rate *r, qd_rate_kind kind, uint64_t now_ns)
{
    bool old = now_ns > r->seen_ns[kind] && now_ns - r->seen_ns[kind] > FORGET_NS;
    if (!r->seen_ns[kind] || old || r->busy_ns[kind] <= 0) return 0;
    return r->bytes[kind] / r->busy_ns[kind] * 1e9;
}

double qd_rate_limit(const qd_rate *r, uint64_t now_ns)
{
    double limit = 0;
    for (int k = 0; k < QD_RATE_KINDS; k++) {
        double c = qd_rate_capacity(r, (qd_rate_kind)k, now_ns);
        if (c > 0 && (limit == 0 || c * SHARE < limit)) limit = c * SHARE;
    }
    if (limit == 0) limit = r->start;
    if (limit < r->least) limit = r->least;
    if (r->most > 0 && limit > r->most) limit = r->most;
    return limit > 1 ? limit : 1;
}

static double refill(qd_rate *r, uint64_t now_ns)
{
    double limit = qd_rate_limit(r, now_ns), burst = limit * BURST;
    if (now_ns > r->filled_ns) {
        double more = limit * (double)(now_ns - r->filled_ns) / 1e9;
        r->room += more;
        r->given += more;
        r->filled_ns = now_ns;
    }
    if (r->room > burst) r->room = burst;
    return limit;
}

double qd_rate_ask(qd_rate *r, uint64_t bytes, uint64_t now_ns)
{
    (void)refill(r, now_ns);
    double asked = r->given + (r->room < 0 ? -r->room : 0);
    r->room -= (double)bytes;
    return asked;
}

uint64_t qd_rate_left(qd_rate *r, double asked, uint64_t now_ns)
{
    double limit = refill(r, now_ns);
    double wait = r->given >= asked ? 0 : (asked - r->given) / limit * 1e9;
    return wait < 9e18 ? (uint64_t)wait : UINT64_C(9000000000000000000);
}
