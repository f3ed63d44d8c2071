/* wire_int.h: bodies of the messages between remote nodes and masters. All [any]. */
#ifndef QD_CLUSTER_REMOTE_WIRE_INT_H
#define QD_CLUSTER_REMOTE_WIRE_INT_H

#include "cluster/authority/mode.h"
#include "rpc/codec.h"
#include <quidditch/coordination.h>

#define REMOTE_KEY_MAX ((size_t)64 << 10)
#define REMOTE_VALUE_MAX ((size_t)64 << 20)
#define REMOTE_KEYS_MAX 10000000u
#define REMOTE_OPS_MAX 100000u
#define REMOTE_MEMBERS_MAX 1000u
#define REMOTE_BODY_MAX ((size_t)256 << 20)

void qdi_remote_write_kv(qd_writer *w, const qd_coord_kv *kv);
qd_coord_kv qdi_remote_read_kv(qd_body_reader *r);
void qdi_remote_write_identity(qd_writer *w, const qd_coord_identity *i, qd_store_kind kind);
void qdi_remote_read_identity(qd_body_reader *r, qd_coord_identity *out, qd_store_kind *kind);

/* Requests; what is read lives in the body and the arena. */
void qdi_remote_write_range(qd_writer *w, const qd_coord_range *r);
void qdi_remote_read_range(qd_body_reader *r, qd_coord_range *out);
void qdi_remote_write_txn(qd_writer *w, const qd_coord_txn *t);
void qdi_remote_read_txn(qd_body_reader *r, qd_arena *a, qd_coord_txn *out);
void qdi_remote_write_session(qd_writer *w, const qd_coord_session *s);
void qdi_remote_read_session(qd_body_reader *r, qd_coord_session *out);
void qdi_remote_write_election(qd_writer *w, const qd_coord_election *e);
void qdi_remote_read_election(qd_body_reader *r, qd_coord_election *out);
void qdi_remote_write_members(qd_writer *w, const qd_coord_members *m);
void qdi_remote_read_members(qd_body_reader *r, qd_coord_members *out);

/* Answers, after the identity of the store. */
void qdi_remote_write_range_answer(qd_writer *w, const qd_coord_range *r);
int qdi_remote_read_range_answer(qd_body_reader *r, qd_arena *a, qd_coord_range *out);
void qdi_remote_write_members_answer(qd_writer *w, const qd_coord_members *m);
int qdi_remote_read_members_answer(qd_body_reader *r, qd_arena *a, qd_coord_members *out);

/* One event of a watch. */
void qdi_remote_write_event(qd_writer *w, const qd_coord_event *e);
qd_coord_event qdi_remote_read_event(qd_body_reader *r);

#endif
