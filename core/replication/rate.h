/*
 * rate.h: how fast shards are copied: half of what disk and network give. Pure: the caller tells
 * the time and what its transfers took.
 *
 * What a device gives is measured where a transfer is, not where it is limited: bytes over the time
 * that reads, writes and sends took, over the last ten seconds or so. When searches and writes keep
 * the disk busy the same transfer takes longer, so the measure falls and copying makes room; when
 * they stop it rises again. The slowest of disk (read, write) and network counts, half of it is
 * taken, never less than `least` so that a recovery ends, never more than `most`.
 */
#ifndef QD_REPLICATION_RATE_H
#define QD_REPLICATION_RATE_H

#include <stdbool.h>
#include <stdint.h>

typedef enum qd_rate_kind { QD_RATE_READ, QD_RATE_WRITE, QD_RATE_NET, QD_RATE_KINDS } qd_rate_kind;

typedef struct qd_rate {
    double bytes[QD_RATE_KINDS], busy_ns[QD_RATE_KINDS]; /* both fading */
    uint64_t seen_ns[QD_RATE_KINDS];                     /* of the last transfer */
    double least, most;                                  /* bytes a second; most 0: no bound */
    double start;                                        /* as long as nothing was measured */
    double room;                                         /* bytes that may go now; below 0: owed */
    double given;                                        /* bytes of leave since the start */
    uint64_t filled_ns;                                  /* when both were last reckoned */
} qd_rate;

/* Starts with nothing measured: start bytes a second until then. [any] */
void qd_rate_init(qd_rate *r, uint64_t start, uint64_t least, uint64_t most, uint64_t now_ns);
/* Other bounds (settings). [any] */
void qd_rate_bounds(qd_rate *r, uint64_t least, uint64_t most);
/* A transfer of bytes kept the device busy for so long; waiting for the limit does not count. */
void qd_rate_observe(qd_rate *r, qd_rate_kind kind, uint64_t bytes, uint64_t busy_ns,
                     uint64_t now_ns);
/* What a device gives, bytes a second; 0: not measured (lately). */
double qd_rate_capacity(const qd_rate *r, qd_rate_kind kind, uint64_t now_ns);
/* The present limit, bytes a second. */
double qd_rate_limit(const qd_rate *r, uint64_t now_ns);
/* Asks for leave to move bytes; returns how much has to be given in all before. It is given in the
 * order of asking; a tenth of a second's worth may go at once. */
double qd_rate_ask(qd_rate *r, uint64_t bytes, uint64_t now_ns);
/* Nanoseconds to wait for that, as the limit is now; 0: it may go. */
uint64_t qd_rate_left(qd_rate *r, double asked, uint64_t now_ns);

#endif
