/*
 * version_map.h: the newest version of every id that the searchable segments do not yet show.
 *
 * Striped: an id's stripe is also the lock that serialises operations on that id, held by the
 * caller from look-up to append (qd_version_map_lock). Each stripe has a current half, an old half
 * (while a refresh is under way) and tombstones that outlive the refresh by gc_deletes. At every
 * instant an id is findable in one of them or in the newest reader: look here first, then take the
 * reader.
 */
#ifndef QD_ENGINE_VERSION_MAP_H
#define QD_ENGINE_VERSION_MAP_H

#include "base/err.h"
#include "base/mem.h"
#include "engine/translog.h"

typedef struct qd_version_map qd_version_map;

typedef struct qd_version_value {
    uint64_t version, seq_no, primary_term;
    qd_translog_location at; /* of the operation */
    uint64_t buffer;         /* number of the indexing buffer that holds the document */
    uint32_t doc;            /* its number there */
    bool deleted;
    int64_t deleted_ms; /* monotonic, of a tombstone */
} qd_version_value;

/* An empty map whose hash is seeded from env, memory charged to account. */
QD_MUST_CHECK
int qd_version_map_make(qd_account *account, uint64_t seed, qd_version_map **out, qd_err *err);
/* Frees it. */
void qd_version_map_free(qd_version_map *m);

/* Makes what writers lock, unless it is there; before a writer's first lock. QD_E_NOMEM,
 * QD_E_BREAKER. [worker] */
QD_MUST_CHECK
int qd_version_map_prepare(qd_version_map *m, qd_err *err);
/* The newest value of id, if it is here, for who holds no lock. [worker] */
bool qd_version_map_find(qd_version_map *m, qd_str id, qd_version_value *out);
/* Locks the stripe of id, of a map that is prepared, and returns its handle for the calls below.
 * [worker] */
uint32_t qd_version_map_lock(qd_version_map *m, qd_str id);
/* Unlocks a stripe. */
void qd_version_map_unlock(qd_version_map *m, uint32_t stripe);
/* The newest value of id, if it is here. Under the stripe's lock. */
bool qd_version_map_get(qd_version_map *m, uint32_t stripe, qd_str id, qd_version_value *out);
/* Makes sure that the next put of id cannot fail. Under the stripe's lock. QD_E_NOMEM,
 * QD_E_BREAKER. */
QD_MUST_CHECK
int qd_version_map_reserve(qd_version_map *m, uint32_t stripe, qd_str id, qd_err *err);
/* Sets the value of id; reserve came before. Under the stripe's lock. */
void qd_version_map_put(qd_version_map *m, uint32_t stripe, qd_str id, const qd_version_value *v);

/* Begins a refresh: the current half becomes the old one. The caller keeps all writers out, and the
 * old half is empty. [worker] */
void qd_version_map_refresh_begin(qd_version_map *m);
/* Ends it after the new reader is published: the old half is forgotten, but for tombstones, which
 * stay until they are older than gc_ms at now_ms (monotonic milliseconds) and their number is below
 * keep_from: what external versioning promises, and what an operation that comes late needs.
 * [worker] */
void qd_version_map_refresh_end(qd_version_map *m, int64_t now_ms, int64_t gc_ms,
                                int64_t keep_from);
/* Forgets everything; other threads may look meanwhile. The caller keeps writers out. [worker] */
void qd_version_map_clear(qd_version_map *m);
/* Entries and bytes in use. [any] */
void qd_version_map_stats(qd_version_map *m, uint64_t *entries, uint64_t *bytes);

#endif
