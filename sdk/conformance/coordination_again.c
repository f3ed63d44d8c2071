/*
 * coordination_again.c: the suite as a right client of a store that may be slow, away, or lose its
 * answers: what was refused for want of a leader, and what has no outcome, is asked again, with the
 * same request id where there is one, until the answer is certain. So the suite may be run while
 * a store has faults; what it promises is looked at all the same.
 */
#include "coordination_suite.h"
#include <time.h>

#define PATIENCE SECONDS(3) /* with one request, longer each time; then it is cancelled */
#define AT_MOST SECONDS(120)

int64_t coord_suite_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * SECONDS(1) + t.tv_nsec;
}

int coord_suite_passing(int32_t rc)
{
    return rc == QD_E_NOT_LEADER || rc == QD_E_NO_COORDINATION || rc == QD_E_REJECTED ||
           rc == QD_E_UNKNOWN_OUTCOME || rc == QD_E_TIMEOUT || rc == QD_E_CANCELLED;
}

/* Waits for a request that was submitted with this code. One that takes long is cancelled; one that
 * does not end even so is QD_E_STATE, and its memory is the plugin's for ever. */
static int32_t ended(suite *s, qd_op *op, int32_t rc, int64_t patience)
{
    if (rc) return rc;
    int64_t began = coord_suite_now();
    rc = s->c->wait(s->c, op, patience);
    if (rc != QD_E_TIMEOUT || coord_suite_now() - began < patience) return rc;
    s->vt->cancel(s->co, op);
    began = coord_suite_now();
    rc = s->c->wait(s->c, op, SECONDS(60));
    return rc == QD_E_TIMEOUT && coord_suite_now() - began >= SECONDS(60) ? QD_E_STATE : rc;
}

static int again(int32_t rc, int64_t until)
{
    if (!coord_suite_passing(rc) || coord_suite_now() >= until) return 0;
    coord_suite_pause();
    return 1;
}

/* Asks until the answer is certain. `asked`: how often. */
#define ASK(s, slot, r, asked)                                                                     \
    do {                                                                                           \
        int64_t until_ = coord_suite_now() + AT_MOST;                                              \
        (asked) = 0;                                                                               \
        do {                                                                                       \
            if ((asked)++ && (r)->err) (s)->c->err_clear((s)->c);                                  \
            (s)->c->prepare((s)->c, &(r)->op);                                                     \
            rc = ended((s), &(r)->op, (s)->vt->slot((s)->co, (r)), (asked)*PATIENCE);              \
        } while (again(rc, until_));                                                               \
    } while (0)

/* What may be asked again as it is. */
#define ASKED(what, request)                                                                       \
    int32_t coord_suite_##what(suite *s, request *r)                                               \
    {                                                                                              \
        int32_t rc;                                                                                \
        int asked;                                                                                 \
        ASK(s, what, r, asked);                                                                    \
        return rc;                                                                                 \
    }
ASKED(txn, qd_coord_txn)
ASKED(range, qd_coord_range)
ASKED(members, qd_coord_members)
ASKED(authority, qd_coord_authority)
ASKED(import, qd_coord_import)

/* OPEN has a request id, KEEP and CLOSE may be repeated: of a CLOSE that had no outcome one that
 * finds the session gone is the end. */
int32_t coord_suite_session(suite *s, uint32_t action, uint64_t *id, int64_t ttl_ns)
{
    qd_coord_session r = {.action = action, .session = *id, .ttl_ns = ttl_ns, .err = s->err};
    int32_t rc;
    int asked;
    coord_suite_id(s, r.id);
    ASK(s, session, &r, asked);
    if (rc == 0 && action == QD_COORD_SESSION_OPEN) *id = r.session;
    if (rc == QD_E_SESSION_EXPIRED && action == QD_COORD_SESSION_CLOSE && asked > 1) rc = 0;
    return rc;
}

int32_t coord_suite_once(suite *s, uint32_t action, uint64_t id)
{
    qd_coord_session r = {.action = action, .session = id};
    s->c->prepare(s->c, &r.op);
    return ended(s, &r.op, s->vt->session(s->co, &r), PATIENCE);
}

int32_t coord_suite_end(suite *s, qd_op *op, int64_t patience)
{
    return ended(s, op, 0, patience);
}

/* A RESIGN has no request id: one that had no outcome was done when a second one finds that the
 * token is no leader's any more. */
int32_t coord_suite_resign(suite *s, const char *name, uint64_t id, qd_coord_token token)
{
    qd_coord_election e = {
        .action = QD_COORD_RESIGN, .name = str_c(name), .session = id, .token = token};
    int32_t rc;
    int asked;
    ASK(s, election, &e, asked);
    return rc == QD_E_FENCED && asked > 1 ? 0 : rc;
}

int32_t coord_suite_leader(suite *s, qd_coord_election *e, const char *name)
{
    int32_t rc;
    int asked;
    *e = (qd_coord_election){.action = QD_COORD_LEADER, .name = str_c(name)};
    ASK(s, election, e, asked);
    return rc;
}

void coord_suite_stand(suite *s, qd_coord_election *e, const char *name, uint64_t id,
                       const char *value)
{
    *e = (qd_coord_election){
        .action = QD_COORD_ELECT, .name = str_c(name), .value = str_c(value), .session = id};
    s->c->prepare(s->c, &e->op);
}

/* An ELECT has no request id either. What became of one that has no outcome is settled by the end
 * of its session, with which it goes; then another session stands. */
int32_t coord_suite_win(suite *s, qd_coord_election *e, uint64_t *id, int32_t rc)
{
    const char *name = e->name.p, *value = e->value.p;
    int64_t until = coord_suite_now() + AT_MOST;
    rc = ended(s, &e->op, rc, SECONDS(20));
    while (again(rc, until)) {
        rc = coord_suite_session(s, QD_COORD_SESSION_CLOSE, id, 0);
        if (rc && rc != QD_E_SESSION_EXPIRED) return rc;
        rc = coord_suite_session(s, QD_COORD_SESSION_OPEN, id, coord_suite_long(s));
        if (rc) return rc;
        coord_suite_stand(s, e, name, *id, value);
        rc = ended(s, &e->op, s->vt->election(s->co, e), SECONDS(20));
    }
    return rc;
}

int64_t coord_suite_long(suite *s)
{
    qd_coord_info info = {.struct_size = sizeof info};
    s->vt->info(s->co, &info);
    return info.session_ttl_max_ns < SECONDS(600) ? info.session_ttl_max_ns : SECONDS(600);
}
