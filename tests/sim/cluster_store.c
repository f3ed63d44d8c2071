/*
 * cluster_store.c: what stands below the plugin's shell in a simulation: its folder and rows. The
 * file "node" is written at once and for good; there are no rows, so that each start reads snapshot
 * and log; log and snapshots lie on a simulated disk.
 */
#include <coordination-common/store.h>

#include "cluster_disk.h"

/* --- folder.c --------------------------------------------------------------------------------- */

typedef struct kept {
    uint64_t raft_id, recoveries;
    uint8_t cluster[16];
    int state;
    uint32_t nmembers;
    struct {
        uint64_t id;
        char name[64], address[64];
    } member[8];
} kept;

int32_t cr_folder_open(qd_coord *c, qd_err *err)
{
    kept k;
    (void)err;
    if (cluster_folder_read(c->plugin->self, &k, sizeof k)) {
        c->raft_id = k.raft_id;
        c->recoveries = k.recoveries;
        memcpy(c->cluster, k.cluster, 16);
        c->home.node_state = k.state;
        char *text = cr_must(c->heap, sizeof k.member);
        memcpy(text, k.member, sizeof k.member);
        cr_free(c->heap, c->home.forming_text);
        c->home.forming_text = text;
        for (uint32_t i = 0; i < k.nmembers; i++, text += sizeof k.member[0]) {
            const char *name = text + sizeof k.member[0].id,
                       *address = name + sizeof k.member[0].name;
            c->home.forming.members[c->home.forming.nmembers++] =
                (cr_who){.id = k.member[i].id,
                         .role = QD_COORD_VOTER,
                         .name = qd_plug_str(name),
                         .address = qd_plug_str(address)};
        }
        return 0;
    }
    /* nothing was acknowledged before it is there: what an interrupted forming left is removed */
    cluster_disk_empty(c->plugin->self);
    c->raft_id = c->plugin->rand->u64(c->plugin->self) >> 1;
    if (c->raft_id == 0) c->raft_id = 1;
    return 0;
}

static void text_of(char *out, size_t size, qd_str s)
{
    snprintf(out, size, "%.*s", (int)s.n, s.p);
}

int32_t cr_folder_write(qd_coord *c, int state)
{
    kept k;
    memset(&k, 0, sizeof k);
    k.raft_id = c->raft_id;
    k.recoveries = c->recoveries;
    memcpy(k.cluster, c->cluster, 16);
    k.state = state;
    for (uint32_t i = 0; state == CR_NODE_FORMING && i < c->home.forming.nmembers; i++) {
        k.member[i].id = c->home.forming.members[i].id;
        text_of(k.member[i].name, sizeof k.member[i].name, c->home.forming.members[i].name);
        text_of(k.member[i].address, sizeof k.member[i].address,
                c->home.forming.members[i].address);
        k.nmembers++;
    }
    if (c->home.node_state == CR_NODE_NEW) c->home.young = 1;
    if (!cluster_folder_write(c->plugin->self, &k, sizeof k)) return QD_E_IO;
    c->home.node_state = state;
    return 0;
}

void cr_folder_close(qd_coord *c)
{
    c->home.lock_fd = -1;
}

uint64_t cr_folder_free(qd_coord *c)
{
    return cluster_disk_is_full(c->plugin->self) ? 0 : UINT64_MAX;
}

void cr_reserve_spend(qd_coord *c)
{
    c->home.reserve_there = 0;
}

void cr_reserve_fill(qd_coord *c)
{
    c->home.reserve_there = 1;
}

/* --- rows.c ----------------------------------------------------------------------------------- */

struct cr_rows {
    const cr_heap *heap;
};

int32_t cr_rows_open(const cr_heap *h, const char *path, int32_t (*take)(void *arg, cr_item *row),
                     void *arg, uint64_t *applied, char *why,
                     void (*say)(void *arg, int32_t level, const char *line), void *say_arg,
                     cr_rows **out)
{
    (void)path;
    (void)take;
    (void)arg;
    (void)say;
    (void)say_arg;
    *applied = 0;
    *why = 0;
    *out = cr_must(h, sizeof **out);
    (*out)->heap = h;
    return 0;
}

void cr_rows_discard(cr_rows *r)
{
    (void)r;
}

int32_t cr_rows_start(cr_rows *r)
{
    (void)r;
    return 0;
}

void cr_rows_push(cr_rows *r, cr_items *rows, uint64_t applied, int replaced)
{
    (void)applied;
    (void)replaced;
    for (size_t i = 0; i < rows->n; i++) {
        const cr_item *row = rows->at[i];
        qd_str value = {NULL, 0};
        if (row->kind != CR_ROW_KEY) continue;
        if (row->version && !cr_item_packed(row)) value = cr_item_value(row);
        cluster_committed(cr_item_key(row), value, row->mod_revision);
    }
    cr_items_free(r->heap, rows);
}

void cr_rows_close(cr_rows *r)
{
    if (r) cr_free(r->heap, r);
}

/* --- disk_files.c ----------------------------------------------------------------------------- */

cr_disk *cr_disk_files(const cr_heap *h, const char *path)
{
    (void)path;
    return cluster_disk_of(h->self);
}

void cr_disk_files_free(cr_disk *d)
{
    (void)d; /* the machine's */
}

/* --- for the world ---------------------------------------------------------------------------- */

bool cluster_store_leads(const qd_coord *c);
bool cluster_store_leads(const qd_coord *c)
{
    return cr_leads(c);
}

uint64_t cluster_store_term(const qd_coord *c);
uint64_t cluster_store_term(const qd_coord *c)
{
    return c->view.term;
}

uint64_t cluster_store_hash(const qd_coord *c, uint64_t *revision);
uint64_t cluster_store_hash(const qd_coord *c, uint64_t *revision)
{
    cr_items rows = {0};
    uint64_t sum = 0;
    cr_machine_rows(c->machine, &rows);
    for (size_t i = 0; i < rows.n; i++) sum ^= cr_item_sum(rows.at[i]);
    cr_items_free(c->heap, &rows);
    *revision = c->applied;
    return sum;
}

/* consensus_uv.c's struct begins with it. */
static const struct cr_engine *engine_of(const qd_coord *c)
{
    return c->consensus ? *(struct cr_engine *const *)(const void *)c->consensus : NULL;
}

uint64_t cluster_store_life(const qd_coord *c, uint32_t *voters);
uint64_t cluster_store_life(const qd_coord *c, uint32_t *voters)
{
    *voters = 0;
    return engine_of(c) ? cluster_engine_life(engine_of(c), voters) : 0;
}

uint64_t cluster_store_knows(const qd_coord *c, uint64_t raft_id);
uint64_t cluster_store_knows(const qd_coord *c, uint64_t raft_id)
{
    return engine_of(c) ? cluster_engine_knows(engine_of(c), raft_id) : 0;
}
