/*
 * home.c: coordination-raft's own part of an open store: options, folder, rows, and the log opened
 * with what consensus needs. See home.h.
 */
#include "store.h"
#include <stdio.h>

#ifndef CR_SEGMENT_BYTES /* simulations have smaller ones */
#define CR_SEGMENT_BYTES (4u << 20)
#endif
#define SPACE_LOOK_NS 1000000 /* between looks at the free space */

/* --- options --- */

int32_t cr_home_option(qd_coord *c, const qd_pair *o, qd_err *err)
{
    int64_t v = cr_option_ms(o->value);
    if (qd_plug_is(o->key, "election_timeout") && v >= 50 && v <= 60000)
        c->election_ms = (uint32_t)v;
    else if (qd_plug_is(o->key, "heartbeat_interval") && v >= 10 && v <= 10000)
        c->heartbeat_ms = (uint32_t)v;
    else if (qd_plug_is(o->key, "snapshot_threshold") && v >= 16 && v <= 10000000)
        c->home.snapshot_entries = (uint32_t)v;
    else
        return qd_plug_fail(c->plugin->err, err, QD_E_CONFIG,
                            "coordination.%.*s: unknown option or bad value \"%.*s\" (known: "
                            "election_timeout, heartbeat_interval, snapshot_threshold)",
                            (int)o->key.n, o->key.p, (int)o->value.n, o->value.p);
    return 0;
}

void cr_home_defaults(qd_coord *c)
{
    int64_t v;
    const cr_plugin *p = c->plugin;
    c->home.lock_fd = -1;
    c->home.snapshot_entries = 8192;
    c->home.reserve_bytes = p->conf->i64(p->self, "reserve", &v) == 0 ? (uint64_t)v : 16u << 20;
}

/* --- folder and rows --- */

int32_t cr_home_open(qd_coord *c, qd_err *err)
{
    if (!*c->path)
        return qd_plug_fail(c->plugin->err, err, QD_E_ARG,
                            "the folder of the coordination store is empty");
    return cr_folder_open(c, err);
}

void cr_home_free(qd_coord *c)
{
    cr_rows_close(c->home.rows);
    cr_members_free(c);
    cr_found_free(c);
    cr_folder_close(c);
}

void cr_home_applied(qd_coord *c, cr_items *rows, uint64_t index, int replaced)
{
    cr_rows_push(c->home.rows, rows, index, replaced);
}

static void say_rows(void *arg, int32_t level, const char *line)
{
    cr_say(arg, level, "%s", line);
}

int32_t cr_home_load(qd_coord *c, qd_err *err)
{
    char path[4096], why[256];
    snprintf(path, sizeof path, "%s/state.db", c->path);
    int32_t rc = cr_rows_open(c->heap, path, cr_store_load_row, c->machine, &c->applied, why,
                              say_rows, c, &c->home.rows);
    if (rc == 0 && c->applied && cr_machine_loaded(c->machine)) {
        snprintf(why, sizeof why, "rows do not fit together");
        cr_rows_discard(c->home.rows);
    }
    if (rc == 0 && *why) {
        cr_say(c, QD_LEVEL_WARN, "%s is damaged (%s): it is made again from the log", path, why);
        cr_machine_reset(c->machine);
        c->applied = 0;
    }
    if (rc == 0) rc = cr_rows_start(c->home.rows);
    return rc ? qd_plug_fail(c->plugin->err, err, rc, "coordination store %s: rows cannot be read",
                             c->path)
              : 0;
}

/* What an opened log must fit to; NULL: it does. */
static const char *misfit(qd_coord *c)
{
    static const uint8_t nobody[16];
    uint64_t last = cr_consensus_last(c->consensus);
    if (c->home.node_state == CR_NODE_FORMED && last == 0)
        return "it was formed, but its log is gone";
    if (memcmp(c->machine->store_id, nobody, 16) != 0 &&
        memcmp(c->machine->store_id, c->cluster, 16) != 0)
        return "file node and state belong to two clusters";
    return NULL;
}

