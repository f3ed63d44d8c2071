/* machine_int.h: shared by machine.c (what the state is made of) and machine_run.c (commands). */
#ifndef COORDINATION_COMMON_MACHINE_INT_H
#define COORDINATION_COMMON_MACHINE_INT_H

#include "entry.h"
#include "machine.h"
#include <check/invariant.h>

void crm_contents_free(cr_machine *m);
void crm_parts_free(cr_machine *m);
void crm_key_put(cr_machine *m, cr_item *item);
void crm_put(cr_machine *m, qd_str key, qd_str value, uint64_t session);
int crm_del_at(cr_machine *m, qd_str key, uint64_t revision);
int crm_del(cr_machine *m, qd_str key);
int crm_del_prefix(cr_machine *m, qd_str prefix);
void crm_committed(cr_machine *m);
void crm_answer(cr_machine *m, const uint8_t id[16], const cr_result *r);
int crm_repeated(const cr_machine *m, const uint8_t id[16], cr_result *r);
void crm_ended(cr_machine *m, const cr_candidate *c, int32_t rc, qd_coord_token token);
void crm_candidate_remove(cr_election *e, uint32_t i);
int crm_election_key_del(cr_machine *m, const cr_election *e);
void crm_win(cr_machine *m, cr_election *e, const cr_candidate *c, qd_str value);
void crm_next_leader(cr_machine *m, cr_election *e);
void crm_session_end(cr_machine *m, cr_session *s);

#endif