static void opened(qd_coord *c)
{
    const char *wrong = c->failed ? NULL : misfit(c);
    if (wrong) cr_give_up(c, QD_E_CORRUPT, wrong);
    if (c->failed) { /* an entry of the log was damaged */
        c->fail_code = QD_E_CORRUPT;
        return;
    }
    cr_store_look(c);
    cr_net_watch(c);
    int formed = c->home.node_state == CR_NODE_FORMING;
    if (c->view.recoveries != c->recoveries) {
        c->recoveries = c->view.recoveries;
        formed = c->home.node_state != CR_NODE_NEW;
    }
    if (formed && cr_folder_write(c, CR_NODE_FORMED))
        cr_give_up(c, QD_E_IO, "its file node could not be written");
}

void cr_store_engine(qd_coord *c, uint32_t how)
{
    char dir[4096], why[CR_WHY], text[CR_WHY + 16];
    cr_member first[CR_WIRE_MEMBERS_MAX];
    snprintf(dir, sizeof dir, "%s/raft", c->path);
    for (uint32_t i = 0; i < c->home.forming.nmembers; i++) {
        const cr_who *w = &c->home.forming.members[i];
        first[i] = (cr_member){w->id, QD_COORD_VOTER, w->name, w->address};
    }
    cr_consensus_config k = {.dir = dir,
                             .id = c->raft_id,
                             .how = how,
                             .recoveries = how == CR_OPEN_JOIN ? c->recoveries : 0,
                             .first = how == CR_OPEN_FORM ? first : NULL,
                             .nfirst = how == CR_OPEN_FORM ? c->home.forming.nmembers : 0,
                             .election_ms = c->election_ms,
                             .heartbeat_ms = c->heartbeat_ms,
                             .snapshot_entries = c->home.snapshot_entries,
                             .segment_bytes = CR_SEGMENT_BYTES};
    cr_store_callbacks(c, &k);
    int32_t rc = cr_consensus_open(&k, &c->consensus, why);
    if (rc) {
        c->consensus = NULL;
        snprintf(text, sizeof text, "log: %s", why);
        cr_give_up(c, rc, text);
        return;
    }
    opened(c);
    cr_identity_update(c);
    c->dirty = 1;
}

int32_t cr_space(qd_coord *c)
{
    int64_t now = cr_now(c);
    if (c->home.space_checked_ns && now - c->home.space_checked_ns < SPACE_LOOK_NS) return 0;
    uint64_t need = c->home.reserve_bytes, space = cr_folder_free(c);
    if (space < need && c->home.reserve_there) {
        cr_reserve_spend(c);
        space = cr_folder_free(c);
    } else if (!c->home.reserve_there && space > 4 * need &&
               (!c->home.young || now - c->ready_ns > CR_YOUNG_NS)) {
        cr_reserve_fill(c);
    }
    c->home.space_checked_ns = now;
    if (space >= need / 2) return 0;
    c->home.space_checked_ns = 0; /* look again for the next one */
    c->home.full_ns = now;
    return QD_E_NOSPACE;
}

/* --- moments --- */

void cr_home_looked(qd_coord *c)
{
    if (c->home.node_state == CR_NODE_JOINING && c->view.last && c->view.role &&
        cr_folder_write(c, CR_NODE_FORMED))
        cr_give_up(c, QD_E_IO, "its file node could not be written");
}

int32_t cr_home_led(qd_coord *c)
{
    return c->home.node_state == CR_NODE_NEW ? cr_folder_write(c, CR_NODE_FORMED) : 0;
}

void cr_home_ready(qd_coord *c)
{
    c->home.even_ns = c->ready_ns;
}

int64_t cr_home_next(const qd_coord *c, int64_t now, int64_t at)
{
    int64_t grown = c->ready_ns + CR_YOUNG_NS + 1;
    int due = c->ready && c->home.young && !c->home.reserve_there && grown > now;
    return due && grown < at ? grown : at;
}

int cr_home_forms(const qd_coord *c)
{
    return c->bootstrap; /* else it waits to be a mirror */
}

int cr_home_waits(const qd_coord *c)
{
    return c->home.wishes != NULL;
}

/* Fills the reserve. */
void cr_home_tick(qd_coord *c)
{
    if (c->ready && !c->home.reserve_there && !c->failed) (void)cr_space(c);
}

void cr_why_slow(const qd_coord *c, char *out, size_t room)
{
    snprintf(out, room,
             "the disk of the masters (%.400s here) or the network between them is slow, or they "
             "had no leader",
             c->path);
}
